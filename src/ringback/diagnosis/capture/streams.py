"""RTP packets gathered by stream as they come, on disk where they are too many (RFC 3550, 3)."""

from __future__ import annotations

import os
import tempfile
import weakref
from dataclasses import dataclass
from typing import IO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Nanoseconds, Packets, StreamKey
from ringback.diagnosis.capture.keys import KeyTable
from ringback.diagnosis.capture.records import Octets
from ringback.diagnosis.capture.rows import ROW, stream_key, to_packets, whole

Rows = NDArray[np.void]
Longs = NDArray[np.int64]

MEMORY_BYTES: Final = 256 << 20
"""Of rows that are kept in memory before the others go to a temporary file."""
MOST_STREAMS: Final = 1 << 17
"""That are followed at once; beyond it those that do not look like RTP are forgotten."""
MOST_UNCERTAIN: Final = 10_000
"""That are handed on although they do not look like RTP."""
_SEGMENT_ROWS: Final = 1 << 18
_CERTAIN_PACKETS: Final = 4
_LARGEST_STEP: Final = 200
"""Of sequence numbers between packets of one stream, with losses."""
_LARGEST_CLOCK_STEP: Final = 10 * 96_000
"""Of time stamps, for each step of sequence numbers: ten seconds of the fastest clock."""


class Extents(NamedTuple):
    """Where rows lie: of stream `stream` `rows` ones from `start` of segment `segment` on; arrays of k."""

    stream: NDArray[np.int32]
    segment: NDArray[np.int32]
    start: Longs
    rows: Longs

    def pick(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Extents:
        """Some of them."""
        return Extents(self.stream[chosen], self.segment[chosen], self.start[chosen], self.rows[chosen])


class Shelf:
    """Segments of rows, in memory up to a limit and beyond it in a temporary file without a name."""

    def __init__(self, memory_bytes: int) -> None:
        self._left = memory_bytes
        self._segments: list[Rows | int] = []
        self._file: IO[bytes] | None = None

    def put(self, rows: Rows) -> int:
        """Keep a segment; its number. Raises OSError when the disk is full."""
        if rows.nbytes <= self._left:
            self._left -= rows.nbytes
            self._segments.append(rows)
        else:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            self._segments.append(self._file.seek(0, os.SEEK_END))
            left = rows.view(np.uint8).data
            while left:
                left = left[self._file.write(left) :]
        return len(self._segments) - 1

    def take(self, segment: int, start: int, out: Rows) -> None:
        """Copy rows of a segment from `start` on until `out` is full."""
        place = self._segments[segment]
        if not isinstance(place, int):
            whole(out)[:] = whole(place)[start : start + len(out)]
            return
        assert self._file is not None
        view, at = out.view(np.uint8).data, place + start * ROW.itemsize
        while view:
            got = os.preadv(self._file.fileno(), [view], at)
            if not got:
                raise OSError("the temporary file of packets was cut")
            view, at = view[got:], at + got


@dataclass(frozen=True, slots=True, eq=False)
class ShelvedStream:
    """An RtpStream whose packets lie on a shelf."""

    key: StreamKey
    count: int
    began_ns: Nanoseconds
    ended_ns: Nanoseconds
    shelf: Shelf
    extents: Extents

    def packets(self) -> Packets:
        """All of them. Raises OSError when a temporary file cannot be read."""
        rows = np.empty(self.count, ROW)
        filled = 0
        for segment, start, count in zip(*(column.tolist() for column in self.extents[1:]), strict=True):
            self.shelf.take(segment, start, rows[filled : filled + count])
            filled += count
        return to_packets(rows)


class Gathered(NamedTuple):
    """The streams of a capture in the order of their first packets, those among them that do not look like
    RTP, and how many packets were not kept because there were too many such streams."""

    streams: tuple[ShelvedStream, ...]
    uncertain: frozenset[StreamKey]
    forgotten_packets: int


class _Tally:
    """What is known of each stream by its number: arrays that grow."""

    _COLUMNS: Final = (
        ("packets", np.int64),
        ("began_ns", np.int64),
        ("ended_ns", np.int64),
        ("steps", np.int64),
        ("good_steps", np.int64),
        ("sequence", np.uint16),
        ("timestamp", np.uint32),
        ("segment", np.int32),
    )
    packets: Longs
    began_ns: Longs
    ended_ns: Longs
    steps: Longs
    good_steps: Longs
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    segment: NDArray[np.int32]

    def __init__(self) -> None:
        for name, kind in self._COLUMNS:
            setattr(self, name, np.zeros(0, kind))

    def grow(self, size: int) -> None:
        for name, kind in self._COLUMNS:
            column = getattr(self, name)
            if size > len(column):
                setattr(self, name, np.concatenate((column, np.zeros(max(size, len(column)), kind))))

    def keep(self, kept: NDArray[np.bool_]) -> None:
        for name, _ in self._COLUMNS:
            setattr(self, name, getattr(self, name)[: len(kept)][kept])


class StreamGatherer:
    """Takes rows and their keys in the order of the capture."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES, segment_rows: int = _SEGMENT_ROWS) -> None:
        self._table = KeyTable()
        self._tally = _Tally()
        self._shelf = Shelf(memory_bytes)
        self._extents: list[Extents] = []
        self._rows = np.empty(segment_rows, ROW)
        self._streams = np.empty(segment_rows, np.int32)
        self._waiting = 0
        self._segments = 0
        self._forgotten = 0

    def add(self, rows: Rows, keys: Octets) -> None:
        """Take rows ROW[n] and their keys uint8[n, 40]. Raises OSError where the disk is full."""
        if len(self._table) > MOST_STREAMS:
            self._shelve()
            self._forget()
        streams = self._table.number(keys)
        while len(rows):
            room = min(len(rows), len(self._rows) - self._waiting)
            place = slice(self._waiting, self._waiting + room)
            whole(self._rows)[place], self._streams[place] = whole(rows)[:room], streams[:room]
            self._waiting += room
            rows, streams = rows[room:], streams[room:]
            if self._waiting == len(self._rows):
                self._shelve()

    def finish(self) -> Gathered:
        """All streams; nothing may be added after."""
        self._shelve()
        certain = self._certain()
        doubtful = np.flatnonzero(~certain)
        if len(doubtful) > MOST_UNCERTAIN:
            most_packets = np.argsort(-self._tally.packets[doubtful], kind="stable")
            dropped = doubtful[most_packets[MOST_UNCERTAIN:]]
            kept = np.ones(len(certain), np.bool_)
            kept[dropped] = False
            self._drop(kept)
            certain = certain[kept]
        return self._gathered(certain)

    def _shelve(self) -> None:
        """Sort what waits by stream, count it, and put it away."""
        n, self._waiting = self._waiting, 0
        if not n:
            return
        order = stable_order(self._streams[:n])
        streams, rows = self._streams[:n][order], whole(self._rows).take(order, axis=0).view(ROW)[:, 0]
        starts = np.flatnonzero(np.concatenate(([True], streams[1:] != streams[:-1])))
        counts = np.diff(np.append(starts, n))
        numbers = streams[starts]
        self._count(rows, numbers, starts, counts)
        segment = self._shelf.put(rows)
        self._extents.append(Extents(numbers, np.full(len(numbers), segment, np.int32), starts, counts))
        self._segments += 1

    def _count(self, rows: Rows, numbers: NDArray[np.int32], starts: Longs, counts: Longs) -> None:
        tally = self._tally
        tally.grow(len(self._table))
        ends = starts + counts - 1
        new = tally.packets[numbers] == 0
        sequence, timestamp = rows["sequence"], rows["timestamp"]
        step = np.empty(len(rows), np.uint16)
        step[1:] = sequence[1:] - sequence[:-1]
        step[starts] = np.where(new, 0, sequence[starts] - tally.sequence[numbers])
        clock = np.empty(len(rows), np.uint32)
        clock[1:] = timestamp[1:] - timestamp[:-1]
        clock[starts] = timestamp[starts] - tally.timestamp[numbers]
        # A packet seen twice says nothing for or against.
        good = (step - np.uint16(1) < _LARGEST_STEP) & (clock <= step.astype(np.uint32) * _LARGEST_CLOCK_STEP)
        tally.steps[numbers] += np.add.reduceat((step != 0).astype(np.int64), starts)
        tally.good_steps[numbers] += np.add.reduceat(good.astype(np.int64), starts)
        tally.began_ns[numbers] = np.where(new, rows["arrived_ns"][starts], tally.began_ns[numbers])
        tally.ended_ns[numbers] = rows["arrived_ns"][ends]
        tally.packets[numbers] += counts
        tally.sequence[numbers], tally.timestamp[numbers] = sequence[ends], timestamp[ends]
        tally.segment[numbers] = self._segments

    def _certain(self) -> NDArray[np.bool_]:
        """Which streams look like RTP: most of their sequence numbers rise a little, and their clocks too."""
        tally, n = self._tally, len(self._table)
        tally.grow(n)
        enough = tally.packets[:n] >= _CERTAIN_PACKETS
        return enough & (2 * tally.good_steps[:n] > tally.steps[:n])

    def _forget(self) -> None:
        """Make room: streams that do not look like RTP and have ended go, then the smallest."""
        kept = self._certain() | (self._tally.segment[: len(self._table)] == self._segments - 1)
        if kept.sum() > MOST_STREAMS // 2:
            kept = self._certain()
        if kept.sum() > MOST_STREAMS // 4 * 3:
            longest = np.argsort(-(self._tally.packets[: len(kept)] * kept), kind="stable")
            kept[longest[MOST_STREAMS // 2 :]] = False
        self._drop(kept)

    def _drop(self, kept: NDArray[np.bool_]) -> None:
        self._forgotten += int(self._tally.packets[: len(kept)][~kept].sum())
        self._table.keep(kept)
        self._tally.keep(kept)
        extents = self._joined()
        renumbered = np.cumsum(kept, dtype=np.int32) - 1
        extents = extents.pick(kept[extents.stream])
        self._extents = [extents._replace(stream=renumbered[extents.stream])]

    def _joined(self) -> Extents:
        stream, segment, start, rows = zip(*self._extents, strict=True)
        return Extents(*map(np.concatenate, (stream, segment)), *map(np.concatenate, (start, rows)))

    def _gathered(self, certain: NDArray[np.bool_]) -> Gathered:
        if not len(self._table):
            return Gathered((), frozenset(), self._forgotten)
        extents = self._joined()
        order = stable_order(extents.stream)
        extents = extents.pick(order)
        ends = np.cumsum(np.bincount(extents.stream, minlength=len(self._table))).tolist()
        keys, tally = self._table.keys.tobytes(), self._tally
        width = self._table.keys.shape[1]
        streams = tuple(
            ShelvedStream(
                stream_key(keys[number * width : (number + 1) * width]),
                int(tally.packets[number]),
                int(tally.began_ns[number]),
                int(tally.ended_ns[number]),
                self._shelf,
                extents.pick(slice(begin, end)),
            )
            for number, (begin, end) in enumerate(zip([0, *ends], ends, strict=False))
        )
        uncertain = frozenset(stream.key for stream, sure in zip(streams, certain, strict=True) if not sure)
        return Gathered(streams, uncertain, self._forgotten)


def stable_order(numbers: NDArray[np.int32]) -> NDArray[np.intp]:
    """What sorts numbers from 0 on, equal ones in their order: by 16 bits at once, which NumPy counts."""
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if len(numbers) and numbers.max() > 0xFFFF:
        high = (numbers >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order
