"""One two-way PCMU stream of the test phone: exact 20 ms clock out, arrival times in (RFC 3550).

Scalar and plain on purpose: it is the ruler that the columnar engine is measured with.
"""

from __future__ import annotations

import secrets
import socket
import struct
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_any

import numpy as np
from numpy.typing import NDArray

FRAME = 160
RATE = 8000
FRAME_S = FRAME / RATE
KEYS = "0123456789*#ABCD"
EVENT_VOLUME = 10
SO_TIMESTAMPNS = 35


def encode_ulaw(audio: NDArray[np.floating]) -> NDArray[np.uint8]:
    """G.711 µ-law of audio in [-1, 1] (the published 14-bit algorithm, by segments)."""
    linear = np.clip(np.round(np.asarray(audio, dtype=np.float64) * 32767), -32635, 32635).astype(np.int32)
    sign = np.where(linear < 0, 0x80, 0)
    magnitude = np.abs(linear) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)


def decode_ulaw(payload: bytes) -> NDArray[np.float32]:
    """Audio in [-1, 1] of G.711 µ-law."""
    code = ~np.frombuffer(payload, np.uint8).astype(np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << ((code >> 4) & 7)) - 132
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768.0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Received:
    """An RTP packet as it came: `at` in seconds of the monotonic clock, taken by the kernel."""

    at: float
    sequence: int
    timestamp: int
    payload_type: int
    ssrc: int
    marker: bool
    payload: bytes


class RtpStream:
    """A local RTP port (RTCP on the next) and, once `start`ed, a thread that sends and receives.

    Its clock is fast by `clock_ppm` parts in a million: a frame is that much shorter than 20 ms.
    """

    def __init__(self, ip: str = "127.0.0.1", *, clock_ppm: float = 0.0) -> None:
        self.frame_s = FRAME_S / (1 + clock_ppm * 1e-6)
        self._left: list[socket.socket] = []
        self.move(ip)
        self.received: list[Received] = []
        self.rtcp_received: list[bytes] = []
        self.sent_at: list[float] = []
        """When each audio frame went out; frame n holds samples 160 n to 160 n + 159 of what is spoken."""
        self.telephone_event = 101
        self.sending = True
        self.lose_every = 0
        """With n, the network loses every n-th packet."""
        self._lock = threading.Lock()
        self._speech = encode_ulaw(np.zeros(FRAME))
        self._position = 0
        self._events: list[tuple[int, int, int]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._remote: tuple[str, int] | None = None
        self._realtime_offset = time.time() - time.monotonic()

    def move(self, ip: str) -> None:
        """Go on at another address, from new ports."""
        rtp, rtcp = _port_pair(ip)
        rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.port: int = rtp.getsockname()[1]
        self._socket, self._rtcp_socket = rtp, rtcp
        # The thread may be waiting on those before: they stay open.
        self._left += [rtp, rtcp]

    # Speaking

    def speak(self, audio: NDArray[np.floating], *, loop: bool = True) -> None:
        """Say this from the next frame on, over and over; silence after it without `loop`."""
        padded = np.concatenate([audio, np.zeros(-len(audio) % FRAME)])
        with self._lock:
            self._speech = encode_ulaw(padded)
            self._position = 0
            self._loop = loop
            self.sent_at = []

    def press(self, keys: str, *, tone_ms: int = 100, pause_ms: int = 60) -> None:
        """Queue keys as RFC 4733 events, in place of audio, with the end packet three times."""
        with self._lock:
            for key in keys:
                self._events.append((KEYS.index(key), tone_ms // 20, pause_ms // 20))

    @property
    def pressing(self) -> bool:
        """Whether keys are still being sent."""
        return bool(self._events)

    # Life

    def start(self, remote: tuple[str, int]) -> None:
        """Send to an address from now on (again: to another address), and receive."""
        self._remote = remote
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and close the ports."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2)
        for one in self._left:
            one.close()

    def _run(self) -> None:
        ssrc = secrets.randbits(32)
        sequence, timestamp = secrets.randbits(16), secrets.randbits(32)
        next_frame = time.monotonic()
        event: _Event | None = None
        while not self._stop.is_set():
            wait = next_frame - time.monotonic()
            if wait > 0:
                rtp, rtcp = self._socket, self._rtcp_socket
                # Unlike select it takes descriptors above 1,023, too.
                readable = wait_for_any([rtp, rtcp], wait)
                if rtp in readable:
                    self._receive(rtp)
                if rtcp in readable:
                    self.rtcp_received.append(rtcp.recv(2048))
                continue
            next_frame += self.frame_s
            with self._lock:
                if event is None and self._events:
                    event = _Event(*self._events[0], timestamp=timestamp)
                frame = self._frame()
            if event is not None:
                packets, done = event.next_packets()
                for marker, payload in packets:
                    self._send(sequence, event.timestamp, ssrc, self.telephone_event, marker, payload)
                    sequence = sequence + 1 & 0xFFFF
                if done:
                    event = None
                    with self._lock:
                        self._events.pop(0)
            elif self.sending:
                self._send(sequence, timestamp, ssrc, 0, False, frame)
                sequence = sequence + 1 & 0xFFFF
            timestamp = timestamp + FRAME & 0xFFFFFFFF

    def _frame(self) -> bytes:
        frame = self._speech[self._position : self._position + FRAME].tobytes()
        self._position += FRAME
        self.sent_at.append(time.monotonic())
        if self._position >= len(self._speech):
            if not self._loop:
                self._speech = encode_ulaw(np.zeros(FRAME))
            self._position = 0
        return frame

    _loop = True

    def _send(
        self, sequence: int, timestamp: int, ssrc: int, kind: int, marker: bool, payload: bytes
    ) -> None:
        header = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), sequence, timestamp, ssrc)
        assert self._remote is not None
        if self.lose_every and sequence % self.lose_every == 0:
            return
        try:
            self._socket.sendto(header + payload, self._remote)
        except OSError:
            # The far end's port is gone, as after a crash, or the cable; the next packet may fare better.
            return

    def _receive(self, rtp: socket.socket) -> None:
        try:
            data, ancillary, _, _ = rtp.recvmsg(2048, 64)
        except OSError:
            # News of a packet sent earlier: nobody is there, or no way.
            return
        at = time.monotonic()
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value)
                at = seconds + nanoseconds / 1e9 - self._realtime_offset
        if len(data) < 12:
            return
        _, kind, sequence, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
        self.received.append(
            Received(at, sequence, timestamp, kind & 0x7F, ssrc, bool(kind & 0x80), data[12:])
        )

    # Listening

    def heard(self, last_s: float | None = None) -> NDArray[np.float32]:
        """What came, on the sender's time line, zeros where packets are missing: float32 at 8 kHz."""
        audio, _ = self.heard_with_times()
        return audio if last_s is None else audio[-round(last_s * RATE) :]

    def heard_with_times(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The same, and when each sample could be played at the earliest (NaN where nothing came).

        Time stamps that jump (a new source) begin a new stretch right after the old.
        """
        packets = [packet for packet in list(self.received) if packet.payload_type == 0 and packet.payload]
        if not packets:
            return np.zeros(0, np.float32), np.zeros(0)
        starts, base, previous = [], 0, packets[0]
        for packet in packets:
            step = (packet.timestamp - previous.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
            if packet.ssrc != previous.ssrc or abs(step) > 60 * RATE:
                step = FRAME
            base += step
            starts.append(base)
            previous = packet
        first = min(starts)
        total = max(starts) - first + max(len(packet.payload) for packet in packets)
        audio, times = np.zeros(total, np.float32), np.full(total, np.nan)
        for start, packet in zip(starts, packets, strict=True):
            samples = decode_ulaw(packet.payload)
            place = slice(start - first, start - first + len(samples))
            audio[place] = samples
            times[place] = packet.at + np.arange(len(samples)) / RATE
        return audio, times


class _Event:
    """One key press: packets every 20 ms with a growing duration, three at its end, then a pause."""

    def __init__(self, code: int, packets: int, pause: int, timestamp: int) -> None:
        self.timestamp = timestamp
        self._code, self._packets, self._pause = code, packets, pause
        self._step = 0

    def next_packets(self) -> tuple[list[tuple[bool, bytes]], bool]:
        """What to send in this frame, and whether the key and its pause are over."""
        self._step += 1
        if self._step > self._packets:
            return [], self._step >= self._packets + self._pause
        last = self._step == self._packets
        payload = struct.pack(
            "!BBH", self._code, EVENT_VOLUME | (0x80 if last else 0), min(self._step * FRAME, 0xFFFF)
        )
        return [(self._step == 1, payload)] * (3 if last else 1), last and self._pause == 0


def _port_pair(ip: str) -> tuple[socket.socket, socket.socket]:
    """An even port and the next one."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    while True:
        rtp = socket.socket(family, socket.SOCK_DGRAM)
        rtp.bind((ip, 0))
        port = rtp.getsockname()[1]
        rtcp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if port % 2 == 0:
                rtcp.bind((ip, port + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
