"""What a worker would tell of legs, from plain numbers."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from ringback.media.measured import BUFFER_MS, COUNTS, JITTER_MS, LOSS, QUIET_S, ROUND_TRIP_MS, ROW, VALUES
from ringback.media.protocol import Histogram, LegStatistics

NAN = float("nan")


def told(legs: Mapping[int, Mapping[str, float]], seconds: float = 1.0, **changes: object) -> LegStatistics:
    """A second's message by leg and name; counts left out are 0, values unknown."""
    names = sorted(legs)
    rows = b"".join(
        ROW.pack(
            *(int(legs[leg].get(name, 0)) for name in COUNTS), *(legs[leg].get(name, NAN) for name in VALUES)
        )
        for leg in names
    )
    message = {
        "legs": struct.pack(f"={len(names)}q", *names),
        "rows": rows,
        "seconds": seconds,
        "sums": [int(sum(legs[leg].get(name, 0) for leg in names)) for name in COUNTS],
        "quiet": [leg for leg in names if not legs[leg].get("silent_s", NAN) < QUIET_S],
        "jitter_ms": Histogram(counts=[0] * (len(JITTER_MS) + 1), sum=0),
        "buffer_ms": Histogram(counts=[0] * (len(BUFFER_MS) + 1), sum=0),
        "round_trip_ms": Histogram(counts=[0] * (len(ROUND_TRIP_MS) + 1), sum=0),
        "loss": Histogram(counts=[0] * (len(LOSS) + 1), sum=0),
    }
    return LegStatistics(**(message | changes))  # type: ignore[arg-type]


@dataclass
class Measured:
    """A message read, a column at a time."""

    legs: list[int]
    rows: list[tuple[float, ...]]
    message: LegStatistics

    def __getitem__(self, name: str) -> list[float]:
        at = (*COUNTS, *VALUES).index(name)
        return [row[at] for row in self.rows]


def read(message: LegStatistics) -> Measured:
    legs = [leg for (leg,) in struct.iter_unpack("=q", message.legs)]
    return Measured(legs, list(ROW.iter_unpack(message.rows)), message)
