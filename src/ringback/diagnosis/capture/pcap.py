"""The classic capture format, in either byte order, with µs or ns, and what can be read of it where it is
damaged (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
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

FILE_HEADER: Final = 24
_RECORD_HEADER: Final = 16
_PATCHED_HEADER: Final = 24
_MICROSECONDS: Final = 1_000_000
_NANOSECONDS: Final = 1_000_000_000
_NEAR_S: Final = 3600
"""Two records in a row that are farther apart are looked at twice."""
_RUN: Final = 3
"""Headers that must follow each other before chance is ruled out."""
_LOOK_AHEAD: Final = (_RUN + 1) * (LARGEST_RECORD + _PATCHED_HEADER)
_PIECE: Final = 1 << 14
_END: Final = -1
_LOST: Final = -2
_ODD_FILE: Final = 8
"""So many records that look odd but are followed by others are the file's way, if they are half of all."""


class Form(NamedTuple):
    """How a file writes its numbers."""

    big: bool
    per_second: int
    header: int = _RECORD_HEADER

    @property
    def numbers(self) -> struct.Struct:
        """The first four of a record: seconds, fraction, octets there, octets on the wire."""
        return _BIG if self.big else _LITTLE


_BIG: Final = struct.Struct(">IIII")
_LITTLE: Final = struct.Struct("<IIII")
MAGIC: Final[dict[bytes, Form]] = {
    bytes.fromhex("a1b2c3d4"): Form(True, _MICROSECONDS),
    bytes.fromhex("d4c3b2a1"): Form(False, _MICROSECONDS),
    bytes.fromhex("a1b23c4d"): Form(True, _NANOSECONDS),
    bytes.fromhex("4d3cb2a1"): Form(False, _NANOSECONDS),
    # Of a patched libpcap, with eight octets more in each record.
    bytes.fromhex("a1b2cd34"): Form(True, _MICROSECONDS, _PATCHED_HEADER),
    bytes.fromhex("34cdb2a1"): Form(False, _MICROSECONDS, _PATCHED_HEADER),
}


class Walked(NamedTuple):
    """Records from one place on: columns as in `Batch`, and where and why they end there."""

    offset: NDArray[np.int64]
    captured: NDArray[np.uint32]
    original: NDArray[np.uint32]
    at_ns: NDArray[np.int64]
    stopped: int
    odd: bool
    """The next header makes no sense by itself; otherwise it is not all there."""


def walk(data: Octets, at: int, form: Form, last: int, *, strict: bool, trusted: int, most: int) -> Walked:
    """Records of `data` from `at` on, while their headers are plausible.

    `last` is the time of the record before in seconds, -1 for none. A record at `trusted` is taken if only
    its length can be; without `strict` all are.
    """
    most = min(most, max(0, len(data) - at) // form.header + 1)
    offset, captured = np.empty(most, np.int64), np.empty(most, np.uint32)
    original, at_ns = np.empty(most, np.uint32), np.empty(most, np.int64)
    state = np.array([at, 0, last], np.int64)
    if kernels is not None:
        n = kernels.rb_pcap_walk(
            pointer(data),
            len(data),
            at,
            form.big,
            form.header,
            form.per_second,
            LARGEST_RECORD,
            strict,
            trusted,
            most,
            *map(pointer, (offset, captured, original, at_ns, state)),
        )
        return Walked(offset[:n], captured[:n], original[:n], at_ns[:n], int(state[0]), bool(state[1]))
    view, n, odd = data.data, 0, False
    unit = _NANOSECONDS // form.per_second
    while n < most and at + form.header <= len(data):
        seconds, fraction, there, whole = form.numbers.unpack_from(view, at)
        if there > LARGEST_RECORD or (
            strict and at != trusted and _is_odd(seconds, fraction, there, whole, form, last)
        ):
            odd = True
            break
        if at + form.header + there > len(data):
            break
        offset[n], captured[n], original[n] = at + form.header, there, whole
        at_ns[n] = seconds * _NANOSECONDS + fraction * unit
        last = seconds
        at += form.header + there
        n += 1
    return Walked(offset[:n], captured[:n], original[:n], at_ns[:n], at, odd)


def _is_odd(seconds: int, fraction: int, there: int, whole: int, form: Form, last: int) -> bool:
    apart = seconds - last if last >= 0 else 0
    return there > whole or fraction >= form.per_second or abs(apart) > _NEAR_S


def _near(seconds: int, times: Iterable[int]) -> bool:
    return any(abs(seconds - time) <= _NEAR_S for time in times)


def follows(data: Octets, at: int, form: Form, last: int, *, ended: bool) -> bool:
    """Whether the record at `at`, however odd itself, is followed by plausible ones, or by the file's end."""
    view, times = data.data, [last] if last >= 0 else []
    for place in range(_RUN):
        if at + form.header > len(data):
            return place > 0 and ended and at == len(data)
        seconds, fraction, there, whole = form.numbers.unpack_from(view, at)
        if not 0 < there <= LARGEST_RECORD:
            return False
        if not place:
            # Programs exist that do not fill in the length on the wire.
            unfilled = there > whole
        elif not _near(seconds, times) or fraction >= form.per_second or (there > whole) != unfilled:
            return False
        times.append(seconds)
        at += form.header + there
    return at <= len(data) or not ended


def find(data: Octets, start: int, form: Form, last: int, *, ended: bool) -> int:
    """Where from `start` on the next record begins that others follow; -1 if none does."""
    order = ">u4" if form.big else "<u4"
    piece = _PIECE
    while start + form.header <= len(data):
        part = data[start : start + piece + form.header]
        candidates = np.zeros(max(0, len(part) - form.header + 1), np.bool_)
        for shift in range(4):
            words = part[shift : shift + (len(part) - shift) // 4 * 4].view(order).astype(np.int64)
            count = len(candidates[shift::4])
            seconds, fraction, there, whole = (words[i : i + count] for i in range(4))
            good = (there > 0) & (there <= whole) & (whole <= LARGEST_RECORD) & (fraction < form.per_second)
            if last >= 0:
                good &= np.abs(seconds - last) <= _NEAR_S
            candidates[shift::4] = good
        for place in np.flatnonzero(candidates):
            if follows(data, start + int(place), form, last, ended=ended):
                return start + int(place)
        start += len(candidates)
        piece = min(piece * 4, 1 << 20)
    return -1


def guess_form(data: Octets, *, ended: bool) -> Form | None:
    """The form of a file whose magic number is damaged: that in which records begin first."""
    found = {form: find(data, FILE_HEADER, form, -1, ended=ended) for form in MAGIC.values()}
    return min((form for form in found if found[form] >= 0), key=lambda form: found[form], default=None)


class PcapReader:
    """Reads one file; `records` gives its batches, once."""

    def __init__(self, window: Window, problems: Problems, form: Form) -> None:
        self._window = window
        self._problems = problems
        self._form = form
        self._frame = 1
        self._last_ns = -1
        self._odd_records = 0
        self._other_times: deque[int] = deque(maxlen=AGREEING)
        """Of records that were far from the one before and believed: another clock's."""
        self._link = 0

    def records(self, most: int = MOST_RECORDS) -> Iterator[Batch]:
        """All records, at most so many at once (two or more)."""
        window = self._window
        if len(window.data) < FILE_HEADER:
            self._problems.add(0, "the file ends within its header")
            return
        order = ">" if self._form.big else "<"
        # The upper bits say how long a checksum the frames have; what is in IP knows its own length.
        self._link = struct.unpack_from(f"{order}I", window.data.data, 20)[0] & 0xFFFF
        at, trusted = FILE_HEADER, -1
        while at >= 0:
            data = window.data
            strict = self._odd_records < max(_ODD_FILE, self._frame // 2)
            found = walk(data, at, self._form, self._last, strict=strict, trusted=trusted, most=most)
            n = len(found.offset)
            if found.odd and (window.ended or len(data) - found.stopped >= _LOOK_AHEAD):
                found, at = self._over_damage(found)
            elif window.ended and n < most:
                found, at = self._over_damage(found) if found.stopped < len(data) else (found, _END)
            elif n:
                # The last record is kept back: whether its length is right, only the next header tells.
                at = int(found.offset[n - 1]) - self._form.header
                self._last_ns = int(found.at_ns[n - 1])
                found = found._replace(offset=found.offset[: n - 1])
            if len(found.offset):
                yield self._batch(found)
            if at == _LOST:
                at = self._seek(found.stopped)
            elif at >= 0:
                window.forget(at)
                at = 0
            trusted = at

    @property
    def _last(self) -> int:
        """The time of the last record in seconds, -1 before the first."""
        return self._last_ns // _NANOSECONDS

    def _batch(self, found: Walked) -> Batch:
        n = len(found.offset)
        link = np.full(n, self._link, np.uint16)
        first, self._frame = self._frame, self._frame + n
        return Batch(
            self._window.data,
            found.offset,
            found.captured[:n],
            found.original[:n],
            found.at_ns[:n],
            link,
            first,
        )

    def _over_damage(self, found: Walked) -> tuple[Walked, int]:
        """What becomes of the records before an odd or cut one, and where to go on."""
        window, form, head = self._window, self._form, self._form.header
        data, place, n = window.data, found.stopped, len(found.offset)
        if n:
            self._last_ns = int(found.at_ns[-1])
        whole_header = place + head <= len(data)
        if found.odd and whole_header and follows(data, place, form, self._last, ended=window.ended):
            return self._take_odd(found)
        before = int(found.offset[-1]) - head if n else -1
        start = place + 1 if before < 0 else before + head
        following = self._find(data, start)
        if following >= 0:
            return self._mend(found, before, following), following
        if not window.ended:
            return found, _LOST
        left = len(data) - place
        if found.odd:
            words = f"damaged: in the last {left} octets nothing looks like packets"
        else:
            words = f"the file is cut within a packet, of which {left} octets are left"
        self._problems.add(window.start + place, words, 1)
        return found, _END

    def _take_odd(self, found: Walked) -> tuple[Walked, int]:
        """Take a record that is odd itself but followed by others; its time, where only that is odd, is not
        believed."""
        place, form = found.stopped, self._form
        self._odd_records += 1
        seconds, fraction, there, whole = form.numbers.unpack_from(self._window.data.data, place)
        beyond = place + form.header + there
        at_ns = seconds * _NANOSECONDS + fraction * (_NANOSECONDS // form.per_second)
        words = "the time of a packet is damaged; that of the packet beside it is taken"
        if self._last >= 0 and _is_odd(seconds, fraction, 0, 0, form, self._last):
            if not self._agreed(beyond, seconds) and not _near(seconds, self._other_times):
                at_ns = self._last_ns
                self._problems.add(self._window.start + place, words, 1)
            else:
                self._other_times.append(seconds)
                if self._frame == len(found.offset) == 1 and not self._agreed(beyond, self._last):
                    found.at_ns[0] = at_ns
                    self._problems.add(FILE_HEADER, words, 1)
        self._last_ns = at_ns
        return self._with(found, place, there, max(whole, there), at_ns), beyond

    def _agreed(self, at: int, seconds: int) -> bool:
        """Whether one of the next records, the first at `at`, is of about the same time."""
        data, form = self._window.data, self._form
        for _ in range(AGREEING):
            if at + form.header > len(data):
                break
            other, _, there, _ = form.numbers.unpack_from(data.data, at)
            if _near(other, (seconds,)):
                return True
            at += form.header + there
        return False

    def _mend(self, found: Walked, before: int, following: int) -> Walked:
        """Find out which length is damaged, knowing where the following record begins: that of the record
        `before`, or that of the one at which the walk stopped."""
        head, place, start = self._form.header, found.stopped, self._window.start
        if before >= 0:
            room = following - before - head
            if following < place or int(found.original[-1]) == room:
                found.captured[-1] = room
                found.original[-1] = max(int(found.original[-1]), room)
                words = "the length of a packet is damaged; it ends where the next one begins"
                self._problems.add(start + before, words, 1)
                return found
        passed = self._lengths(place, following)
        if passed and self._last >= 0:
            words = "headers of packets are damaged, but not their lengths"
            if len(passed) == 1:
                words = "the header of a packet is damaged; it ends where the next one begins"
            self._problems.add(start + place, words, len(passed))
            for at, there in passed:
                seconds, fraction, _, whole = self._form.numbers.unpack_from(self._window.data.data, at)
                at_ns = seconds * _NANOSECONDS + fraction * (_NANOSECONDS // self._form.per_second)
                odd = _is_odd(seconds, fraction, 0, 0, self._form, self._last)
                whole = whole if there <= whole <= LARGEST_RECORD else there
                found = self._with(found, at, there, whole, self._last_ns if odd else at_ns)
            return found
        self._skipped(start + place, following - place)
        return found

    def _lengths(self, place: int, following: int) -> list[tuple[int, int]]:
        """Places and lengths of records that lead from one place exactly to another; none if they do not."""
        head, view = self._form.header, self._window.data.data
        if self._form.numbers.unpack_from(view, place)[3] == following - place - head:
            return [(place, following - place - head)]
        passed = []
        while place + head <= following:
            there = self._form.numbers.unpack_from(view, place)[2]
            passed.append((place, there))
            place += head + there
        return passed if place == following else []

    def _with(self, found: Walked, place: int, there: int, whole: int, at_ns: int) -> Walked:
        return found._replace(
            offset=np.append(found.offset, np.int64(place + self._form.header)),
            captured=np.append(found.captured, np.uint32(there)),
            original=np.append(found.original, np.uint32(whole)),
            at_ns=np.append(found.at_ns, np.int64(at_ns)),
        )

    def _find(self, data: Octets, start: int) -> int:
        """Where the next record begins: one near in time, or else, as the last time may be wrong, any."""
        following = find(data, start, self._form, self._last, ended=self._window.ended)
        if following < 0 <= self._last:
            following = find(data, start, self._form, -1, ended=self._window.ended)
            if following >= 0:
                self._last_ns = -1
        return following

    def _seek(self, place: int) -> int:
        """Move the window on until a record begins in it, and say where; _END where none does."""
        window, damaged = self._window, self._window.start + place
        window.forget(place)
        while True:
            following = self._find(window.data, 1)
            if following >= 0:
                window.forget(following)
                self._skipped(damaged, window.start - damaged)
                return 0
            if window.ended:
                left = window.start + len(window.data) - damaged
                words = f"damaged: in the last {left} octets nothing looks like packets"
                self._problems.add(damaged, words, 1)
                return _END
            window.forget(max(1, len(window.data) - _LOOK_AHEAD))

    def _skipped(self, offset: int, octets: int) -> None:
        self._problems.add(offset, f"damaged: {octets} octets were skipped up to the next packet", 1)
