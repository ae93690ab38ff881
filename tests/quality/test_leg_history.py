"""The kept seconds of legs: sums, series, and what is forgotten."""

from __future__ import annotations

import pytest

from ringback.media.measured import COUNTS, JITTER_MS
from ringback.media.protocol import Histogram
from ringback.quality.leg_history import HISTORY_S, LegHistory

from .measures import told


def test_seconds_become_a_series_of_each_leg() -> None:
    history = LegHistory()
    for second in (1, 2, 3):
        received = 45 if second == 2 else 50
        history.take(told({7: {"expected": 50, "received": received, "jitter_ms": second}, 9: {}}), second)
    series = history.series(7)
    assert [row.at for row in series] == [1, 2, 3]
    assert [row.count("received") for row in series] == [50, 45, 50]
    assert [row.value("jitter_ms") for row in series] == [1, 2, 3]
    assert [row.value("round_trip_ms") for row in series] == [None] * 3
    assert [row.at for row in history.series(7, 2)] == [2, 3]
    assert history.series(8) == []
    assert (history.sums["expected"], history.sums["received"], history.lost) == (150, 145, 5)
    assert history.lately(7).lost_percent == pytest.approx(100 / 30)
    assert history.lately(7).jitter_ms == 3
    assert history.lately(9).lost_percent is None
    assert history.lately(9).round_trip_ms is None


def test_legs_come_and_go_and_several_workers_tell() -> None:
    history = LegHistory()
    for second in range(60):
        for worker in (0, 1):
            legs = {leg: {"received": leg} for leg in range(second // 10, 20 + second) if leg % 2 == worker}
            history.take(told(legs), second + worker / 10)
    for leg in range(5, 30):
        here = [second for second in range(60) if second // 10 <= leg < 20 + second]
        assert [int(row.at) for row in history.series(leg)] == here
        assert {row.count("received") for row in history.series(leg)} == {leg}


def test_sums_are_what_the_worker_says_and_losses_never_go_back() -> None:
    history = LegHistory()
    sums = [0] * len(COUNTS)
    sums[:2] = [100_000, 99_000]
    history.take(told({1: {"expected": 50, "received": 48}}, sums=sums), 1)
    assert history.lost == 1000
    sums[:2] = [50, 52]
    history.take(told({1: {"expected": 50, "received": 52}}, sums=sums), 2)
    assert history.lost == 1000
    assert history.sums["received"] == 99_052
    assert history.lately(1).lost_percent == 0


def test_five_minutes_are_kept_also_of_a_leg_that_is_gone() -> None:
    history = LegHistory()
    history.take(told({1: {"received": 1}, 2: {}}), 0)
    for second in range(1, 700):
        history.take(told({2: {"received": 50}}), second)
        assert bool(history.series(1)) == (second <= HISTORY_S - 1)
    assert len(history.series(2)) == HISTORY_S
    assert history.lately(1).jitter_ms is None


def test_those_of_whom_nothing_is_heard_are_named() -> None:
    history = LegHistory()
    quiet = history.take(told({1: {"silent_s": 0.02}, 2: {"silent_s": 60.0}, 3: {}}), 1)
    assert quiet == [(2, 60.0), (3, None)]


def test_histograms_add_up() -> None:
    history = LegHistory()
    ones = Histogram(counts=[1] * (len(JITTER_MS) + 1), sum=0.5)
    history.take(told({}, jitter_ms=ones), 1)
    history.take(told({}, jitter_ms=ones), 2)
    assert history.jitter_ms.counts == [2] * (len(JITTER_MS) + 1)
    assert history.jitter_ms.sum == 1
