"""Many calls summed up: what stands out, when and where it is bad, and what became of it since a baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.diagnosis.many.baseline import Answer, Baseline, Change, compare, verdict
from ringback.diagnosis.many.calls import BAD_LOSS_PERCENT, BAD_MOS, UNKNOWN, CallRow, percent
from ringback.diagnosis.many.heat import HeatMap, by_groups, by_week
from ringback.diagnosis.many.patterns import FEWEST_CALLS, Outlier, Patterns, find

MANY: Final = 10
"""From so many calls on they are summed up unasked: a group of five can be held against five others."""


@dataclass(frozen=True, slots=True)
class Since:
    """Calls held against a baseline: what it was, each comparison, and what they come to."""

    name: str
    began: str
    ended: str
    calls: int
    changes: tuple[Change, ...]
    answer: Answer

    def groups(self) -> list[Change]:
        """The comparisons of groups: those first that went another way than the whole, hours last, by p."""
        found = [change for change in self.changes if change.group]
        return sorted(
            found, key=lambda one: (one.answer == self.answer, one.dimension == "hour", one.p_value)
        )

    def words(self) -> str:
        """One sentence."""
        what = f"the baseline “{self.name}”" if self.name else "the baseline"
        said = {
            "better": f"It is better than {what}",
            "worse": f"It is worse than {what}",
            "unproven": f"No difference to {what} is proven",
        }[self.answer]
        return f"{said} ({self.calls:,} calls from {self.began[:10]} to {self.ended[:10]})."


@dataclass(frozen=True, slots=True)
class ManyCalls:
    """What is said of many calls together; `source` is what they were read from."""

    source: str
    began: str
    ended: str
    """When the first and the last began, ISO 8601 on the clock that hours are of; empty without calls."""
    patterns: Patterns
    heat_maps: tuple[HeatMap, ...]
    since: Since | None = None

    @property
    def calls(self) -> int:
        """How many they are."""
        return self.patterns.all_calls.calls

    def headline(self) -> str:
        """`61 of 1,204 calls were bad (5.1 %): trunk b and hour 14 stand out.`"""
        bad = self.patterns.all_calls
        said = f"{bad.bad:,} of {bad.calls:,} calls were bad"
        said += f" ({percent(bad.share)})" if bad.bad else ""
        names = list(dict.fromkeys(f"{one.dimension} {one.group}" for one in self.patterns.stand_out))
        if not names:
            return f"{said}; nothing stands out beyond chance."
        shown = names[:3] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
        listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
        return f"{said}: {listed} {'stands' if len(names) == 1 else 'stand'} out."

    @property
    def meaning(self) -> str:
        """What is called bad."""
        return (
            f"Bad is a call that failed, was one-way, has a MOS below {BAD_MOS} on its scale, or lost "
            f"{BAD_LOSS_PERCENT:.0f} % and more."
        )

    def compared(self) -> str:
        """How many comparisons were made, and what that is allowed for."""
        if not self.patterns.compared:
            return "Nothing could be compared: that takes two groups of five calls."
        tried = "comparison was" if self.patterns.compared == 1 else "comparisons were"
        return (
            f"{self.patterns.compared:,} {tried} made; of what is said to stand out, some 5 % at most "
            f"does so by chance."
        )

    @property
    def doubtful(self) -> tuple[Outlier, ...]:
        """What looks worse and may be chance, or comes from another group."""
        return tuple(one for one in self.patterns.outliers if one not in self.patterns.stand_out)


def summed_up(rows: Sequence[CallRow], source: str, baseline: Baseline | None = None) -> ManyCalls:
    """Sum calls up, held against `baseline` if there is one.

    Raises BaselineError for too few calls to hold against it.
    """
    maps = [by_week(rows)] if rows else []
    for dimension in ("site", "trunk"):
        counts = Counter(row.group(dimension) for row in rows)
        large = {name for name, number in counts.items() if number >= FEWEST_CALLS and name != UNKNOWN}
        if len(large) > 1:
            maps.append(by_groups([row for row in rows if row.group(dimension) in large], dimension, "hour"))
    starts = sorted(row.start for row in rows)
    since = None
    if baseline is not None:
        changes = tuple(compare(baseline, rows))
        since = Since(
            baseline.name, baseline.began, baseline.ended, baseline.calls, changes, verdict(changes)
        )
    return ManyCalls(
        source=source,
        began=starts[0].isoformat(timespec="seconds") if starts else "",
        ended=starts[-1].isoformat(timespec="seconds") if starts else "",
        patterns=find(rows),
        heat_maps=tuple(heat for heat in maps if heat.says_something),
        since=since,
    )
