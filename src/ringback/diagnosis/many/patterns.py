"""What stands out among many calls: groups that are worse than the rest, and how surely they are.

Shares of bad calls are compared by Fisher's exact test, measures by Mann and Whitney's; because many groups
are tried, the false discovery rate is held (Benjamini and Hochberg, 1995). A group that is worse only since
its calls belong to another bad group (all calls of a site use one trunk) is told apart by comparing within
the other's strata (Mantel and Haenszel, 1959; odds ratio by Robins, Breslow and Greenland, 1986).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.many.calls import DIMENSIONS, MEASURES, UNKNOWN, CallRow, figure, named

ALPHA: Final = 0.05
"""The false discovery rate that is held among all that was tried."""
FEWEST_CALLS: Final = 5
"""Of smaller groups nothing is said."""
FEWEST_VALUES: Final = 8
MOST_JUDGED: Final = 50
"""So many of the surest groups are looked at as what makes another one bad."""
SMALLEST_RATIO: Final = 1.5
"""What differs by less is not worth a person's time, however sure it is."""
LOWER_IS_WORSE: Final = frozenset({"mos", "mos_wideband", "mos_fullband"})
_WORTH_TELLING: Final[Mapping[str, float]] = {
    "mos": 0.15,
    "mos_wideband": 0.15,
    "mos_fullband": 0.15,
    "loss_percent": 0.5,
    "late_percent": 0.5,
    "jitter_ms": 3.0,
    "setup_ms": 250.0,
}
"""Differences of medians that somebody would notice."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with the 95 % interval of the share (Wilson, 1927)."""

    bad: int
    calls: int

    @property
    def share(self) -> float:
        """0 to 1; 0 without calls."""
        return self.bad / self.calls if self.calls else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 %."""
        if not self.calls:
            return 0.0, 1.0
        z = 1.959964
        p, n = self.share, self.calls
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Outlier:
    """A group that is worse than all other calls together.

    `measure` is `bad` (a share of calls) or one of MEASURES (medians in `value` and `rest`). `p_value` is of
    its own test, `significant` after all that was tried. `explained_by` names the group that its badness
    comes from, if there it is no worse than others.
    """

    dimension: str
    group: str
    measure: str
    calls: int
    value: float
    rest: float
    p_value: float
    significant: bool
    interval: tuple[float, float] | None = None
    explained_by: tuple[str, str] | None = None

    def words(self) -> str:
        """One sentence."""
        who = f"{self.dimension} {self.group}"
        here, rest = figure(self.measure, self.value), figure(self.measure, self.rest)
        if self.measure == "bad":
            said = f"{who}: {here} of {self.calls:,} calls were bad, of all others {rest}"
        else:
            said = f"{who}: {named(self.measure)} {here} in {self.calls:,} calls, of all others {rest}"
        if self.explained_by is not None:
            said += f"; this comes from {' '.join(self.explained_by)}, within which it is no worse"
        return f"{said} ({shown_p(self.p_value)})"


@dataclass(frozen=True, slots=True)
class Patterns:
    """All calls, the groups that are worse (the surest first), and how many comparisons were made to find
    them."""

    all_calls: Share
    outliers: tuple[Outlier, ...]
    compared: int

    @property
    def stand_out(self) -> tuple[Outlier, ...]:
        """Those that are significant and not explained by another."""
        return tuple(one for one in self.outliers if one.significant and one.explained_by is None)


def find(rows: Sequence[CallRow], dimensions: Iterable[str] = DIMENSIONS) -> Patterns:
    """Compare each group of each dimension with the rest."""
    table = _Table.of(rows)
    tried: list[Outlier] = []
    compared = 0
    for dimension in dimensions:
        names, codes = np.unique([row.group(dimension) for row in rows], return_inverse=True)
        if len(names) < 2:
            continue
        counts = np.bincount(codes)
        for code, name in enumerate(names.tolist()):
            calls = int(counts[code])
            if name == UNKNOWN or calls < FEWEST_CALLS or len(rows) - calls < FEWEST_CALLS:
                continue
            for found in _compared(dimension, name, codes == code, table):
                compared += 1
                if found is not None:
                    tried.append(found)
    judged = _judged(tried, compared)
    explained = [_explained(one, judged, rows) for one in judged]
    explained.sort(key=lambda one: (not one.significant, one.explained_by is not None, one.p_value))
    return Patterns(Share(int(table.bad.sum()), len(rows)), tuple(explained), compared)


@dataclass(frozen=True, slots=True)
class _Table:
    """Calls as columns: which were bad, and each measure, NaN where a call has none."""

    bad: NDArray[np.bool_]
    measures: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, rows: Sequence[CallRow]) -> _Table:
        measures = {
            name: np.array([row.measures.get(name, math.nan) for row in rows], np.float64)
            for name in MEASURES
        }
        return cls(np.array([row.bad for row in rows], np.bool_), measures)


def shown_p(p_value: float) -> str:
    """A p-value as people read it: `p = 0.012`, `p < 0.001`."""
    return f"p = {p_value:.3f}" if p_value >= 0.001 else "p < 0.001" if p_value > 1e-6 else "p < 0.000001"


def _compared(
    dimension: str, name: str, inside: NDArray[np.bool_], table: _Table
) -> Iterable[Outlier | None]:
    """One result a comparison made; None where the group is not worse."""
    yield _share_compared(dimension, name, table.bad[inside], table.bad[~inside])
    for measure, values in table.measures.items():
        known = np.isfinite(values)
        here, there = values[inside & known], values[~inside & known]
        if len(here) >= FEWEST_VALUES and len(there) >= FEWEST_VALUES:
            yield _measure_compared(dimension, name, measure, here, there)


def _share_compared(
    dimension: str, name: str, inside: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> Outlier | None:
    here = Share(int(inside.sum()), len(inside))
    there = Share(int(outside.sum()), len(outside))
    if here.share <= there.share * SMALLEST_RATIO:
        return None
    return Outlier(
        dimension,
        name,
        "bad",
        here.calls,
        here.share,
        there.share,
        fisher(here, there),
        False,
        here.interval,
    )


def _measure_compared(
    dimension: str, name: str, measure: str, here: NDArray[np.float64], there: NDArray[np.float64]
) -> Outlier | None:
    value, rest = float(np.median(here)), float(np.median(there))
    worse = rest - value if measure in LOWER_IS_WORSE else value - rest
    if worse < _WORTH_TELLING[measure]:
        return None
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes a second to load, and only this needs it

    p_value = float(mannwhitneyu(here, there, alternative="two-sided").pvalue)
    return Outlier(dimension, name, measure, len(here), value, rest, p_value, False)


def fisher(here: Share, there: Share) -> float:
    """The probability that shares differ as much as these by chance (two-sided exact test)."""
    from scipy.stats import fisher_exact  # noqa: PLC0415 - as above

    table = [[here.bad, here.calls - here.bad], [there.bad, there.calls - there.bad]]
    return float(fisher_exact(table).pvalue)


def held(p_values: Sequence[float], compared: int) -> list[bool]:
    """Which of these hold the false discovery rate among `compared` comparisons (Benjamini and Hochberg)."""
    by_p = sorted(p_values)
    passed = max(
        (p for rank, p in enumerate(by_p, 1) if p <= ALPHA * rank / max(compared, 1)),
        default=-1.0,
    )
    return [p <= passed for p in p_values]


def _judged(tried: list[Outlier], compared: int) -> list[Outlier]:
    """Mark what is significant; the surest first."""
    by_p = sorted(tried, key=lambda one: one.p_value)
    sure = held([one.p_value for one in by_p], compared)
    return [replace(one, significant=yes) for one, yes in zip(by_p, sure, strict=True)]


def _explained(one: Outlier, judged: list[Outlier], rows: Sequence[CallRow]) -> Outlier:
    """Look whether a surer group of another dimension is what makes this one bad."""
    if one.measure != "bad" or not one.significant:
        return one
    for other in judged[:MOST_JUDGED]:
        if other.measure != "bad" or not other.significant or other.dimension == one.dimension:
            continue
        # Of two groups that explain each other the surer one is told, as the cause.
        if (other.p_value, DIMENSIONS.index(other.dimension)) >= (
            one.p_value,
            DIMENSIONS.index(one.dimension),
        ):
            continue
        if _within(rows, one, other) > ALPHA:
            return replace(one, explained_by=(other.dimension, other.group))
    return one


def _within(rows: Sequence[CallRow], one: Outlier, other: Outlier) -> float:
    """p of `one` being worse when only calls that agree on `other` are compared (Mantel and Haenszel)."""
    from scipy.stats import chi2  # noqa: PLC0415 - as above

    excess = variance = 0.0
    for stratum in (True, False):
        chosen = [row for row in rows if (row.group(other.dimension) == other.group) == stratum]
        inside = [row for row in chosen if row.group(one.dimension) == one.group]
        n, n1, m1 = len(chosen), len(inside), sum(row.bad for row in chosen)
        if n < 2:
            continue
        excess += sum(row.bad for row in inside) - n1 * m1 / n
        variance += n1 * (n - n1) * m1 * (n - m1) / (n * n * (n - 1))
    if variance <= 0:
        return 1.0
    return float(chi2.sf(max(abs(excess) - 0.5, 0.0) ** 2 / variance, 1))
