"""Monitors hear a leg's both directions and are heard by nobody; whispers are heard by one."""

from __future__ import annotations

import pytest

from ringback.media.protocol import (
    CloseLeg,
    Codec,
    CommandFailed,
    JoinRoom,
    Monitor,
    Play,
    SetVoice,
    Talking,
    Whisper,
)
from tests.media.world import Peer, World

LEVEL = -13.98


def call(listener: Codec = "PCMU", target: Codec = "PCMU") -> tuple[World, Peer, Peer, Peer]:
    """Two in a room, a third one outside."""
    world = World()
    agent = world.add(Peer(1, target, 440.0))
    customer = world.add(Peer(2, "PCMU", 1000.0))
    boss = world.add(Peer(3, listener, 1700.0), room=None)
    world.run(1)
    return world, agent, customer, boss


@pytest.mark.parametrize(("listener", "target"), [("PCMU", "PCMU"), ("G722", "PCMU"), ("PCMA", "OPUS")])
def test_a_monitor_hears_what_a_leg_says_and_hears(listener: Codec, target: Codec) -> None:
    world, agent, customer, boss = call(listener, target)
    assert boss.level(440.0) < -60
    world.apply(Monitor(leg=3, target=1))
    world.apply(Play(leg=1, play=1, sounds=["tone:busy"], loop=True))
    world.run(2)
    assert boss.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert boss.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert agent.level(620.0) > -40
    assert boss.level(620.0) == pytest.approx(agent.level(620.0), abs=1.5)
    for other in (agent, customer):
        assert other.level(1700.0) < -60
    world.apply(Monitor(leg=3, target=None))
    world.run(1.5)
    assert boss.level(440.0) < -60
    assert not world.engine.feeds.active


def test_of_a_muted_leg_a_monitor_hears_only_what_that_one_hears() -> None:
    world, _, _, boss = call()
    world.apply(SetVoice(leg=1, muted=True))
    world.apply(Monitor(leg=3, target=1))
    world.run(1.5)
    assert boss.level(440.0) < -60
    assert boss.level(1000.0) == pytest.approx(LEVEL, abs=1)


@pytest.mark.parametrize(("speaker", "target"), [("PCMU", "PCMU"), ("OPUS", "PCMU"), ("PCMA", "G722")])
def test_a_whisper_is_heard_by_one_alone(speaker: Codec, target: Codec) -> None:
    world, agent, customer, boss = call(speaker, target)
    world.apply(Whisper(leg=3, target=1))
    world.run(2)
    assert agent.level(1700.0) == pytest.approx(LEVEL, abs=1.5)
    assert agent.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert customer.level(1700.0) < -60
    assert boss.level(1000.0) < -60
    world.apply(Whisper(leg=3, target=None))
    world.run(1.5)
    assert agent.level(1700.0) < -60


def test_who_monitors_and_whispers_does_not_hear_itself() -> None:
    world, agent, _, boss = call()
    world.apply(Monitor(leg=3, target=1))
    world.apply(Whisper(leg=3, target=1))
    world.run(2)
    assert agent.level(1700.0) == pytest.approx(LEVEL, abs=1.5)
    assert boss.level(1700.0) < -45
    assert boss.level(1000.0) == pytest.approx(LEVEL, abs=1)
    # The agent's own voice does not come back to it by the way of the monitor.
    assert agent.level(440.0) < -45


def test_who_whispers_in_a_room_is_not_heard_there_and_not_said_to_talk() -> None:
    world, agent, customer, _ = call()
    world.apply(Whisper(leg=3, target=1))
    world.apply(JoinRoom(leg=3, room=1))
    world.events.clear()
    world.run(1.5)
    assert customer.level(1700.0) < -60
    assert agent.level(1700.0) == pytest.approx(LEVEL, abs=1)
    assert not [event for event in world.of(Talking) if 3 in dict(event.talkers)]
    world.apply(SetVoice(leg=3, muted=True))
    world.run(1.5)
    assert agent.level(1700.0) < -60


def test_feeds_end_with_their_legs() -> None:
    world, _, _, _ = call()
    world.apply(Monitor(leg=3, target=1))
    world.apply(Whisper(leg=3, target=2))
    world.apply(CloseLeg(leg=2))
    assert world.engine.feeds.active
    assert not world.engine.legs.some_whisper
    world.apply(CloseLeg(leg=1))
    assert not world.engine.feeds.active
    del world.peers[1], world.peers[2]
    world.run(0.2)
    for command in (Monitor(leg=3, target=1), Whisper(leg=3, target=3), Monitor(leg=9, target=3)):
        world.apply(command)
    assert len(world.of(CommandFailed)) == 3
