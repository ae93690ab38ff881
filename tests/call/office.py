"""A switchboard between real endpoints on a fake network; the media engine opens ports and remembers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Device, RingRound
from ringback.call.effects import Fault, Notice, ToMedia
from ringback.call.party import Party
from ringback.call.switchboard import Switchboard
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Local
from ringback.sdp.offer_answer import answer, make_offer
from ringback.sdp.parse import parse_sdp
from ringback.sdp.webrtc import LocalWebRtc
from ringback.sip.effects import Answered, Effect, IncomingCall, OfferReceived, Transmit
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import Headers, NameAddr, SipUri
from ringback.sip.session import InviteSession
from tests.sip.phones import Network, Phone

SERVER = "192.0.2.254"


def local(host: str, port: int = 4000) -> Local:
    return Local(address=host, rtp_port=port, rtcp_port=port + 1, codecs=("PCMU",))


def offer(host: str, **changes: object) -> bytes:
    return encode_sdp(make_offer(replace(local(host), **changes)))  # type: ignore[arg-type]


class Desk:
    """A phone that answers, rings or refuses as told."""

    def __init__(
        self, office: Office, host: str, manner: str, transport: Transport, number: str = "101"
    ) -> None:
        self.manner = manner
        self.host = host
        self.number = number
        self.sessions: list[InviteSession] = []
        self.phone: Phone = office.network.phone(host, on_event=self._on_event, transport=transport)

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, IncomingCall):
            self.sessions.append(event.session)
            match self.manner:
                case "answer":
                    return [*event.session.ring(phone.now), *self._accept(event.session, event.request.body)]
                case "no srtp" if b"RTP/SAVP" in event.request.body:
                    return event.session.reject(488, phone.now)
                case "no srtp":
                    return self._accept(event.session, event.request.body)
                case "busy":
                    return event.session.reject(486, phone.now)
                case _:
                    return event.session.ring(phone.now)
        if isinstance(event, OfferReceived) and event.sdp is not None:
            return event.session.answer_offer(self.answer(event.sdp), phone.now)
        return []

    def answer(self, body: bytes) -> bytes:
        offered = parse_sdp(body)
        own = replace(local(self.host), srtp="refused" if self.manner == "no srtp" else "allowed")
        made = answer(offered, own)  # type: ignore[arg-type]
        return encode_sdp(made.description)  # type: ignore[union-attr]

    def _accept(self, session: InviteSession, body: bytes) -> list[Effect]:
        return session.accept(self.answer(body), self.phone.now)

    def pick_up(self) -> None:
        session = self.sessions[-1]
        self.phone.do(self._accept(session, session.request.body))

    def call(
        self,
        office: Office,
        sdp: bytes | None = None,
        *,
        without_offer: bool = False,
        number: str = "102",
        headers: Headers | None = None,
    ) -> InviteSession:
        session, effects = self.phone.endpoint.invite(
            target=SipUri(user=number, host=SERVER),
            to=NameAddr(SipUri(user=number, host=SERVER)),
            from_=NameAddr(SipUri(user=self.number, host=SERVER)),
            flow=self.phone.flow_to(office.server),
            now=self.phone.now,
            sdp=None if without_offer else sdp or offer(self.host),
            headers=headers,
        )
        self.sessions.append(session)
        self.phone.do(effects)
        return session

    @property
    def talking(self) -> bool:
        return bool(self.phone.told(Answered)) or "200 INVITE" in self.phone.names()


class Office:
    """The server side: endpoint, switchboard, and what the applications are for."""

    def __init__(self) -> None:
        self.network = Network()
        self.server = self.network.phone(SERVER, on_event=self._on_event, supported=("replaces",))
        self.switchboard = Switchboard(self.server.endpoint, self._local_media)
        self.commands: list[media.Command] = []
        self.notices: list[str] = []
        self.faults: list[Fault] = []
        self.devices: list[Device] = []
        self.application: Callable[[], Application] = self.bridge
        self.media_works = True
        self.media_runs = True
        self.fingerprint = "sha-256 " + ":".join(["AB"] * 32)
        self._ports = count(20000, 2)

    def desk(
        self, host: str, manner: str = "answer", *, device: bool = False, transport: Transport = "udp"
    ) -> Desk:
        desk = Desk(self, host, manner, transport)
        if device:
            flow = Flow(transport, (SERVER, 5060), (host, 5060))
            self.devices.append(Device(SipUri(user="102", host=host), flow))
        return desk

    def bridge(self) -> Bridge:
        address = NameAddr(SipUri(user="102", host=SERVER))
        return Bridge(
            self.switchboard,
            [RingRound(lambda now: self.devices)],
            address,
            address,
            Party(Private("102")),
            next(self.switchboard.media_rooms),
        )

    def _local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        made = replace(
            local(SERVER, rtp_port),
            srtp="allowed" if flow.secure else "refused",
            webrtc=LocalWebRtc(self.fingerprint) if self.fingerprint else None,
        )
        return made if self.media_runs else replace(made, codecs=())

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, IncomingCall):
            party = Party(Private("101"))
            application = self.application()
            taken = self.switchboard.incoming(
                event.session, event.flow, event.request.body, party, Private("102"), application, phone.now
            )
            if not taken:
                return event.session.reject(400, phone.now)
        self.switchboard.sip_events([event], phone.now)
        return self.flush()

    def flush(self) -> list[Effect]:
        """Carry out the outbox; what the media engine answers may fill it again."""
        transmits: list[Effect] = []
        while out := self.switchboard.drain():
            for one in out:
                match one:
                    case Transmit():
                        transmits.append(one)
                    case ToMedia(command=command):
                        self.commands.append(command)
                        if isinstance(command, media.OpenLeg):
                            self._open(command.leg)
                    case Notice(kind=kind):
                        self.notices.append(kind)
                    case Fault():
                        self.faults.append(one)
        return transmits

    def _open(self, leg: int) -> None:
        if not self.media_works:
            failed = media.CommandFailed(command="OpenLeg", leg=leg, reason="no port is free")
            self.switchboard.media_event(failed, self.server.now)
            return
        port = next(self._ports)
        opened = media.LegOpened(leg=leg, rtp_port=port, rtcp_port=port + 1)
        self.switchboard.media_event(opened, self.server.now)

    def media_says(self, event: media.Event) -> None:
        self.switchboard.media_event(event, self.server.now)
        self.server.do(self.flush())

    def run(self, seconds: float = 1.0) -> None:
        for _ in range(max(1, int(seconds * 10))):
            self.network.run(0.1)
            self.switchboard.expire(self.server.now)
            self.server.do(self.flush())

    def given(self, kind: type) -> list[media.Command]:
        return [command for command in self.commands if isinstance(command, kind)]

    def rooms(self) -> dict[int, int]:
        """The media room of each leg."""
        where: dict[int, int] = {}
        for command in self.commands:
            match command:
                case media.JoinRoom(leg=leg, room=room):
                    where[leg] = room
                case media.LeaveRoom(leg=leg) | media.CloseLeg(leg=leg):
                    where.pop(leg, None)
        return where
