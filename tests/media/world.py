"""A world for the engine: peers that speak tones over a link that loses, delays and reorders, on a fake
clock."""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ringback.media.batch import MTU, OutgoingBatch, PacketBatch
from ringback.media.codec import g711, l16
from ringback.media.codec.g722 import G722Decoder, G722Encoder
from ringback.media.codec.l16 import L16Encoder
from ringback.media.codec.opus import OpusDecoder, OpusEncoder
from ringback.media.engine import TICK_NS, Engine
from ringback.media.protocol import (
    AudioFormat,
    Codec,
    Command,
    Event,
    JoinRoom,
    LegOpened,
    OpenLeg,
    SetMedia,
    Statistics,
)
from ringback.media.recording import Recorder
from tests.quality.measures import Measured, read

PAYLOAD_TYPES: dict[Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 111, "L16": 109}
EVENT_TYPE = 101
MS = 1_000_000
PEER_IP = 0x0A000001

Delay = Callable[[int], "float | None"]
"""Milliseconds that the packet sent at a time (ns) takes, None if it is lost."""


def tone_level(samples: np.ndarray, frequency: float, rate: int) -> float:
    """Amplitude of a frequency in dB of full scale."""
    n = np.arange(len(samples))
    window = np.hanning(len(samples))
    value = np.sum(samples * window * np.exp(-2j * np.pi * frequency * n / rate)) / window.sum()
    return float(20 * np.log10(2 * abs(value) + 1e-9))


class Peer:
    """One phone: says a tone, remembers what it hears."""

    def __init__(
        self,
        leg: int,
        codec: Codec = "PCMU",
        frequency: float = 440.0,
        amplitude: float = 0.2,
        ptime: int = 20,
    ) -> None:
        self.leg = leg
        self.codec = codec
        self.frequency = frequency
        self.amplitude = amplitude
        self.ptime = ptime
        self.ip, self.port = PEER_IP, 4000 + 2 * leg
        self.to_pair = -1
        self.sequence = 1000 * leg + 65000
        self.timestamp = 0xFFFF0000 + leg * 7
        self.ssrc = 0x1000 + leg
        self.phase_ns = (leg * 7 % 20) * MS
        self.silent = False
        self.rate = 8000 if codec in ("PCMU", "PCMA") else 16000
        self.clock = {"OPUS": 48000, "L16": 16000}.get(codec, 8000)
        self._encoder: Any = {"G722": G722Encoder, "OPUS": OpusEncoder, "L16": L16Encoder}.get(
            codec, lambda: None
        )()
        self._decoder: Any = {"G722": G722Decoder, "OPUS": OpusDecoder}.get(codec, lambda: None)()
        self._spoken = 0
        self.heard: list[np.ndarray] = []
        self.packets: list[bytes] = []
        self.heard_events: list[bytes] = []
        self.protect: Callable[[bytes], bytes] = bytes
        self.unprotect: Callable[[bytes], bytes | None] = bytes

    def format(self) -> AudioFormat:
        return AudioFormat(codec=self.codec, payload_type=PAYLOAD_TYPES[self.codec])

    def speak(self) -> bytes:
        """The next packet."""
        size = self.rate * self.ptime // 1000
        n = np.arange(self._spoken, self._spoken + size)
        self._spoken += size
        amplitude = 0.0 if self.silent else self.amplitude
        samples = (amplitude * np.sin(2 * np.pi * self.frequency * n / self.rate)).astype(np.float32)
        if self.codec in ("PCMU", "PCMA"):
            payload = g711.encode(samples, self.codec).tobytes()  # type: ignore[arg-type]
        else:
            payload = self._encoder.encode(samples)
        packet = self.packet(payload, PAYLOAD_TYPES[self.codec])
        self.timestamp += self.clock * self.ptime // 1000
        return self.protect(packet)

    def packet(self, payload: bytes, payload_type: int, marker: bool = False) -> bytes:
        header = struct.pack(
            "!BBHII",
            0x80,
            payload_type | marker << 7,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        self.sequence += 1
        return header + payload

    def hear(self, datagram: bytes) -> None:
        plain = self.unprotect(datagram)
        if plain is None:
            return
        self.packets.append(plain)
        if plain[1] & 0x7F == EVENT_TYPE:
            self.heard_events.append(plain)
            return
        payload = plain[12:]
        if self.codec in ("PCMU", "PCMA"):
            samples = g711.decode(np.frombuffer(payload, np.uint8), self.codec)  # type: ignore[arg-type]
            self.heard.append(samples)
        elif self.codec == "L16":
            self.heard.append(l16.decode(np.frombuffer(payload, np.uint8)))
        else:
            samples = self._decoder.decode(payload)
            self.heard.append(np.zeros(320, np.float32) if samples is None else samples)

    def audio(self, last_seconds: float = 1.0) -> np.ndarray:
        """The last of what was heard."""
        if not self.heard:
            return np.zeros(int(self.rate * last_seconds), np.float32)
        return np.concatenate(self.heard)[-int(self.rate * last_seconds) :]

    def level(self, frequency: float, last_seconds: float = 1.0) -> float:
        return tone_level(self.audio(last_seconds), frequency, self.rate)


class World:
    """One engine, its peers and the time."""

    def __init__(self, seed: int = 1, recorder: Recorder | None = None, full_band: bool = False) -> None:
        self.random = random.Random(seed)
        self.engine = Engine(
            self._open_pair,
            random_bits=self.random.getrandbits,
            recorder=recorder,
            full_band=full_band,
            open_pair_ipv6=self._open_pair,
        )
        self.now_ns = 1_000 * TICK_NS
        self.peers: dict[int, Peer] = {}
        self.delay: dict[int, Delay] = {}
        self.events: list[Event] = []
        self.statistics: Statistics | None = None
        self.outgoing: list[tuple[int, int, int, bytes]] = []
        self._flying: list[tuple[int, int, int, int, int, bytes]] = []
        self._order = itertools.count()
        self._next_send: dict[int, int] = {}
        self.speed: dict[int, float] = {}
        self.ahead_ns = 0
        """How long before a tick the engine is given what has arrived, once more than at the tick; 0: not."""

    def _open_pair(self, pair: int) -> tuple[int, int] | None:
        return (20000 + 2 * pair, 20001 + 2 * pair) if pair < 100 else None

    def apply(self, command: Command) -> None:
        self.engine.apply(command, self.now_ns)
        self.events += self.engine.events()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def add(self, peer: Peer, room: int | None = 1, **media: Any) -> Peer:
        """Open a leg for a peer, negotiate its codec, and put it into a room."""
        self.apply(OpenLeg(leg=peer.leg, ipv6=":" in media.get("remote_ip", "")))
        opened = [event for event in self.of(LegOpened) if event.leg == peer.leg][-1]
        peer.to_pair = (opened.rtp_port - 20000) // 2
        settings: dict[str, Any] = {
            "leg": peer.leg,
            "send": peer.format(),
            "receive": [peer.format()],
            "telephone_event": EVENT_TYPE,
            "remote_ip": "10.0.0.1",
            "remote_port": peer.port,
            "remote_rtcp_port": peer.port + 1,
        }
        self.apply(SetMedia(**(settings | media)))
        if room is not None:
            self.apply(JoinRoom(leg=peer.leg, room=room))
        self.peers[peer.leg] = peer
        self._next_send[peer.leg] = self.now_ns + peer.phase_ns
        return peer

    def throw(
        self, datagram: bytes, socket: int, ip: int = PEER_IP, port: int = 9, after_ms: float = 0
    ) -> None:
        """Let a datagram arrive at a socket of the engine."""
        at = self.now_ns + int(after_ms * MS)
        heapq.heappush(self._flying, (at, next(self._order), socket, ip, port, datagram))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.tick()

    def tick(self) -> None:
        self.now_ns += TICK_NS - self.ahead_ns
        if self.ahead_ns:
            self._speak()
            self.engine.receive(self._arrived(), self.now_ns, ahead=True)
            self.now_ns += self.ahead_ns
        self._speak()
        self.outgoing = []
        for batch in self.engine.step(self._arrived(), self.now_ns):
            self._deliver(batch)
        self.events += self.engine.events()

    def _speak(self) -> None:
        for leg, peer in self.peers.items():
            while self._next_send[leg] <= self.now_ns:
                sent = self._next_send[leg]
                delay = self.delay.get(leg, lambda at: 0.0)(sent)
                datagram = peer.speak()
                if delay is not None and peer.to_pair >= 0:
                    arrival = sent + int(delay * MS)
                    heapq.heappush(
                        self._flying,
                        (arrival, next(self._order), 2 * peer.to_pair, peer.ip, peer.port, datagram),
                    )
                self._next_send[leg] = sent + int(peer.ptime * MS * self.speed.get(leg, 1.0))

    def _arrived(self) -> PacketBatch:
        rows = []
        while self._flying and self._flying[0][0] <= self.now_ns:
            rows.append(heapq.heappop(self._flying))
        data = np.zeros((len(rows), MTU), np.uint8)
        length = np.zeros(len(rows), np.int32)
        for i, row in enumerate(rows):
            body = row[5][:MTU]
            data[i, : len(body)] = np.frombuffer(body, np.uint8)
            length[i] = len(row[5])
        return PacketBatch(
            data,
            length,
            np.array([row[2] for row in rows], np.int32),
            np.array([row[3] for row in rows], np.uint32),
            np.array([row[4] for row in rows], np.uint16),
            np.array([row[0] for row in rows], np.int64),
        )

    def _deliver(self, batch: OutgoingBatch) -> None:
        homes = {(peer.ip, peer.port): peer for peer in self.peers.values()}
        for i in range(len(batch)):
            datagram = batch.datagram(i)
            ip, port = int(batch.ip[i]), int(batch.port[i])
            self.outgoing.append((int(batch.socket[i]), ip, port, datagram))
            peer = homes.get((ip, port))
            if peer is not None and int(batch.socket[i]) % 2 == 0 and not 192 <= datagram[1] <= 223:
                peer.hear(datagram)

    def totals(self, leg: int) -> Any:
        return self.engine.totals(np.array([self.engine.legs.slots[leg]]), self.now_ns)[leg]

    def measured(self) -> Measured:
        """What is told of all legs once a second."""
        return read(self.engine.statistics(self.now_ns))
