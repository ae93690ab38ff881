"""Whether it is open: a switch by hand, holidays and spans of the week, by the wall clock of a time zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from ringback.store.plan.hours import Day, Hours

State = Literal["open", "closed", "holiday"]
_DAYS: Final[tuple[Day, ...]] = get_args(Day)


class Standing(NamedTuple):
    """What hours say at a moment, and in words why."""

    state: State
    said: str


def standing(hours: Hours, at: datetime) -> Standing:
    """What `hours` say at `at`, which knows its time zone.

    A span that goes on into the next day belongs to the day on which it begins; one that ends when it begins
    is a whole day long. In an hour that the clock passes twice both are the same.
    """
    if hours.switch:
        return Standing(hours.switch, f"switched to {hours.switch} by hand")
    zone = _zone(hours.time_zone)
    local = at.astimezone(zone)
    where = f"{_DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M} in {zone.key}"
    if zone.key != hours.time_zone:
        where += f" (there is no time zone {hours.time_zone})"
    minute = 60 * local.hour + local.minute
    today = local.date()
    days = (today, today - timedelta(days=1))
    for holiday in hours.holidays:
        if _within(holiday.from_, holiday.to, minute, *(_falls_on(holiday.date, day) for day in days)):
            return Standing("holiday", f"holiday {holiday.title or holiday.date}: it is {where}")
    for span in hours.spans:
        if _within(span.from_, span.to, minute, *(_DAYS[day.weekday()] in span.days for day in days)):
            return Standing("open", f"open {span.from_} to {span.to}: it is {where}")
    return Standing("closed", f"closed: it is {where}")


def _falls_on(written: str, day: date) -> bool:
    return day.isoformat().endswith(written) if len(written) == 5 else day.isoformat() == written


def _within(begins: str, ends: str, minute: int, today: bool, yesterday: bool) -> bool:
    first, last = _minutes(begins), _minutes(ends)
    if first < last:
        return today and first <= minute < last
    return (today and minute >= first) or (yesterday and minute < last)


def _minutes(clock: str) -> int:
    return 60 * int(clock[:2]) + int(clock[3:])


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return ZoneInfo("UTC")
