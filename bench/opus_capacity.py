"""How many Opus legs over DTLS-SRTP one core carries, with our media worker and with Janus AudioBridge:
browsers' traffic, generated.

`python -m bench opus`. Each leg checks by ICE, shakes hands by DTLS, and then sends Opus at 50 packets a
second under SRTP, with the audio level that browsers add (RFC 6464); rooms of ten at 16 kHz, three talk. The
server is on core 0, all browsers on core 1. Clean is what it is for phones: every leg gets 99.5 % of its
packets, jitter p99 is at most 20 ms, latency p99 at most 150 ms; Janus is allowed 300 ms.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from collections.abc import Generator, Iterator
from ipaddress import ip_address

import numpy as np
from numpy.typing import NDArray

from bench import janus, rig
from bench.browsers import LEVEL_ID, RATE, ROOM, Client, Janus, Server, Worker
from ringback.media.batch import OUTGOING_BYTES, OutgoingBatch
from ringback.media.codec.opus import OpusDecoder, OpusEncoder
from ringback.media.worker.mmsg import Inbox, Outbox
from ringback.quality.markers import find_markers, marker
from ringback.rtp.srtp import protect_rows, unprotect_rows
from tests.wire.namespaces import Network

STEPS = (100, 200, 300, 400, 450, 500, 600)
JANUS_STEPS = (20, 40, 50, 60, 70, 80, 90, 100, 120, 140, 160, 200)
LATENCY_MS, JANUS_LATENCY_MS = 150, 300
"""What p99 may be. Janus holds six packets back by default, and would never be clean."""
TOGETHER = 25
"""So many shake hands at once."""
TALKERS = 3
SECONDS, SETTLE_S = 8.0, 8.0
FRAME = RATE // 50
SLOTS = 4
SLOT_S = 0.02 / SLOTS
LOOP_FRAMES = 150
"""Three seconds of sound, said again and again; a talker's chirp is in its first frame."""
LISTENERS = 12
TALKING, QUIET = 28, 70
"""Audio levels in -dBov."""
SO_TIMESTAMPNS = 35


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

    def __init__(self, server: Server) -> None:
        self._server = server
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
        for first in range(len(self.clients), count, TOGETHER):
            for number in range(first, min(first + TOGETHER, count)):
                self._join(number)
            self._connect(first)
        self._prepare()

    def _connect(self, first: int) -> None:
        """Check and shake hands, until all are in."""
        joining = self.clients[first:]
        deadline = time.monotonic() + 60
        while not all(client.secured for client in joining):
            now = time.monotonic()
            if now > deadline:
                raise SystemExit("not everybody connects")
            for client, opened in zip(joining, self._sockets[first:], strict=True):
                for datagram in client.drive(now):
                    opened.sendto(datagram, client.to)
                while (got := _receive(opened)) is not None:
                    if not client.secured or got[0] < 64:
                        client.hear(got)
            self._server.attend()
            # Those who are in already go on, if a bit less steadily.
            self._slot(self._frame % SLOTS, now)
            self._frame += 1
            self._drain()

    def _join(self, number: int) -> None:
        client = Client(number)
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        opened.bind((self._server.ip, 0))
        self._server.join(client, opened.getsockname()[1])
        self.clients.append(client)
        self._sockets.append(opened)

    def close(self) -> None:
        """Close the sockets."""
        for opened in self._sockets:
            opened.close()

    def _prepare(self) -> None:
        count = len(self.clients)
        self._descriptors = [opened.fileno() for opened in self._sockets]
        self._ports = np.array([client.to[1] for client in self.clients], np.uint16)
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
                self._server.attend()
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
                    self._sockets[number].sendto(datagram, client.to)
        protect_rows([self.clients[n].sending for n in which], data, range(len(which)), length)
        rows = np.array(which, np.int32)
        ports = np.array([self.clients[n].to[1] for n in which], np.uint16)
        to = np.full(len(which), int(ip_address(self._server.ip)), np.uint32)
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
        used = rig.cpu_s(self._server.pid)
        self.measuring = True
        self.run(seconds)
        self.measuring = False
        used = rig.cpu_s(self._server.pid) - used
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
                header = 12 + 4 * (row[0, 0] & 0x0F)
                if row[0, 0] & 0x10:
                    header += 4 + 4 * int.from_bytes(row[0, header + 2 : header + 4].tobytes(), "big")
                samples = decoder.decode(row[0, header : int(length[0])].tobytes())
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


def is_clean(step: dict[str, float], latency_ms: float) -> bool:
    """The rule of the load rig for phones, which allows 150 ms of latency."""
    return step["delivered"] >= 0.995 and step["jitter_p99"] <= 20 and step["latency_p99"] <= latency_ms


def measure() -> Iterator[str]:
    """Rows of Janus and of ours, each up to the first number of legs that is not clean, and the ratios."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    os.sched_setaffinity(0, {int(rig.LOAD_CORE)})
    theirs: dict[str, float] = {}
    if problem := janus.missing():
        yield f"Janus {problem}"
    elif os.geteuid() != 0:
        yield "Janus not measured: only root can make the network for it"
    else:
        with Network() as network:
            host = network.host("janus")
            near, _ = network.cable(host, network.host("other"), "eth0")
            near.add(f"{Janus.ip}/24")
            with host.entered(), janus.running() as pid:
                theirs = yield from _sweep("Janus", Janus(pid), JANUS_STEPS, JANUS_LATENCY_MS)
    worker = Worker()
    ours = yield from _sweep("Ringback", worker, STEPS, LATENCY_MS)
    worker.close()
    most = f"{ours.get('n', 0)} Opus legs over DTLS-SRTP on one core stay clean"
    yield f"{most} (at least 400, or 3 times Janus's)"
    if theirs and ours:
        yield (
            f"Janus {theirs['n']}: {ours['n'] / theirs['n']:.1f} times as many; "
            f"CPU a leg 1/{_ms_a_leg(theirs) / _ms_a_leg(ours):.1f} of Janus's"
        )


def _sweep(
    name: str, server: Server, steps: tuple[int, ...], latency_ms: float
) -> Generator[str, None, dict[str, float]]:
    """A row for each number of legs up to the first that is not clean; the last that was, empty if none."""
    crowd = Crowd(server)
    best: dict[str, float] = {}
    for count in steps:
        crowd.grow(count)
        crowd.run(SETTLE_S)
        step = crowd.measure(SECONDS)
        clean = is_clean(step, latency_ms)
        yield (
            f"{name}: {count:4} Opus legs  {'clean' if clean else 'NOT clean':9}  {step['cpu']:4.0%} of the "
            f"core  {_ms_a_leg(step):.2f} ms a leg a second  delivered {step['delivered']:.4f}  "
            f"jitter p99 {step['jitter_p99']:.1f} ms  latency {step['latency_p50']:.0f}, "
            f"p99 {step['latency_p99']:.0f} ms of {step['chirps']:.0f} chirps  "
            f"generator late {step['late_ms']:.0f} ms"
        )
        if not clean:
            break
        best = step
    crowd.close()
    return best


def _ms_a_leg(step: dict[str, float]) -> float:
    return 1000 * step["cpu"] / step["n"]


if __name__ == "__main__":
    for line in measure():
        print(line, flush=True)
    sys.exit(0)
