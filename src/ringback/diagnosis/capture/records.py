"""What the readers of capture formats share: a window that moves over a file, and records as columns."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import FileProblem

Octets = NDArray[np.uint8]

WINDOW_BYTES: Final = 1 << 23
"""What is looked at at once: large enough that a call a window costs nothing, small enough for a cache."""
LARGEST_RECORD: Final = 262_144
"""Octets of a packet beyond which a length is damaged, not large; Wireshark's own limit."""
MOST_RECORDS: Final = 1 << 16
"""In one batch."""
AGREEING: Final = 8
"""Of so many packets beside one, at least one must agree with a time that is hours away from that before."""
_MOST_PROBLEMS: Final = 100
_GZIP: Final = b"\x1f\x8b"
_SKIP_BYTES: Final = 1 << 20


class Batch(NamedTuple):
    """Records that follow each other in a file: an array of n each.

    `data` uint8[…] has the packets, each `captured` uint32 octets from `offset` int64 on; it is valid until
    the next batch is asked for. `original` uint32 is how many octets a packet had on the wire, `at_ns`
    int64 its time, `link` uint16 its link type (pcap's LINKTYPE). `frame` is the number of the first one.
    """

    data: Octets
    offset: NDArray[np.int64]
    captured: NDArray[np.uint32]
    original: NDArray[np.uint32]
    at_ns: NDArray[np.int64]
    link: NDArray[np.uint16]
    frame: int


class Problems:
    """What is wrong with one file: the first hundred places, and how many more there are."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._told: list[FileProblem] = []
        self._more = 0
        self._packets = 0

    def add(self, offset: int, problem: str, packets: int = 0) -> None:
        """Note a problem at an octet of the file that concerns so many packets."""
        if len(self._told) < _MOST_PROBLEMS:
            self._told.append(FileProblem(self._file, offset, problem, packets))
        else:
            self._more += 1
            self._packets += packets

    def all(self) -> tuple[FileProblem, ...]:
        """All of them."""
        if not self._more:
            return tuple(self._told)
        words = f"{self._more} more places are damaged"
        return (*self._told, FileProblem(self._file, -1, words, self._packets))


class Window:
    """A file, unpacked on the way if it is gzip's, of which a part that moves on is in memory.

    `data` uint8[…] is that part, `start` where in the (unpacked) file it begins, and `ended` says that
    nothing comes behind it. `fault` tells in words why reading ended before the end of the file.
    Opening raises OSError; reading does not.
    """

    def __init__(self, path: Path, size: int = WINDOW_BYTES) -> None:
        self._raw = io.FileIO(path)
        self.octets = os.fstat(self._raw.fileno()).st_size
        self._read_into: Callable[[memoryview], int | None] = self._raw.readinto
        if self._raw.read(2) == _GZIP:
            # One piece at a time: what was unpacked before a fault is not lost.
            self._read_into = gzip.GzipFile(fileobj=self._raw).readinto1
        self._raw.seek(0)
        self._buffer = np.empty(size, np.uint8)
        self._filled = 0
        self.start = 0
        self.ended = False
        self.fault = ""
        self._fill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    @property
    def data(self) -> Octets:
        """What is in memory."""
        return self._buffer[: self._filled]

    @property
    def done(self) -> int:
        """How many octets of the file itself, packed or not, have been read."""
        return self._raw.tell()

    def forget(self, octets: int) -> None:
        """Move on by so many octets, which may be more than are in memory."""
        kept = self._filled - octets
        self.start += octets
        if kept > 0:
            self._buffer[:kept] = self._buffer[octets : self._filled].copy()
        self._filled = max(0, kept)
        self._skip(-kept)
        self._fill()

    def _skip(self, octets: int) -> None:
        while octets > 0 and not self.ended:
            octets -= self._read(min(octets, _SKIP_BYTES, len(self._buffer)), 0)

    def _fill(self) -> None:
        while not self.ended and self._filled < len(self._buffer):
            self._filled += self._read(len(self._buffer) - self._filled, self._filled)

    def _read(self, octets: int, place: int) -> int:
        try:
            got = self._read_into(self._buffer[place : place + octets].data) or 0
        except (OSError, EOFError, zlib.error) as error:
            self.fault = str(error) or type(error).__name__
            got = 0
        self.ended = got == 0
        return got
