"""Many calls in a terminal: what stands out, heat maps that need no colour, and a baseline's answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.table import Table
from rich.text import Text

from ringback.cli.output import print_rich
from ringback.diagnosis.many.baseline import Answer
from ringback.diagnosis.many.heat import HeatMap
from ringback.diagnosis.many.patterns import FEWEST_CALLS, Share
from ringback.diagnosis.many.summary import ManyCalls, Since
from ringback.diagnosis.shown import count

WIDEST: Final = 100
MOST_OUTLIERS: Final = 12
MOST_DOUBTFUL: Final = 3
MOST_ROWS: Final = 14
MOST_GROUPS: Final = 8

_ANSWERS: Final[dict[Answer, tuple[str, str]]] = {
    "better": ("✓", "bold green"),
    "worse": ("✗", "bold red"),
    "unproven": ("?", "bold yellow"),
}
_SHADES: Final = ((0.40, "bold red"), (0.20, "red"), (0.10, "yellow"), (0.0, ""))


def print_many(many: ManyCalls) -> None:
    """Print it all."""
    print()
    _put(Text("All calls together", style="bold"))
    _put(Text(many.headline()))
    outliers = many.patterns.stand_out
    _put_marked(("✗", "bold red", one.words()) for one in outliers[:MOST_OUTLIERS])
    if len(outliers) > MOST_OUTLIERS:
        _put(Text(f"{len(outliers) - MOST_OUTLIERS} more stand out; --report or --json has them."))
    if many.doubtful:
        _put(Text("Looks worse, and may be chance or come from another group:", style="dim"))
        _put_marked(("·", "dim", one.words()) for one in many.doubtful[:MOST_DOUBTFUL])
    _put(Text(f"{many.meaning} {many.compared()}", style="dim"))
    for heat in many.heat_maps:
        print()
        _print_heat(heat)
    if many.since is not None:
        print()
        _print_since(many.since)


def _print_heat(heat: HeatMap) -> None:
    rows = [place for place, row in enumerate(heat.cells) if any(cell.calls for cell in row)]
    used = [at for at in range(len(heat.columns)) if any(row[at].calls for row in heat.cells)]
    if not rows or not used:
        return
    columns = range(used[0], used[-1] + 1) if heat.column_title == "hour" else used
    _put(Text(f"Bad calls by {heat.row_title} and {heat.column_title}, in per cent", style="bold"))
    table = Table.grid(padding=(0, 0))
    table.add_column(style="dim", no_wrap=True, max_width=24)
    for _ in columns:
        table.add_column(justify="right", no_wrap=True, min_width=3)
    table.add_row("", *(Text(heat.columns[at], style="dim") for at in columns))
    for row in rows[:MOST_ROWS]:
        table.add_row(Text(heat.rows[row]), *(_cell(heat.cells[row][at]) for at in columns))
    _put(table)
    key = f"· no call; ° fewer than {FEWEST_CALLS} calls, bad ones counted."
    if len(rows) > MOST_ROWS:
        key += f" {len(rows) - MOST_ROWS} more rows with fewer calls are not shown."
    _put(Text(key, style="dim"))


def _cell(share: Share) -> Text:
    if not share.calls:
        return Text("·", style="dim")
    if share.calls < FEWEST_CALLS:
        return Text("°" if not share.bad else f"{share.bad}°", style="dim")
    style = next(style for bound, style in _SHADES if share.share > bound or not bound)
    return Text(f"{100 * share.share:.0f}", style=style if share.bad else "dim")


def _print_since(since: Since) -> None:
    mark, style = _ANSWERS[since.answer]
    _put(Text("Since the baseline", style="bold"))
    _put_marked([(mark, style, since.words())])
    overall = [change for change in since.changes if not change.group]
    groups = [change for change in since.groups() if change.answer != "unproven"]
    shown = (*overall, *groups[:MOST_GROUPS])
    _put_marked((*_ANSWERS[change.answer], change.words()) for change in shown)
    more = count(max(len(groups) - MOST_GROUPS, 0), "group")
    left = count(sum(bool(change.group) for change in since.changes) - len(groups), "group")
    _put(Text(f"{more} more changed; of {left} no change is proven.", style="dim"))


def _put_marked(lines: Iterable[tuple[str, str, str]]) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for mark, style, words in lines:
        table.add_row(Text(mark, style=style), Text(words))
    if table.row_count:
        _put(table)


def _put(shown: Text | Table) -> None:
    print_rich(shown, WIDEST)
