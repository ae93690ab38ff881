"""Keys pressed and sent as telephone-events: one digit a press, whatever the network does (RFC 4733)."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

DIGITS = "0123456789*#ABCD"
"""The DTMF digits in the order of their event codes (RFC 4733, table 7)."""

PAYLOAD_BYTES = 4
LOST_END_MS = 120
"""After this long without a report an event counts as over: all of its end packets were lost."""
FORGET_MS = 1000
"""So long after an event its timestamp says nothing of the order of later ones: the sender may be another."""
LONG_DURATION = 0xF000
"""A segment this long may be followed by another of the same event (RFC 4733, 2.5.1.3)."""
REMEMBERED = 8
"""Finished events of which late copies are still recognised."""

PRESS_FRAMES = 5
END_PACKETS = 3
GAP_FRAMES = 3
VOLUME = 10
"""Power of the tones we send, in -dBm0."""

_REPORT = struct.Struct("!BBH")
_END = 0x80
_VOLUME_MASK = 0x3F


class Press(NamedTuple):
    """A key that was pressed and released."""

    digit: str
    duration_ms: int


@dataclass(slots=True)
class _Event:
    code: int
    timestamp: int
    duration: int
    seen_at: int
    earlier: int = 0
    """Duration of the segments before this one."""

    def follows(self, timestamp: int) -> int:
        """How far a timestamp lies after the start of this event, in RTP units; negative when before."""
        return (timestamp - self.timestamp + 0x80000000) % 0x100000000 - 0x80000000


class TelephoneEventReceiver:
    """The key presses of one leg out of its telephone-event packets, in the clock of their payload type.

    A press is told once, when it ends: by a packet with the end bit (however many come), by the start of
    another press, or by silence (`expire`). Packets may be lost, late, doubled or hostile; what is no report
    of a DTMF digit is ignored. A packet's first report counts; further ones in it are not read.
    """

    __slots__ = ("_current", "_finished", "_frame", "clock")

    def __init__(self, clock: int = 8000) -> None:
        self.clock = clock
        self._frame = clock // 50
        self._current: _Event | None = None
        self._finished: deque[_Event] = deque(maxlen=REMEMBERED)

    @property
    def pending(self) -> bool:
        """Whether a key is down, so that `expire` must be asked."""
        return self._current is not None

    def receive(self, payload: bytes, timestamp: int, marker: bool, now_samples: int) -> list[Press]:
        """Take one packet; `now_samples` is the time of arrival in units of the clock, from any origin."""
        if len(payload) < PAYLOAD_BYTES:
            return []
        code, flags, duration = _REPORT.unpack_from(payload)
        if code >= len(DIGITS):
            return []
        ended = bool(flags & _END)
        event = _Event(code, timestamp, duration, now_samples)
        pressed: list[Press] = []
        current = self._current
        if current is not None and self._same(current, event, marker):
            self._extend(current, event)
        elif self._is_old(event, marker):
            return []
        else:
            if current is not None:
                pressed.append(self._finish(current))
            if ended and duration == 0:
                # An end without any duration tells of no press (RFC 4733, 2.3.5).
                return pressed
            self._current = current = event
        if ended:
            pressed.append(self._finish(current))
        return pressed

    def expire(self, now_samples: int) -> list[Press]:
        """The press that must have ended because nothing was heard of it for LOST_END_MS."""
        current = self._current
        if current is None or now_samples - current.seen_at < self.clock * LOST_END_MS // 1000:
            return []
        return [self._finish(current)]

    def _same(self, known: _Event, event: _Event, marker: bool) -> bool:
        """Whether a report belongs to the press under way: by its timestamp, or as it can only be a part."""
        after = known.follows(event.timestamp)
        if after == 0:
            return known.code == event.code
        if marker or known.code != event.code or not 0 < after <= known.duration + self._frame:
            return False
        # Either the next segment of a long press, or a sender that moves the timestamp on with each report.
        return known.duration >= LONG_DURATION or event.duration >= max(known.duration, after)

    def _is_old(self, event: _Event, marker: bool) -> bool:
        if any(self._is_copy(known, event, marker) for known in self._finished):
            return True
        last = self._current or (self._finished[-1] if self._finished else None)
        if last is None or event.seen_at - last.seen_at > self.clock * FORGET_MS // 1000:
            return False
        return last.follows(event.timestamp) <= 0

    def _is_copy(self, known: _Event, event: _Event, marker: bool) -> bool:
        """Whether a report is of a finished press: too soon after it, and too long, to be of a new one."""
        after = known.follows(event.timestamp)
        if after == 0 or known.code != event.code:
            return after == 0
        return (
            not marker and 0 < after < known.duration + 2 * self._frame and event.duration >= known.duration
        )

    @staticmethod
    def _extend(current: _Event, event: _Event) -> None:
        if event.timestamp != current.timestamp and current.duration >= LONG_DURATION:
            current.earlier += current.duration
            current.timestamp, current.duration = event.timestamp, 0
        current.duration = max(current.duration, event.duration)
        current.seen_at = event.seen_at

    def _finish(self, event: _Event) -> Press:
        self._current = None
        self._finished.append(event)
        return Press(DIGITS[event.code], (event.earlier + event.duration) * 1000 // self.clock)


class EventPacket(NamedTuple):
    """A telephone-event packet to send; its timestamp is that of the start of the event."""

    payload: bytes
    timestamp: int
    marker: bool


class TelephoneEventSender:
    """Sends digits to one leg, a packet a frame of 20 ms: 100 ms each and 60 ms apart.

    Each press starts with a marked packet, is reported every 20 ms under one timestamp, and its end is said
    three times (RFC 4733, 2.5.1.4). While `next_packet` gives a packet, the leg's audio is not sent.
    """

    __slots__ = ("_clock_frame", "_digits", "_start", "_tick")

    def __init__(self, digits: Sequence[str] = "", clock: int = 8000) -> None:
        self._clock_frame = clock // 50
        self._digits: deque[int] = deque()
        self._tick = 0
        self._start = 0
        self.enqueue(digits)

    @property
    def active(self) -> bool:
        """Whether digits are still being sent or kept apart."""
        return bool(self._digits)

    def enqueue(self, digits: Sequence[str]) -> None:
        """Send these after those that wait; ValueError, and none sent, if one is not of 0-9 * # A-D a-d."""
        codes = [DIGITS.find(digit.upper()) for digit in digits]
        if -1 in codes:
            raise ValueError("a digit to send is one of 0-9 * # A-D")
        self._digits.extend(codes)

    def next_packet(self, timestamp: int) -> EventPacket | None:
        """The packet for the frame that begins at `timestamp` (RTP units), or None in the gap between digits.

        To be called once a frame while `active`, with the timestamp the frame's audio would have.
        """
        if not self._digits:
            return None
        if self._tick == 0:
            self._start = timestamp
        tick = self._tick
        code = self._digits[0]
        self._tick += 1
        if self._tick == PRESS_FRAMES + GAP_FRAMES:
            self._digits.popleft()
            self._tick = 0
        if tick >= PRESS_FRAMES + END_PACKETS - 1:
            return None
        duration = self._clock_frame * min(tick + 1, PRESS_FRAMES)
        flags = VOLUME | (_END if tick >= PRESS_FRAMES - 1 else 0)
        return EventPacket(_REPORT.pack(code, flags, duration), self._start, tick == 0)
