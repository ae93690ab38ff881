"""Time conditions: zones with daylight saving, nights over midnight, holidays, the switch by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ringback.routing.hours import standing
from ringback.routing.steps import Refuse
from ringback.store.plan.hours import Holiday, Hours, Span
from ringback.store.plan.target import Target
from tests.routing.office import NOON, Office, said

WEEK = ("mon", "tue", "wed", "thu", "fri")


def office_hours(**details: object) -> Hours:
    spans = (Span(days=WEEK, from_="09:00", to="17:00"),)
    return Hours(**{"name": "office", "time_zone": "Europe/Berlin", "spans": spans, **details})


def state(hours: Hours, text: str, zone: str = "UTC") -> str:
    return standing(hours, datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))).state


@pytest.mark.parametrize(
    ("when", "zone", "expected"),
    [
        ("2026-06-17 07:00", "UTC", "open"),
        ("2026-06-17 06:59", "UTC", "closed"),
        ("2026-12-16 07:30", "UTC", "closed"),
        ("2026-12-16 08:00", "UTC", "open"),
        ("2026-06-17 10:59", "America/New_York", "open"),
        ("2026-06-17 11:00", "America/New_York", "closed"),
        ("2026-06-20 12:00", "Europe/Berlin", "closed"),
        ("2026-03-27 09:00", "Europe/Berlin", "open"),
        ("2026-03-30 09:00", "Europe/Berlin", "open"),
        ("2026-03-30 07:00", "UTC", "open"),
        ("2026-03-27 07:59", "UTC", "closed"),
    ],
)
def test_spans_are_by_the_wall_clock_there(when: str, zone: str, expected: str) -> None:
    assert state(office_hours(), when, zone) == expected


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    night = office_hours(time_zone="UTC", spans=(Span(days=("fri",), from_="22:00", to="06:00"),))
    at = ("19 21:59", "19 22:00", "20 05:59", "20 06:00", "19 05:00", "20 23:00")
    expected = ["closed", "open", "open", "closed", "closed", "closed"]
    assert [state(night, f"2026-06-{when}") for when in at] == expected


def test_the_whole_day_however_it_is_written() -> None:
    at = ("16 23:59", "17 00:00", "17 23:59", "18 00:00")
    for to in ("24:00", "00:00"):
        whole = office_hours(time_zone="UTC", spans=(Span(days=("wed",), from_="00:00", to=to),))
        assert [state(whole, f"2026-06-{when}") for when in at] == ["closed", "open", "open", "closed"]


def test_the_hour_that_comes_twice_is_the_same_both_times() -> None:
    early = office_hours(spans=(Span(days=("sun",), from_="02:00", to="03:00"),))
    berlin = ZoneInfo("Europe/Berlin")
    for fold in (0, 1):
        at = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold)
        assert standing(early, at).state == "open"


def test_holidays_come_before_spans_yearly_or_on_one_date() -> None:
    hours = office_hours(
        holidays=(
            Holiday(date="12-25", title="Christmas"),
            Holiday(date="2026-12-24", from_="12:00"),
            Holiday(date="2027-01-04", from_="23:00", to="10:00"),
        )
    )
    assert state(hours, "2026-12-25 10:00", "Europe/Berlin") == "holiday"
    assert state(hours, "2028-12-25 10:00", "Europe/Berlin") == "holiday"
    assert state(hours, "2026-12-24 11:59", "Europe/Berlin") == "open"
    assert state(hours, "2026-12-24 12:00", "Europe/Berlin") == "holiday"
    assert state(hours, "2027-12-24 12:00", "Europe/Berlin") == "open"
    assert state(hours, "2027-01-05 09:30", "Europe/Berlin") == "holiday"
    assert state(hours, "2027-01-05 10:00", "Europe/Berlin") == "open"


def test_the_switch_comes_first_and_says_so() -> None:
    for switch in ("open", "closed", "holiday"):
        found = standing(office_hours(switch=switch, holidays=(Holiday(date="06-17"),)), NOON)
        assert found == (switch, f"switched to {switch} by hand")


def test_an_unknown_time_zone_is_utc_and_says_so() -> None:
    for name in ("Europe/Berlln", "", "../../etc/passwd", "\0", "Europe"):
        found = standing(office_hours(time_zone=name), datetime(2026, 6, 17, 9, 0, tzinfo=UTC))
        assert found.state == "open"
        assert f"(there is no time zone {name})" in found.said


def test_each_state_leads_where_it_says() -> None:
    leads = {"open": "extension:1002", "closed": "extension:1003", "holiday": "extension:1004"}
    for switch, number in (("open", "1002"), ("closed", "1003"), ("holiday", "1004")):
        hours = office_hours(number="200", switch=switch, **leads)
        decision = Office(hours).call("200")
        assert decision.step.path[-1] == Target("extension", number)
        assert said(decision)[0] == f"hours office: switched to {switch} by hand"
    shut = office_hours(number="200", switch="holiday", closed="extension:1003")
    assert Office(shut).call("200").step.path[-1] == Target("extension", "1003")


def test_hours_that_lead_nowhere_are_a_dead_end() -> None:
    step = Office(office_hours(number="200", switch="open")).call("200").step
    assert isinstance(step, Refuse)
    assert (step.dead_end, step.why) == (True, "hours office lead nowhere (open)")
