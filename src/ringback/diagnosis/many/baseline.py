"""How calls were, kept to be compared with: better, worse, or unproven after a change."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np

from ringback.diagnosis.many.calls import DIMENSIONS, MEASURES, CallRow, figure, named, values_of
from ringback.diagnosis.many.patterns import LOWER_IS_WORSE, Share, fisher, held, shown_p
from ringback.governance.shown import fit_to_show

FORMAT: Final = 1
MOST_VALUES: Final = 2_000
"""Of each measure so many are kept, evenly out of the sorted ones: enough to test against."""
FEWEST_CALLS: Final = 20

Answer = Literal["better", "worse", "unproven"]

# The smallest change that is called one, in the measure's unit: less is noise to a listener.
_NOTICED: Final[Mapping[str, float]] = {
    "mos": 0.1,
    "mos_wideband": 0.1,
    "mos_fullband": 0.1,
    "loss_percent": 0.2,
    "late_percent": 0.2,
    "jitter_ms": 2.0,
    "setup_ms": 100.0,
}


class BaselineError(Exception):
    """A file that is no baseline of ours; the text says why, without what it holds."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Calls of a time: how many, how many bad, the measures' values sorted, and the same by group.

    Nothing of single calls is kept: no number, no time of a call.
    """

    name: str
    began: str
    ended: str
    calls: int
    bad: int
    measures: Mapping[str, tuple[float, ...]]
    """Of many values an even choice of MOST_VALUES."""
    measured: Mapping[str, int]
    """How many calls had each measure."""
    groups: Mapping[str, Mapping[str, tuple[int, int]]]
    """By dimension and group: bad calls, and calls."""


@dataclass(frozen=True, slots=True)
class Change:
    """One comparison of before and after. `measure` is `bad` or one of MEASURES, `group` empty for all
    calls.

    `needed` is about how many calls more it takes to prove a change of this size, if it is real; None where
    it is proven, or too small for that.
    """

    measure: str
    dimension: str
    group: str
    before: float
    after: float
    calls_before: int
    calls_after: int
    p_value: float
    answer: Answer
    needed: int | None

    def words(self) -> str:
        """One sentence."""
        where = f" at {self.dimension} {self.group}" if self.group else ""
        before, after = figure(self.measure, self.before), figure(self.measure, self.after)
        what = f"{named(self.measure)}{where}: {before} before, {after} now"
        how = f"{self.calls_before:,} and {self.calls_after:,} calls, {shown_p(self.p_value)}"
        more = f"; some {self.needed:,} calls more would tell" if self.needed else ""
        if self.measure != "bad" and abs(self.after - self.before) < _NOTICED[self.measure]:
            more = f"; less than {figure(self.measure, _NOTICED[self.measure])} is called no change"
        return f"{self.answer}: {what} ({how}{more})"


def make(rows: Sequence[CallRow], name: str = "") -> Baseline:
    """A baseline of calls. Raises BaselineError when there are too few to compare anything with."""
    if len(rows) < FEWEST_CALLS:
        raise BaselineError(
            f"{len(rows)} calls are too few for a baseline: at least {FEWEST_CALLS} are needed"
        )
    groups: dict[str, dict[str, tuple[int, int]]] = {}
    for dimension in DIMENSIONS:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for row in rows:
            counts[row.group(dimension)][0] += row.bad
            counts[row.group(dimension)][1] += 1
        groups[dimension] = {group: (bad, calls) for group, (bad, calls) in counts.items()}
    return Baseline(
        name=name,
        began=min(row.start for row in rows).isoformat(),
        ended=max(row.start for row in rows).isoformat(),
        calls=len(rows),
        bad=sum(row.bad for row in rows),
        measures={measure: _thinned(values_of(rows, measure)) for measure in MEASURES},
        measured={measure: len(values_of(rows, measure)) for measure in MEASURES},
        groups=groups,
    )


def to_text(baseline: Baseline) -> str:
    """As it is kept in a file."""
    return json.dumps({"ringback_baseline": FORMAT, **asdict(baseline)}, indent=1)


def from_text(text: str) -> Baseline:
    """What `to_text` wrote. Raises BaselineError."""
    try:
        data: Any = json.loads(text)
    except ValueError:
        raise BaselineError("this is no JSON") from None
    if not isinstance(data, dict) or data.get("ringback_baseline") != FORMAT:
        raise BaselineError(f"this is no baseline of format {FORMAT}")
    try:
        return _baseline(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise BaselineError("parts of the baseline are missing or damaged") from None


def _baseline(data: dict[str, Any]) -> Baseline:
    whole = Share(int(data["bad"]), int(data["calls"]))
    groups = {
        dimension: {
            fit_to_show(str(group)): Share(int(bad), int(calls)) for group, (bad, calls) in counts.items()
        }
        for dimension, counts in data["groups"].items()
        if dimension in DIMENSIONS
    }
    for share in (whole, *(share for counts in groups.values() for share in counts.values())):
        if not 0 <= share.bad <= share.calls:
            raise ValueError
    measures = {measure: tuple(sorted(map(float, data["measures"][measure]))) for measure in MEASURES}
    if not all(math.isfinite(value) for values in measures.values() for value in values):
        raise ValueError
    return Baseline(
        name=fit_to_show(str(data["name"])),
        began=datetime.fromisoformat(data["began"]).isoformat(),
        ended=datetime.fromisoformat(data["ended"]).isoformat(),
        calls=whole.calls,
        bad=whole.bad,
        measures=measures,
        measured={measure: max(int(data["measured"][measure]), 0) for measure in MEASURES},
        groups={
            dimension: {group: (share.bad, share.calls) for group, share in counts.items()}
            for dimension, counts in groups.items()
        },
    )


def compare(before: Baseline, rows: Sequence[CallRow]) -> list[Change]:
    """All calls against the baseline, by each measure, and each group that both know by its share of bad
    calls.

    What is called better or worse holds the false discovery rate among all of these.
    """
    after = make(rows)
    changes = [_share_change("", "", Share(before.bad, before.calls), Share(after.bad, after.calls))]
    for measure in MEASURES:
        old, new = before.measures.get(measure, ()), values_of(rows, measure)
        if len(old) >= FEWEST_CALLS and len(new) >= FEWEST_CALLS:
            changes.append(_measure_change(measure, old, before.measured[measure], new))
    for dimension, groups in before.groups.items():
        for group, (bad, calls) in groups.items():
            now_bad, now_calls = after.groups[dimension].get(group, (0, 0))
            if calls >= FEWEST_CALLS and now_calls >= FEWEST_CALLS and len(groups) > 1:
                changes.append(_share_change(dimension, group, Share(bad, calls), Share(now_bad, now_calls)))
    surest = held([change.p_value for change in changes], len(changes))
    return [
        replace(change, needed=None) if sure else replace(change, answer="unproven")
        for change, sure in zip(changes, surest, strict=True)
    ]


def verdict(changes: Sequence[Change]) -> Answer:
    """The answer for all calls together: worse if anything of all calls is proven worse, better if any is
    better."""
    overall = {change.answer for change in changes if not change.group}
    return "worse" if "worse" in overall else "better" if "better" in overall else "unproven"


def _share_change(dimension: str, group: str, before: Share, after: Share) -> Change:
    p_value = fisher(before, after)
    # What the share does, if that is proven; whether it is can be told of all changes together only.
    answer: Answer = "worse" if after.share > before.share else "better"
    return Change(
        "bad",
        dimension,
        group,
        before.share,
        after.share,
        before.calls,
        after.calls,
        p_value,
        answer,
        _calls_needed(before, after),
    )


def _calls_needed(before: Share, after: Share) -> int | None:
    """Calls more, of after, that prove such a difference with 80 % (two proportions, normal
    approximation)."""
    apart = abs(before.share - after.share)
    if apart < 0.005:
        return None
    mean = (before.share + after.share) / 2
    needed = 2 * mean * (1 - mean) * ((1.96 + 0.84) / apart) ** 2
    return max(math.ceil(needed) - after.calls, 0) or None


def _measure_change(
    measure: str, before: Sequence[float], calls_before: int, after: Sequence[float]
) -> Change:
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes a second to load, and only this needs it

    old, new = float(np.median(before)), float(np.median(after))
    p_value = float(mannwhitneyu(before, after, alternative="two-sided").pvalue)
    answer: Answer = "unproven"
    if abs(new - old) >= _NOTICED[measure]:
        answer = "better" if (new > old) == (measure in LOWER_IS_WORSE) else "worse"
    return Change(measure, "", "", old, new, calls_before, len(after), p_value, answer, None)


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    """The values sorted; of too many an even choice."""
    ordered = sorted(values)
    if len(ordered) <= MOST_VALUES:
        return tuple(ordered)
    return tuple(ordered[round(place)] for place in np.linspace(0, len(ordered) - 1, MOST_VALUES))
