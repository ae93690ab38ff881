"""Several frames in one packet, for peers that ask for more than 20 ms of audio in each (ptime, RFC 8866
6.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ringback.media.codec.opus import join_packets, same_mode
from ringback.media.legs import OPUS, Legs
from ringback.media.sending import HEADER_BYTES, MAX_PAYLOAD_BYTES, Sending

PACKED_BYTES = 8
"""What joining Opus packets adds at most: a count, and two octets of length each (RFC 6716, 3.2.5)."""


@dataclass(slots=True)
class _Waiting:
    """Frames that wait for their packet to be full: the time of the first, and whether it opens a burst."""

    timestamp: int = 0
    marker: bool = False
    frames: list[bytes] = field(default_factory=list)


class Packing:
    """Holds back the frames of legs that are sent several at once; rows of legs are those of `legs`."""

    def __init__(self, legs: Legs, sending: Sending) -> None:
        self._legs = legs
        self._sending = sending
        self._waiting: dict[int, _Waiting] = {}
        self._wanted: dict[int, int] = {}

    @property
    def active(self) -> bool:
        """Whether any leg is sent several frames at once."""
        return bool(self._wanted)

    def use(self, leg: int, ptime_ms: int) -> None:
        """From now on send packets of so many milliseconds, a multiple of 20, to a leg; 20 for one that is
        gone."""
        self._waiting.pop(leg, None)
        if ptime_ms > 20:
            self._wanted[leg] = ptime_ms // 20
        else:
            self._wanted.pop(leg, None)

    def put(self, events: frozenset[int]) -> None:
        """Put a packet where one is full, and nothing where it is not; headers have been written.

        `events` are the legs whose row holds a telephone-event: it stands in for audio, also for what waits.
        """
        for leg, wanted in self._wanted.items():
            position = self._sending.position.get(leg)
            if position is None or leg in events:
                self._waiting.pop(leg, None)
                continue
            row = self._sending.rows[position]
            payload = row[HEADER_BYTES : int(self._sending.length[position])].tobytes()
            begun = _Waiting(int.from_bytes(row[4:8].tobytes(), "big"), bool(row[1] & 0x80))
            waiting = self._waiting.pop(leg, begun)
            fits = self._fits(leg, waiting.frames, payload)
            if fits:
                waiting.frames.append(payload)
            if fits and len(waiting.frames) < wanted:
                self._waiting[leg] = waiting
                self._sending.length[position] = HEADER_BYTES
            elif waiting.frames:
                self._send(leg, position, waiting)
                if payload and not fits:
                    begun.frames.append(payload)
                    self._waiting[leg] = begun

    def _fits(self, leg: int, frames: list[bytes], payload: bytes) -> bool:
        """Whether a frame may go into one packet with those before it."""
        if not payload or not frames:
            return bool(payload)
        if self._legs.send_codec[leg] == OPUS and not same_mode(frames[0], payload):
            return False
        return sum(map(len, frames)) + len(payload) + PACKED_BYTES <= MAX_PAYLOAD_BYTES

    def _send(self, leg: int, position: int, waiting: _Waiting) -> None:
        frames = waiting.frames
        opus = self._legs.send_codec[leg] == OPUS and len(frames) > 1
        row = self._sending.rows[position]
        row[1] = (int(row[1]) & 0x7F) | (waiting.marker << 7)
        row[4:8] = np.frombuffer(waiting.timestamp.to_bytes(4, "big"), np.uint8)
        self._sending.put_payload(position, join_packets(frames) if opus else b"".join(frames))
