"""When somebody complained, as people say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from ringback.diagnosis.causes.verdict import Window
from ringback.diagnosis.complaint import NotATimeError, complaint_from

SECOND = 10**9


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


CAPTURE = Window(ns("2026-01-02T13:50:00+00:00"), ns("2026-01-02T14:10:00+00:00"))
BERLIN = ZoneInfo("Europe/Berlin")


def test_a_time_of_day_is_that_of_the_captures_day() -> None:
    window = complaint_from("14:02:10-14:02:40", UTC).within(CAPTURE)
    assert window == Window(ns("2026-01-02T14:02:10+00:00"), ns("2026-01-02T14:02:40+00:00"))


def test_it_is_a_time_by_the_clock_of_the_zone() -> None:
    assert complaint_from("15:02:10-15:02:40", BERLIN).within(CAPTURE).began_ns == ns(
        "2026-01-02T14:02:10+00:00"
    )


@pytest.mark.parametrize("text", ["14:02-14:03", "14:02 - 14:03", "14:02–14:03", " 14:02:00/14:03:00 "])
def test_seconds_may_be_left_out_and_dashes_be_any(text: str) -> None:
    window = complaint_from(text, UTC).within(CAPTURE)
    assert (window.ended_ns - window.began_ns) // SECOND == 60


def test_parts_of_seconds_count() -> None:
    window = complaint_from("14:02:10.25-14:02:10.5", UTC).within(CAPTURE)
    assert window.ended_ns - window.began_ns == SECOND // 4


def test_over_midnight() -> None:
    night = Window(ns("2026-01-02T23:00:00+00:00"), ns("2026-01-03T01:00:00+00:00"))
    window = complaint_from("23:59-00:01", UTC).within(night)
    assert (window.began_ns, window.ended_ns) == (
        ns("2026-01-02T23:59:00+00:00"),
        ns("2026-01-03T00:01:00+00:00"),
    )


def test_a_capture_of_several_days_is_met_on_the_day_on_which_it_went_on() -> None:
    days = Window(ns("2026-01-02T20:00:00+00:00"), ns("2026-01-04T01:00:00+00:00"))
    assert complaint_from("09:00-09:05", UTC).within(days).began_ns == ns("2026-01-03T09:00:00+00:00")


def test_a_time_that_the_capture_does_not_hold_is_of_its_first_day() -> None:
    assert complaint_from("09:00-09:05", UTC).within(CAPTURE).began_ns == ns("2026-01-02T09:00:00+00:00")


def test_a_date_is_taken_as_said() -> None:
    window = complaint_from("2026-01-05T09:00-2026-01-05T09:05", timezone(timedelta(0))).within(CAPTURE)
    assert window == Window(ns("2026-01-05T09:00:00+00:00"), ns("2026-01-05T09:05:00+00:00"))


@pytest.mark.parametrize(
    "text",
    ["", "14:02", "yesterday", "14:02-", "14:02-14:03-14:04", "25:00-25:10", "14:61-14:62",
     "14:02-2026-01-05T14:03", "2026-01-05T09:05-2026-01-05T09:00", "2026-13-05T09:05-2026-13-05T09:06",
     "١٤:٠٢-١٤:٠٣"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(NotATimeError) as raised:
        complaint_from(text, UTC)
    assert len(str(raised.value)) > 20
