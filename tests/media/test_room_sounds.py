"""What is played to a room: heard by all, louder or softer, stopped by number, over voices made softer."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.protocol import CloseLeg, CommandFailed, PlayToRoom, RoomPlayEnded, StopRoomPlay
from tests.media.world import Peer, World

LEVEL = -13.98
BUSY = 620.0


def room() -> tuple[World, Peer, Peer]:
    world = World()
    one = world.add(Peer(1, "PCMU", 1000.0))
    two = world.add(Peer(2, "G722", 1700.0))
    world.run(1)
    return world, one, two


def test_a_sound_has_a_number_a_loudness_and_an_end() -> None:
    world, one, two = room()
    world.apply(PlayToRoom(room=1, play=5, sounds=["tone:busy"], loop=True))
    world.run(2)
    plain = one.level(BUSY, 2)
    assert plain > -40
    assert two.level(BUSY, 2) == pytest.approx(plain, abs=1)
    world.apply(StopRoomPlay(room=1, play=4))
    world.run(1)
    assert not world.of(RoomPlayEnded)
    world.apply(StopRoomPlay(room=1, play=5))
    world.run(1.5)
    assert world.of(RoomPlayEnded) == [RoomPlayEnded(room=1, play=5, reason="stopped")]
    assert one.level(BUSY) < -60
    world.apply(PlayToRoom(room=1, play=6, sounds=["tone:busy"], loop=True, gain_db=-12))
    world.run(2)
    assert one.level(BUSY, 2) == pytest.approx(plain - 12, abs=1)
    world.apply(CloseLeg(leg=1))
    world.apply(CloseLeg(leg=2))
    world.run(0.1)
    assert world.of(RoomPlayEnded)[-1].reason == "room_ended"
    assert not world.engine.sounds.active


def test_one_that_ends_by_itself_is_told_when_it_has_a_number() -> None:
    world, _, _ = room()
    world.apply(PlayToRoom(room=1, sounds=["tone:entry"]))
    world.apply(PlayToRoom(room=1, play=1, sounds=["tone:entry"]))
    world.run(1)
    assert world.of(RoomPlayEnded) == [RoomPlayEnded(room=1, play=1, reason="finished")]
    assert not world.engine.sounds.active


def test_voices_are_softer_meanwhile_without_a_click() -> None:
    world, one, two = room()
    world.apply(PlayToRoom(room=1, play=1, sounds=["silence:1500"], duck_db=-20))
    world.run(1.5)
    assert two.level(1000.0) == pytest.approx(LEVEL - 20, abs=1)
    assert one.level(1700.0) == pytest.approx(LEVEL - 20, abs=1)
    assert one.level(1000.0) < -45
    world.run(1.5)
    assert two.level(1000.0) == pytest.approx(LEVEL, abs=1)
    heard = np.concatenate(one.heard)[-3 * 8000 :]
    # A tone of 1700 Hz and amplitude 0.2 never steps by more than it does at full loudness.
    assert np.abs(np.diff(heard)).max() < 0.2 * 2 * np.sin(np.pi * 1700 / 8000) * 1.05
    assert not world.engine.sounds.active


def test_what_is_out_of_bounds_is_refused() -> None:
    world, _, _ = room()
    world.apply(PlayToRoom(room=1, sounds=["tone:entry"], gain_db=30))
    world.apply(PlayToRoom(room=1, sounds=["tone:entry"], duck_db=3))
    world.apply(PlayToRoom(room=2, sounds=["tone:entry"]))
    for _ in range(9):
        world.apply(PlayToRoom(room=1, sounds=["music"]))
    assert len(world.of(CommandFailed)) == 4
