"""Who may be heard on a port that anybody can send to: NAT is followed, third parties are not."""

from __future__ import annotations

import gc
import random
import struct
import tracemalloc

import pytest

from ringback.media.engine import TICK_NS, Engine
from ringback.media.protocol import (
    AudioFormat,
    CloseLeg,
    CommandFailed,
    JoinRoom,
    LegOpened,
    OpenLeg,
    SetMedia,
    SourceLearnt,
)
from ringback.media.sources import PACKETS_TO_LEARN

from .world import Peer, World

LEVEL = -13.98
PUBLIC = 0xC0000201
ATTACKER = 0xC6336401


def behind_nat(world: World, peer: Peer, ip: int = PUBLIC, port: int = 61000) -> None:
    """The peer signalled its private address, and its packets come from another."""
    peer.ip, peer.port = ip, port


def test_the_signalled_source_is_taken_at_its_first_packet() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    world.run(0.2)
    assert [(event.leg, event.differs) for event in world.of(SourceLearnt)] == [(1, False), (2, False)]
    world.run(1)
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1)


def test_a_source_behind_nat_is_learnt_from_three_packets_and_then_sent_to() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    behind_nat(world, one)
    world.run(0.02 * (PACKETS_TO_LEARN + 1))
    assert (1, True) in [(event.leg, event.differs) for event in world.of(SourceLearnt)]
    world.run(2)
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)


def test_nothing_is_sent_to_a_source_that_is_not_learnt() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    stranger = Peer(9, "PCMU", 2000.0)
    for i in range(200):
        stranger.sequence = i * 7  # never three in a row
        world.throw(stranger.speak(), 2 * one.to_pair, ATTACKER, 5000 + i % 3)
        world.tick()
    assert {(ip, port) for _, ip, port, _ in world.outgoing} <= {
        (one.ip, one.port),
        (one.ip, one.port + 1),
    }


def test_a_third_party_cannot_take_over_or_be_heard() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    stranger = Peer(9, "PCMU", 2000.0)
    heard = len(one.packets)
    for _ in range(300):
        for _ in range(3):
            world.throw(stranger.speak(), 2 * one.to_pair, ATTACKER, 5000)
        world.tick()
    assert len(one.packets) - heard == 300
    assert two.level(2000.0) < -50
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)
    assert len(world.of(SourceLearnt)) == 2


def test_a_third_party_that_is_first_loses_to_the_signalled_address() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    one_delay = world.now_ns + 1_000_000_000
    world.delay[1] = lambda at: None if at < one_delay else 0.0
    two = world.add(Peer(2, "PCMU", 1000.0))
    stranger = Peer(9, "PCMU", 2000.0)
    for _ in range(100):
        world.throw(stranger.speak(), 2 * one.to_pair, ATTACKER, 5000)
        world.tick()
    learnt = [(event.leg, event.differs) for event in world.of(SourceLearnt)]
    assert learnt == [(2, False), (1, True), (1, False)]
    world.run(1)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_many_sources_at_once_do_not_keep_out_the_real_one() -> None:
    world = World(seed=8)
    chaos = random.Random(8)
    one = world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    behind_nat(world, one)
    stranger = Peer(9, "PCMU", 2000.0)
    for _ in range(100):
        for _ in range(5):
            stranger.ssrc = chaos.getrandbits(32)
            world.throw(
                stranger.speak(), 2 * one.to_pair, chaos.getrandbits(31) | 1, chaos.randrange(1, 65536)
            )
        world.tick()
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_strangers_on_one_port_do_not_keep_phones_on_others_from_being_learnt() -> None:
    world = World()
    sprayed, phone = world.add(Peer(1)), world.add(Peer(2))
    assert sprayed.to_pair < phone.to_pair
    behind_nat(world, phone)
    for _ in range(10):
        for number in range(200):
            stranger = struct.pack("!BBHII", 0x80, 0, number, 160 * number, number) + bytes(160)
            world.throw(stranger, 2 * sprayed.to_pair, ip=0x0A010000 + number, port=5000)
            world.throw(b"\x80\xc9\x00\x01" + bytes(4), 2 * sprayed.to_pair + 1, ip=0x0A010000 + number)
        world.tick()
    learnt = [event for event in world.of(SourceLearnt) if event.leg == 2]
    assert [event.differs for event in learnt] == [True]
    world.run(1)
    assert phone.level(sprayed.frequency, 0.5) > -20


def test_another_port_of_the_same_host_is_followed_once_the_first_is_silent() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    one.port = 62000
    world.run(1.5)
    assert two.level(440.0, 0.5) < -50
    world.run(2)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_another_host_is_not_followed_without_signalling_but_is_with_it() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    behind_nat(world, one, ip=ATTACKER)
    world.run(6)
    assert two.level(440.0, 0.8) < -50
    world.apply(
        SetMedia(
            leg=1,
            send=one.format(),
            receive=[one.format()],
            remote_ip="198.51.100.1",
            remote_port=one.port,
            remote_rtcp_port=one.port + 1,
        )
    )
    world.run(1.5)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_a_closed_call_that_still_sends_is_not_the_next_call_on_its_port() -> None:
    world = World()
    old = world.add(Peer(1, "PCMU", 440.0))
    behind_nat(world, old)
    world.run(0.5)
    world.apply(CloseLeg(leg=1))
    del world.peers[1]
    new = world.add(Peer(2, "PCMU", 1000.0))
    assert new.to_pair == old.to_pair
    behind_nat(world, new, port=61001)
    world.add(Peer(3, "PCMU", 1700.0))
    for _ in range(50):
        world.throw(old.speak(), 2 * old.to_pair, old.ip, old.port)
        world.tick()
    assert [event.differs for event in world.of(SourceLearnt) if event.leg == 2] == [True]
    assert new.level(1700.0, 0.5) == pytest.approx(LEVEL, abs=1)


def test_legs_with_known_addresses_share_ports_and_others_do_not() -> None:
    world = World()
    for leg in range(1, 6):
        peer = Peer(leg, "PCMU", 440.0)
        world.apply(OpenLeg(leg=leg, remote_ip="10.0.0.1", remote_port=peer.port))
        pair = (world.of(LegOpened)[-1].rtp_port - 20000) // 2
        assert pair == 0
        peer.to_pair = pair
        world.apply(
            SetMedia(
                leg=leg,
                send=peer.format(),
                receive=[peer.format()],
                remote_ip="10.0.0.1",
                remote_port=peer.port,
                remote_rtcp_port=0,
                rtcp_mux=True,
            )
        )
        world.peers[leg] = peer
        world._next_send[leg] = world.now_ns
        world.run(0.1)
    same_address = OpenLeg(leg=8, remote_ip="10.0.0.1", remote_port=world.peers[1].port)
    world.apply(same_address)
    world.apply(OpenLeg(leg=9))
    pairs = [(event.rtp_port - 20000) // 2 for event in world.of(LegOpened)]
    assert pairs[-2:] == [1, 2]


def test_two_legs_of_one_address_on_one_port_are_refused() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.run(0.2)
    world.apply(OpenLeg(leg=2, remote_ip="10.0.0.1", remote_port=9999))
    media = SetMedia(
        leg=2,
        send=one.format(),
        receive=[one.format()],
        remote_ip="10.0.0.1",
        remote_port=one.port,
        remote_rtcp_port=1,
    )
    world.apply(media)
    assert "remote address" in world.of(CommandFailed)[-1].reason


def test_ports_are_used_up_with_an_answer() -> None:
    world = World()
    for leg in range(101):
        world.apply(OpenLeg(leg=leg))
    assert "no port" in world.of(CommandFailed)[-1].reason
    world.apply(CloseLeg(leg=5))
    world.apply(OpenLeg(leg=200))
    assert len(world.of(LegOpened)) == 101


def call(world: World, leg: int, frequency: float = 440.0, ip: str = "10.0.0.1") -> Peer:
    """Open a leg whose offer is at hand; nothing is sent yet."""
    peer = Peer(leg, "PCMU", frequency)
    world.apply(OpenLeg(leg=leg, remote_ip=ip, remote_port=peer.port))
    peer.to_pair = (world.of(LegOpened)[-1].rtp_port - 20000) // 2
    return peer


def negotiate(world: World, peer: Peer, ip: str = "10.0.0.1") -> None:
    """The leg's media is agreed on, and the peer begins to speak."""
    form = peer.format()
    media = SetMedia(
        leg=peer.leg,
        send=form,
        receive=[form],
        remote_ip=ip,
        remote_port=peer.port,
        remote_rtcp_port=peer.port + 1,
    )
    world.apply(media)
    world.apply(JoinRoom(leg=peer.leg, room=1))
    world.peers[peer.leg] = peer
    world._next_send[peer.leg] = world.now_ns


def test_legs_of_a_host_that_keeps_its_word_share_a_port_before_they_speak() -> None:
    world = World()
    first = call(world, 1)
    # Nothing is known of the host yet.
    assert call(world, 2).to_pair != first.to_pair
    negotiate(world, first)
    world.run(0.2)
    tones = {leg: 400.0 + 150 * leg for leg in range(3, 8)}
    others = [call(world, leg, tone) for leg, tone in tones.items()]
    assert {peer.to_pair for peer in others} == {first.to_pair}
    assert call(world, 9, ip="10.0.0.2").to_pair != first.to_pair
    # The same address again would be the same source.
    world.apply(OpenLeg(leg=10, remote_ip="10.0.0.1", remote_port=others[0].port))
    assert (world.of(LegOpened)[-1].rtp_port - 20000) // 2 != first.to_pair
    for peer in others:
        negotiate(world, peer)
    world.run(2)
    for hearer in others:
        for other in others:
            heard = hearer.level(other.frequency)
            assert heard < -40 if hearer is other else heard == pytest.approx(LEVEL, abs=1.5)


def test_of_several_that_have_not_spoken_only_the_last_learns_and_the_host_is_believed_no_more() -> None:
    world = World()
    first = call(world, 1)
    negotiate(world, first)
    world.run(0.2)
    second, third = call(world, 2, 700.0), call(world, 3, 1000.0)
    assert second.to_pair == third.to_pair == first.to_pair
    negotiate(world, second)
    negotiate(world, third)
    # Both say one port; the third sends from another, and the second says nothing yet.
    said, third.port = third.port, 50000
    world.delay[2] = lambda at: None
    world.run(0.5)
    assert [event.leg for event in world.of(SourceLearnt)] == [1]
    assert call(world, 4).to_pair != first.to_pair
    del world.delay[2]
    world.run(0.5)
    assert [(event.leg, event.differs) for event in world.of(SourceLearnt)] == [
        (1, False),
        (2, False),
        (3, True),
    ]
    world.run(1)
    assert second.level(1000.0, 0.5) == pytest.approx(LEVEL, abs=1.5)
    assert third.level(700.0, 0.5) == pytest.approx(LEVEL, abs=1.5)
    assert said != third.port


def test_calls_that_are_over_leave_nothing_behind() -> None:
    """A leg a second comes and goes: its source is remembered for some seconds, not for hours."""
    engine = Engine(lambda pair: (20000 + 2 * pair, 20001 + 2 * pair))
    pcmu = AudioFormat(codec="PCMU", payload_type=0)

    def come_and_go(legs: range) -> None:
        for leg in legs:
            now, ip, port = leg * 50 * TICK_NS, "192.0.2.1", 1024 + leg
            engine.apply(OpenLeg(leg=leg, remote_ip=ip, remote_port=port), now)
            media = SetMedia(
                leg=leg, send=pcmu, receive=[pcmu], remote_ip=ip, remote_port=port, remote_rtcp_port=0
            )
            engine.apply(media, now)
            engine.apply(CloseLeg(leg=leg), now + TICK_NS)
            engine.events()
        gc.collect()

    come_and_go(range(200))
    tracemalloc.start()
    try:
        come_and_go(range(200, 3200))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100_000
