"""What was counted and measured of every leg in the last minutes, a second at a time, kept as columns.

Each second is two small matrices for all legs together, as the worker told them: to take a second in costs
the same few array operations for one leg as for thousands, and only who asks for a leg looks it up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ringback.media.measured import COUNTS, EXPECTED, RECEIVED, VALUES, Measured
from ringback.media.protocol import LegTotals

HISTORY_S = 300.0
LATELY_S = 10.0
"""How far back the quality that people are shown looks, so that one bad moment is forgotten."""
JITTER_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200)
ROUND_TRIP_MS = (5, 10, 20, 50, 100, 150, 200, 300, 400, 600, 1000)
LOSS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

_Counts = NDArray[np.uint32]
_Legs = NDArray[np.int64]

_OCTETS = COUNTS.index("sent_octets")
_MOST = 0xFFFF


@dataclass(frozen=True, slots=True)
class Second:
    """One second of n legs: when it ended (on the caller's clock) and how long it was; legs int64[n] rising;
    counts uint16[len(COUNTS), n] of this second alone; values float16[len(VALUES), n]."""

    at: float
    seconds: float
    legs: _Legs
    counts: NDArray[np.uint16]
    values: NDArray[np.float16]


@dataclass(slots=True)
class Histogram:
    """How many observations were at most each bound; the last count is of all."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, values: NDArray[np.floating]) -> None:
        """Take observations; those that are NaN are none."""
        known = values[~np.isnan(values)].astype(np.float64)
        below = np.searchsorted(np.sort(known), self.bounds, side="right").tolist()
        for i, count in enumerate([*below, len(known)]):
            self.counts[i] += count
        self.sum += float(known.sum())


@dataclass(frozen=True, slots=True)
class _Table:
    """The last ten seconds of n legs: expected and received int64[2, n], and the last values."""

    counts: NDArray[np.int64]
    values: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Lately:
    """How a leg's line was in the last ten seconds; None for what is not known (yet)."""

    lost_percent: float | None = None
    jitter_ms: float | None = None
    remote_lost_percent: float | None = None
    remote_jitter_ms: float | None = None
    round_trip_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """m seconds of one leg: at float64[m], seconds float64[m], counts int64[len(COUNTS), m], values
    float64[len(VALUES), m]."""

    at: NDArray[np.float64]
    seconds: NDArray[np.float64]
    counts: NDArray[np.int64]
    values: NDArray[np.float64]

    def count(self, name: str) -> NDArray[np.int64]:
        """One column of counts."""
        column: NDArray[np.int64] = self.counts[COUNTS.index(name)]
        return column

    def value(self, name: str) -> NDArray[np.float64]:
        """One column of values."""
        column: NDArray[np.float64] = self.values[VALUES.index(name)]
        return column


class LegHistory:
    """The last seconds of all legs, of any number of workers, and sums over all legs there ever were."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys(COUNTS, 0)
        """Of all legs since the start, those that are gone too."""
        self.lost = 0
        """Packets expected and not received, of all legs since the start; never falls."""
        self.jitter_ms = Histogram(JITTER_MS)
        self.round_trip_ms = Histogram(ROUND_TRIP_MS)
        self.loss = Histogram(LOSS)
        self._seconds: deque[Second] = deque()
        self._pruned_at = 0.0
        self._table: _Table | None = None
        self._legs: _Legs = np.zeros(0, np.int64)
        self._counts: _Counts = np.zeros((len(COUNTS), 0), np.uint32)

    def take(self, measured: Measured, now: float) -> None:
        """Take in what a worker has told of its legs."""
        self._table = None
        fresh = self._since_before(measured)
        self._add(fresh.sum(axis=1).tolist())
        heard = fresh[RECEIVED] > 0
        self.jitter_ms.observe(measured.value("jitter_ms")[heard])
        # A round trip is news only with a report, but stands until the next: weighted by time.
        self.round_trip_ms.observe(measured.value("round_trip_ms"))
        expected = fresh[EXPECTED]
        some = expected > 0
        self.loss.observe(np.maximum(1 - fresh[RECEIVED][some] / expected[some], 0))
        with np.errstate(over="ignore"):
            # Times of silence beyond what a half float holds are infinite.
            values = measured.values.astype(np.float16)
        self._seconds.append(
            Second(now, measured.seconds, measured.legs, np.minimum(fresh, _MOST).astype(np.uint16), values)
        )
        while self._seconds[0].at < now - HISTORY_S:
            self._seconds.popleft()
        if now - self._pruned_at > HISTORY_S:
            self._prune(now)

    def _prune(self, now: float) -> None:
        """Forget counts of legs that nobody tells of any more: those of a worker that died."""
        self._pruned_at = now
        lately = [second.legs for second in self._seconds if second.at > now - LATELY_S]
        keep = np.isin(self._legs, np.concatenate(lately))
        self._legs, self._counts = self._legs[keep], self._counts[:, keep]

    def closed(self, leg: int, totals: LegTotals) -> None:
        """A leg is gone: what was counted since its last second is added to the sums."""
        self._table = None
        at, before = self._find(leg)
        known = self._counts[:, at].tolist() if before else [0] * len(COUNTS)
        self._add([max(last - one, 0) for last, one in zip(_counts_of(totals), known, strict=True)])
        if before:
            self._legs = np.delete(self._legs, at)
            self._counts = np.delete(self._counts, at, axis=1)

    def lately(self, leg: int) -> Lately:
        """A leg's line in the last ten seconds."""
        at, known = self._find(leg)
        if not known:
            return Lately()
        if self._table is None:
            self._table = self._sum_up()
        expected, received = (int(column[at]) for column in self._table.counts)
        value = {name: _known(float(self._table.values[i, at])) for i, name in enumerate(VALUES)}
        remote = value["remote_lost"]
        return Lately(
            lost_percent=100 * max(1 - received / expected, 0.0) if expected else None,
            jitter_ms=value["jitter_ms"],
            remote_lost_percent=None if remote is None else 100 * remote,
            remote_jitter_ms=value["remote_jitter_ms"],
            round_trip_ms=value["round_trip_ms"],
        )

    def _sum_up(self) -> _Table:
        """The last ten seconds of all legs that are there."""
        since = self._seconds[-1].at - LATELY_S
        counts = np.zeros((2, len(self._legs)), np.int64)
        values = np.full((len(VALUES), len(self._legs)), np.nan, np.float16)
        for second in list(self._seconds)[self._position(since) :]:
            at = np.minimum(np.searchsorted(self._legs, second.legs), len(self._legs) - 1)
            here = self._legs[at] == second.legs
            at = at[here]
            counts[:, at] += second.counts[[EXPECTED, RECEIVED]][:, here]
            values[:, at] = second.values[:, here]
        return _Table(counts, values)

    def _position(self, since: float) -> int:
        """Of the first second that ended after a time."""
        return bisect_right(self._seconds, since, key=lambda one: one.at)

    def series(self, leg: int, seconds: float = HISTORY_S) -> Series:
        """What is kept of one leg, oldest first; also of one that is gone."""
        found: list[tuple[Second, int]] = []
        since = self._seconds[-1].at - seconds if self._seconds else 0.0
        for second in list(self._seconds)[self._position(since) :]:
            at = int(np.searchsorted(second.legs, leg))
            if at < len(second.legs) and second.legs[at] == leg:
                found.append((second, at))
        return Series(
            np.array([second.at for second, _ in found], np.float64),
            np.array([second.seconds for second, _ in found], np.float64),
            np.array([second.counts[:, at] for second, at in found], np.int64).reshape(-1, len(COUNTS)).T,
            np.array([second.values[:, at] for second, at in found], np.float64).reshape(-1, len(VALUES)).T,
        )

    def _find(self, leg: int) -> tuple[int, bool]:
        at = int(np.searchsorted(self._legs, leg))
        return at, at < len(self._legs) and int(self._legs[at]) == leg

    def _since_before(self, measured: Measured) -> _Counts:
        """What was counted in this second; the counts become those that the next is compared with."""
        legs, counts = measured.legs, measured.counts
        if np.array_equal(legs, self._legs):
            before = self._counts
            self._counts = counts
        else:
            before = self._merge(legs, counts)
        began_anew = counts[:_OCTETS] < before[:_OCTETS]
        fresh: _Counts = counts - before
        if began_anew.any():
            # The leg was opened again, in another worker: its counts begin at 0.
            anew = began_anew.any(axis=0)
            fresh[:, anew] = counts[:, anew]
        return fresh

    def _merge(self, legs: _Legs, counts: _Counts) -> _Counts:
        """Put some legs' counts among those of all; returns what was there before."""
        at = np.searchsorted(self._legs, legs)
        within = np.minimum(at, max(len(self._legs) - 1, 0))
        known = self._legs[within] == legs if len(self._legs) else np.zeros(len(legs), np.bool_)
        before = np.zeros_like(counts)
        before[:, known] = self._counts[:, at[known]]
        all_counts = self._counts.copy()
        all_counts[:, at[known]] = counts[:, known]
        self._legs = np.insert(self._legs, at[~known], legs[~known])
        self._counts = np.insert(all_counts, at[~known], counts[:, ~known], axis=1)
        return before

    def _add(self, fresh: list[int]) -> None:
        for name, count in zip(COUNTS, fresh, strict=True):
            self.sums[name] += count
        # A packet that came after the next one's second was lost for a while: a counter must not go back.
        self.lost = max(self.lost, self.sums["expected"] - self.sums["received"])


def _counts_of(totals: LegTotals) -> list[int]:
    """The columns of COUNTS of one leg."""
    return [
        totals.expected_packets,
        totals.received_packets,
        totals.late_packets,
        totals.duplicate_packets,
        totals.reordered_packets,
        totals.discarded_frames,
        totals.rejected_packets,
        totals.concealed_frames,
        totals.stretched_frames,
        totals.sent_packets,
        totals.sent_octets,
    ]


def _known(value: float) -> float | None:
    return None if value != value else round(value, 3)  # noqa: PLR0124
