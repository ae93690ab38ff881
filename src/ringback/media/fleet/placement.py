"""Which worker a new group goes to, and which group moves when a worker is full; sans-IO.

A worker's business is what it last said, put right for the legs that came and went since. Nothing moves
before a worker was full for some seconds; a group moves only where it leaves room, and not again for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

FULL = 0.85
"""A worker that is busy for this share of its time is full: ticks begin to be late."""
RELIEVED = 0.80
"""A move is to bring a full worker below this."""
ROOMY = 0.60
"""A worker that is less busy than this can take a group over."""
FILLED = 0.75
"""No move may make a worker busier than this."""
FULL_SECONDS = 3
"""So many reports in a row must say that a worker is full."""
MOVE_EVERY_S = 1.0
SETTLE_S = 30.0
"""A group that has moved stays for so long."""
LEG_COST = 0.0005
"""Share of a worker's time that a leg costs, as long as nothing is known: half a millisecond a second."""
ENOUGH_LEGS = 20
"""With fewer a worker's business does not say what a leg costs."""


class GroupLoad(NamedTuple):
    """A group that might move: its identifier, its weight, whether it can move now, and when it last did."""

    id: int
    weight: int
    movable: bool
    moved_at: float


@dataclass(slots=True)
class _Load:
    busy: float = 0.0
    told_weight: int = 0
    weight: int = 0
    full_reports: int = 0

    @property
    def leg_cost(self) -> float:
        return self.busy / self.told_weight if self.told_weight >= ENOUGH_LEGS else LEG_COST

    @property
    def expected(self) -> float:
        """Busy fraction once all that is on the worker is heard and mixed."""
        return max(0.0, self.busy + self.leg_cost * (self.weight - self.told_weight))


class Placement:
    """Weighs the workers of a server against each other."""

    def __init__(self, workers: int) -> None:
        self._loads = [_Load() for _ in range(workers)]
        self._next_move = float("-inf")

    def add(self, worker: int, weight: int) -> None:
        """Legs of this weight come to a worker (below 0: go from it)."""
        self._loads[worker].weight += weight

    def note(self, worker: int, busy: float) -> None:
        """A worker says how busy it was in the last second."""
        load = self._loads[worker]
        load.busy, load.told_weight = busy, load.weight
        load.full_reports = load.full_reports + 1 if busy > FULL else 0

    def forget(self, worker: int) -> None:
        """A worker is gone, and what was on it."""
        self._loads[worker] = _Load()

    def choose(self, workers: Iterable[int]) -> int | None:
        """The least busy of these workers, the first of equals; None of none."""
        return min(workers, key=lambda worker: (self._loads[worker].expected, worker), default=None)

    def full(self, workers: Iterable[int], now: float) -> int | None:
        """A worker that a group should leave now, if there is one and another has room."""
        if now < self._next_move:
            return None
        loads = self._loads
        full = [w for w in workers if loads[w].full_reports >= FULL_SECONDS and loads[w].expected > FULL]
        return max(full, key=lambda worker: loads[worker].expected, default=None)

    def move(
        self, worker: int, groups: Iterable[GroupLoad], workers: Iterable[int], now: float
    ) -> tuple[int, int] | None:
        """Which group of a full worker goes to which other one; None if no move helps.

        The smallest that suffices goes; where none does, the largest that the other one has room for.
        """
        load = self._loads[worker]
        target = self.choose(other for other in workers if other != worker)
        if target is None or self._loads[target].expected >= ROOMY:
            return None
        room = FILLED - self._loads[target].expected
        possible = sorted(
            (group.weight, group.id)
            for group in groups
            if group.movable and now - group.moved_at >= SETTLE_S and group.weight * load.leg_cost <= room
        )
        if not possible:
            return None
        needed = load.expected - RELIEVED
        enough = [one for one in possible if one[0] * load.leg_cost >= needed]
        self._next_move = now + MOVE_EVERY_S
        # What it says next is still of a second with the group, in part.
        load.full_reports = FULL_SECONDS - 2
        return (enough[0] if enough else possible[-1])[1], target
