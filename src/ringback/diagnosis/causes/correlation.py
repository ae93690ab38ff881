"""Counters and marks laid over a stream's losses: how strongly they go together, and how sure that is.

Rank correlation (Spearman, 1904) for counters and point-biserial correlation for marks, both with a p-value
by permutation. Values that follow each other in time resemble each other, so whole blocks are permuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.causes.verdict import Counter, Mark
from ringback.diagnosis.stream.measured import Measured, Series

FEWEST = 6
"""Points below which nothing is claimed."""
PERMUTATIONS = 2000
STEP_S = (1.0, 10.0)
MARK_LASTS_S = 30.0
"""How long after a mark its effect is looked for."""

Floats = NDArray[np.float64]
Strength = Literal["none", "weak", "moderate", "strong"]


@dataclass(frozen=True, slots=True)
class Correlation:
    """How `name` goes with `what` of a stream: `coefficient` -1 to 1 over `n` points, `p` of chance."""

    name: str
    what: Literal["loss", "delay"]
    coefficient: float
    n: int
    p: float
    step_s: float

    @property
    def strength(self) -> Strength:
        """In words; nothing that chance explains in one of twenty cases counts."""
        size = abs(self.coefficient)
        if self.p > 0.05 or size < 0.2:
            return "none"
        return "strong" if size >= 0.6 else "moderate" if size >= 0.4 else "weak"

    @property
    def sentence(self) -> str:
        """For people."""
        chance = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        figures = (
            f"({'rank ' if self.step_s else ''}correlation {self.coefficient:+.2f}, n = {self.n}, {chance})"
        )
        if self.strength == "none":
            return f"{self.name} and {self.what} do not go together {figures}."
        way = "rises" if self.coefficient > 0 else "falls"
        return f"{self.what.capitalize()} {way} with {self.name}: {self.strength} {figures}."


def ranks(values: Floats) -> Floats:
    """Ranks from 0, equal values sharing theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2.0)[inverse.ravel()], np.float64)


def rank_correlation(a: Floats, b: Floats, *, seed: int = 1) -> tuple[float, float] | None:
    """Spearman's coefficient and its p by permutation of blocks; None for too few points or no variation."""
    return _permuted(ranks(a), ranks(b), seed)


def _permuted(a: Floats, b: Floats, seed: int) -> tuple[float, float] | None:
    n = len(a)
    if n < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    seen = float((a * b).mean())
    block = max(1, round(n ** (1 / 3))) if n >= 20 else 1
    random = np.random.default_rng(seed)
    blocks = -(-n // block)
    as_extreme = 0
    for _ in range(PERMUTATIONS):
        order = (random.permutation(blocks)[:, None] * block + np.arange(block)).ravel()
        # Turned by a random offset, so that the blocks' borders do not lie at the same places.
        order = (order[order < n] + int(random.integers(block))) % n
        as_extreme += abs(float((a[order] * b).mean())) >= abs(seen) - 1e-12
    return seen, (1 + as_extreme) / (1 + PERMUTATIONS)


def timeline(measured: Measured, series: Series, step_s: float) -> tuple[NDArray[np.int64], Floats, Floats]:
    """By steps of time that have packets: when each began (ns), the share lost, the mean delay (ms)."""
    there = ~series.lost
    if not there.any():
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    slots = np.arange(len(series.lost))
    at = np.interp(slots, slots[there], (series.arrived_ns[there] - measured.began_ns) / 1e9)
    # Steps without packets say nothing, and a clock that was set may leave any number of them.
    steps, bins = np.unique(np.maximum(0, at / step_s).astype(np.int64), return_inverse=True)
    count = len(steps)
    every = np.bincount(bins, minlength=count)
    lost = np.bincount(bins, weights=series.lost, minlength=count)
    known = there & np.isfinite(series.transit_ms)
    known_count = np.bincount(bins[known], minlength=count)
    delay = np.bincount(bins[known], weights=series.transit_ms[known], minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares, means = lost / every, delay / known_count
    began = measured.began_ns + (steps * step_s * 1e9).astype(np.int64)
    return began, shares, means


def of_counter(counter: Counter, measured: Measured, series: Series) -> tuple[Correlation, ...]:
    """Loss and delay of a stream against a counter, at the counter's own rate (from 1 to 10 s)."""
    at = np.asarray(counter.at_ns, np.int64)
    values = np.asarray(counter.values, np.float64)
    keep = np.isfinite(values)
    at, values = at[keep], values[keep]
    order = np.argsort(at, kind="stable")
    at, values = at[order], values[order]
    if len(at) < FEWEST:
        return ()
    step_s = float(np.clip(np.median(np.diff(at)) / 1e9, *STEP_S))
    began, shares, delays = timeline(measured, series, step_s)
    ends = began + int(step_s * 1e9)
    within = (ends > at[0]) & (began < at[-1])
    if not within.any():
        return ()
    if np.all(np.diff(values) >= 0) and np.ptp(values) > 0:
        # A count that only grows: what it grew by in each step is what goes with the losses.
        load = np.interp(ends, at, values) - np.interp(began, at, values)
    else:
        load = np.interp((began + ends) / 2, at, values)
    found = []
    for what, figures in (("loss", shares), ("delay", delays)):
        known = within & np.isfinite(figures)
        result = rank_correlation(load[known], figures[known])
        if result is not None:
            found.append(
                Correlation(
                    counter.name,
                    "loss" if what == "loss" else "delay",
                    result[0],
                    int(known.sum()),
                    result[1],
                    step_s,
                )
            )
    return tuple(found)


def of_marks(marks: Sequence[Mark], measured: Measured, series: Series) -> tuple[Correlation, ...]:
    """Loss in the 30 s after a mark (until the stream ends) against the rest, by marks of the same text."""
    began, shares, _ = timeline(measured, series, 1.0)
    found = []
    for text in dict.fromkeys(mark.text for mark in marks):
        after = np.zeros(len(began))
        for mark in marks:
            if mark.text == text:
                since = (began - mark.at_ns) / 1e9
                after[(since >= 0) & (since < MARK_LASTS_S)] = 1.0
        known = np.isfinite(shares)
        result = _permuted(after[known], shares[known], 1) if known.any() else None
        if result is not None:
            found.append(
                Correlation(f"the time after “{text}”", "loss", result[0], int(known.sum()), result[1], 0.0)
            )
    return tuple(found)
