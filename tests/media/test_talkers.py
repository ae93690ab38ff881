"""Who talks is told at most ten times a second and room, with levels that are right."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ringback.media.protocol import LeaveRoom, Talking
from tests.media.signals import sine
from tests.media.speaker import Speaker
from tests.media.world import Peer, World


def test_however_often_it_changes_it_is_told_ten_times_a_second_at_most() -> None:
    world = World()
    for leg in range(1, 31):
        # Bursts of 100 ms, each leg's at another time, with pauses long enough to end the talk.
        burst = np.concatenate([np.zeros(8 * 20 * leg), sine(440, 8000, 0.1), np.zeros(8 * (900 - 20 * leg))])
        world.add(Speaker(leg, burst), room=1 + leg % 2)
    told: Counter[tuple[int, int]] = Counter()
    for _ in range(300):
        world.tick()
        for event in world.events:
            if isinstance(event, Talking):
                told[event.room, world.engine.tick // 50] += 1
        world.events.clear()
    assert 5 <= max(told.values()) <= 10
    assert len(told) >= 10


def test_levels_are_those_of_the_speakers_loudest_first() -> None:
    world = World()
    for leg, amplitude in ((1, 0.02), (2, 0.2), (3, 0.06)):
        world.add(Peer(leg, "PCMU", 440.0, amplitude=amplitude))
    world.run(1)
    talkers = world.of(Talking)[-1].talkers
    assert [leg for leg, _ in talkers] == [2, 3, 1]
    # What was first told is the level that had been reached; half a second later it is the whole.
    world.apply(LeaveRoom(leg=2))
    world.run(0.2)
    talkers = world.of(Talking)[-1].talkers
    assert [leg for leg, _ in talkers] == [3, 1]
    for leg, level in talkers:
        assert level == pytest.approx(20 * np.log10(world.peers[leg].amplitude) - 3, abs=1)


def test_many_who_leave_at_once_are_told_of_together() -> None:
    world = World()
    for leg in range(1, 21):
        world.add(Peer(leg, "PCMU", 400.0 + 20 * leg, amplitude=0.05))
    world.run(1)
    world.events.clear()
    for leg in range(1, 20):
        world.apply(LeaveRoom(leg=leg))
    world.run(0.2)
    told = world.of(Talking)
    assert len(told) == 1
    assert [leg for leg, _ in told[0].talkers] == [20]
