"""The columns of statistics that a worker tells of all its legs once a second, and how they travel.

What each column means, and by which RFC, is in docs/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringback.media.columns import Floats, Longs, Words
from ringback.media.protocol import LegStatistics

COUNTS = (
    "expected",
    "received",
    "late",
    "duplicates",
    "reordered",
    "discarded",
    "refused",
    "concealed",
    "stretched",
    "sent",
    "sent_octets",
)
"""Counted since the leg was opened; the octets go on from 0 after 2**32 - 1."""
VALUES = (
    "jitter_ms",
    "level_dbfs",
    "clipped",
    "buffer_ms",
    "sent_level_dbfs",
    "remote_lost",
    "remote_jitter_ms",
    "round_trip_ms",
    "silent_s",
    "remote_jitter_peak_ms",
    "remote_discarded",
    "remote_delay_ms",
    "remote_r_factor",
    "remote_mos",
)
"""Of the second that has passed, or the last known; NaN for what is not known."""
EXPECTED, RECEIVED = COUNTS.index("expected"), COUNTS.index("received")


@dataclass(frozen=True, slots=True)
class Measured:
    """n legs at one time: legs int64[n], identifiers rising; counts uint32[len(COUNTS), n]; values
    float32[len(VALUES), n]; `seconds` since the time before."""

    legs: Longs
    counts: Words
    values: Floats
    seconds: float

    def count(self, name: str) -> Words:
        """One column of counts."""
        column: Words = self.counts[COUNTS.index(name)]
        return column

    def value(self, name: str) -> Floats:
        """One column of values."""
        column: Floats = self.values[VALUES.index(name)]
        return column


def pack(measured: Measured) -> LegStatistics:
    """As a message: the arrays' bytes, row after row, in the machine's own order."""
    return LegStatistics(
        legs=measured.legs.tobytes(),
        counts=measured.counts.tobytes(),
        values=measured.values.tobytes(),
        seconds=measured.seconds,
    )


def unpack(message: LegStatistics) -> Measured:
    """The arrays of a message, as views of its bytes; raises ValueError where their sizes disagree."""
    legs = np.frombuffer(message.legs, np.int64)
    return Measured(
        legs,
        np.frombuffer(message.counts, np.uint32).reshape(len(COUNTS), len(legs)),
        np.frombuffer(message.values, np.float32).reshape(len(VALUES), len(legs)),
        message.seconds,
    )
