"""What an extension may call: counted by class and day, kept over a restart, never more than the caps."""

from __future__ import annotations

from ringback.config.routing import CallClass
from ringback.routing.toll_caps import Exceeded, TollCaps

CLASSES = {
    "national": CallClass(prefixes=("", "+1")),
    "international": CallClass(prefixes=("+", "00"), concurrent=2, calls_a_day=3, minutes_a_day=10),
    "premium": CallClass(prefixes=("0900", "+1900"), calls_a_day=0),
}


class Day:
    """Caps on a day that a test changes."""

    def __init__(self) -> None:
        self.today = "2026-01-01"
        self.caps = TollCaps(CLASSES, lambda: self.today)

    def call(self, start: float, seconds: float, number: str = "0049555", account: str = "101") -> None:
        assert self.caps.exceeded(account, number, start) is None
        call = self.caps.begin(account, number)
        self.caps.answered(call, start)
        self.caps.ended(call, start + seconds)


def test_the_longest_prefix_decides_the_class() -> None:
    caps = Day().caps
    numbers = ("5550100", "+15550100", "+49555", "0049555", "0900555", "+1900555", "090")
    assert [caps.class_of(number) for number in numbers] == [
        "national", "national", "international", "international", "premium", "premium", "national",
    ]  # fmt: skip


def test_calls_of_a_day_are_counted_by_extension() -> None:
    day = Day()
    for start in range(3):
        day.call(100.0 * start, 10)
    assert day.caps.exceeded("101", "+49555", 500) == Exceeded("international", "calls_a_day")
    assert day.caps.exceeded("101", "5550100", 500) is None
    assert day.caps.exceeded("102", "+49555", 500) is None
    day.today = "2026-01-02"
    assert day.caps.exceeded("101", "+49555", 600) is None


def test_calls_that_ring_count_as_if_they_were_answered() -> None:
    day = Day()
    for start in range(2):
        day.call(100.0 * start, 10)
    ringing = day.caps.begin("101", "0049555")
    assert day.caps.exceeded("101", "+49555", 500) == Exceeded("international", "calls_a_day")
    day.caps.ended(ringing, 510)
    assert day.caps.exceeded("101", "+49555", 520) is None


def test_minutes_of_calls_under_way_count() -> None:
    day = Day()
    call = day.caps.begin("101", "0049555")
    day.caps.answered(call, 0)
    assert day.caps.seconds_left(call, 60) == 540
    assert day.caps.exceeded("101", "0049555", 601) == Exceeded("international", "minutes_a_day")
    day.caps.ended(call, 601)
    day.caps.ended(call, 9_999)
    (usage,) = day.caps.usage(9_999)
    assert (usage.calls, usage.seconds) == (1, 601)


def test_two_calls_at_once_use_up_the_time_twice_as_fast() -> None:
    day = Day()
    calls = [day.caps.begin("101", "0049555") for _ in range(2)]
    for call in calls:
        day.caps.answered(call, 0)
    assert day.caps.exceeded("101", "0049555", 1) == Exceeded("international", "concurrent")
    assert [day.caps.seconds_left(call, 0) for call in calls] == [300, 300]


def test_a_call_over_midnight_counts_on_each_day_for_what_it_was_there() -> None:
    day = Day()
    call = day.caps.begin("101", "0049555")
    day.caps.answered(call, 0)
    day.today = "2026-01-02"
    assert day.caps.seconds_left(call, 500) == 600
    day.caps.ended(call, 560)
    (usage,) = day.caps.usage(560)
    assert (usage.day, usage.seconds) == ("2026-01-02", 60)


def test_what_is_saved_counts_after_a_restart_but_not_tomorrow() -> None:
    day = Day()
    for start in range(3):
        day.call(100.0 * start, 10)
    saved = day.caps.take_changed(400)
    assert day.caps.take_changed(400) == []
    again, tomorrow = Day(), Day()
    again.caps.restore(saved)
    assert again.caps.exceeded("101", "0049555", 0) is not None
    tomorrow.today = "2026-01-02"
    tomorrow.caps.exceeded("101", "0049555", 0)
    tomorrow.caps.restore(saved)
    assert tomorrow.caps.exceeded("101", "0049555", 0) is None


def test_calls_under_way_are_saved_as_they_grow() -> None:
    day = Day()
    call = day.caps.begin("101", "0049555")
    day.caps.answered(call, 0)
    assert [toll.seconds for at in (10, 20) for toll in day.caps.take_changed(at)] == [10, 20]


def test_one_or_all_may_begin_the_day_anew() -> None:
    day = Day()
    for account in ("101", "102"):
        day.call(0, 60, account=account)
    assert day.caps.reset("101", 100) == 1
    assert [(toll.account, toll.calls) for toll in day.caps.usage(100)] == [("101", 0), ("102", 1)]
    assert [toll.calls for toll in day.caps.take_changed(100)] == [0, 1]
    assert day.caps.reset(None, 100) == 2
