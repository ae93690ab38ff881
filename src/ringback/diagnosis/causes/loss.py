"""How the losses of one stream lie: alone or in runs, even or in heaps, with time passing or without."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.stream.measured import Series

GMIN = 16
"""Packets received in a row that end a burst (RFC 3611, 4.7.2)."""
MIN_RUNS_FOR_A_PATTERN = 8
"""Fewer losses than this may lie anyhow by chance."""

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LossShape:
    """Losses of a stream. Arrays have a row a run of lost packets, or a row a burst (runs near each other).

    `times_s` has a row a packet slot: seconds from the first arrival, interpolated where a packet is lost.
    `clustering` is the mean run length over that of independent losses (1 when they are independent).
    `unevenness` is the variance of run counts over windows against that of even chance (1 when even),
    `uneven_p` how likely chance alone makes them so uneven. `timeless` are losses in jumps of the sequence
    during which no time passed; `blocks` those in runs of 50 and more.
    """

    expected: int
    lost: int
    times_s: Times
    run_at: NDArray[np.intp]
    run_length: NDArray[np.intp]
    burst_at: NDArray[np.intp]
    burst_end: NDArray[np.intp]
    clustering: float
    unevenness: float
    uneven_p: float
    seconds_with_loss: float
    """Share of the stream's windows (of a second, or a 12th of it) in which something was lost."""
    timeless: int
    blocks: int
    period_s: float | None
    """Where bursts come at regular intervals."""

    @property
    def share(self) -> float:
        """Lost packets among expected ones, 0 to 1."""
        return self.lost / self.expected if self.expected else 0.0

    @property
    def runs(self) -> int:
        """How many runs of lost packets."""
        return len(self.run_at)

    @property
    def train_z(self) -> float:
        """How far the losses that follow another directly are above chance, in standard deviations."""
        following, by_chance = self.lost - self.runs, self.lost * self.share
        return (following - by_chance) / math.sqrt(by_chance + 0.5)

    @property
    def single_share(self) -> float:
        """Runs of one packet among all runs."""
        return float(np.mean(self.run_length == 1)) if self.runs else 0.0


def shape_of(series: Series, ptime_ms: float) -> LossShape:
    """Describe the losses of a stream."""
    lost = series.lost
    times = slot_times(series)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], lost, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    count = int(lost.sum())
    share = count / len(lost) if len(lost) else 0.0
    first = np.concatenate(([True], starts[1:] - ends[:-1] >= GMIN)) if len(starts) else np.zeros(0, bool)
    burst_at = starts[first]
    burst_end = ends[np.concatenate((first[1:], [True]))] if len(starts) else ends
    unevenness, uneven_p = _unevenness(times, starts)
    return LossShape(
        expected=len(lost),
        lost=count,
        times_s=times,
        run_at=starts,
        run_length=lengths,
        burst_at=burst_at,
        burst_end=burst_end,
        clustering=float(lengths.mean()) * (1.0 - share) if len(lengths) else 1.0,
        unevenness=unevenness,
        uneven_p=uneven_p,
        seconds_with_loss=_covered(times, lost),
        timeless=_timeless(times, starts, ends, ptime_ms),
        blocks=int(lengths[lengths >= 50].sum()),
        period_s=_period(times[burst_at]),
    )


def slot_times(series: Series) -> Times:
    """Seconds from the first arrival for each packet slot; lost ones lie evenly between their neighbours."""
    there = np.flatnonzero(~series.lost)
    if not len(there):
        return np.zeros(len(series.lost))
    arrived = series.arrived_ns[there]
    times = np.interp(np.arange(len(series.lost)), there, (arrived - arrived.min()) / 1e9)
    return np.asarray(times, np.float64)


def chi_square_p(chi_square: float, freedom: int) -> float:
    """How likely chance alone gives this or more (approximation of Wilson and Hilferty, 1931)."""
    if freedom < 1:
        return 1.0
    spread = 2.0 / (9.0 * freedom)
    z = ((max(chi_square, 0.0) / freedom) ** (1 / 3) - (1.0 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def _unevenness(times: Times, starts: NDArray[np.intp]) -> tuple[float, float]:
    if len(starts) < MIN_RUNS_FOR_A_PATTERN:
        return 1.0, 1.0
    # By packet slots, not by seconds: silence suppressed sends nothing, and loses nothing.
    windows = int(np.clip(len(starts) // 4, 4, 40))
    counts = np.histogram(starts, bins=windows, range=(0, len(times)))[0]
    mean = counts.mean()
    chi_square = float(((counts - mean) ** 2).sum() / mean)
    return chi_square / (windows - 1), chi_square_p(chi_square, windows - 1)


def _covered(times: Times, lost: NDArray[np.bool_]) -> float:
    if not lost.any():
        return 0.0
    length_s = max(1.0, float(times.max()) / 12)
    window = (times / length_s).astype(np.intp)
    return len(np.unique(window[lost])) / len(np.unique(window))


def _timeless(times: Times, starts: NDArray[np.intp], ends: NDArray[np.intp], ptime_ms: float) -> int:
    inner = (starts > 0) & (ends < len(times)) & (ends - starts >= 20)
    if not inner.any() or ptime_ms <= 0:
        return 0
    starts, ends = starts[inner], ends[inner]
    passed = times[ends] - times[starts - 1]
    due = (ends - starts + 1) * ptime_ms / 1e3
    return int((ends - starts)[passed < 0.3 * due].sum())


def _period(onsets: Times) -> float | None:
    gaps = np.diff(onsets)
    if len(gaps) < 4 or gaps.mean() < 0.5:
        return None
    return float(np.median(gaps)) if gaps.std() < 0.15 * gaps.mean() else None
