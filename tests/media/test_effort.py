"""Encoders take less work when there are many, at once, and more again when it is calm."""

from __future__ import annotations

from ringback.media.codec.opus import OpusEncoder
from ringback.media.effort import CALM_TICKS, LEAST, STEPS, Effort

from .world import Peer, World

MANY = STEPS[-1][0] + 1


def test_many_encodings_cost_less_at_once() -> None:
    effort = Effort()
    effort.note(3)
    assert effort.complexity == STEPS[0][1]
    effort.note(STEPS[1][0])
    assert effort.complexity == STEPS[1][1]
    effort.note(MANY)
    assert effort.complexity == LEAST


def test_work_is_taken_up_again_after_a_calm_time_with_room_to_spare() -> None:
    effort = Effort()
    effort.note(MANY)
    for _ in range(CALM_TICKS - 1):
        effort.note(3)
    effort.note(MANY)
    for _ in range(CALM_TICKS - 1):
        effort.note(3)
    assert effort.complexity == LEAST
    effort.note(3)
    assert effort.complexity == STEPS[0][1]
    effort.note(MANY)
    for _ in range(2 * CALM_TICKS):
        effort.note(STEPS[1][0])
    assert effort.complexity == LEAST, "just below the step is no room"


def test_a_crowd_of_talkers_is_encoded_with_less_work_and_heard_as_well() -> None:
    world = World()
    pairs = (STEPS[-1][0] + 2) // 2
    for pair in range(pairs):
        world.add(Peer(2 * pair + 1, "OPUS", 440.0), room=pair)
        world.add(Peer(2 * pair + 2, "OPUS", 1000.0), room=pair)
    world.run(1.2)
    encoders = list(world.engine.hearing.encoders.values())
    assert len(encoders) == 2 * pairs
    assert {encoder.complexity for encoder in encoders if isinstance(encoder, OpusEncoder)} == {LEAST}
    for leg in (1, 2 * pairs - 1):
        assert abs(world.peers[leg].level(1000.0, 0.8) + 13.98) < 1.5
