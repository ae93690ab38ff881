"""The bytes of one direction of a TCP connection in their order (RFC 9293, 3.4, 3.10.7)."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from ringback.diagnosis.capture.captured import Nanoseconds

MOST_HELD_BYTES: Final = 1 << 19
MOST_HELD_SEGMENTS: Final = 256
ACKED_GAP_NS: Final = 200_000_000
"""How long a gap is waited for that the receiver does not have: then only the capture lacks those bytes."""
OPEN_GAP_NS: Final = 10_000_000_000
"""And how long one that may yet be sent again."""
_WINDOW: Final = 1 << 20
_STRAYS: Final = 3
"""Segments far behind, one after the other, after which those are the true ones."""


class Seen(NamedTuple):
    """The packet that bytes came in."""

    at_ns: Nanoseconds
    frame: int
    dscp: int


class Reader(Protocol):
    """Who makes messages of a stream's bytes."""

    @property
    def held_bytes(self) -> int:
        """What it keeps of a message in work; `gap` makes it let go of that."""

    def feed(self, data: bytes, seen: Seen) -> None:
        """Take bytes that follow those before."""

    def gap(self) -> None:
        """Take note that some are missing here."""

    def finish(self) -> None:
        """Nothing more comes."""


class Reassembly:
    """Feeds a reader in order; gaps are told to it once they will not be filled."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.held_bytes = 0
        self._next: int | None = None
        self._held: dict[int, tuple[bytes, int, Seen]] = {}
        self._gap_since: Nanoseconds = 0
        self._strays = 0

    @property
    def expected(self) -> int | None:
        """The sequence number that comes next."""
        return self._next

    def begin(self, sequence: int) -> None:
        """Say what the first byte's number is, as SYN tells."""
        self._next = sequence

    def segment(self, sequence: int, data: bytes, missing: int, seen: Seen) -> None:
        """Take a segment; `missing` is how many octets at its end the capture cut off."""
        if self._next is None:
            self._next = sequence
        ahead = distance(sequence, self._next)
        if ahead > 0:
            self._hold(sequence, data, missing, seen)
            if self.held_bytes > MOST_HELD_BYTES or len(self._held) > MOST_HELD_SEGMENTS:
                self.skip_gap()
            return
        if ahead < -_WINDOW:
            self._strays += 1
            if self._strays < _STRAYS:
                return
            self.skip_all()
            self.reader.gap()
            self._next, ahead = sequence, 0
        self._strays = 0
        self._deliver(ahead, data, missing, seen)
        self._go_on(seen)

    def acknowledged(self, number: int, at_ns: Nanoseconds) -> None:
        """Take note of what the receiver has, and of the time: gaps are given up by it."""
        if not self._held or self._next is None:
            return
        waited = at_ns - self._gap_since
        first = min(self._held, key=self._ahead)
        has_it = distance(number, first) >= 0
        if waited >= (ACKED_GAP_NS if has_it else OPEN_GAP_NS):
            self.skip_gap()

    def skip_gap(self) -> None:
        """Go on behind the next gap."""
        if self._held:
            self.reader.gap()
            self._next = min(self._held, key=self._ahead)
            self._go_on(self._held[self._next][2])

    def skip_all(self) -> None:
        """Go on to the end of what is there."""
        while self._held:
            self.skip_gap()

    def _ahead(self, sequence: int) -> int:
        return distance(sequence, self._next or 0)

    def _hold(self, sequence: int, data: bytes, missing: int, seen: Seen) -> None:
        known = self._held.get(sequence)
        if known is not None:
            if len(known[0]) >= len(data):
                return
            self.held_bytes -= len(known[0])
        if not self._held:
            self._gap_since = seen.at_ns
        self._held[sequence] = data, missing, seen
        self.held_bytes += len(data)

    def _go_on(self, since: Seen) -> None:
        """Hand on what was held for this; nobody could read it before what came `since`."""
        while self._held:
            first = min(self._held, key=self._ahead)
            ahead = self._ahead(first)
            if ahead > 0:
                return
            data, missing, seen = self._held.pop(first)
            self.held_bytes -= len(data)
            self._gap_since = seen.at_ns
            since = max(since, seen)
            self._deliver(ahead, data, missing, since)

    def _deliver(self, ahead: int, data: bytes, missing: int, seen: Seen) -> None:
        """Hand on what is new of a segment that begins at or before the next byte."""
        new = len(data) + missing + ahead
        if new <= 0 or self._next is None:
            return
        self._next = (self._next + new) & 0xFFFFFFFF
        if -ahead < len(data):
            self.reader.feed(data[-ahead:] if ahead else data, seen)
        if missing:
            self.reader.gap()


def distance(number: int, from_number: int) -> int:
    """How far a sequence number lies ahead of another, less than 0 when behind."""
    difference = (number - from_number) & 0xFFFFFFFF
    return difference - 0x100000000 if difference & 0x80000000 else difference
