"""What a worker would tell of legs, from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ringback.media.measured import COUNTS, VALUES, Measured, pack
from ringback.media.protocol import LegStatistics


def measured(legs: Mapping[int, Mapping[str, float]], seconds: float = 1.0) -> Measured:
    """Columns by leg and name; counts left out are 0, values NaN."""
    names = sorted(legs)
    counts = np.array([[legs[leg].get(name, 0) for leg in names] for name in COUNTS], np.uint32)
    values = np.array([[legs[leg].get(name, np.nan) for leg in names] for name in VALUES], np.float32)
    return Measured(np.array(names, np.int64), counts, values, seconds)


def told(legs: Mapping[int, Mapping[str, float]]) -> LegStatistics:
    """The same as the worker's message."""
    return pack(measured(legs))
