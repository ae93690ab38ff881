"""The next generation's capture format: sections, interfaces and packets, and what can be read of them where
the file is damaged (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.records import (
    AGREEING,
    LARGEST_RECORD,
    MOST_RECORDS,
    Batch,
    Octets,
    Problems,
    Window,
)
from ringback.native import at as pointer
from ringback.native import kernels

MAGIC: Final = bytes.fromhex("0a0d0d0a")
_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE: Final = 3
_ENHANCED: Final = 6
_KNOWN: Final = frozenset({_SECTION, 1, 2, 3, 4, 5, 6, 0xA, 0xBAD, 0x40000BAD})
_BYTE_ORDER: Final = 0x1A2B3C4D
_LARGEST_BLOCK: Final = 1 << 26
"""Of names, secrets or notes; packets are bounded as in the classic format."""
_PACKET_EXTRA: Final = 65_536
"""Room for a packet's options."""
_LARGEST_PACKET: Final = LARGEST_RECORD + _PACKET_EXTRA
_OPTION_SNAP: Final = 0
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14
_NANOSECONDS: Final = 1_000_000_000
_NO_TIME: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_LATEST_S: Final = 1 << 33
"""Later than any capture, and in ns still an int64."""
_FAR_NS: Final = 3600 * _NANOSECONDS
_PIECE: Final = 1 << 14
_MOST_INTERFACES: Final = 65_536
_END: Final = -1
_LOST: Final = -2


class Interface(NamedTuple):
    """What a file says of one of its interfaces: link type, ticks a second, seconds to add to its clock."""

    link: int
    per_second: int
    late_s: int
    snap_length: int


class Walked(NamedTuple):
    """Packets from one place on, and where and why they end there (`DONE` and the others below)."""

    offset: NDArray[np.int64]
    captured: NDArray[np.uint32]
    original: NDArray[np.uint32]
    interface: NDArray[np.uint32]
    ticks: NDArray[np.uint64]
    stopped: int
    reason: int


DONE: Final = 0
"""The next block is not all there, or there are enough."""
ODD: Final = 1
"""What comes is no block."""
DEFINITION: Final = 2
"""A section or an interface begins."""


def walk(data: Octets, at: int, *, big: bool, simple_limit: int, most: int) -> Walked:
    """Packets of `data` from the block at `at` on; blocks of no interest are passed over.

    `simple_limit` is the snap length that simple packets obey, 0 for none.
    """
    most = min(most, max(0, len(data) - at) // 16 + 1)
    offset, captured = np.empty(most, np.int64), np.empty(most, np.uint32)
    original, interface = np.empty(most, np.uint32), np.empty(most, np.uint32)
    ticks = np.empty(most, np.uint64)
    if kernels is not None:
        state = np.array([at, 0], np.int64)
        columns = (offset, captured, original, interface, ticks, state)
        n = kernels.rb_pcapng_walk(
            pointer(data),
            len(data),
            at,
            big,
            _LARGEST_BLOCK,
            _LARGEST_PACKET,
            simple_limit,
            most,
            *map(pointer, columns),
        )
        return _first(Walked(offset, captured, original, interface, ticks, int(state[0]), int(state[1])), n)
    view, n, reason = data.data, 0, DONE
    order = ">" if big else "<"
    two, four, five = struct.Struct(f"{order}II"), struct.Struct(f"{order}I"), struct.Struct(f"{order}IIIII")
    while n < most and at + 12 <= len(data):
        kind, length = two.unpack_from(view, at)
        if kind in (_SECTION, _INTERFACE):
            reason = DEFINITION
            break
        head = {_ENHANCED: 28, _OLD_PACKET: 28, _SIMPLE: 12}.get(kind, 0)
        if length < max(12, head + 4) or length & 3 or length > (_LARGEST_PACKET if head else _LARGEST_BLOCK):
            reason = ODD
            break
        if at + length > len(data):
            break
        if four.unpack_from(view, at + length - 4)[0] != length:
            reason = ODD
            break
        if head:
            if kind == _SIMPLE:
                whole = there = four.unpack_from(view, at + 8)[0]
                there = min(there, simple_limit or there)
                interface[n], ticks[n] = 0, _NO_TIME
            else:
                number, high, low, there, whole = five.unpack_from(view, at + 8)
                if kind == _OLD_PACKET:
                    number = struct.unpack_from(f"{order}H", view, at + 8)[0]
                interface[n], ticks[n] = number, high << 32 | low
            offset[n], captured[n], original[n] = at + head, min(there, length - head - 4), whole
            n += 1
        at += length
    return _first(Walked(offset, captured, original, interface, ticks, at, reason), n)


def _first(walked: Walked, n: int) -> Walked:
    return Walked(
        walked.offset[:n],
        walked.captured[:n],
        walked.original[:n],
        walked.interface[:n],
        walked.ticks[:n],
        walked.stopped,
        walked.reason,
    )


def block_length(data: Octets, at: int, *, big: bool) -> int:
    """The length of a block of known kind that begins at `at`, if both places that tell it agree; else 0."""
    if at + 12 > len(data):
        return 0
    view, order = data.data, ">" if big else "<"
    kind, length = struct.unpack_from(f"{order}II", view, at)
    if kind == _SECTION and at + 16 <= len(data):
        order = _section_order(data, at) or order
        length = struct.unpack_from(f"{order}I", view, at + 4)[0]
    if kind not in _KNOWN or length < 12 or length & 3 or length > _LARGEST_PACKET:
        return 0
    if at + length > len(data):
        return 0
    return int(length) if struct.unpack_from(f"{order}I", view, at + length - 4)[0] == length else 0


def find(data: Octets, start: int, *, big: bool) -> int:
    """Where from `start` on the next block of a known kind begins; -1 if none does."""
    order, piece = ">u4" if big else "<u4", _PIECE
    known = np.array(sorted(_KNOWN), np.uint32)
    while start + 12 <= len(data):
        part = data[start : start + piece + 8]
        candidates = np.zeros(len(part) - 7, np.bool_)
        for shift in range(4):
            words = part[shift : shift + (len(part) - shift) // 4 * 4].view(order)
            count = len(candidates[shift::4])
            length = words[1 : 1 + count]
            candidates[shift::4] = np.isin(words[:count], known) & (length & 3 == 0) & (length >= 12)
        for place in np.flatnonzero(candidates):
            if block_length(data, start + int(place), big=big):
                return start + int(place)
        start += len(candidates)
        piece = min(piece * 4, 1 << 20)
    return -1


def _section_order(data: Octets, at: int) -> str:
    """The byte order of the section that begins at `at`, as struct writes it; empty if it tells none."""
    view = data.data
    for order in "<>":
        if struct.unpack_from(f"{order}I", view, at + 8)[0] == _BYTE_ORDER:
            return order
    return ""


def has_byte_order(data: Octets) -> bool:
    """Whether a file shows itself as this format by the mark of its byte order."""
    return len(data) >= 28 and _section_order(data, 0) != ""


def read_interface(block: bytes, *, big: bool) -> Interface:
    """What the body of an interface's block says (without its type and lengths)."""
    order = ">" if big else "<"
    link, _, snap_length = struct.unpack_from(f"{order}HHI", block)
    per_second, late_s, at = 1_000_000, 0, 8
    while at + 4 <= len(block):
        code, length = struct.unpack_from(f"{order}HH", block, at)
        value = block[at + 4 : at + 4 + length]
        if code == _OPTION_SNAP:
            break
        if code == _OPTION_RESOLUTION and len(value) == 1:
            exponent = value[0] & 0x7F
            per_second = (2 if value[0] & 0x80 else 10) ** min(exponent, 64 if value[0] & 0x80 else 19)
        elif code == _OPTION_OFFSET and len(value) == 8:
            late_s = struct.unpack(f"{order}q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return Interface(link, per_second, late_s, snap_length)


def to_nanoseconds(ticks: NDArray[np.uint64], interface: Interface) -> NDArray[np.int64]:
    """Ticks of an interface's clock as ns since 1970; what no clock can say is kept within 0 and 2^33 s."""
    rate = min(interface.per_second, (1 << 64) - 1)
    seconds = ticks // np.uint64(rate)
    rest = ticks - seconds * np.uint64(rate)
    if rate <= _NANOSECONDS:
        fraction = rest * np.uint64(_NANOSECONDS) // np.uint64(rate)
    else:
        fraction = (rest.astype(np.float64) * (_NANOSECONDS / rate)).astype(np.uint64)
    late = max(-_LATEST_S, min(_LATEST_S, interface.late_s))
    whole = np.minimum(seconds, np.uint64(_LATEST_S)).astype(np.int64) + late
    ns: NDArray[np.int64] = np.clip(whole, 0, _LATEST_S) * _NANOSECONDS + fraction.astype(np.int64)
    return ns


def settle(at_ns: NDArray[np.int64], before: NDArray[np.int64]) -> int:
    """Give packets the time of the one before where theirs is hours away from it and none near it agrees.

    Done in place; `before` are the times of the packets before these, at most AGREEING, none at the
    beginning. Returns how many there were.
    """
    joined = np.concatenate((before, at_ns))
    # What no clock can say was made the latest time of all: such do not confirm each other.
    absurd = joined >= _LATEST_S * _NANOSECONDS
    far = absurd | (np.abs(np.diff(joined, prepend=joined[-1])) > _FAR_NS)
    settled = 0
    for place in np.flatnonzero(far).tolist():
        if place < len(before) or len(joined) == 1:
            continue
        neighbour = joined[place - 1] if place else joined[1]
        around = np.abs(joined[max(0, place - AGREEING) : place + 1 + AGREEING] - joined[place])
        alone = np.count_nonzero(around <= _FAR_NS) == 1 or absurd[place]
        if abs(joined[place] - neighbour) > _FAR_NS and alone:
            joined[place] = neighbour
            settled += 1
    at_ns[:] = joined[len(before) :]
    return settled


class PcapngReader:
    """Reads one file; `records` gives its batches, once."""

    def __init__(self, window: Window, problems: Problems) -> None:
        self._window = window
        self._problems = problems
        self._big = False
        self._interfaces: list[Interface] = []
        self._assumed = False
        self._frame = 1
        self._last_ns = -1
        self._before = np.empty(0, np.int64)

    def records(self, most: int = MOST_RECORDS) -> Iterator[Batch]:
        """All packets, at most so many at once."""
        window, at = self._window, 0
        while at >= 0:
            limit = self._interfaces[0].snap_length if self._interfaces else 0
            found = walk(window.data, at, big=self._big, simple_limit=limit, most=most)
            stopped, reason = found.stopped, found.reason
            near_end = not window.ended and len(window.data) - stopped < 2 * _LARGEST_PACKET
            if reason != DONE and near_end and stopped > 0:
                at = stopped
            elif reason == DEFINITION:
                if len(found.offset):
                    yield from self._batch(found)
                    found = found._replace(offset=found.offset[:0])
                at = self._define(stopped)
                if at < 0:
                    found, at = self._over_damage(found)
            elif reason == ODD:
                found, at = self._over_damage(found)
            elif window.ended and len(found.offset) < most:
                found, at = self._over_damage(found) if stopped < len(window.data) else (found, _END)
            elif stopped == 0 and not len(found.offset):
                found, at = self._over_large(found)
            else:
                at = stopped
            if len(found.offset):
                yield from self._batch(found)
            if at == _LOST:
                at = self._seek(stopped)
            elif at >= 0:
                window.forget(at)
                at = 0

    def _define(self, at: int) -> int:
        """Take the section or interface at `at`; where the next block begins, or _END if it is damaged."""
        data = self._window.data
        if at + 20 > len(data):
            return _END
        kind_order = ">I" if self._big else "<I"
        kind = struct.unpack_from(kind_order, data.data, at)[0]
        if kind == _SECTION:
            length = bytes(data[at + 4 : at + 8])
            # Where even the mark of the byte order is damaged, the length of a section's header is small.
            order = _section_order(data, at) or ("<" if length[2:] == bytes(2) else ">")
            self._big = order == ">"
            self._interfaces = []
        octets = block_length(data, at, big=self._big)
        if octets < 20:
            return _END
        if kind == _INTERFACE and len(self._interfaces) < _MOST_INTERFACES:
            self._interfaces.append(read_interface(bytes(data[at + 8 : at + octets - 4]), big=self._big))
        return at + octets

    def _batch(self, found: Walked) -> Iterator[Batch]:
        n = len(found.offset)
        numbers = found.interface[:n]
        if not self._interfaces:
            self._interfaces.append(Interface(1, 1_000_000, 0, 0))
            words = "no interface is described: Ethernet and microseconds are assumed"
            self._problems.add(self._window.start + int(found.offset[0]), words)
        unknown = numbers >= len(self._interfaces)
        if unknown.any():
            words = "packets of an interface that is not described are taken for the first one's"
            first = int(found.offset[np.flatnonzero(unknown)[0]])
            self._problems.add(self._window.start + first, words, int(unknown.sum()))
            numbers = np.where(unknown, 0, numbers)
        at_ns, link = np.empty(n, np.int64), np.empty(n, np.uint16)
        for number in np.unique(numbers):
            rows = numbers == number
            at_ns[rows] = to_nanoseconds(found.ticks[:n][rows], self._interfaces[number])
            link[rows] = self._interfaces[number].link
        self._time_the_simple(found.ticks[:n] == _NO_TIME, at_ns)
        if settle(at_ns, self._before):
            words = "times of packets are damaged; those of the packets before are taken"
            self._problems.add(self._window.start + int(found.offset[0]), words)
        self._last_ns = int(at_ns[-1])
        self._before = np.concatenate((self._before, at_ns[-AGREEING:]))[-AGREEING:]
        first, self._frame = self._frame, self._frame + n
        yield Batch(
            self._window.data, found.offset, found.captured[:n], found.original[:n], at_ns, link, first
        )

    def _time_the_simple(self, simple: NDArray[np.bool_], at_ns: NDArray[np.int64]) -> None:
        """Simple packets have no time: that of the last packet with one is theirs."""
        if simple.any():
            source = np.maximum.accumulate(np.where(simple, -1, np.arange(len(at_ns))))
            at_ns[:] = np.where(source < 0, max(0, self._last_ns), at_ns[source])

    def _over_damage(self, found: Walked) -> tuple[Walked, int]:
        """What becomes of a block that makes no sense or is cut, and where to go on."""
        window, place = self._window, found.stopped
        data, start = window.data, window.start + found.stopped
        following = find(data, place + 4, big=self._big)
        if following < 0:
            if not window.ended:
                return found, _LOST
            left = len(data) - place
            if found.reason == DONE:
                words = f"the file is cut within a block, of which {left} octets are left"
            else:
                words = f"damaged: in the last {left} octets nothing looks like packets"
            self._problems.add(start, words, 1)
            return found, _END
        room = following - place
        order, view = ">" if self._big else "<", data.data
        kind, told = struct.unpack_from(f"{order}II", view, place)
        told_again = struct.unpack_from(f"{order}I", view, following - 4)[0]
        if room in (told, told_again) and kind == _ENHANCED and room >= 32:
            number, high, low, there, whole = struct.unpack_from(f"{order}IIIII", view, place + 8)
            self._problems.add(start, "one of the two lengths of a packet is damaged; the other holds", 1)
            found = Walked(
                np.append(found.offset, np.int64(place + 28)),
                np.append(found.captured[: len(found.offset)], np.uint32(min(there, room - 32))),
                np.append(found.original[: len(found.offset)], np.uint32(whole)),
                np.append(found.interface[: len(found.offset)], np.uint32(number)),
                np.append(found.ticks[: len(found.offset)], np.uint64(high << 32 | low)),
                place,
                found.reason,
            )
        elif room in (told, told_again) and kind == _INTERFACE and room >= 20:
            self._problems.add(start, "one of the two lengths of an interface's block is damaged", 0)
            self._interfaces.append(read_interface(bytes(data[place + 8 : following - 4]), big=self._big))
        else:
            self._skipped(start, room)
        return found, following

    def _over_large(self, found: Walked) -> tuple[Walked, int]:
        """Pass over a block that is larger than the window, unless others begin within it."""
        data = self._window.data
        if find(data, 4, big=self._big) >= 0:
            return self._over_damage(found)
        return found, struct.unpack_from(">I" if self._big else "<I", data.data, 4)[0]

    def _seek(self, place: int) -> int:
        """Move the window on until a block begins in it, and say where; _END where none does."""
        window, damaged = self._window, self._window.start + place
        window.forget(place)
        while True:
            following = find(window.data, 4, big=self._big)
            if following >= 0:
                window.forget(following)
                self._skipped(damaged, window.start - damaged)
                return 0
            if window.ended:
                left = window.start + len(window.data) - damaged
                self._problems.add(
                    damaged, f"damaged: in the last {left} octets nothing looks like packets", 1
                )
                return _END
            window.forget(max(4, len(window.data) - 2 * _LARGEST_PACKET))

    def _skipped(self, offset: int, octets: int) -> None:
        self._problems.add(offset, f"damaged: {octets} octets were skipped up to the next block", 1)
