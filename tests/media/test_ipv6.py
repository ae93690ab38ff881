"""Legs whose media is on IPv6: whom they hear, whom they learn, and who cannot get in."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import numpy as np
import pytest

from ringback.media.protocol import CommandFailed, LegOpened, OpenLeg, SetMedia, SourceLearnt
from ringback.media.sources import PACKETS_TO_LEARN

from .world import Peer, World

LEVEL = -13.98
HOME, ELSEWHERE = "fd00::1", "2001:db8:5::77"


def add(world: World, peer: Peer, address: str = HOME, **media: Any) -> Peer:
    """A peer on IPv6, in the room."""
    world.add(peer, remote_ip=address, **media)
    peer.ip = world.engine.addresses.of_text(address)
    return peer


def hear_each_other(one: Peer, other: Peer) -> bool:
    return one.level(other.frequency) == pytest.approx(LEVEL, abs=1) and other.level(
        one.frequency
    ) == pytest.approx(LEVEL, abs=1)


def test_a_leg_of_each_family_in_one_room() -> None:
    world = World()
    six, four = add(world, Peer(1, "PCMU", 440.0)), world.add(Peer(2, "PCMU", 1000.0))
    assert six.to_pair != four.to_pair
    world.run(1.5)
    assert hear_each_other(six, four)
    learnt = {event.leg: event for event in world.of(SourceLearnt)}
    assert (learnt[1].host, learnt[1].port) == (ipaddress.ip_address(HOME).packed, six.port)
    assert learnt[2].host == bytes([10, 0, 0, 1])
    assert not learnt[1].differs


def test_a_source_elsewhere_is_learnt_from_three_packets_and_then_sent_to() -> None:
    world = World()
    six, four = add(world, Peer(1, "PCMU", 440.0)), world.add(Peer(2, "PCMU", 1000.0))
    six.ip, six.port = world.engine.addresses.of_text(ELSEWHERE), 61_000
    world.run(0.02 * (PACKETS_TO_LEARN + 1))
    assert (1, True) in [(event.leg, event.differs) for event in world.of(SourceLearnt)]
    world.run(1.5)
    assert hear_each_other(six, four)


def test_a_spray_from_a_whole_network_of_addresses_changes_nothing() -> None:
    world = World()
    numbers = world.engine.addresses
    numbers._most = numbers._limit = 2_000
    six, four = add(world, Peer(1, "PCMU", 440.0)), world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    chance = random.Random(7)
    stranger = Peer(9, "PCMU", 2000.0)
    base = int(ipaddress.IPv6Address("2001:db8:bad::"))
    for _ in range(150):
        hosts = np.frombuffer(
            b"".join((base + chance.getrandbits(64)).to_bytes(16, "big") for _ in range(60)), np.uint8
        ).reshape(-1, 16)
        for ip in numbers.numbers(hosts).tolist():
            stranger.ssrc = chance.choice((six.ssrc, chance.getrandbits(32)))
            stranger.sequence = six.sequence + 1
            port = chance.choice((six.port, 9))
            world.throw(stranger.speak(), 2 * six.to_pair, ip, port, after_ms=chance.uniform(0, 20))
        world.tick()
    assert len(numbers) < 7_000, "strangers are forgotten"
    world.run(1)
    assert hear_each_other(six, four)
    assert six.level(2000.0, 2) < -50
    assert four.level(2000.0, 2) < -50
    assert [event.leg for event in world.of(SourceLearnt)] == [1, 2]


def test_a_leg_on_ipv4_keeps_to_it() -> None:
    world = World()
    world.apply(OpenLeg(leg=1, ipv6=True))
    world.apply(OpenLeg(leg=2))
    assert len(world.of(LegOpened)) == 2
    one = Peer(1)
    for leg, address in ((1, "ff02::1"), (1, "239.0.0.1"), (2, HOME), (2, "ff02::1"), (2, "x")):
        world.events.clear()
        world.apply(
            SetMedia(
                leg=leg,
                send=one.format(),
                receive=[one.format()],
                remote_ip=address,
                remote_port=4_000,
                remote_rtcp_port=4_001,
            )
        )
        assert [event.leg for event in world.of(CommandFailed)] == [leg], address
    # Held, it is neither; and a socket of IPv6 may have IPv4.
    for leg, address in ((1, "::"), (1, "0.0.0.0"), (2, "0.0.0.0"), (1, "192.0.2.1")):
        world.events.clear()
        world.apply(
            SetMedia(
                leg=leg,
                send=one.format(),
                receive=[one.format()],
                remote_ip=address,
                remote_port=0,
                remote_rtcp_port=0,
            )
        )
        assert not world.of(CommandFailed), address


def test_legs_of_one_family_share_ports_and_those_of_the_other_have_theirs() -> None:
    world = World()
    for leg in range(1, 9):
        six = leg % 2 == 0
        address = f"fd00::{leg}" if six else f"10.0.0.{leg}"
        world.apply(OpenLeg(leg=leg, remote_ip=address, remote_port=4_000, group=7, ipv6=six))
        opened = world.of(LegOpened)[-1]
        peer = Peer(leg)
        world.apply(
            SetMedia(
                leg=leg,
                send=peer.format(),
                receive=[peer.format()],
                remote_ip=address,
                remote_port=4_000,
                remote_rtcp_port=4_001,
            )
        )
        pair = (opened.rtp_port - 20_000) // 2
        ip = world.engine.addresses.of_text(address)
        world.throw(peer.speak(), 2 * pair, ip, 4_000)
        world.tick()
    assert not world.of(CommandFailed)
    ports = {event.leg: event.rtp_port for event in world.of(LegOpened)}
    assert len({ports[leg] for leg in (1, 3, 5, 7)}) == 1
    assert len({ports[leg] for leg in (2, 4, 6, 8)}) == 1
    assert ports[1] != ports[2]


def test_where_there_is_no_ipv6_no_leg_of_it_opens() -> None:
    world = World()
    world.engine.sources._open_pair_ipv6 = None
    world.apply(OpenLeg(leg=1, ipv6=True))
    assert [event.reason for event in world.of(CommandFailed)] == ["no port is left in the range"]
