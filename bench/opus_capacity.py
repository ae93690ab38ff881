"""How many Opus legs over DTLS-SRTP one media worker carries on one core: browsers' traffic, generated.

`python -m bench opus`. Each leg checks by ICE, shakes hands by DTLS, and then sends Opus at 50 packets a
second under SRTP, with the audio level that browsers add (RFC 6464); rooms of ten, three talk. The worker is
on core 0, all browsers on core 1. Clean is what it is for phones: every leg gets 99.5 % of its packets,
jitter p99 is at most 20 ms, latency p99 at most 150 ms.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from bench import rig
from bench.media_capacity import Media
from ringback.media.batch import OUTGOING_BYTES, OutgoingBatch
from ringback.media.codec.opus import OpusDecoder, OpusEncoder
from ringback.media.protocol import JoinRoom, LegOpened, OpenLeg
from ringback.media.worker.mmsg import Inbox, Outbox
from ringback.quality.markers import find_markers, marker
from ringback.rtp.srtp import SrtpSession, protect_rows, unprotect_rows
from tests.webrtc.browser import GCM, SRTP, USE_CERTIFICATE, Browser

STEPS = (100, 200, 300, 400, 450, 500, 600)
ROOM, TALKERS = 10, 3
SECONDS, SETTLE_S = 8.0, 8.0
RATE = 16000
FRAME = RATE // 50
SLOTS = 4
SLOT_S = 0.02 / SLOTS
LOOP_FRAMES = 150
"""Three seconds of sound, said again and again; a talker's chirp is in its first frame."""
LISTENERS = 12
LEVEL_ID = 1
TALKING, QUIET = 28, 70
"""Audio levels in -dBov."""
SO_TIMESTAMPNS = 35


class Client(Browser):
    """A browser that hands over its SRTP keys, for the crowd to use many at a time."""

    def _secure(self) -> None:
        super()._secure()
        profile = self._connection.get_selected_srtp_profile()
        _, key, salt = SRTP[profile]
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        suite = "AEAD_AES_128_GCM" if profile == GCM else "AES_CM_128_HMAC_SHA1_80"
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        self.sending = SrtpSession(suite, client, inbound=False)  # type: ignore[arg-type]
        self.receiving = SrtpSession(suite, server, inbound=True)  # type: ignore[arg-type]


def speech(talker: int) -> list[bytes]:
    """Opus frames of LOOP_FRAMES: a talker's tone that swells like syllables and its chirp, or low noise."""
    rng = np.random.default_rng(talker + 1)
    if talker < 0:
        audio = rng.normal(0, 10 ** (-62 / 20), LOOP_FRAMES * FRAME)
    else:
        seconds = np.arange(LOOP_FRAMES * FRAME) / RATE
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * seconds + talker)
        audio = 0.05 * swell * np.sin(2 * np.pi * (410 + 320 * talker) * seconds)
        chirp = marker(talker, RATE, -12)
        audio[: len(chirp)] = chirp
    encoder = OpusEncoder()
    frames = audio.astype(np.float32).reshape(-1, FRAME)
    return [encoder.encode(frame) for frame in frames]


class Crowd:
    """All browsers: their sockets, their packets, and what they got."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self.clients: list[Client] = []
        self._sockets: list[socket.socket] = []
        self._inbox, self._outbox = Inbox(8192), Outbox(8192)
        self._sounds = {talker: speech(talker) for talker in range(-1, TALKERS)}
        self._frame = 0
        self._sent_chirp: dict[tuple[int, int], list[float]] = {}
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self.worst_late_s = 0.0
        self.measuring = False
        self._received = np.zeros(0, np.int64)
        self._arrived: dict[int, list[tuple[float, bytes]]] = {}
        self._gaps: list[NDArray[np.float64]] = []
        self._last = np.zeros(0)

    def grow(self, count: int) -> None:
        """Let browsers join until there are so many; returns when all are connected."""
        first = len(self.clients)
        for number in range(first, count):
            self._join(number)
        joining = self.clients[first:]
        deadline = time.monotonic() + 60
        while not all(client.secured for client in joining):
            now = time.monotonic()
            if now > deadline:
                raise SystemExit("not everybody connects")
            for client, opened in zip(joining, self._sockets[first:], strict=True):
                for datagram in client.drive(now):
                    opened.sendto(datagram, client.to)  # type: ignore[attr-defined]
                while (got := _receive(opened)) is not None:
                    if not client.secured or got[0] < 64:
                        client.hear(got)
            self._media.events(0)
            # Those who are in already go on, if a bit less steadily.
            self._slot(self._frame % SLOTS, now)
            self._frame += 1
            self._drain()
        self._prepare()

    def _join(self, number: int) -> None:
        client = Client(number)
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        opened.bind(("127.0.0.1", 0))
        self._media.send(OpenLeg(leg=number, webrtc=True))
        answer: LegOpened = self._media.wait_for(LegOpened)
        client.to = ("127.0.0.1", answer.rtp_port)  # type: ignore[attr-defined]
        self._media.send(replace(client.media(), audio_level_extension=LEVEL_ID))
        self._media.send(JoinRoom(leg=number, room=number // ROOM))
        self.clients.append(client)
        self._sockets.append(opened)

    def _prepare(self) -> None:
        count = len(self.clients)
        self._descriptors = [opened.fileno() for opened in self._sockets]
        self._ports = np.array([client.to[1] for client in self.clients], np.uint16)  # type: ignore[attr-defined]
        self._received = np.zeros(count, np.int64)
        self._last = np.full(count, np.nan)
        listeners = [n for n in range(count) if n % ROOM >= TALKERS][:: max(1, count // LISTENERS)]
        self._arrived = {number: [] for number in listeners}

    def run(self, seconds: float) -> None:
        """Talk and listen for so long."""
        next_at = time.monotonic()
        end = next_at + seconds
        while next_at < end:
            pause = next_at - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            now = time.monotonic()
            if self.measuring:
                self.worst_late_s = max(self.worst_late_s, now - next_at)
            self._slot(self._frame % SLOTS, now)
            self._frame += 1
            self._drain()
            if self._frame % 50 == 0:
                self._media.events(0)
            next_at += SLOT_S

    def _slot(self, slot: int, now: float) -> None:
        """Send the packets of every fourth browser; those who have to say more than audio say it."""
        which = [n for n in range(slot, len(self.clients), SLOTS) if self.clients[n].secured]
        if not which:
            return
        frame = self._frame // SLOTS
        data = np.zeros((len(which), OUTGOING_BYTES), np.uint8)
        length = np.zeros(len(which), np.int32)
        for row, number in enumerate(which):
            client = self.clients[number]
            talker = number % ROOM if number % ROOM < TALKERS else -1
            place = (frame + 7 * (number // ROOM) + 50 * talker) % LOOP_FRAMES
            packet = _packet(client, self._sounds[talker][place], talker >= 0)
            data[row, : len(packet)] = np.frombuffer(packet, np.uint8)
            length[row] = len(packet)
            if talker >= 0 and place == 0 and self.measuring:
                self._sent_chirp.setdefault((number // ROOM, talker), []).append(now)
            if frame % 125 == number % 125:
                for datagram in client.drive(now):
                    self._sockets[number].sendto(datagram, client.to)  # type: ignore[attr-defined]
        protect_rows([self.clients[n].sending for n in which], data, range(len(which)), length)
        rows = np.array(which, np.int32)
        ports = np.array([self.clients[n].to[1] for n in which], np.uint16)  # type: ignore[attr-defined]
        to = np.full(len(which), 0x7F000001, np.uint32)
        descriptors = [opened.fileno() for opened in self._sockets]
        self._outbox.send(OutgoingBatch(data, length, rows, to, ports), descriptors)

    def _drain(self) -> None:
        sockets = [(n, opened.fileno()) for n, opened in enumerate(self._sockets) if self.clients[n].secured]
        if not sockets:
            return
        batch, _ = self._inbox.receive(sockets, 0, self._offset_ns, time.monotonic_ns())
        audio = (batch.data[:, 0] >> 6 == 2) & ((batch.data[:, 1] & 0x7F) == 111)
        for row in np.flatnonzero(batch.data[:, 0] < 64).tolist():
            self.clients[int(batch.socket[row])].hear(batch.data[row, : int(batch.length[row])].tobytes())
        if not self.measuring:
            return
        owner, at = batch.socket[audio], batch.arrival_ns[audio] / 1e9
        np.add.at(self._received, owner, 1)
        self._gaps.append(at - self._last[owner])
        self._last[owner] = at
        heard = np.flatnonzero(audio & np.isin(batch.socket, list(self._arrived)))
        for row in heard.tolist():
            packet = batch.data[row, : int(batch.length[row])].tobytes()
            self._arrived[int(batch.socket[row])].append((batch.arrival_ns[row] / 1e9, packet))

    def measure(self, seconds: float) -> dict[str, float]:
        """What they get in so many seconds."""
        self._received[:] = 0
        self._last[:] = np.nan
        self._gaps.clear()
        self._sent_chirp.clear()
        self.worst_late_s = 0.0
        for packets in self._arrived.values():
            packets.clear()
        used = rig.cpu_s(self._media.process.pid)
        self.measuring = True
        self.run(seconds)
        self.measuring = False
        used = rig.cpu_s(self._media.process.pid) - used
        gaps = np.concatenate(self._gaps) if self._gaps else np.zeros(0)
        jitter = np.abs(gaps[~np.isnan(gaps)] - 0.02) * 1000
        delays = self._delays()
        return {
            "n": len(self.clients),
            "cpu": used / seconds,
            "delivered": float(self._received.min() / (50 * seconds)),
            "jitter_p99": float(np.percentile(jitter, 99)) if len(jitter) else np.inf,
            "latency_p50": float(np.percentile(delays, 50)) if delays else np.inf,
            "latency_p99": float(np.percentile(delays, 99)) if delays else np.inf,
            "chirps": len(delays),
            "late_ms": self.worst_late_s * 1000,
        }

    def _delays(self) -> list[float]:
        """Milliseconds from a talker's frame leaving to its chirp arriving, at the listeners."""
        found = []
        for number, packets in self._arrived.items():
            client, decoder = self.clients[number], OpusDecoder(RATE)
            pieces, times = [], []
            for at, packet in packets:
                row = np.zeros((1, 2048), np.uint8)
                row[0, : len(packet)] = np.frombuffer(packet, np.uint8)
                length = np.array([len(packet)], np.int32)
                if unprotect_rows([client.receiving], row, [0], length)[0] != 0:
                    continue
                samples = decoder.decode(row[0, 12 : int(length[0])].tobytes())
                pieces.append(samples if samples is not None else np.zeros(FRAME, np.float32))
                times.append(at)
            if not pieces:
                continue
            audio = np.concatenate(pieces)
            for talker in range(TALKERS):
                sent = np.array(self._sent_chirp.get((number // ROOM, talker), []))
                for place in find_markers(audio, RATE, talker) * RATE:
                    heard = times[int(place) // FRAME] + place % FRAME / RATE
                    before = sent[sent < heard]
                    if len(before) and heard - before[-1] < 1:
                        found.append(1000 * float(heard - before[-1]))
        return found


def _packet(client: Client, payload: bytes, talks: bool) -> bytes:
    """RTP with the audio level as a one-byte header extension (RFC 8285)."""
    plain = client.packet(payload, 111)
    client.timestamp += 960
    level = (0x80 | TALKING) if talks else QUIET
    extension = bytes((0xBE, 0xDE, 0, 1, LEVEL_ID << 4, level, 0, 0))
    return bytes((plain[0] | 0x10,)) + plain[1:12] + extension + plain[12:]


def _receive(opened: socket.socket) -> bytes | None:
    try:
        return opened.recv(2048)
    except BlockingIOError:
        return None


def is_clean(step: dict[str, float]) -> bool:
    """The rule of the load rig for phones."""
    return step["delivered"] >= 0.995 and step["jitter_p99"] <= 20 and step["latency_p99"] <= 150


def measure() -> Iterator[str]:
    """Rows up to the first number of legs that is not clean."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    media = Media("20000-29999", 0, None)
    media.send(USE_CERTIFICATE)
    os.sched_setaffinity(0, {1})
    crowd = Crowd(media)
    best = 0
    for count in STEPS:
        crowd.grow(count)
        crowd.run(SETTLE_S)
        step = crowd.measure(SECONDS)
        clean = is_clean(step)
        yield (
            f"{count:4} Opus legs  {'clean' if clean else 'NOT clean':9}  {step['cpu']:4.0%} of the core  "
            f"{1000 * step['cpu'] / count:.2f} ms a leg a second  delivered {step['delivered']:.4f}  "
            f"jitter p99 {step['jitter_p99']:.1f} ms  latency {step['latency_p50']:.0f}, "
            f"p99 {step['latency_p99']:.0f} ms of {step['chirps']:.0f} chirps  "
            f"generator late {step['late_ms']:.0f} ms"
        )
        if not clean:
            break
        best = count
    media.control.close()
    media.process.wait(10)
    yield f"{best} Opus legs over DTLS-SRTP on one core stay clean (at least 400)"


if __name__ == "__main__":
    for line in measure():
        print(line, flush=True)
    sys.exit(0)
