"""Datagrams that TCP carries: STUN and TURN's channels (RFC 8656, 12.4), others by length (RFC 4571)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.diagnosis.capture.reassembly import Seen
from ringback.diagnosis.capture.stun import CHANNELS, COOKIE, HEADER_BYTES

TakeDatagram = Callable[[bytes, Seen], None]
_LENGTH_BYTES: Final = 2


def is_turn(data: bytes) -> bool:
    """Whether a connection's bytes begin with a STUN message."""
    return len(data) >= HEADER_BYTES and data[0] < 4 and data[4:8] == COOKIE and not data[3] & 3


def is_framed_stun(data: bytes) -> bool:
    """Whether they begin with one that is preceded by its length, as ICE over TCP does (RFC 6544, 3)."""
    if not is_turn(data[_LENGTH_BYTES:]):
        return False
    return data[0] << 8 | data[1] == HEADER_BYTES + (data[4] << 8 | data[5])


class DatagramFraming:
    """Cuts one direction of such a connection; after a gap it goes on where a segment begins with STUN."""

    def __init__(self, take: TakeDatagram, *, lengths: bool) -> None:
        """`lengths`: each datagram comes after its length."""
        self._take = take
        self.lengths = lengths
        self._lost = False
        self._buffer = bytearray()

    @property
    def held_bytes(self) -> int:
        """What is kept of a message in work."""
        return len(self._buffer)

    def feed(self, data: bytes, seen: Seen) -> None:
        """Take bytes; each datagram that they complete is handed on."""
        if self._lost:
            if not (is_framed_stun(data) if self.lengths else is_turn(data)):
                return
            self._lost = False
        self._buffer += data
        buffer = self._buffer
        while (extent := self._extent()) is not None:
            start, end, following = extent
            if len(buffer) < following:
                return
            datagram = bytes(buffer[start:end])
            del buffer[:following]
            if datagram:
                self._take(datagram, seen)

    def gap(self) -> None:
        """Forget the datagram in work."""
        self._buffer.clear()
        self._lost = True

    def finish(self) -> None:
        """The same, at the end."""
        self.gap()

    def _extent(self) -> tuple[int, int, int] | None:
        """Where the next datagram begins and ends, and where the one after it begins; None if not known."""
        buffer = self._buffer
        if self.lengths:
            if len(buffer) < _LENGTH_BYTES:
                return None
            end = _LENGTH_BYTES + (buffer[0] << 8 | buffer[1])
            return _LENGTH_BYTES, end, end
        if len(buffer) < 4:
            return None
        length = buffer[2] << 8 | buffer[3]
        if buffer[0] << 8 | buffer[1] in CHANNELS:
            # Over a stream channel data is filled up to whole words.
            return 0, 4 + length, 4 + (length + 3 & ~3)
        if buffer[0] >> 6 == 0:
            return 0, HEADER_BYTES + length, HEADER_BYTES + length
        self.gap()
        return None
