"""The WebRTC legs of a worker: ICE-lite and DTLS between the sockets and the legs (RFC 8445, RFC 5764, RFC
7675).

What comes from the network is bounded everywhere: checks a tick, answers to unsigned checks a second,
handshakes that are open, handshake datagrams a tick. Only what a validated source sends is looked at beyond
STUN, a ClientHello included: otherwise anybody could begin the handshakes of others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from ringback.media.addresses import Addresses
from ringback.media.batch import MTU, OUTGOING_BYTES, OutgoingBatch, PacketBatch, empty_outgoing, rtp_socket
from ringback.media.columns import Longs
from ringback.media.legs import Legs
from ringback.media.protocol import (
    Event,
    KeysAgreed,
    MediaConnected,
    MediaLost,
    SourceLearnt,
    SrtpKeys,
    UseCertificate,
    WebRtcKeys,
)
from ringback.media.security import Protection, UnfitKeyError
from ringback.media.sources import Sources
from ringback.webrtc import ice_lite, stun
from ringback.webrtc.fingerprint import is_trusted
from ringback.webrtc.ice_lite import IceCredentials, IceCredentialsError, IceLite, Source
from ringback.webrtc.records import begins_handshake

if TYPE_CHECKING:
    # OpenSSL is loaded by whoever makes the context, when the first browser comes.
    from ringback.webrtc.dtls import DtlsContext, DtlsServer

CONNECT_S = 30.0
"""A leg that is not up by then is lost."""
MAX_CHECKS = 256
"""STUN and DTLS datagrams looked at in a tick, of validated sources and of others each: more is a flood."""
REFUSALS = 10
"""Answers a second, of the whole worker, to checks that nobody signed."""
MAX_HALF_OPEN = 256
MAX_WAITING = 16
"""DTLS datagrams of one leg that wait for their turn."""
DATAGRAMS_PER_TICK = 6
"""Handshake datagrams worked on in a tick, all legs together: about 0.3 ms each at most."""
MAX_ATTEMPTS = 3
"""Handshakes that may break before a leg is lost: a forged record can break one."""
FORMER_S = 5.0
"""So long media goes on under the keys of the association before, while another certificate is waited for."""
MAX_FINGERPRINTS = 8
SECOND_TICKS = 50
PROBE_TICKS = 10
"""Our own checks are repeated so often while a leg connects, and with every check of the peer's."""

_T = TypeVar("_T")
LoadDtls = Callable[[bytes, bytes], "DtlsContext | None"]
"""Makes the context for a certificate and its key (DER), or None while that takes: then it is asked again."""
Reason = Literal["consent", "timeout", "dtls", "fingerprint"]


class WebRtcError(ValueError):
    """Keys that cannot be used; its text is told to the control process."""


class _Transport:
    """What a leg has between signalling and SRTP."""

    __slots__ = (
        "attempts",
        "connect_by",
        "dtls",
        "fingerprints",
        "former_until",
        "ice",
        "resumed",
        "state",
        "waiting",
    )

    def __init__(self, ice: IceLite, fingerprints: list[tuple[str, str]], connect_by: float) -> None:
        self.ice = ice
        self.fingerprints = fingerprints
        self.dtls: DtlsServer | None = None
        self.former_until: float | None = None
        """Until when the keys of an association before this one are in use; None if they are not."""
        self.state: Literal["connecting", "connected", "lost"] = "connecting"
        self.connect_by = connect_by
        self.attempts = 0
        self.resumed = False
        """Whether the association was another worker's: its keys are used, and nothing more is said in it."""
        self.waiting: deque[tuple[bytes, Source]] = deque(maxlen=MAX_WAITING)

    @property
    def secured(self) -> bool:
        return self.resumed or (self.dtls is not None and self.dtls.state == "connected")


class Browsers:
    """Takes STUN and DTLS, gives keys to the protection and addresses to the legs."""

    def __init__(
        self,
        legs: Legs,
        sources: Sources,
        protection: Protection,
        load_dtls: LoadDtls | None,
        addresses: Addresses,
    ) -> None:
        self._legs = legs
        self._sources = sources
        self._protection = protection
        self._load_dtls = load_dtls
        self._addresses = addresses
        self._certificate: UseCertificate | None = None
        self._context: DtlsContext | None = None
        self._transports: dict[int, _Transport] = {}
        self._ufrags: dict[str, int] = {}
        self._connecting: set[int] = set()
        self._turns: deque[int] = deque()
        self._outgoing: list[tuple[int, int, int, bytes]] = []
        self._refusals = 0
        self._looked = [0, 0]
        self.events: list[Event] = []
        self.moved = False
        """Whether media of any leg goes elsewhere, begins or ends since this was last looked at."""

    # Commands

    def use_certificate(self, certificate: UseCertificate) -> None:
        """Show this certificate in the handshakes that begin from now on."""
        self._certificate, self._context = certificate, None

    def expect(self) -> None:
        """A leg is about to come and its handshake soon after; raises WebRtcError if there can be none."""
        if self._certificate is None or self._load_dtls is None:
            raise WebRtcError("this worker has no certificate for WebRTC")
        if self._context is None:
            self._context = self._load_dtls(self._certificate.certificate, self._certificate.private_key)

    def set_keys(self, slot: int, keys: WebRtcKeys, now: float) -> None:
        """Begin a leg's transport, restart its ICE, or expect another certificate; raises WebRtcError."""
        try:
            credentials = IceCredentials.of(
                keys.local_ufrag, keys.local_pwd, keys.remote_ufrag, keys.remote_pwd
            )
        except IceCredentialsError as error:
            raise WebRtcError(str(error)) from error
        fingerprints = [(a.lower(), value.upper()) for a, value in keys.remote_fingerprints]
        fingerprints = sorted({pair for pair in fingerprints if is_trusted(pair[0])})[:MAX_FINGERPRINTS]
        if not fingerprints:
            raise WebRtcError("no fingerprint by a hash that can be trusted")
        if self._ufrags.get(credentials.local_ufrag, slot) != slot:
            raise WebRtcError("another leg has that user fragment")
        transport = self._transports.get(slot)
        if transport is None:
            self._transports[slot] = _Transport(IceLite(credentials), fingerprints, now + CONNECT_S)
            self._connecting.add(slot)
        else:
            self._change(slot, transport, credentials, fingerprints, now)
        self._register(slot)

    def _change(
        self,
        slot: int,
        transport: _Transport,
        credentials: IceCredentials,
        fingerprints: list[tuple[str, str]],
        now: float,
    ) -> None:
        restarts = credentials != transport.ice.credentials
        another = fingerprints != transport.fingerprints
        if restarts:
            self._unregister(transport)
            transport.ice.restart(credentials)
        if another:
            if transport.secured:
                transport.former_until = now + FORMER_S
            transport.fingerprints = fingerprints
            transport.dtls = None
            transport.resumed = False
            transport.waiting.clear()
        if another or (restarts and transport.state == "lost"):
            transport.state = "connecting"
            transport.attempts = 0
            transport.connect_by = now + CONNECT_S
            self._connecting.add(slot)
            self._settle(slot, transport)

    def resume(self, slot: int, source: Source | None, keys: SrtpKeys | None, now: float) -> None:
        """Go on with a leg of another worker, which sent to `source` under `keys`; raises UnfitKeyError."""
        transport = self._transports[slot]
        if keys is None:
            return
        self._protection.set_keys(slot, keys, int(now * 1e9))
        transport.resumed = True
        if source is not None and self._sources.owner(int(self._legs.pair[slot]), *source) == -1:
            transport.ice.resume(source, now)
            self._sources.validated(slot, transport.ice.sources)
            transport.state = "connected"
            self._connecting.discard(slot)
        self._settle(slot, transport)

    def close(self, slot: int, now: float) -> None:
        """A leg is about to go: end its association, and forget it."""
        transport = self.forget(slot)
        if transport is None:
            return
        if transport.dtls is not None and transport.ice.selected is not None:
            self._send(slot, transport.ice.selected, transport.dtls.close(now))

    def forget(self, slot: int) -> _Transport | None:
        """A leg is about to go: forget what there is of it; its peer hears nothing."""
        transport = self._transports.pop(slot, None)
        if transport is not None:
            self._unregister(transport)
            self._connecting.discard(slot)
        return transport

    def _register(self, slot: int) -> None:
        for ufrag in self._transports[slot].ice.ufrags:
            self._ufrags[ufrag] = slot

    def _unregister(self, transport: _Transport) -> None:
        for ufrag in transport.ice.ufrags:
            self._ufrags.pop(ufrag, None)

    # Datagrams

    def receive(self, batch: PacketBatch, rows: Longs, leg: Longs, now_ns: int) -> None:
        """Take STUN and DTLS: rows of a batch, of which `leg` has each row's owner; nothing in it can
        raise."""
        now = now_ns / 1e9
        known = leg[rows] >= 0
        for whose, of_them in enumerate((rows[known], rows[~known])):
            taken = of_them[: MAX_CHECKS - self._looked[whose]]
            self._looked[whose] += len(taken)
            self._look(batch, taken, leg, now)

    def _look(self, batch: PacketBatch, rows: Longs, leg: Longs, now: float) -> None:
        for row in rows.tolist():
            size = int(batch.length[row])
            first, slot = int(batch.data[row, 0]), int(leg[row])
            if size > MTU or not size:
                continue
            if first <= _LAST_STUN:
                self._stun(batch, row, size, now)
            elif _FIRST_DTLS <= first <= _LAST_DTLS and slot >= 0:
                waiting = self._transports[slot].waiting
                if len(waiting) < MAX_WAITING:
                    if not waiting:
                        self._turns.append(slot)
                    source = int(batch.ip[row]), int(batch.port[row])
                    waiting.append((batch.data[row, :size].tobytes(), source))

    def _stun(self, batch: PacketBatch, row: int, size: int, now: float) -> None:
        message = stun.parse(batch.data[row, :size].tobytes())
        if message is None:
            return
        pair = int(batch.socket[row]) >> 1
        source = int(batch.ip[row]), int(batch.port[row])
        if message.kind == stun.BINDING_SUCCESS:
            self._proven(message, self._sources.owner(pair, *source), source)
        elif message.kind == stun.BINDING_REQUEST:
            self._checked(message, pair, source, now)

    def _proven(self, message: stun.StunMessage, slot: int, source: Source) -> None:
        transport = self._transports.get(slot)
        if transport is not None:
            self._ice(slot, transport, lambda: transport.ice.prove(message, source))

    def _checked(self, message: stun.StunMessage, pair: int, source: Source, now: float) -> None:
        slot = self._ufrags.get(ice_lite.local_ufrag(message) or "", -1)
        if slot < 0 or self._legs.pair[slot] != pair:
            self._refuse(message, pair, source)
            return
        if self._sources.owner(pair, *source) not in (-1, slot):
            # Whoever can forge its address must not take a source away from the leg that lives there.
            return
        transport, seen = self._transports[slot], self._addresses.packed(source[0])
        check = self._ice(slot, transport, lambda: transport.ice.receive(message, source, seen, now))
        if not check.answers:
            self._refuse(message, pair, source)
        self._send(slot, source, list(check.answers))

    def _ice(self, slot: int, transport: _Transport, step: Callable[[], _T]) -> _T:
        """Let ICE take a step, and bring what follows from it in line."""
        before, names = transport.ice.sources, transport.ice.ufrags
        result = step()
        for ufrag in set(names) - set(transport.ice.ufrags):
            self._ufrags.pop(ufrag, None)
        if transport.ice.sources != before:
            self._sources.validated(slot, transport.ice.sources)
        self._settle(slot, transport)
        return result

    def _refuse(self, message: stun.StunMessage, pair: int, source: Source) -> None:
        """Answer a check that is not signed, so that a peer with a fault learns of it, but seldom."""
        if self._refusals >= REFUSALS:
            return
        self._refusals += 1
        answer = stun.error(message, 401 if message.signed else 400, "Unauthorized" if message.signed else "")
        self._outgoing.append((rtp_socket(pair), *source, answer))

    # Time

    def step(self, now_ns: int, tick: int) -> OutgoingBatch:
        """Go on with handshakes as far as a tick allows, look at timers; returns the datagrams to send."""
        self._looked = [0, 0]
        if self._transports:
            now = now_ns / 1e9
            if self._turns and self._context is None:
                self.expect()
            for _ in range(DATAGRAMS_PER_TICK):
                if not self._turns or self._context is None:
                    break
                self._next_handshake(self._context, now)
            for slot in list(self._connecting):
                self._expire_connecting(slot, self._transports[slot], now, tick % PROBE_TICKS == 0)
            if tick % SECOND_TICKS == 0:
                self._refusals = 0
                for slot, transport in list(self._transports.items()):
                    self._expire_consent(slot, transport, now)
        return self._batch() if self._outgoing else empty_outgoing()

    def _next_handshake(self, context: DtlsContext, now: float) -> None:
        slot = self._turns.popleft()
        transport = self._transports.get(slot)
        if transport is None or not transport.waiting:
            return
        datagram, source = transport.waiting.popleft()
        if transport.waiting:
            self._turns.append(slot)
        if transport.state != "lost" and not transport.resumed:
            dtls = transport.dtls or self._begin(context, transport, datagram)
            if dtls is not None:
                self._dtls(slot, transport, dtls, datagram, source, now)

    def _begin(self, context: DtlsContext, transport: _Transport, datagram: bytes) -> DtlsServer | None:
        if not begins_handshake(datagram) or self._half_open() >= MAX_HALF_OPEN:
            return None
        transport.dtls = context.associate(transport.fingerprints)
        return transport.dtls

    def _dtls(
        self,
        slot: int,
        transport: _Transport,
        dtls: DtlsServer,
        datagram: bytes,
        source: Source,
        now: float,
    ) -> None:
        was = dtls.state
        self._send(slot, source, dtls.receive(datagram, now))
        if dtls.state == was:
            return
        if dtls.keys is not None and dtls.state == "connected":
            self._secured(slot, transport, dtls, now)
        elif dtls.failure == "fingerprint":
            self._lose(slot, transport, "fingerprint")
        else:
            transport.attempts += 1
            if was == "connected" or transport.attempts >= MAX_ATTEMPTS:
                self._lose(slot, transport, "dtls")
            else:
                transport.dtls = None

    def _half_open(self) -> int:
        return sum(1 for slot in self._connecting if self._transports[slot].dtls is not None)

    def _secured(self, slot: int, transport: _Transport, dtls: DtlsServer, now: float) -> None:
        if dtls.keys is None:
            return
        keys = SrtpKeys(suite=dtls.keys.suite, local_key=dtls.keys.local_key, remote_key=dtls.keys.remote_key)
        transport.former_until = None
        try:
            self._protection.set_keys(slot, keys, int(now * 1e9))
        except UnfitKeyError:
            self._lose(slot, transport, "dtls")
            return
        self.events.append(KeysAgreed(leg=int(self._legs.identifier[slot]), keys=keys))
        self._settle(slot, transport)

    def _expire_connecting(self, slot: int, transport: _Transport, now: float, again: bool) -> None:
        if now >= transport.connect_by:
            self._lose(slot, transport, "timeout")
            return
        if transport.former_until is not None and now >= transport.former_until:
            transport.former_until = None
            self._protection.forget(slot)
            self._settle(slot, transport)
        if again:
            for source, probe in transport.ice.unanswered():
                self._send(slot, source, [probe])
        if transport.dtls is not None and transport.ice.selected is not None:
            self._send(slot, transport.ice.selected, transport.dtls.expire(now))

    def _expire_consent(self, slot: int, transport: _Transport, now: float) -> None:
        deadline = transport.ice.deadline()
        if deadline is None or now < deadline:
            return
        transport.ice.expire(now)
        self._sources.validated(slot, transport.ice.sources)
        if transport.ice.selected is None and transport.state == "connected":
            self._lose(slot, transport, "consent")
        else:
            self._settle(slot, transport)

    # Outcomes

    def _settle(self, slot: int, transport: _Transport) -> None:
        """Bring the leg in line: media goes to the selected source once it is secured, and nowhere else."""
        legs = self._legs
        selected = transport.ice.selected
        keyed = transport.secured or transport.former_until is not None
        up = transport.state != "lost" and keyed and selected is not None
        ip, port = selected if up and selected is not None else (0, 0)
        if (int(legs.remote_ip[slot]), int(legs.remote_port[slot])) != (ip, port):
            legs.remote_ip[slot], legs.remote_port[slot] = ip, port
            self.moved = True
            host = self._addresses.packed(ip) if ip else b""
            leg = int(legs.identifier[slot])
            self.events.append(SourceLearnt(leg=leg, differs=False, host=host, port=port))
        if up and transport.secured and transport.state == "connecting":
            transport.state = "connected"
            self._connecting.discard(slot)
            self.events.append(MediaConnected(leg=int(legs.identifier[slot])))

    def _lose(self, slot: int, transport: _Transport, reason: Reason) -> None:
        """Nothing goes to or comes from this leg, until new ICE credentials come."""
        transport.state = "lost"
        self._connecting.discard(slot)
        self._unregister(transport)
        transport.ice.forget()
        transport.waiting.clear()
        transport.former_until = None
        if not transport.secured:
            transport.dtls = None
            self._protection.forget(slot)
        self._sources.validated(slot, [])
        self._settle(slot, transport)
        self.events.append(MediaLost(leg=int(self._legs.identifier[slot]), reason=reason))

    def _send(self, slot: int, source: Source, datagrams: list[bytes]) -> None:
        socket = rtp_socket(int(self._legs.pair[slot]))
        self._outgoing += [(socket, *source, datagram) for datagram in datagrams]

    def _batch(self) -> OutgoingBatch:
        rows, self._outgoing = sorted(self._outgoing, key=lambda row: row[0]), []
        data = np.zeros((len(rows), OUTGOING_BYTES), np.uint8)
        for i, row in enumerate(rows):
            data[i, : len(row[3])] = np.frombuffer(row[3], np.uint8)
        return OutgoingBatch(
            data,
            np.array([len(row[3]) for row in rows], np.int32),
            np.array([row[0] for row in rows], np.int32),
            np.array([row[1] for row in rows], np.uint32),
            np.array([row[2] for row in rows], np.uint16),
        )


_LAST_STUN, _FIRST_DTLS, _LAST_DTLS = 3, 20, 63
"""First octets (RFC 7983 7)."""
