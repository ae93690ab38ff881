"""Structures of arrays: one row (slot) a leg or a room, one array a property, grown by doubling."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray


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
        self._blanks: list[tuple[NDArray[Any], Any]] = []
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Lengthen every array to `capacity` rows; the rows that are there keep their content."""
        for name, column in self.SPEC.items():
            grown = np.full((capacity, *column.shape), column.empty, dtype=column.dtype)
            if self.capacity:
                grown[: self.capacity] = getattr(self, name)
            setattr(self, name, grown)
        self._blanks = [(getattr(self, name), column.empty) for name, column in self.SPEC.items()]
        self.capacity = capacity

    def clear(self, slot: int) -> None:
        """Make one row what it was at first."""
        for column, empty in self._blanks:
            column[slot] = empty


Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]
Words = NDArray[np.uint32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
