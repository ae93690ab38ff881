"""Where groups go, and when one moves: never to and fro."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.media.fleet.placement import (
    FILLED,
    FULL,
    FULL_SECONDS,
    LEG_COST,
    SETTLE_S,
    GroupLoad,
    Placement,
)

NEVER = float("-inf")


def group(number: int, weight: int, movable: bool = True, moved_at: float = NEVER) -> GroupLoad:
    return GroupLoad(number, weight, movable, moved_at)


def full(placement: Placement, worker: int, busy: float, reports: int = FULL_SECONDS) -> None:
    for _ in range(reports):
        placement.note(worker, busy)


def loaded(weights: list[int]) -> Placement:
    placement = Placement(len(weights))
    for worker, weight in enumerate(weights):
        placement.add(worker, weight)
    return placement


def test_groups_go_where_least_is_to_do() -> None:
    placement = Placement(3)
    placement.note(0, 0.5)
    placement.note(1, 0.2)
    placement.note(2, 0.3)
    assert placement.choose({0, 1, 2}) == 1
    assert placement.choose({0, 2}) == 2
    assert placement.choose(set()) is None


def test_what_was_just_placed_counts_before_it_is_heard() -> None:
    placement = Placement(2)
    placement.note(0, 0.0)
    placement.note(1, 10 * LEG_COST)
    placed = []
    for _ in range(40):
        worker = placement.choose({0, 1})
        assert worker is not None
        placed.append(worker)
        placement.add(worker, 1)
    assert placed[:10] == [0] * 10
    assert placed.count(0) == 25


def test_nothing_moves_from_a_worker_that_is_full_for_a_moment() -> None:
    placement = loaded([100, 0])
    for busy in (0.9, 0.95, 0.5, 0.9, 0.9):
        placement.note(0, busy)
        assert placement.full({0, 1}, 0.0) is None
    placement.note(0, 0.9)
    assert placement.full({0, 1}, 0.0) == 0


def test_the_smallest_group_that_suffices_moves() -> None:
    placement = loaded([100, 0])
    full(placement, 0, 0.9)
    groups = [group(1, 5), group(2, 30), group(3, 12), group(4, 53)]
    assert placement.move(0, groups, {0, 1}, 0.0) == (3, 1)


def test_where_none_suffices_the_largest_moves_that_fits() -> None:
    placement = loaded([100, 0])
    full(placement, 0, 1.0)
    assert placement.move(0, [group(n, n) for n in range(1, 14)], {0, 1}, 0.0) == (13, 1)
    # A room that would fill the other one stays.
    placement = loaded([100, 0])
    full(placement, 0, 1.0)
    assert placement.move(0, [group(1, 90), group(2, 10)], {0, 1}, 0.0) == (2, 1)
    assert placement.move(0, [group(1, 100)], {0, 1}, 0.0) is None


def test_nothing_moves_to_a_worker_that_is_busy_itself() -> None:
    placement = loaded([100, 100, 100])
    full(placement, 0, 0.95)
    placement.note(1, 0.62)
    placement.note(2, 0.7)
    assert placement.move(0, [group(1, 10)], {0, 1, 2}, 0.0) is None
    placement.note(1, 0.55)
    assert placement.move(0, [group(1, 10)], {0, 1, 2}, 0.0) == (1, 1)


def test_one_group_a_second_at_most_and_none_twice_in_a_while() -> None:
    placement = loaded([100, 0])
    full(placement, 0, 1.0)
    assert placement.move(0, [group(1, 10)], {0, 1}, 5.0) == (1, 1)
    full(placement, 0, 1.0)
    assert placement.full({0, 1}, 5.9) is None
    assert placement.full({0, 1}, 6.0) == 0
    assert placement.move(0, [group(1, 10, moved_at=6.0)], {0, 1}, 6.0 + SETTLE_S - 1) is None
    assert placement.move(0, [group(1, 10, movable=False)], {0, 1}, 99.0) is None
    assert placement.move(0, [group(1, 10, moved_at=6.0)], {0, 1}, 6.0 + SETTLE_S) == (1, 1)


@settings(deadline=None, max_examples=60)
@given(
    workers=st.integers(2, 5),
    groups=st.lists(st.tuples(st.integers(1, 60), st.floats(0.6, 1.6)), min_size=1, max_size=40),
    crowd=st.integers(0, 4),
    seed=st.integers(0, 1 << 32),
)
def test_moves_come_to_an_end(workers: int, groups: list[tuple[int, float]], crowd: int, seed: int) -> None:
    """All groups begin on one worker, legs cost different amounts, and what workers say is not exact."""
    placement = Placement(workers)
    noise = random.Random(seed)
    home = [crowd % workers] * len(groups)
    moved_at = [NEVER] * len(groups)
    moves: list[tuple[float, int]] = []
    left: list[set[int]] = [{at} for at in home]
    returns = 0
    for worker, (weight, _) in zip(home, groups, strict=True):
        placement.add(worker, weight)

    def busy(worker: int) -> float:
        cost = sum(0.004 * w * c for at, (w, c) in zip(home, groups, strict=True) if at == worker)
        return min(1.0, cost * noise.uniform(0.97, 1.03))

    up = set(range(workers))
    for second in range(150):
        for worker in up:
            placement.note(worker, busy(worker))
        source = placement.full(up, second)
        if source is None:
            continue
        loads = [
            group(i, groups[i][0], moved_at=moved_at[i]) for i in range(len(groups)) if home[i] == source
        ]
        chosen = placement.move(source, loads, up, second)
        if chosen is None:
            continue
        which, target = chosen
        assert second - moved_at[which] >= SETTLE_S
        placement.add(source, -groups[which][0])
        placement.add(target, groups[which][0])
        home[which], moved_at[which] = target, second
        moves.append((second, which))
        returns += target in left[which]
        left[which].add(target)
    assert [second for second, _ in moves] == sorted({second for second, _ in moves})
    # Nobody goes to and fro, unless the machine as a whole is full. A group may move late: what a worker says
    # goes up and down, and one that is nearly full is full in the end.
    total = sum(0.004 * weight * cost for weight, cost in groups)
    assert not returns or total > FILLED * workers * 0.8
    assert len(moves) <= 2 * len(groups) or total > FILLED * workers * 0.8
    if total < FULL * 0.9:
        assert not moves
