"""What came of a stream: wraps, order, duplicates, restarts (RFC 3550, A.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.stream.counting import Counted, count, extend, extend_plainly, usual_step
from tests.diagnosis.stream import plain
from tests.diagnosis.stream.streams import kept, packets


def counted(numbers: Any, **columns: Any) -> Counted:
    made = packets(numbers, **columns)
    return count(made, usual_step(made))


def summary(of: Counted) -> tuple[int, int, int, int, int]:
    return (
        of.expected,
        of.unique,
        of.lost,
        int(of.duplicate.sum()),
        int(of.reordered.sum()),
    )


def test_a_packet_alone() -> None:
    assert summary(counted([7])) == (1, 1, 0, 0, 0)


def test_the_number_wraps_twice() -> None:
    assert summary(counted(np.arange(65_000, 200_000))) == (135_000, 135_000, 0, 0, 0)


def test_lost_packets_and_where_they_are_missing() -> None:
    of = counted(kept(100, {3, 50, 51}))
    assert summary(of) == (100, 97, 3, 0, 0)
    assert of.missing[of.missing > 0].tolist() == [1, 2]
    assert of.slots[[2, 3, 48, 49]].tolist() == [2, 4, 49, 52]


def test_a_duplicate_hides_no_loss() -> None:
    of = counted([1, 2, 2, 4, 5])
    assert summary(of) == (5, 4, 1, 1, 0)
    assert np.flatnonzero(of.duplicate).tolist() == [2]


def test_an_older_packet_is_reordered_and_its_copy_a_duplicate() -> None:
    of = counted([1, 3, 2, 2, 4])
    assert summary(of) == (4, 4, 0, 1, 1)
    assert np.flatnonzero(of.reordered).tolist() == [2]


def test_the_first_packet_may_come_second() -> None:
    assert summary(counted([101, 100, 102])) == (3, 3, 0, 0, 1)


def test_reordering_over_the_wrap() -> None:
    assert summary(counted([65_534, 0, 65_535, 1], timestamp=[0, 320, 160, 480])) == (4, 4, 0, 0, 1)


def test_a_new_count_is_not_loss() -> None:
    numbers = [*range(100), *range(30_000, 30_100)]
    of = counted(numbers, timestamp=160 * np.arange(200))
    assert summary(of) == (200, 200, 0, 0, 0)
    assert of.restarts.tolist() == [100]


def test_a_new_count_that_loses_its_second_packet() -> None:
    numbers = [*range(100), 30_000, *range(30_002, 30_100)]
    of = counted(numbers, timestamp=160 * np.arange(199))
    assert summary(of) == (200, 199, 1, 0, 0)
    assert of.restarts.tolist() == [100]


def test_a_long_outage_is_loss_and_no_new_count() -> None:
    """Four minutes: the number is 12,000 ahead, and so is the time stamp."""
    of = counted([*range(100), *range(12_100, 12_200)])
    assert summary(of) == (12_200, 200, 12_000, 0, 0)
    assert not len(of.restarts)


def test_a_capture_that_is_appended_to_itself_has_duplicates_and_no_restart() -> None:
    numbers = np.tile(np.arange(400), 2)
    assert summary(counted(numbers, arrived_ms=20 * numbers)) == (400, 400, 0, 400, 0)


@pytest.mark.parametrize("length", [50, 400])
def test_a_second_call_with_the_numbers_of_the_first_is_a_restart(length: int) -> None:
    """As programs do that play the same packets in each call, by the same port."""
    numbers = np.tile(np.arange(length), 2)
    waits = 20.0 * np.arange(2 * length) + np.repeat([0, 3000], length)
    of = counted(numbers, arrived_ms=waits)
    assert summary(of) == (2 * length, 2 * length, 0, 0, 0)
    assert of.restarts.tolist() == [length]


def test_one_number_far_away_belongs_to_nothing() -> None:
    numbers = np.arange(100)
    numbers[40] = 40_000
    of = counted(numbers, timestamp=160 * np.arange(100))
    assert summary(of) == (100, 99, 1, 0, 0)
    assert np.flatnonzero(of.stray).tolist() == [40]


def test_copies_made_by_the_capture_are_told_from_those_of_the_network() -> None:
    numbers = [1, 1, 2, 2, 3, 3, 4, 4]
    at = [0, 0.01, 20, 20.01, 40, 45, 60, 60.01]
    of = counted(numbers, arrived_ms=at, ip_id=[5, 5, 6, 6, 7, 7, 8, 9])
    assert (summary(of)[3], of.kernel_duplicates) == (4, 2)


def test_the_usual_step_is_that_of_most_packets() -> None:
    assert usual_step(packets(range(10))) == 160
    assert usual_step(packets([5])) == 0
    assert usual_step(packets([1, 2, 3, 4], timestamp=[0, 0, 0, 0])) == 0
    # Neither the middle one nor the mean.
    assert usual_step(packets(range(8), timestamp=np.cumsum([0, 80, 80, 80, 160, 240, 320, 400]))) == 80


@given(st.integers(0, 65_535), st.lists(st.integers(0, 90), min_size=1, max_size=150))
def test_agrees_with_sets(first: int, offsets: list[int]) -> None:
    numbers = [first + offset for offset in offsets]
    wanted = plain.counts(numbers)
    of = counted(numbers)
    assert summary(of) == tuple(
        wanted[name] for name in ("expected", "unique", "lost", "duplicates", "reordered")
    )


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 65_535) | st.integers(0, 40) | st.integers(65_500, 65_535),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 10_000),
            st.floats(-1e7, 1e7) | st.floats(0, 5000),
        ),
        min_size=1,
        max_size=80,
    ),
    st.sampled_from([0, 1, 160, 2**31 - 1]),
)
def test_the_compiled_loop_and_the_plain_one_agree_on_anything(
    rows: list[tuple[int, int, float]], step: int
) -> None:
    numbers, stamps, waits = zip(*rows, strict=True)
    made = packets(numbers, timestamp=stamps, arrived_ms=waits)
    ours, plainly = extend(made, step), extend_plainly(made, step)
    assert ours[0].tolist() == plainly[0].tolist()
    assert ours[1].tolist() == plainly[1].tolist()


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=200))
def test_every_packet_is_accounted_for(numbers: list[int]) -> None:
    of = counted(numbers, timestamp=np.zeros(len(numbers)))
    received = of.unique + int(of.duplicate.sum()) + int(of.stray.sum())
    assert received == len(numbers)
    assert of.lost >= 0
    assert of.expected == of.unique + of.lost
    assert int(of.fresh.sum()) == of.unique == len(np.unique(of.extended))
    assert (np.diff(of.extended) > 0).all()


@pytest.mark.parametrize(("behind", "counts"), [(1, True), (99, True), (100, False)])
def test_how_far_behind_a_packet_may_come(behind: int, counts: bool) -> None:
    numbers = [*kept(201, {200 - behind}).tolist(), 200 - behind, *range(201, 300)]
    of = counted(numbers, timestamp=np.zeros(300))
    assert (int(of.reordered.sum()), int(of.stray.sum())) == ((1, 0) if counts else (0, 1))
