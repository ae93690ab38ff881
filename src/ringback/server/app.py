"""The composition root: opens every part in order, joins them, and closes them again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Iterable
from datetime import datetime
from email.message import EmailMessage
from functools import cached_property, lru_cache
from typing import Final

import structlog

from ringback import __version__
from ringback.call.effects import Notice
from ringback.call.exchange import Refinement
from ringback.call.records import CallLog
from ringback.call.switchboard import Switchboard
from ringback.conference.meetings import EntryTimings, Meetings
from ringback.conference.pin_guard import PinGuard
from ringback.config import Settings
from ringback.governance.identity import SIP_REALM
from ringback.governance.randomness import RandomPool
from ringback.governance.sources import Ban, SipSources
from ringback.governance.throttle import SourceList
from ringback.media.protocol import Codec, Statistics, Talking
from ringback.net.limits import Limits
from ringback.net.transports import SipTransports
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.toll_caps import TollCaps
from ringback.sdp.negotiated import Local
from ringback.sdp.webrtc import LocalWebRtc
from ringback.server.accounts import Accounts
from ringback.server.addresses import MediaAddresses, bracketed, reachable
from ringback.server.backups import BackupKeeper
from ringback.server.certificates import sip_certificate
from ringback.server.challenges import DigestChoice
from ringback.server.destinations import Destinations
from ringback.server.diagnoses import Diagnoses
from ringback.server.edge import Edge
from ringback.server.emergencies import EmergencyNotice, mail_of
from ringback.server.exchange import Exchange
from ringback.server.features import Features
from ringback.server.handing_over import hand_over
from ringback.server.holdings import HoldingKeeper
from ringback.server.joining import Reach, own_ways
from ringback.server.media_pool import MediaPool
from ringback.server.names import NameService
from ringback.server.operations import ServerOperations
from ringback.server.outside import Outside
from ringback.server.outside_operations import OutsideOperations
from ringback.server.policy import Policy
from ringback.server.prompts import PromptLibrary
from ringback.server.record_spool import Spool
from ringback.server.recording import RecordingKeeper
from ringback.server.records import RecordKeeper
from ringback.server.registrations import RegistrationKeeper
from ringback.server.sightings import SightingKeeper
from ringback.server.sip_metrics import sip_metrics
from ringback.server.sip_socket import SipSockets
from ringback.server.sip_trace import SipTrace
from ringback.server.softphones import Softphones
from ringback.server.tokens import Tokens
from ringback.server.tolls import TollKeeper
from ringback.server.trunks import TrunkKeeper, locator
from ringback.server.visiting import ServerVisits, make_visits
from ringback.server.voicemail import Voicemail
from ringback.server.watching import Watching
from ringback.sip.agent import EndpointSettings
from ringback.sip.answer_mode import ANSWER_MODE_TAG
from ringback.sip.digest import DigestAuthenticator
from ringback.sip.endpoint import Endpoint
from ringback.sip.flow import Address, Flow
from ringback.sip.registration import Registrar
from ringback.sip.tap import Tap
from ringback.sip.uri import SipUri
from ringback.store.directory import Directory
from ringback.store.holdings import today
from ringback.store.reassignments import Reassignment
from ringback.store.store import Store
from ringback.trunk.lines import TrunkLines
from ringback.trunk.watch import Surroundings
from ringback.web.operations import Metric
from ringback.webrtc.certificate import make_certificate

_GOODBYE_PATIENCE_S: Final = 2.0
# Service managers kill after 90 s.
_EMERGENCY_PATIENCE_S: Final = 60.0
_CONTACT_S: Final = 60.0
_MOST_CONTACTS: Final = 4_096
_random: Final = RandomPool()
_HUSHED_TOLD_S: Final = 1.0
_ALLOW: Final = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "REGISTER",
    "SUBSCRIBE", "PUBLISH",
)  # fmt: skip
# What phones of an account may try, and strangers too: they are asked who they are first.
_SCREENED: Final = ("MESSAGE",)

log = structlog.get_logger(__name__)


class Server:
    """The running system; `start` and `stop` are called once each."""

    _holdings: HoldingKeeper | None = None
    _hurried = False
    _hushed_told = 0.0
    _contacts_until = 0.0

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        allow = SourceList(settings.security.allow_sources)
        self._trusted_peers = SourceList(settings.sip.trusted_peers)
        self.sources = SipSources(
            SourceList((*settings.security.allow_sources, *settings.sip.trusted_peers)),
            rate=settings.security.sip_rate,
            on_ban=self._on_ban,
        )
        self._contacts: dict[tuple[str, Address, str], SipUri] = {}
        self.registrar = Registrar(chance=random.random)
        self.endpoint = Endpoint(
            EndpointSettings(
                user_agent=f"Ringback/{__version__}",
                contact_for=self._contact_for,
                allow=_ALLOW,
                supported=("replaces", ANSWER_MODE_TAG) if settings.sip.allow_answer_mode else ("replaces",),
                screened=_SCREENED,
                session_expires_s=settings.sip.session_expires_s,
                trusts=self._trusts,
                tells_refused=True,
            ),
            new_token=Tokens(),
        )
        conference = settings.conference
        refinement = Refinement(agc=conference.level_control, denoise=conference.noise_suppression)
        self.calls = CallLog(time.time, random.getrandbits(9))
        self.switchboard = Switchboard(self.endpoint, self._local_media, refinement, self.calls)
        self.records = RecordKeeper(
            self.calls,
            Spool(settings.data_dir / "records", store.sealer, settings.records.spool_mb * 1_000_000),
            store.call_records,
            self._publish,
            settings.records.keep_days,
        )
        self.meetings = Meetings(
            self.switchboard, self.switchboard.media_rooms, quiet_above=conference.quiet_above
        )
        self.prompts = PromptLibrary(settings.data_dir / "prompts")
        self.tap = Tap(time.time, settings.sip.trace_buffer_mb * 1_000_000)
        self.sip_trace = SipTrace(self.tap)
        self.transports = SipTransports(
            on_message=lambda message, flow: self.exchange.on_message(message, flow),  # noqa: PLW0108
            on_connection_lost=self._on_connection_lost,
            limits=Limits(allow=allow),
            sources=self.sources,
            hear=self.tap.hear,
        )
        self.names = NameService(settings, self.transports.send, self._on_connection_lost)
        self.media = MediaPool(
            settings.media_addresses,
            settings.media.ports,
            settings.media.worker_count,
            make_certificate(time.time()),
            on_event=lambda event: self.exchange.on_media_event(event),  # noqa: PLW0108 - made below
            on_lost=lambda legs: self.exchange.on_media_lost(legs),  # noqa: PLW0108
            full_band=settings.media.full_band,
            music=settings.calling.music,
        )
        self.exchange = Exchange(
            endpoint=self.endpoint,
            switchboard=self.switchboard,
            send=self._send,
            keep_open=self._keep_open,
            to_media=self.media.send,
            resolve=self.prompts.resolve,
            publish=self._publish,
            on_talking=self._on_talking,
            on_statistics=self._on_statistics,
            edge=Edge(self.sources),
        )
        self.trunks = TrunkKeeper(self.exchange, locator(self.names))
        self.caps = TollCaps(settings.routing.classes, today)
        self.tolls = TollKeeper(self.caps, store.tolls)
        self.lines = TrunkLines(
            self.endpoint,
            Surroundings(self._contact_for, Tokens(), random.random),
            locate=self.trunks.look,
            keep_open=self._keep_open,
            tell=self.switchboard.tell,
        )
        self.exchange.own = self.lines
        self.operations = ServerOperations(
            exchange=self.exchange,
            switchboard=self.switchboard,
            meetings=self.meetings,
            registrar=self.registrar,
            media=self.media,
            sources=self.sources,
            addresses=self.addresses,
            sip_metrics=self._sip_metrics,
            sip_trace=self.sip_trace,
            outside=OutsideOperations(
                self.lines, self.caps, self.switchboard, self.trunks.check, lambda: store.directory
            ),
            record_metrics=lambda: (*self.records.metrics(), *self.backups.metrics()),
            voicemail_metrics=lambda: self.voicemail.metrics(),  # noqa: PLW0108 - made below
            features=lambda: self.features,
        )
        self.diagnoses = Diagnoses(settings.data_dir / "diagnoses", settings.web.upload_limit_mb * 1_000_000)
        self.visits = make_visits(allow)
        self.visiting = ServerVisits(self.visits, self.meetings, self.exchange)
        self.sip_sockets = SipSockets(
            on_message=self.exchange.on_message,
            on_lost=self._on_connection_lost,
            local=self._web_address,
            hear=self.tap.hear,
            allow=allow,
            sources=self.sources,
        )
        self.softphones = Softphones(self._holds, self.sip_sockets.cut)
        self.keeper = RegistrationKeeper(self.registrar, store.registrations)
        self.watching = Watching(self.endpoint, self.switchboard, lambda: store.directory)
        services = ServiceNumbers.of(settings)
        outside = Outside(
            self.lines,
            self.caps,
            self.switchboard,
            self.trunks.check,
            lambda: store.directory,
            services.country,
        )
        reach = Reach(
            switchboard=self.switchboard,
            registrar=self.registrar,
            meetings=self.meetings,
            outside=outside,
            guard=PinGuard(allow),
            timings=EntryTimings(
                first_digit_s=settings.conference.first_digit_s,
                between_digits_s=settings.conference.between_digits_s,
                pin_tries=settings.conference.pin_tries,
            ),
            directory=lambda: store.directory,
            contact_for=self._contact_for,
            trusted_peers=self._trusted_peers,
            notify=self._on_emergency,
        )
        self.destinations = Destinations()
        self.ways = own_ways(reach, self.destinations, services, clock=lambda: datetime.now().astimezone())
        self.features = Features(
            settings=settings,
            store=store,
            reach=reach,
            destinations=self.destinations,
            acts=self.exchange,
            prompts=self.prompts,
            watching=self.watching,
        )
        self.voicemail = Voicemail(
            settings, store, self.switchboard, self.exchange, self.watching, self._publish
        )
        self.voicemail.register(self.destinations)
        self.exchange.voices = self.voicemail.on_media
        self.recording = RecordingKeeper(
            settings, store, self.switchboard, self.exchange, self.prompts, self._publish
        )
        self.backups = BackupKeeper(settings, store, self._publish)
        self.policy = Policy(
            endpoint=self.endpoint,
            switchboard=self.switchboard,
            accounts=Accounts(
                authenticator=DigestAuthenticator(SIP_REALM),
                digests=DigestChoice(store.sealer.key_for("digests of names without an account")),
                sources=self.sources,
                visits=self.visits,
                directory=lambda: store.directory,
                pages=self.softphones,
            ),
            ways=self.ways,
            outside=outside,
            registrar=self.registrar,
            visits=self.visits,
            sources=self.sources,
            directory=lambda: store.directory,
            services=services,
            on_registration=self._on_registration,
            watching=self.watching,
            allow_answer_mode=settings.sip.allow_answer_mode,
        )
        self._join()
        self._directory = store.directory
        self._stop_following = store.on_change(self._on_directory)
        self.web_address: tuple[str, int] | None = None

    def _join(self) -> None:
        """Let the parts that are made before others know these."""
        self.sightings = SightingKeeper(self.registrar, self.store)
        self.endpoint.answer_without_state = self.policy.answer_without_state
        self.exchange.policy = self.policy
        self.exchange.watching = self.watching
        self.switchboard.transfers = self.policy

    async def start(self) -> None:
        """Open media, then SIP, so that the first call already has somewhere to go."""
        sip = self.settings.sip
        certificate, *_ = await asyncio.gather(
            asyncio.to_thread(sip_certificate, self.settings),
            self.media.start(),
            self.prompts.prepare(),
            self.keeper.restore(self.store.directory),
            self.tolls.restore(),
            self.diagnoses.start(),
        )
        await self.records.start()
        self.store.on_reassigned(self._on_reassignment)
        await self.features.start()
        await self.voicemail.start()
        await self.recording.start()
        await self.backups.start()
        self._know_registered()
        await self.transports.open(
            sip.bind,
            udp_port=sip.udp_port,
            tcp_port=sip.tcp_port,
            tls_port=sip.tls_port,
            certificate=certificate,
            client_authorities=sip.client_authorities,
            require_client_certificate=sip.require_client_certificate,
        )
        self.keeper.start()
        self.sightings.start()
        self.softphones.start()
        self.tolls.start()
        self._holdings = HoldingKeeper(self.store)
        self._holdings.start()
        self.trunks.start(self.lines, self.store.directory)

    def open_for_calls(self) -> None:
        """Say that calls can be taken."""
        self.operations.waiting_for = ()

    async def stop(self) -> None:
        """End calls cleanly, then everything else. Emergency calls go on for up to a minute, and are taken
        as long as one goes on; `hurry` ends them, too."""
        self.policy.accepting = False
        self.operations.waiting_for = ("stopping",)
        if self.switchboard.legs:
            log.info("ending calls", legs=len(self.switchboard.legs))
            self.exchange.hang_up_all("Server stops", spare_emergencies=True)
        if self.switchboard.emergency_calls:
            log.warning("an emergency call goes on: the server stops after it", seconds=_EMERGENCY_PATIENCE_S)
            over = time.monotonic() + _EMERGENCY_PATIENCE_S
            while self.switchboard.emergency_calls and not self._hurried and time.monotonic() < over:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            self.exchange.hang_up_all("Server stops")
        self.trunks.stop()
        # The 200s to our BYEs are waited for, so that nobody is left in a dead call by a lost datagram.
        deadline = time.monotonic() + _GOODBYE_PATIENCE_S
        while self.endpoint.unanswered and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self._stop_following()
        self.operations.events.close()
        self.sip_trace.close()
        self.sip_sockets.close()
        await self.features.stop()
        await self.prompts.stop()
        await self.diagnoses.stop()
        await self.voicemail.stop()
        await self.recording.stop()
        await self.backups.stop()
        if self._holdings is not None:
            await self._holdings.stop()
        await self.softphones.stop()
        await self.keeper.stop()
        await self.sightings.stop()
        await self.names.close()
        await self.tolls.stop()
        await self.transports.close()
        await self.media.stop()
        await self.records.stop()

    def hurry(self) -> None:
        """Stop without waiting for anybody."""
        self._hurried = True

    def addresses(self) -> dict[str, str]:
        """Where we are really bound: host:port, or several, by udp, tcp, tls, http or https."""
        bound = {str(name): addresses for name, addresses in self.transports.listening.items()}
        if self.web_address is not None:
            bound["https" if self.settings.web.secure else "http"] = (self.web_address,)
        return {
            name: ", ".join(f"{bracketed(host)}:{port}" for host, port in addresses)
            for name, addresses in bound.items()
        }

    def _holds(self, session: str, extension: str) -> bool:
        """Whether the person of a session holds an extension now."""
        login = self.store.sessions.login_of(session)
        person = login.person_id if login is not None else None
        return person is not None and extension in self.store.extensions_of(person)

    # What peers are told about us

    def _contact_for(self, flow: Flow) -> SipUri:
        # Asked for several times a message; the routing table may change its mind every minute.
        now = time.monotonic()
        if now >= self._contacts_until or len(self._contacts) > _MOST_CONTACTS:
            self._contacts.clear()
            self._contacts_until = now + _CONTACT_S
        key = flow.transport, flow.local, flow.remote[0]
        contact = self._contacts.get(key)
        if contact is None:
            contact = self._contacts[key] = self._contact_now(flow)
        return contact

    def _contact_now(self, flow: Flow) -> SipUri:
        if flow.transport in ("ws", "wss"):
            # Pages find us by their own connection; RFC 7118 §5 knows one parameter for both.
            host, port = reachable(flow.local[0], "", flow.remote[0]), flow.local[1]
            return SipUri("sip", host=bracketed(host), port=port, params={"transport": "ws"})
        host, port = self.transports.contact_address(flow)
        parameters: dict[str, str | None] = {} if flow.transport == "udp" else {"transport": flow.transport}
        return SipUri("sip", host=bracketed(host), port=port, params=parameters)

    @cached_property
    def _media_addresses(self) -> MediaAddresses:
        return MediaAddresses(self.settings.media_addresses, self.settings.media.public_address)

    def _local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        media = self.settings.media
        had = self.media.codecs
        fingerprint = self.media.dtls_fingerprint if had else ""
        address, other_address = self._media_addresses.towards(flow.remote[0])
        return Local(
            address=address,
            other_address=other_address,
            also_at=self._media_addresses.also_at(address, other_address),
            rtp_port=rtp_port,
            rtcp_port=rtcp_port,
            codecs=_in_both(tuple(media.codecs), had),
            srtp="allowed" if flow.secure else "refused",
            webrtc=LocalWebRtc(fingerprint, _random.octets) if fingerprint else None,
            loopback_peers=self._media_addresses.everywhere,
            opus_playback_rate=48_000 if media.full_band else 16_000,
            random_bytes=_random.octets,
        )

    def _sip_metrics(self) -> Iterable[Metric]:
        return sip_metrics(self.tap, self.endpoint, self.transports.counts(), len(self.sip_sockets))

    def _web_address(self) -> tuple[str, int]:
        return self.web_address or (self.settings.web.bind, self.settings.web.port)

    # What happens

    def _send(self, flow: Flow, data: bytes) -> bool:
        if flow.transport in ("ws", "wss"):
            sent = self.sip_sockets.send(flow, data)
            if not sent:
                # Nobody can answer this: what waits for an answer need not wait. Not in the middle of an act.
                asyncio.get_running_loop().call_soon(self.exchange.on_connection_lost, flow)
        else:
            sent = (self.names if flow.named else self.transports).send(flow, data)
        if sent:
            self.tap.send(data, flow)
        return sent

    def _keep_open(self, flow: Flow) -> bool:
        # Pages' connections stay as long as they answer pings.
        return flow.transport in ("ws", "wss") or self.transports.trust(flow)

    def _publish(self, notice: Notice) -> None:
        self.operations.publish(notice)
        if "meeting" in notice.facts:
            self.visiting.note(notice)
            self.features.note(notice)

    def _trusts(self, flow: Flow) -> bool:
        """Whether to believe what this peer says about identities: trunks known by their address, too."""
        return flow.remote[0] in self._trusted_peers or bool(self.lines.recognised(flow))

    async def _on_reassignment(self, reassignment: Reassignment) -> None:
        await self.store.call_records.reassigned(reassignment.number, reassignment.at)
        await hand_over(self.store, reassignment)

    def _on_emergency(self, notice: EmergencyNotice) -> None:
        log.warning("emergency call", test=notice.test, location=notice.location and notice.location.name)
        if notice.location is not None and notice.location.e_mail:

            async def write() -> EmailMessage:
                return mail_of(notice)

            self.voicemail.mail.send(write)

    def _know_registered(self) -> None:
        now = time.monotonic()
        # Hundreds of phones may come back at once over new connections.
        for host in self.keeper.hosts:
            self.sources.at_home(host, now)
        for user in self.registrar.users():
            for binding in self.registrar.bindings(user, now):
                self.sources.proved(binding.flow.remote, now)

    def _on_ban(self, ban: Ban, now: float) -> None:
        if not ban.proven and now < self._hushed_told + _HUSHED_TOLD_S:
            # Whoever makes sources up could fill listeners' memory with them.
            return
        self._hushed_told = self._hushed_told if ban.proven else now
        facts: dict[str, object] = {
            "source": ban.source,
            "reason": ban.reason,
            "seconds": round(ban.until - now),
        }
        self.operations.publish(Notice("source.banned" if ban.proven else "source.hushed", facts))

    def _on_directory(self, directory: Directory) -> None:
        before, self._directory = self._directory, directory
        self.keeper.follow(before, directory)
        self.softphones.review()
        self.trunks.follow(directory)
        self.voicemail.follow(directory)
        self.recording.follow()
        self.exchange.act(self._follow_directory)

    def _follow_directory(self, now: float) -> int:
        self.switchboard.sip(self.watching.review(now))
        self.features.follow(now)
        return self.meetings.follow(self._directory.meeting, now)

    def _on_registration(self, user: str, flow: Flow) -> None:
        self._keep_open(flow)
        self.keeper.changed(user)
        self.sightings.seen(user, flow, time.monotonic())

    def _on_connection_lost(self, flow: Flow) -> None:
        for user, _ in self.registrar.connection_lost(flow):
            self.keeper.changed(user)
        self.keeper.connection_lost(flow)
        for lost in (flow, *self.names.connection_lost(flow)):
            self.exchange.on_connection_lost(lost)
        self.exchange.perform(lambda now: self.lines.connection_lost(flow, now))

    def _on_talking(self, event: Talking) -> None:
        room = self.meetings.talking(event.room, dict(event.talkers))
        if room is not None:
            self.visiting.touch(room.number)

    def _on_statistics(self, event: Statistics) -> None:
        self.visiting.touch_all()


@lru_cache(maxsize=64)
def _in_both(wanted: tuple[Codec, ...], had: tuple[Codec, ...]) -> tuple[Codec, ...]:
    return tuple(codec for codec in wanted if codec in had)


def stop_signal() -> asyncio.Future[str]:
    """From now on SIGTERM and SIGINT no longer kill: the first one becomes the future's result, its name."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[str] = loop.create_future()

    def note(name: str) -> None:
        if not received.done():
            received.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note, number.name)
    return received
