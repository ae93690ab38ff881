"""Counters and marks from tables, as exporters and people write them."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.beside import read_counters, read_marks

AT = 1_767_362_400 * 10**9
"""2026-01-02 14:00:00 UTC."""
MINUTE = 60 * 10**9


def test_each_column_of_numbers_is_a_counter() -> None:
    text = "time,ifOutDiscards,load,note\n2026-01-02 14:01:00,12,0.5,x\n2026-01-02 14:00:00,7,,y\n"
    counters, problems = read_counters(text, UTC)
    assert problems == []
    assert [(c.name, list(c.at_ns), list(c.values)) for c in counters] == [
        ("ifOutDiscards", [AT, AT + MINUTE], [7.0, 12.0]),
        ("load", [AT + MINUTE], [0.5]),
    ]


def test_names_may_stand_in_the_lines() -> None:
    text = "Timestamp;Metric;Value\n1767362400;drops;1\n1767362460;drops;4\n1767362460;errors;NaN\n"
    counters, _ = read_counters(text, UTC)
    assert [(c.name, list(c.values)) for c in counters] == [("drops", [1.0, 4.0])]


def test_times_without_a_zone_are_of_the_zone_said() -> None:
    counters, _ = read_counters("time,drops\n2026-01-02T15:00:00,1\n", ZoneInfo("Europe/Berlin"))
    assert list(counters[0].at_ns) == [AT]


def test_marks_have_a_time_and_a_text() -> None:
    marks, problems = read_marks(
        "at,what\n2026-01-02T14:01:00Z,backup ends\n1767362400,backup started\n", UTC
    )
    assert problems == []
    assert [(mark.at_ns, mark.text) for mark in marks] == [
        (AT, "backup started"),
        (AT + MINUTE, "backup ends"),
    ]


def test_what_cannot_be_read_is_told_by_its_line() -> None:
    _, problems = read_counters("time,drops\nnever,1\n1767362400,2\n", UTC)
    assert [(problem.line, problem.reason) for problem in problems] == [(2, "its time cannot be read")]
    assert "no column of times" in read_counters("a,b\n1,2\n", UTC)[1][0].reason
    assert "no counter" in read_counters("time,note\n1767362400,x\n", UTC)[1][0].reason


@given(st.text())
def test_any_text_can_be_given(text: str) -> None:
    read_counters(text, UTC)
    read_marks(f"time,text\n{text}", UTC)
