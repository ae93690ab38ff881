"""What stands out among many calls, as HTML: groups worse than the rest, and a heat map of shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Final

from ringback.diagnosis.diagnosed import DiagnosedCall
from ringback.diagnosis.many.calls import UNKNOWN, CallRow
from ringback.diagnosis.many.heat import HeatMap, by_groups, by_week
from ringback.diagnosis.many.patterns import FEWEST_CALLS, Patterns, Share, find
from ringback.diagnosis.many.places import Places
from ringback.diagnosis.many.rows import rows_of
from ringback.diagnosis.report.markup import Child, Markup, tag
from ringback.diagnosis.report.tables import scrolling

FEWEST: Final = 20
"""Of fewer calls nothing is said: chance could make anything of them."""

_MOST_ROWS: Final = 30
_MOST_COLUMNS: Final = 24
_GRADES: Final = ((0.0, "heat-0"), (0.05, "heat-1"), (0.15, "heat-2"), (0.3, "heat-3"), (1.0, "heat-4"))


def groups_section(calls: Sequence[DiagnosedCall], places: Places, zone: tzinfo | None) -> Markup | None:
    """The section; None for few calls."""
    if len(calls) < FEWEST:
        return None
    rows = rows_of(calls, places, zone)
    patterns = find(rows)
    return tag(
        "section",
        tag("h2", "What stands out", id="groups"),
        tag("ul", *(tag("li", sentence) for sentence in stand_out(patterns))),
        *(_map(heat, opened=not number) for number, heat in enumerate(_maps(rows))),
        class_="groups",
        aria_labelledby="groups",
    )


def stand_out(patterns: Patterns) -> list[str]:
    """A sentence for each group that is worse by more than chance; one sentence where there is none."""
    found = [one.words() for one in patterns.stand_out]
    return found or [
        f"No group of calls is worse than the others by more than chance ({patterns.compared} comparisons)."
    ]


def _maps(rows: Sequence[CallRow]) -> list[HeatMap]:
    days = max(row.start for row in rows) - min(row.start for row in rows)
    maps = [by_week(rows)] if days >= timedelta(days=1) else []
    for dimension in ("site", "trunk"):
        counts = Counter(row.group(dimension) for row in rows)
        large = {name for name, number in counts.items() if number >= FEWEST_CALLS and name != UNKNOWN}
        if len(large) > 1:
            maps.append(by_groups([row for row in rows if row.group(dimension) in large], dimension, "hour"))
    return maps


def _map(heat: HeatMap, *, opened: bool) -> Markup:
    columns = heat.columns[:_MOST_COLUMNS]
    head = tag(
        "tr", tag("th", heat.row_title, scope="col"), *(tag("th", name, scope="col") for name in columns)
    )
    body = [
        tag("tr", tag("th", name, scope="row"), *(_cell(share) for share in cells[:_MOST_COLUMNS]))
        for name, cells in zip(heat.rows[:_MOST_ROWS], heat.cells, strict=False)
    ]
    title = f"Bad calls by {heat.row_title} and {heat.column_title}"
    drawn = tag("table", tag("thead", head), tag("tbody", *body), class_="heat")
    return tag("details", tag("summary", title), scrolling(drawn, title), open=opened)


def _cell(share: Share) -> Markup:
    if not share.calls:
        return tag("td")
    grade = next(name for limit, name in _GRADES if share.share <= limit)
    text: Child = f"{share.bad}/{share.calls}" if share.bad else str(share.calls)
    return tag("td", text, class_=grade)
