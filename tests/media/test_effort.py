"""Encoders take less work when there are many, at once, and more again when it is calm."""

from __future__ import annotations

import numpy as np

from ringback.media.codec.opus import OpusEncoder
from ringback.media.effort import CALM_TICKS, LIGHT, STEPS, Effort

from .world import Peer, World

MANY = STEPS[-1][0] + 1


def test_many_encodings_cost_less_at_once() -> None:
    effort = Effort()
    effort.note(3)
    assert effort.complexity == STEPS[0][1]
    effort.note(STEPS[1][0])
    assert effort.complexity == STEPS[1][1]
    effort.note(MANY)
    assert effort.complexity == LIGHT


def test_work_is_taken_up_again_after_a_calm_time_with_room_to_spare() -> None:
    effort = Effort()
    effort.note(MANY)
    for _ in range(CALM_TICKS - 1):
        effort.note(3)
    effort.note(MANY)
    for _ in range(CALM_TICKS - 1):
        effort.note(3)
    assert effort.complexity == LIGHT
    effort.note(3)
    assert effort.complexity == STEPS[0][1]
    effort.note(MANY)
    for _ in range(2 * CALM_TICKS):
        effort.note(STEPS[-1][0])
    assert effort.complexity == LIGHT, "just below the step is no room"


def test_a_crowd_of_talkers_is_encoded_with_less_work_and_heard_as_well() -> None:
    world = World()
    pairs = (STEPS[-1][0] + 2) // 2
    for pair in range(pairs):
        world.add(Peer(2 * pair + 1, "OPUS", 440.0), room=pair)
        world.add(Peer(2 * pair + 2, "OPUS", 1000.0), room=pair)
    world.run(1.2)
    encoders = list(world.engine.hearing.encoders.values())
    assert len(encoders) == 2 * pairs
    assert {encoder.complexity for encoder in encoders if isinstance(encoder, OpusEncoder)} == {1}
    for leg in (1, 2 * pairs - 1):
        # By transform (RFC 6716, table 2).
        assert world.peers[leg].packets[-1][12] >> 3 >= 16
        assert abs(world.peers[leg].level(1000.0, 0.8) + 13.98) < 1.5


def test_who_loses_packets_keeps_speech_coding_for_its_correction() -> None:
    encoder = OpusEncoder()
    encoder.set_expected_loss(5)
    encoder.set_effort(LIGHT)
    samples = (0.2 * np.sin(2 * np.pi * 200 * np.arange(320) / 16000)).astype(np.float32)
    assert [encoder.encode(samples)[0] >> 3 < 16 for _ in range(5)] == [True] * 5
    assert encoder.complexity == 0
    encoder.set_expected_loss(0)
    encoder.set_effort(LIGHT)
    assert [encoder.encode(samples)[0] >> 3 >= 16 for _ in range(5)][-1]
    encoder.set_effort(5)
    assert [encoder.encode(samples)[0] >> 3 < 16 for _ in range(5)][-1]


def test_a_peer_that_asks_for_few_bits_gets_no_more_by_transform() -> None:
    encoder = OpusEncoder(bitrate=16000)
    encoder.most_bitrate = 16000
    encoder.set_effort(LIGHT)
    chance = np.random.default_rng(1)
    sizes = [len(encoder.encode((0.1 * chance.standard_normal(320)).astype(np.float32))) for _ in range(100)]
    assert sum(sizes[20:]) / 80 * 400 < 17000
