"""One stream as curves over its packet slots: what came when, and how long it was under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.laid_out import LaidOut, lay_out
from ringback.diagnosis.stream.measured import PayloadFormat, Series

Column = TypeVar("Column", bound=np.generic)

MOST_SLOTS: Final = 4_000_000
"""Beside the packets themselves: where more were lost, every run of losses is drawn shorter."""


def curves(packets: Packets, formats: Mapping[int, PayloadFormat]) -> Series:
    """The curves of a stream; `formats` as in `measure`."""
    return draw(lay_out(packets, formats))


def draw(stream: LaidOut) -> Series:
    """The curves of a stream that was laid out.

    A stream that lost more than MOST_SLOTS packets, which only made-up numbers do, has its runs of losses
    cut to what fits: slots are fewer than `expected` then.
    """
    packets, counted, timing = stream.packets, stream.counted, stream.timing
    missing = counted.missing
    if counted.lost > MOST_SLOTS:
        missing = np.minimum(missing, MOST_SLOTS // max(int(np.count_nonzero(missing)), 1))
    rows = counted.rows
    slots = np.arange(len(rows)) + np.cumsum(missing)
    size = int(slots[-1]) + 1
    transit = np.full(len(packets), np.nan)
    transit[timing.rows] = timing.transit_ms
    lost = np.ones(size, np.bool_)
    lost[slots] = False

    return Series(
        arrived_ns=_spread(packets.arrived_ns[rows], slots, size, 0),
        lost=lost,
        transit_ms=_spread(transit[rows], slots, size, np.nan),
        payload_type=_spread(packets.payload_type[rows], slots, size, 0),
        payload_bytes=_spread(packets.payload_bytes[rows], slots, size, 0),
        level_dbov=_spread(packets.level_dbov[rows], slots, size, np.nan),
    )


def _spread(values: NDArray[Column], slots: NDArray[np.int64], size: int, empty: float) -> NDArray[Column]:
    out = np.full(size, empty, values.dtype)
    out[slots] = values
    return out
