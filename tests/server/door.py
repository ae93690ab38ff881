"""The front door without sockets: policy, switchboard and meetings between phones on a fake network."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from msgspec.structs import replace

from ringback.call.effects import Fault, Notice, ToMedia
from ringback.call.switchboard import Switchboard
from ringback.conference.meetings import EntryTimings, Meetings
from ringback.conference.pin_guard import PinGuard
from ringback.conference.visits import Visits
from ringback.config import Settings
from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private
from ringback.governance.sources import SipSources
from ringback.governance.throttle import SourceList
from ringback.media import protocol as media
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.toll_caps import TollCaps
from ringback.sdp.negotiated import Local
from ringback.server.accounts import Accounts
from ringback.server.challenges import DigestChoice
from ringback.server.destinations import Destinations
from ringback.server.emergencies import EmergencyNotice
from ringback.server.joining import Reach, own_ways
from ringback.server.outside import Outside
from ringback.server.policy import Policy
from ringback.server.softphones import Softphones
from ringback.server.watching import Watching
from ringback.sip.digest import DigestAuthenticator, authorize, make_ha1, parse_challenge
from ringback.sip.effects import (
    Effect,
    IncomingCall,
    InviteRefused,
    RequestArrived,
    RequestTimedOut,
    ResponseArrived,
    Transmit,
)
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri
from ringback.sip.registration import Registrar
from ringback.sip.uri import parse_uri
from ringback.store.directory import Digest, Directory, Extension, Trunk
from ringback.trunk.lines import TrunkLines
from ringback.trunk.watch import Surroundings
from tests.call.office import offer
from tests.conference.stage import meeting
from tests.sip.phones import Network, Phone

SERVER = "192.0.2.254"
TRUSTED = "192.0.2.200"
"""A peer that is believed who calls."""
DIAL_IN = "5550100"


def extension(
    number: str, password: str = "secret", *, enabled: bool = True, digest: Digest = "md5"
) -> Extension:
    return Extension(
        id="e" + number,
        number=number,
        display_name=f"Phone {number}",
        ha1_md5=make_ha1(number, SIP_REALM, password),
        ha1_sha256=make_ha1(number, SIP_REALM, password, "SHA-256"),
        person_id=None,
        enabled=enabled,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        digest=digest,
    )


class Door:
    """The server; `directory` may be replaced at any time."""

    def __init__(self, allow: str | None = None, **policy: object) -> None:
        self.network = Network()
        self.directory = Directory.of([extension("101"), extension("102")], [meeting()])
        self.phone = self.network.phone(
            SERVER,
            on_event=self._on_event,
            allow=(
                *("INVITE", "ACK", "CANCEL", "BYE", "INFO", "REGISTER", "OPTIONS", "REFER", "SUBSCRIBE"),
                *("PUBLISH", "PRACK", "UPDATE"),
            ),
            supported=("replaces", "answermode"),
            screened=("MESSAGE",),
            tells_refused=True,
            trusts=lambda flow: flow.remote[0] == TRUSTED or bool(self.lines.recognised(flow)),
        )
        self.switchboard = Switchboard(self.phone.endpoint, self._local_media)
        self.meetings = Meetings(self.switchboard, self.switchboard.media_rooms)
        self.registrar = Registrar()
        self.visits = Visits(lambda: secrets.token_hex(8))
        self.commands: list[media.Command] = []
        self._ports = count(20000, 2)
        self._playing: list[media.PlayEnded] = []
        self.watching = Watching(self.phone.endpoint, self.switchboard, lambda: self.directory)
        sources = SourceList([allow] if allow else [])
        self.sources = SipSources(sources)
        self.day = "2026-01-01"
        self.caps = TollCaps(Settings().routing.classes, lambda: self.day)
        self.lines = TrunkLines(
            self.phone.endpoint,
            Surroundings(lambda flow: SipUri(host=SERVER), lambda: secrets.token_hex(8), lambda: 0.5),
            locate=lambda trunk: self._looking.append(trunk),  # noqa: PLW0108 - made below
            keep_open=lambda flow: None,
            tell=self.switchboard.tell,
        )
        self._looking: list[Trunk] = []
        self.notices: list[Notice] = []
        self.faults: list[Fault] = []
        services = ServiceNumbers(echo="*43", dial_in=frozenset({DIAL_IN}))
        outside = Outside(self.lines, self.caps, self.switchboard, lambda name: None, lambda: self.directory)
        self.destinations = Destinations()
        self.notify: Callable[[EmergencyNotice], None] = lambda notice: None
        self.clock = datetime(2026, 6, 1, 12, tzinfo=UTC)
        self.ways = own_ways(
            Reach(
                switchboard=self.switchboard,
                registrar=self.registrar,
                meetings=self.meetings,
                outside=outside,
                guard=PinGuard(sources),
                timings=EntryTimings(),
                directory=lambda: self.directory,
                contact_for=lambda flow: SipUri(host=SERVER, port=5060),
                trusted_peers=SourceList([TRUSTED]),
                notify=lambda notice: self.notify(notice),  # noqa: PLW0108 - tests set it
            ),
            self.destinations,
            services,
            clock=lambda: self.clock,
        )
        self.cut: list[Flow] = []
        self.ended: set[str] = set()
        self.pages = Softphones(
            lambda session, _: session not in self.ended, self.cut.append, lambda: self.phone.now
        )
        self.policy = Policy(
            endpoint=self.phone.endpoint,
            switchboard=self.switchboard,
            accounts=Accounts(
                authenticator=DigestAuthenticator(SIP_REALM),
                digests=DigestChoice(Private(b"k" * 32)),
                sources=self.sources,
                visits=self.visits,
                directory=lambda: self.directory,
                pages=self.pages,
            ),
            ways=self.ways,
            outside=outside,
            registrar=self.registrar,
            visits=self.visits,
            sources=self.sources,
            directory=lambda: self.directory,
            services=services,
            on_registration=lambda user, flow: None,
            watching=self.watching,
            **policy,  # type: ignore[arg-type]
        )
        self.phone.endpoint.answer_without_state = self.policy.answer_without_state
        self.switchboard.transfers = self.policy

    def with_trunk(self, trunk: Trunk) -> None:
        """Add a trunk, or change it; its host is an address."""
        self.directory = self.directory.with_trunk(trunk)
        self.phone.do(self._located(self.lines.follow(self.directory, self.phone.now)))
        self.run(0.5)

    def _located(self, effects: list[Effect]) -> list[Effect]:
        while self._looking:
            trunk = self._looking.pop()
            flow = Flow("udp", (SERVER, 5060), (trunk.host, 5060))
            effects = effects + self.lines.located(trunk, (flow,), self.phone.now)
        return effects

    def _local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        return Local(address=SERVER, rtp_port=rtp_port, rtcp_port=rtcp_port, codecs=("PCMU",))

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        now = phone.now
        if isinstance(event, IncomingCall):
            self.switchboard.sip_events(self.policy.call(event, now), now)
        elif isinstance(event, RequestArrived):
            self.switchboard.sip_events(self.policy.request(event, now), now)
        elif isinstance(event, InviteRefused):
            self.policy.refused(event, now)
        elif isinstance(event, ResponseArrived | RequestTimedOut):
            return self.lines.answered(event, now)
        else:
            self.switchboard.sip_events([event], now)
        return self._flush()

    def _flush(self) -> list[Effect]:
        transmits: list[Effect] = []
        self.switchboard.sip(self.watching.settled(self.phone.now))
        while out := self.switchboard.drain():
            for one in out:
                if isinstance(one, Transmit):
                    transmits.append(one)
                elif isinstance(one, Notice):
                    self.notices.append(one)
                elif isinstance(one, Fault):
                    self.faults.append(one)
                elif isinstance(one, ToMedia):
                    self.commands.append(one.command)
                    if isinstance(one.command, media.OpenLeg):
                        port = next(self._ports)
                        opened = media.LegOpened(leg=one.command.leg, rtp_port=port, rtcp_port=port + 1)
                        self.switchboard.media_event(opened, self.phone.now)
                    elif isinstance(one.command, media.Play) and "music" not in one.command.sounds:
                        ended = media.PlayEnded(leg=one.command.leg, play=one.command.play, reason="finished")
                        self._playing.append(ended)
        return transmits

    def run(self, seconds: float = 1.0) -> None:
        for _ in range(max(1, int(seconds * 10))):
            self.network.run(0.1)
            playing, self._playing = self._playing, []
            for ended in playing:
                self.switchboard.media_event(ended, self.phone.now)
            self.switchboard.expire(self.phone.now)
            self.switchboard.sip(self.watching.expire(self.phone.now))
            self.phone.do(self._flush())

    def given(self, kind: type) -> list[media.Command]:
        return [command for command in self.commands if isinstance(command, kind)]


class Visitor:
    """A phone that talks to the door one request at a time."""

    def __init__(self, door: Door, host: str, transport: Transport = "udp") -> None:
        self.door = door
        self.phone = door.network.phone(host, transport=transport)
        self.challenge = ""

    def call(
        self, number: str, *, from_: str | NameAddr = "eve", headers: Headers | None = None, display: str = ""
    ) -> None:
        if isinstance(from_, str):
            from_ = NameAddr(SipUri(user=from_, host=SERVER), display)
        host = self.phone.address[0]
        _, effects = self.phone.endpoint.invite(
            target=SipUri(user=number, host=SERVER),
            to=NameAddr(SipUri(user=number, host=SERVER)),
            from_=from_,
            flow=self.phone.flow_to(self.door.phone),
            now=self.phone.now,
            sdp=offer(host),
            headers=headers,
        )
        self.phone.do(effects)
        self.door.run(0.3)

    def answers(self) -> list[Response]:
        """The final answers to this phone, oldest first."""
        return [
            sent.message
            for sent in self.door.phone.sent
            if isinstance(sent.message, Response)
            and sent.message.status >= 200
            and sent.flow.remote == self.phone.address
        ]

    def status(self) -> int:
        return self.answers()[-1].status

    def challenged(self, number: str = "999") -> str:
        """Ask for a challenge."""
        self.call(number)
        value = self.answers()[-1].headers.get("WWW-Authenticate")
        assert value is not None
        return value

    def credentials(
        self, challenge: str, user: str, password: str, uri: str, method: str = "INVITE"
    ) -> Headers:
        parsed = parse_challenge(challenge)
        assert parsed is not None
        value = authorize(parsed, method, uri, user, Private(password))
        assert value is not None
        return Headers(("Authorization", value))

    def authorized_call(
        self,
        number: str,
        user: str,
        password: str = "secret",
        *,
        from_: str | NameAddr | None = None,
        headers: Headers | None = None,
    ) -> None:
        uri = str(SipUri(user=number, host=SERVER))
        shown = self.credentials(self.challenged(), user, password, uri)
        for name, value in headers.items() if headers is not None else ():
            shown.add(name, value)
        self.call(number, from_=from_ or user, headers=shown)

    def register(
        self,
        user: str,
        password: str = "secret",
        challenge: str | None = None,
        *,
        parameters: str = "",
        more: tuple[tuple[str, str], ...] = (),
    ) -> int:
        """Register this phone's address, with `parameters` of the Contact and `more` header fields."""
        uri = SipUri(host=SERVER)
        headers = self.credentials(challenge or self.challenged(), user, password, str(uri), "REGISTER")
        host, port = self.phone.address
        headers.add("Contact", f"<sip:{user}@{host}:{port}>{parameters}")
        for name, value in more:
            headers.add(name, value)
        return self.ask("REGISTER", uri, user, headers)

    def ask(self, method: str, uri: SipUri, user: str, headers: Headers) -> int:
        """Send a request other than INVITE; the status of its answer."""
        headers.add("From", f"<sip:{user}@{SERVER}>")
        headers.add("To", f"<sip:{user}@{SERVER}>")
        request = Request(method, uri, headers)
        _, effects = self.phone.endpoint.request(request, self.phone.flow_to(self.door.phone), self.phone.now)
        self.phone.do(effects)
        self.door.run(0.3)
        return self.status()

    def inquire(
        self,
        method: str,
        number: str,
        *,
        from_: str = "<sip:eve@192.0.2.254>",
        headers: Headers | None = None,
    ) -> Response:
        """A request outside of calls; its final answer."""
        uri = parse_uri(number) if ":" in number else SipUri(user=number, host=SERVER)
        headers = headers.copy() if headers is not None else Headers()
        headers.add("From", from_)
        headers.add("To", f"<{uri}>")
        _, effects = self.phone.endpoint.request(
            Request(method, uri, headers), self.phone.flow_to(self.door.phone), self.phone.now
        )
        self.phone.do(effects)
        self.door.run(0.3)
        return self.answers()[-1]

    def forge(self, victim: Visitor, user: str, challenge: str) -> None:
        """A REGISTER with a wrong password in a datagram that claims to be from somebody else."""
        uri = SipUri(host=SERVER)
        headers = self.credentials(challenge, user, "guess", str(uri), "REGISTER")
        token = self.phone.endpoint._agent.new_token()
        for name, value in (
            ("Via", f"SIP/2.0/UDP {victim.phone.address[0]}:5060;branch=z9hG4bK{token}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{user}@{SERVER}>;tag={token}"),
            ("To", f"<sip:{user}@{SERVER}>"),
            ("Call-ID", token),
            ("CSeq", "1 REGISTER"),
        ):
            headers.add(name, value)
        flow = replace(self.door.phone.flow_to(victim.phone))
        door = self.door.phone
        door.do(door.endpoint.receive(Request("REGISTER", uri, headers), flow, door.now))
