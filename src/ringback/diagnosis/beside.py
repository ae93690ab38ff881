"""What was counted and noted beside a capture, from tables (CSV): counters of interfaces, marks of events."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from ringback.diagnosis.causes.verdict import Counter, Mark
from ringback.diagnosis.many.calls import RowProblem, dialect_of, lines_of, read_time
from ringback.governance.shown import fit_to_show

MOST_COUNTERS: Final = 100
MOST_VALUES: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES: Final = ("time", "timestamp", "at", "date", "datetime", "start")
_NAMES: Final = ("name", "metric", "counter", "series")
_TEXTS: Final = ("text", "mark", "event", "what", "note")


def read_counters(text: str, zone: tzinfo | None) -> tuple[list[Counter], list[RowProblem]]:
    """Counters of a table with a line of names first and a column of times.

    Either each other column is a counter, or the columns `name` and `value` say which and how much. Times
    are ISO 8601 or seconds since 1970, those without a zone of `zone` (None: this machine's). What is no
    number is left out.
    """
    values: dict[str, list[tuple[int, float]]] = defaultdict(list)
    problems: list[RowProblem] = []
    for at_ns, row in _rows(text, zone, problems):
        for name, value in _named(row):
            if len(values[name]) < MOST_VALUES and len(values) <= MOST_COUNTERS:
                values[name].append((at_ns, value))
    counters = []
    for name, found in list(values.items())[:MOST_COUNTERS]:
        found.sort()
        if found:
            counters.append(Counter(fit_to_show(name), *map(list, zip(*found, strict=True))))
    if not counters and not problems:
        problems.append(RowProblem(1, "there is no counter in it: a column of numbers is needed"))
    return counters, problems


def read_marks(text: str, zone: tzinfo | None) -> tuple[list[Mark], list[RowProblem]]:
    """Marks of a table with a column of times and one of texts, such as `backup started`."""
    marks: list[Mark] = []
    problems: list[RowProblem] = []
    for at_ns, row in _rows(text, zone, problems):
        said = next((row[name] for name in _TEXTS if row.get(name)), "")
        said = said or next((value for name, value in row.items() if name not in _TIMES and value), "")
        if said:
            marks.append(Mark(at_ns, fit_to_show(said)))
    return sorted(marks, key=lambda mark: mark.at_ns), problems


def _named(row: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    name = next((row[name] for name in _NAMES if row.get(name)), None)
    pairs = [(name, row["value"])] if name is not None and "value" in row else list(row.items())
    for key, text in pairs:
        try:
            value = float(text)
        except ValueError:
            continue
        if key not in _TIMES and math.isfinite(value):
            yield key, value


def _rows(text: str, zone: tzinfo | None, problems: list[RowProblem]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines with their times in ns, by names in lower case where these are known ones."""
    reader = csv.DictReader(io.StringIO(text, newline=None), dialect=dialect_of(text))
    try:
        names = list(reader.fieldnames or ())
    except csv.Error:
        problems.append(RowProblem(1, "this is no table of comma-separated values"))
        return
    known = {*_TIMES, *_NAMES, *_TEXTS, "value"}
    shorter = {
        name: name.strip().lower() if name.strip().lower() in known else name.strip() for name in names
    }
    time_name = next((name for name in names if shorter[name] in _TIMES), None)
    if time_name is None:
        problems.append(RowProblem(1, f"no column of times: one of {', '.join(_TIMES)} is needed"))
        return
    for values in lines_of(reader, problems):
        when = read_time(values.get(time_name) or "", zone)
        if when is None:
            problems.append(RowProblem(reader.line_num, "its time cannot be read"))
            continue
        row = {shorter[name]: (values.get(name) or "").strip() for name in names if name != time_name}
        yield (when - _EPOCH) // timedelta(microseconds=1) * 1000, row
