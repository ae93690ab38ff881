"""Taps: what a leg says comes as samples at 16 kHz, whole and in time, whatever its codec."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.protocol import CloseLeg, Codec, Play, SetVoice
from ringback.media.taps import Tap
from tests.media.world import Peer, World, tone_level

LEVEL = -13.98


def tapped(world: World, leg: int, seconds: float = 60) -> tuple[Tap, list[bool]]:
    ended: list[bool] = []
    tap = Tap(leg, round(16_000 * seconds), lambda: ended.append(True))
    world.engine.taps.open(tap)
    return tap, ended


@pytest.mark.parametrize("codec", ["PCMU", "G722", "OPUS", "L16"])
def test_a_leg_alone_in_its_room_is_heard(codec: Codec) -> None:
    world = World()
    world.add(Peer(1, codec, 440.0), room=1)
    world.apply(SetVoice(leg=1, deaf=True))
    world.run(1)
    tap, ended = tapped(world, 1, 2.0)
    world.run(1)
    assert not ended
    assert len(tap.samples()) == 16_000
    world.run(1.1)
    assert ended == [True]
    samples = tap.samples()
    assert len(samples) == 32_000
    assert tone_level(samples[8_000:], 440.0, 16_000) == pytest.approx(LEVEL, abs=1)
    assert np.abs(np.diff(samples)).max() < 0.1, "without seams"
    assert not world.engine.taps.active


def test_two_legs_are_kept_apart_and_a_third_is_not_listened_to() -> None:
    world = World()
    for leg, frequency in ((1, 440.0), (2, 1_000.0), (3, 1_700.0)):
        world.add(Peer(leg, "PCMU", frequency), room=leg)
    world.run(0.5)
    one, _ = tapped(world, 1)
    other, _ = tapped(world, 2)
    again, _ = tapped(world, 2)
    world.run(2)
    for tap, mine, theirs in ((one, 440.0, 1_000.0), (other, 1_000.0, 440.0)):
        samples = tap.samples()[8_000:]
        assert tone_level(samples, mine, 16_000) == pytest.approx(LEVEL, abs=1)
        assert tone_level(samples, theirs, 16_000) < -60
        assert tone_level(samples, 1_700.0, 16_000) < -60
    assert np.array_equal(again.samples(), other.samples())


def test_times_go_on_where_nothing_comes() -> None:
    world = World()
    peer = world.add(Peer(1, "PCMU", 440.0), room=1)
    tap, _ = tapped(world, 1)
    world.run(1)
    began = tap.began_ns
    peer.silent = True
    world.run(1)
    peer.silent = False
    world.engine.skip(10)
    world.run(1)
    assert tap.began_ns == began
    # Ten ticks were missed: they are silence, and what follows is where it belongs.
    assert len(tap.samples()) == pytest.approx(16_000 * 3 + 3_200, abs=320)
    assert tone_level(tap.samples()[20_000:28_000], 440.0, 16_000) < -60


def test_a_tap_ends_with_its_leg() -> None:
    world = World()
    world.add(Peer(1, "PCMU", 440.0), room=1)
    tap, ended = tapped(world, 1)
    nobody, never = tapped(world, 77)
    world.add(Peer(2, "PCMU", 440.0), room=2)
    world.run(1)
    assert never == [True], "no such leg"
    assert len(nobody.samples()) == 0
    world.apply(CloseLeg(leg=1))
    assert ended == [True]
    heard = len(tap.samples())
    world.run(1)
    assert len(tap.samples()) == heard > 10_000


def test_legs_beyond_the_first_rows_are_heard() -> None:
    world = World()
    for leg in range(1, 71):
        world.add(Peer(leg, "PCMU", 300.0 + 20 * leg), room=leg)
    first, _ = tapped(world, 1)
    last, _ = tapped(world, 70)
    world.run(1.5)
    assert tone_level(first.samples()[8_000:], 320.0, 16_000) == pytest.approx(LEVEL, abs=1)
    assert tone_level(last.samples()[8_000:], 1_700.0, 16_000) == pytest.approx(LEVEL, abs=1)


def test_lent_samples_are_played_until_they_are_taken_back() -> None:
    world = World()
    peer = world.add(Peer(1, "G722", 440.0), room=1)
    peer.silent = True
    times = np.arange(16_000) / 16_000
    world.engine.shelf.lend("mine", (0.2 * np.sin(2 * np.pi * 1_000 * times)).astype(np.float32))
    world.apply(Play(leg=1, play=1, sounds=["samples:mine"]))
    world.engine.shelf.take_back("mine")
    world.run(1)
    assert peer.level(1_000.0, 0.5) == pytest.approx(LEVEL, abs=1.5)
    world.apply(Play(leg=1, play=2, sounds=["samples:mine"]))
    assert "cannot play a sound" in world.events[-1].reason
