"""Structures of arrays: one row (slot) a leg or a room, one array a property, grown by doubling.

To grow costs nothing: addresses for many rows are reserved, and the system gives a page of them memory when
it is first written to. Copying the columns of 2,048 legs stopped everybody's sound for 0.15 s.
"""

from __future__ import annotations

import math
import mmap
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

RESERVED_ROWS = 8192
"""More than a core carries. Those beyond are copied."""


class Column(NamedTuple):
    """How one property is kept: its dtype, the shape of one row, and what an unused row holds."""

    dtype: DTypeLike
    shape: tuple[int, ...] = ()
    empty: Any = 0


class Columns:
    """Arrays of equal length under the names given by `SPEC`; subclasses annotate the same names."""

    SPEC: ClassVar[dict[str, Column]] = {}

    def __init__(self, capacity: int) -> None:
        self.capacity = 0
        self._reserved: dict[str, NDArray[Any]] = {}
        self._rows = 0
        self._blanks: list[tuple[NDArray[Any], Any]] = []
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Lengthen every array to `capacity` rows; the rows that are there keep their content."""
        before, self.capacity = self.capacity, capacity
        if capacity > self._rows:
            self._rows = max(capacity, RESERVED_ROWS)
            reserved = _reserve(self._rows, self.SPEC)
            for name, array in reserved.items():
                if before:
                    array[:before] = getattr(self, name)
            self._reserved = reserved
        for name, column in self.SPEC.items():
            # Where nothing was written there are zeros.
            if column.empty:
                self._reserved[name][before:capacity] = column.empty
            setattr(self, name, self._reserved[name][:capacity])
        self._blanks = [(getattr(self, name), column.empty) for name, column in self.SPEC.items()]

    def clear(self, slot: int) -> None:
        """Make one row what it was at first."""
        for column, empty in self._blanks:
            column[slot] = empty


def _reserve(rows: int, spec: dict[str, Column]) -> dict[str, NDArray[Any]]:
    """Arrays of zeros of so many rows, each on pages of its own, that take memory as they are written to."""
    dtypes = {name: np.dtype(column.dtype) for name, column in spec.items()}
    counts = {name: rows * math.prod(column.shape) for name, column in spec.items()}
    sizes = {name: -(-counts[name] * dtypes[name].itemsize // mmap.PAGESIZE) * mmap.PAGESIZE for name in spec}
    starts = dict(zip(spec, accumulate(sizes.values(), initial=0), strict=False))
    memory = mmap.mmap(-1, sum(sizes.values()), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return {
        name: np.frombuffer(memory, dtypes[name], counts[name], starts[name]).reshape(rows, *column.shape)
        for name, column in spec.items()
    }


Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]
Words = NDArray[np.uint32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
