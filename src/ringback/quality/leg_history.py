"""What was counted and measured of every leg in the last minutes, a second at a time.

Seconds are kept as the worker told them: to take one in costs the same for one leg as for thousands, and only
who asks for a leg looks it up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from ringback.media import protocol
from ringback.media.measured import (
    BUFFER_MS,
    COUNTS,
    EXPECTED,
    JITTER_MS,
    LOSS,
    RECEIVED,
    ROUND_TRIP_MS,
    ROW,
    VALUES,
)

HISTORY_S = 300.0
LATELY_S = 10.0
"""How far back the quality that people are shown looks, so that one bad moment is forgotten."""


@dataclass(frozen=True, slots=True)
class Row:
    """One second of one leg: when it ended (on the caller's clock), how long it was, COUNTS and VALUES."""

    at: float
    seconds: float
    counts: tuple[int, ...]
    values: tuple[float, ...]

    def count(self, name: str) -> int:
        """One of COUNTS."""
        return self.counts[COUNTS.index(name)]

    def value(self, name: str) -> float | None:
        """One of VALUES, None for what is not known."""
        return _known(self.values[VALUES.index(name)])


@dataclass(slots=True)
class Histogram:
    """How many observations were at most each bound; the last count is of all."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, told: protocol.Histogram) -> None:
        """Take in what a worker observed."""
        for i, count in enumerate(told.counts):
            self.counts[i] += count
        self.sum += told.sum


@dataclass(frozen=True, slots=True)
class Lately:
    """How a leg's line was in the last ten seconds; None for what is not known (yet)."""

    lost_percent: float | None = None
    jitter_ms: float | None = None
    remote_lost_percent: float | None = None
    remote_jitter_ms: float | None = None
    round_trip_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Second:
    at: float
    seconds: float
    legs: memoryview
    rows: bytes

    def row(self, leg: int) -> Row | None:
        at = bisect_left(self.legs, leg)
        if at == len(self.legs) or self.legs[at] != leg:
            return None
        told = ROW.unpack_from(self.rows, at * ROW.size)
        return Row(self.at, self.seconds, told[: len(COUNTS)], told[len(COUNTS) :])


class LegHistory:
    """The last seconds of all legs, of any number of workers, and sums over all legs there ever were."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys(COUNTS, 0)
        """Of all legs since the start, those that are gone too."""
        self.lost = 0
        """Packets expected and not received, of all legs since the start; never falls."""
        self.jitter_ms = Histogram(JITTER_MS)
        self.buffer_ms = Histogram(BUFFER_MS)
        self.round_trip_ms = Histogram(ROUND_TRIP_MS)
        self.loss = Histogram(LOSS)
        self._seconds: deque[_Second] = deque()

    def take(self, told: protocol.LegStatistics, now: float) -> list[tuple[int, float | None]]:
        """Take in what a worker has told of its legs.

        Returns those of which nothing came for some time, with how many seconds; None of which nothing ever
        came.
        """
        for name, count in zip(COUNTS, told.sums, strict=True):
            self.sums[name] += count
        # A packet that came after the next one's second was lost for a while: a counter must not go back.
        self.lost = max(self.lost, self.sums["expected"] - self.sums["received"])
        self.jitter_ms.add(told.jitter_ms)
        self.buffer_ms.add(told.buffer_ms)
        self.round_trip_ms.add(told.round_trip_ms)
        self.loss.add(told.loss)
        second = _Second(now, told.seconds, self._kept(told.legs), told.rows)
        self._seconds.append(second)
        while self._seconds[0].at < now - HISTORY_S:
            self._seconds.popleft()
        rows = ((leg, second.row(leg)) for leg in told.quiet)
        return [(leg, row.value("silent_s")) for leg, row in rows if row is not None]

    def lately(self, leg: int) -> Lately:
        """A leg's line in the last ten seconds."""
        expected = received = 0
        last = None
        for row in self._back(leg, LATELY_S):
            expected += row.counts[EXPECTED]
            received += row.counts[RECEIVED]
            last = last or row
        if last is None:
            return Lately()
        remote = last.value("remote_lost")
        return Lately(
            lost_percent=100 * max(1 - received / expected, 0.0) if expected else None,
            jitter_ms=last.value("jitter_ms"),
            remote_lost_percent=None if remote is None else 100 * remote,
            remote_jitter_ms=last.value("remote_jitter_ms"),
            round_trip_ms=last.value("round_trip_ms"),
        )

    def series(self, leg: int, seconds: float = HISTORY_S) -> list[Row]:
        """What is kept of one leg, oldest first; also of one that is gone."""
        rows = list(self._back(leg, seconds))
        rows.reverse()
        return rows

    def _back(self, leg: int, seconds: float) -> Iterator[Row]:
        """The last seconds of a leg, newest first."""
        since = self._seconds[-1].at - seconds if self._seconds else 0.0
        for second in reversed(self._seconds):
            if second.at <= since:
                return
            row = second.row(leg)
            if row is not None:
                yield row

    def _kept(self, legs: bytes) -> memoryview:
        """Identifiers as numbers; kept once as long as the legs of a worker stay the same."""
        fresh = memoryview(legs).cast("q")
        for second in islice(reversed(self._seconds), _WORKERS):
            if second.legs == fresh:
                return second.legs
        return fresh


_WORKERS = 8
"""So many messages back the same legs are looked for: as many as there may be workers, or nearly so."""


def _known(value: float) -> float | None:
    return None if value != value else round(value, 3)  # noqa: PLR0124
