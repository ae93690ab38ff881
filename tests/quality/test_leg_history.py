"""The kept seconds of legs: differences, sums, series, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.measured import COUNTS, VALUES, pack, unpack
from ringback.media.protocol import LegTotals
from ringback.quality.leg_history import HISTORY_S, LegHistory

from .measures import measured


def test_counts_become_seconds_and_seconds_a_series() -> None:
    history = LegHistory()
    for second in range(1, 4):
        received = 50 * second - (5 if second >= 2 else 0)
        history.take(
            measured({7: {"expected": 50 * second, "received": received, "jitter_ms": second}, 9: {}}), second
        )
    series = history.series(7)
    assert series.at.tolist() == [1, 2, 3]
    assert series.count("expected").tolist() == [50, 50, 50]
    assert series.count("received").tolist() == [50, 45, 50]
    assert series.value("jitter_ms").tolist() == [1, 2, 3]
    assert np.isnan(series.value("round_trip_ms")).all()
    assert history.series(7, 2).at.tolist() == [2, 3]
    assert history.series(8).at.tolist() == []
    assert (history.sums["expected"], history.sums["received"], history.lost) == (150, 145, 5)
    assert history.lately(7).lost_percent == pytest.approx(100 / 30)
    assert history.lately(7).jitter_ms == 3
    assert history.lately(9).lost_percent is None
    assert history.lately(9).round_trip_ms is None


def test_legs_come_and_go_and_several_workers_tell() -> None:
    random = np.random.default_rng(3)
    history = LegHistory()
    counts: dict[int, int] = {}
    gone = 0
    for second in range(60):
        for leg in random.integers(0, 40, 3).tolist():
            if leg in counts:
                gone += counts.pop(leg) + 7
                history.closed(leg, LegTotals(received_packets=0, sent_packets=0, expected_packets=0))
                # The last part of a second, after the worker told of it last.
                gone -= 7
            else:
                counts[leg] = 0
        for worker in (0, 1):
            for leg in counts:
                if leg % 2 == worker:
                    counts[leg] += leg
            told = {leg: {"received": count} for leg, count in counts.items() if leg % 2 == worker}
            history.take(measured(told), second + worker / 10)
    assert history.sums["received"] == gone + sum(counts.values())
    for leg, count in counts.items():
        assert int(history.series(leg).count("received")[-1]) == leg
        assert count >= leg


def test_what_a_leg_counted_after_its_last_second_is_in_the_sums() -> None:
    history = LegHistory()
    history.take(measured({1: {"received": 100, "expected": 110, "sent_octets": 2**32 - 80}}), 1)
    history.take(measured({1: {"received": 150, "expected": 160, "sent_octets": 80}}), 2)
    assert history.series(1).count("sent_octets").tolist()[-1] == 160
    history.closed(1, LegTotals(received_packets=170, expected_packets=185))
    assert history.sums["received"] == 170
    assert history.lost == 15
    history.closed(2, LegTotals(received_packets=3, expected_packets=3))
    assert history.sums["received"] == 173


def test_a_leg_that_comes_back_in_another_worker_counts_from_nothing() -> None:
    history = LegHistory()
    history.take(measured({1: {"received": 1000, "sent": 1000}}), 1)
    history.take(measured({1: {"received": 20, "sent": 30}}), 2)
    assert history.series(1).count("received").tolist() == [1000, 20]
    assert history.sums["sent"] == 1030


def test_a_late_packet_does_not_take_losses_back_from_the_counter() -> None:
    history = LegHistory()
    history.take(measured({1: {"expected": 50, "received": 48}}), 1)
    assert history.lost == 2
    history.take(measured({1: {"expected": 100, "received": 100}}), 2)
    assert history.lost == 2
    assert history.lately(1).lost_percent == 0


def test_five_minutes_are_kept_and_dead_workers_legs_forgotten() -> None:
    history = LegHistory()
    history.take(measured({1: {"received": 1}, 2: {"received": 1}}), 0)
    for second in range(1, 700):
        history.take(measured({2: {"received": second}}), second)
    assert len(history.series(2).at) == HISTORY_S
    assert history.series(1).at.tolist() == []
    assert len(history._legs) == 1


def test_histograms_count_legs_of_which_something_came() -> None:
    history = LegHistory()
    history.take(
        measured(
            {
                1: {"expected": 50, "received": 50, "jitter_ms": 0.5},
                2: {"expected": 50, "received": 25, "jitter_ms": 12, "round_trip_ms": 30},
                3: {"jitter_ms": 4},
            }
        ),
        1,
    )
    assert history.jitter_ms.counts == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
    assert history.jitter_ms.sum == 12.5
    assert history.round_trip_ms.counts[-1] == 1
    assert history.loss.counts == [1, 1, 1, 1, 1, 1, 1, 2, 2]


def test_the_message_carries_what_was_measured() -> None:
    sent = measured({4: {name: i for i, name in enumerate((*COUNTS, *VALUES))}, 5: {}})
    came = unpack(pack(sent))
    assert came.legs.tolist() == [4, 5]
    for name in COUNTS:
        assert came.count(name).tolist() == sent.count(name).tolist()
    for name in VALUES:
        assert np.array_equal(came.value(name), sent.value(name), equal_nan=True)
