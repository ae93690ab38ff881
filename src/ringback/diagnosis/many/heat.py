"""A heat map of many calls: how bad by day and hour, or by any two of their groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ringback.diagnosis.many.calls import CallRow
from ringback.diagnosis.many.patterns import Share

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Shares of bad calls: `cells[row][column]`; a cell without calls has Share(0, 0)."""

    row_title: str
    column_title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Share, ...], ...]


def by_week(rows: Sequence[CallRow]) -> HeatMap:
    """Day of the week against hour of the day, whole weeks and days."""
    pairs = [(WEEKDAYS[row.start.weekday()], f"{row.start.hour:02d}", row.bad) for row in rows]
    return _map("day", "hour", WEEKDAYS, tuple(f"{hour:02d}" for hour in range(24)), pairs)


def by_groups(rows: Sequence[CallRow], row_title: str, column_title: str) -> HeatMap:
    """Two dimensions against each other, those with most calls first, the hour in its order."""
    pairs = [(row.group(row_title), row.group(column_title), row.bad) for row in rows]
    names = [_names(pairs, place, title) for place, title in enumerate((row_title, column_title))]
    return _map(row_title, column_title, names[0], names[1], pairs)


def _names(pairs: Sequence[tuple[str, str, bool]], place: int, title: str) -> tuple[str, ...]:
    counts: dict[str, int] = defaultdict(int)
    for pair in pairs:
        counts[str(pair[place])] += 1
    if title == "hour":
        return tuple(sorted(counts))
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _map(
    row_title: str,
    column_title: str,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    pairs: Sequence[tuple[str, str, bool]],
) -> HeatMap:
    bad: dict[tuple[str, str], int] = defaultdict(int)
    calls: dict[tuple[str, str], int] = defaultdict(int)
    for row, column, was_bad in pairs:
        calls[row, column] += 1
        bad[row, column] += was_bad
    cells = tuple(tuple(Share(bad[row, column], calls[row, column]) for column in columns) for row in rows)
    return HeatMap(row_title, column_title, rows, columns, cells)
