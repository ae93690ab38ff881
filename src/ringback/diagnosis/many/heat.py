"""A heat map of many calls: how bad by day and hour, or by any two of their groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ringback.diagnosis.many.calls import CallRow
from ringback.diagnosis.many.patterns import FEWEST_CALLS, Share

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS = tuple(f"{hour:02d}" for hour in range(24))


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Shares of bad calls: `cells[row][column]`; a cell without calls has Share(0, 0)."""

    row_title: str
    column_title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Share, ...], ...]

    @property
    def says_something(self) -> bool:
        """Whether any cell has enough calls for its share to say anything."""
        return any(cell.calls >= FEWEST_CALLS for row in self.cells for cell in row)


def by_week(rows: Sequence[CallRow]) -> HeatMap:
    """Day of the week against hour of the day, whole weeks and days."""
    pairs = [(WEEKDAYS[row.start.weekday()], HOURS[row.start.hour], row.bad) for row in rows]
    return _map("day", "hour", WEEKDAYS, HOURS, pairs)


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
        return _hours(counts)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _hours(counts: Mapping[str, int]) -> tuple[str, ...]:
    """All hours from the first to the last with calls; what a table called otherwise stands behind them."""
    hours = sorted(name for name in counts if name in HOURS)
    others = sorted(name for name in counts if name not in HOURS)
    return (*(HOURS[HOURS.index(hours[0]) : HOURS.index(hours[-1]) + 1] if hours else ()), *others)


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
