"""Many calls in the report: what stands out, heat maps, and what became of it since a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ringback.diagnosis.many.baseline import Answer, Change
from ringback.diagnosis.many.calls import figure, named, percent
from ringback.diagnosis.many.heat import HeatMap
from ringback.diagnosis.many.patterns import FEWEST_CALLS, Outlier, Share, shown_p
from ringback.diagnosis.many.summary import ManyCalls, Since
from ringback.diagnosis.report.markup import Child, Markup, joined, tag
from ringback.diagnosis.report.tables import scrolling, table
from ringback.diagnosis.shown import count

STEPS: Final = (0.0, 0.05, 0.10, 0.20, 0.40)
"""Shares of bad calls above which a cell is a shade darker."""
MOST_ROWS: Final = 30
MOST_DOUBTFUL: Final = 10
MOST_GROUPS: Final = 8

MANY: Final = (
    "Of many calls each group (a site, a trunk, an hour …) is held against all others: shares of bad calls "
    "by Fisher's exact test, medians by Mann and Whitney's. The false discovery rate of all comparisons "
    "together is held at 5 % (Benjamini and Hochberg).",
    "A group that is bad only because its calls belong to another bad group is found by comparing within "
    "that one (Mantel and Haenszel).",
)
MANY_LIMITS: Final = (
    "What stands out need not be the cause: calls go together by what nobody wrote down, too.",
    "Calls that follow each other share their fate; the tests take each for itself, so that an outage of "
    "an hour looks surer than it is.",
)

_ANSWERS: Final[dict[Answer, str]] = {"better": "good", "worse": "bad", "unproven": "unclear"}


def many_section(many: ManyCalls, *, titled: bool) -> Markup:
    """The section; without its headline where that is the page's title already."""
    hidden = None if titled else "unseen"
    parts: list[Child] = [tag("h2", f"{count(many.calls, 'call')} together", id="many", class_=hidden)]
    if titled:
        parts.append(tag("p", many.headline(), class_="summary"))
    parts += _outliers(many)
    for heat in many.heat_maps:
        parts += [tag("h3", _title(heat)), heat_table(heat)]
    if many.heat_maps:
        parts.append(_key())
    if many.since is not None:
        parts += _since(many.since)
    return tag("section", *parts, class_="many", aria_labelledby="many")


def _outliers(many: ManyCalls) -> Iterator[Markup]:
    stand_out = many.patterns.stand_out
    if stand_out:
        yield tag("h3", "What stands out")
        yield _outlier_table(stand_out)
    yield tag("p", many.meaning, " ", many.compared(), class_="soft")
    doubtful = many.doubtful[:MOST_DOUBTFUL]
    if doubtful:
        items = [tag("li", one.words()) for one in doubtful]
        summary = "What looks worse, and may be chance or come from another group"
        yield tag("details", tag("summary", summary), tag("ul", *items))


def _outlier_table(outliers: Sequence[Outlier]) -> Markup:
    rows: list[list[Child]] = []
    for one in outliers:
        interval = "" if one.interval is None else " to ".join(map(percent, one.interval))
        rows.append([
            f"{one.dimension} {one.group}",
            named(one.measure),
            f"{one.calls:,}",
            tag("strong", figure(one.measure, one.value)),
            interval,
            figure(one.measure, one.rest),
            shown_p(one.p_value),
        ])  # fmt: skip
    head = ["Group", "What", "Calls", "Here", "Likely between", "All others", "Chance"]
    return table("What stands out", head, rows, first_is_head=True)


def _title(heat: HeatMap) -> str:
    return f"Bad calls by {heat.row_title} and {heat.column_title}"


def heat_table(heat: HeatMap) -> Markup:
    """A heat map as a table: each cell has its share as text, and says of how many calls."""
    rows = [place for place, row in enumerate(heat.cells) if any(cell.calls for cell in row)]
    columns = _columns(heat)
    corner = tag("td", tag("span", f"{heat.row_title} and {heat.column_title}", class_="unseen"))
    head = tag("tr", corner, *(tag("th", heat.columns[place], scope="col") for place in columns))
    body = [
        tag("tr", tag("th", heat.rows[row], scope="row"), *(_cell(heat.cells[row][at]) for at in columns))
        for row in rows[:MOST_ROWS]
    ]
    title = _title(heat)
    caption = tag("caption", f"{title}, per cent of calls", class_="unseen")
    made = tag("table", caption, tag("thead", head), tag("tbody", *body), class_="heat")
    more = len(rows) - MOST_ROWS
    rest = tag("p", f"{more} more with fewer calls are not shown.", class_="soft") if more > 0 else None
    return joined(scrolling(made, title), rest)


def _columns(heat: HeatMap) -> list[int]:
    """Of hours all from the first to the last with calls; of others those with calls."""
    used = [at for at in range(len(heat.columns)) if any(row[at].calls for row in heat.cells)]
    if heat.column_title == "hour" and used:
        return list(range(used[0], used[-1] + 1))
    return used


def _cell(share: Share) -> Markup:
    if not share.calls:
        return tag("td", tag("span", "no calls", class_="unseen"), class_="empty")
    said = f"{share.bad:,} of {count(share.calls, 'call')} bad"
    figure = f"{100 * share.share:.0f}"
    step = sum(share.share > bound for bound in STEPS)
    kind = "few" if share.calls < FEWEST_CALLS else f"heat-{step}"
    return tag("td", tag("span", figure, aria_hidden="true"), tag("span", said, class_="unseen"),
               class_=kind, title=said)  # fmt: skip


def _key() -> Markup:
    """Which shade means what."""
    bounds = [f"{100 * step:.0f} %" for step in STEPS]
    names = ["none", *(f"to {bound}" for bound in bounds[1:]), f"above {bounds[-1]}"]
    items = [
        tag("li", tag("span", class_=f"swatch heat-{step}"), " ", name) for step, name in enumerate(names)
    ]
    few = tag("li", tag("span", class_="swatch few"), " ", f"fewer than {FEWEST_CALLS} calls")
    return tag("ul", tag("li", "Bad calls, per cent:"), *items, few, class_="facts key-heat")


def _since(since: Since) -> Iterator[Markup]:
    chip = tag("span", since.answer.capitalize(), class_=f"chip {_ANSWERS[since.answer]}")
    yield tag("h3", "Since the baseline")
    yield tag("p", chip, " ", since.words())
    overall = [change for change in since.changes if not change.group]
    yield _change_table("All calls against the baseline", overall)
    groups = since.groups()
    told = [change for change in groups if change.answer != "unproven"]
    if told:
        yield _change_table("Groups against the baseline", told[:MOST_GROUPS])
    rest = [change for change in groups if change.answer == "unproven"]
    for title, left in (("that changed", told[MOST_GROUPS:]), ("of which nothing is proven", rest)):
        if left:
            made = _change_table(f"Groups {title}", left)
            yield tag("details", tag("summary", f"{count(len(left), 'more group')} {title}"), made)


def _change_table(title: str, changes: Sequence[Change]) -> Markup:
    rows: list[list[Child]] = []
    for change in changes:
        rows.append([
            f"{change.dimension} {change.group}" if change.group else "all calls",
            named(change.measure),
            figure(change.measure, change.before),
            figure(change.measure, change.after),
            f"{change.calls_before:,} / {change.calls_after:,}",
            shown_p(change.p_value),
            tag("span", change.answer, class_=f"chip {_ANSWERS[change.answer]}"),
            f"some {change.needed:,} calls more would tell" if change.needed else "",
        ])  # fmt: skip
    head = ["Group", "What", "Before", "Now", "Calls", "Chance", "Answer", ""]
    return table(title, head, rows, first_is_head=True)
