"""Opus legs that tell their level: who is quiet is not decoded, and who begins to talk is heard at once."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from ringback.media.codec.opus import packet_samples
from ringback.media.opus_streams import TWENTY_MS
from ringback.media.protocol import CloseLeg, SetMedia, SetVoice, Talking

from .world import Peer, World

LEVEL = -13.98
IDENTIFIER = 3


class Teller(Peer):
    """A phone that tells its level with every packet, as a browser does."""

    def __init__(self, leg: int, frequency: float = 440.0, amplitude: float = 0.2, ptime: int = 20) -> None:
        super().__init__(leg, "OPUS", frequency, amplitude, ptime)
        self.told: int | None = None
        self.tells = True

    def packet(self, payload: bytes, payload_type: int, marker: bool = False) -> bytes:
        plain = super().packet(payload, payload_type, marker)
        if not self.tells:
            return plain
        level = 127 if self.silent else round(-20 * np.log10(self.amplitude / np.sqrt(2)))
        told = level if self.told is None else self.told
        return (
            bytes([0x90])
            + plain[1:12]
            + struct.pack("!HHBBxx", 0xBEDE, 1, IDENTIFIER << 4, told)
            + plain[12:]
        )


def room_of(world: World, *peers: Peer) -> list[Peer]:
    for peer in peers:
        world.add(peer, audio_level_extension=IDENTIFIER if isinstance(peer, Teller) else 0)
    return list(peers)


def asleep(world: World, leg: int) -> bool:
    engine = world.engine
    return bool(engine.opus.asleep[engine.legs.slots[leg]])


def decoders(world: World) -> set[int]:
    """Legs that have an Opus decoder."""
    return {int(world.engine.legs.identifier[slot]) for slot in world.engine.opus._streams}


def start_of(samples: np.ndarray, rate: int) -> int:
    """The first sample that is loud."""
    loud = np.flatnonzero(np.abs(samples) > 0.05)
    assert len(loud)
    return int(loud[0]) * 1000 // rate


def test_who_tells_to_be_silent_is_never_decoded() -> None:
    world = World()
    _, two, three = room_of(world, Teller(1), Teller(2, 1000.0), Teller(3, 1700.0))
    two.silent = three.silent = True
    world.run(2)
    assert decoders(world) == {1}
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert three.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert world.totals(2).level_dbfs == -100
    assert world.totals(1).level_dbfs == pytest.approx(-17, abs=1.5)
    assert world.totals(2).concealed_frames == 0
    assert [talker for event in world.of(Talking) for talker, _ in event.talkers] == [1]


@pytest.mark.parametrize("ptime", [10, 20, 60])
def test_who_begins_to_talk_is_heard_from_the_first_frame_on(ptime: int) -> None:
    heard = []
    for tells in (False, True):
        world = World()
        room_of(world, one := Teller(1, ptime=ptime), two := Teller(2, 1000.0), Teller(3, 1700.0))
        one.tells = tells
        for peer in world.peers.values():
            peer.silent = True
        world.run(2)
        assert asleep(world, 1) == tells
        one.silent = False
        count = len(two.heard)
        world.run(1)
        heard.append(np.concatenate(two.heard[count:]))
        assert not asleep(world, 1)
    decoded, woken = heard
    assert start_of(woken, 16000) == pytest.approx(start_of(decoded, 16000), abs=5)
    # The decoder that slept is as good as the one that did not, once it has settled.
    begin = 16 * (start_of(decoded, 16000) + 100)
    assert np.abs(woken[begin:] - decoded[begin:]).max() < 0.02
    assert np.abs(woken).max() < 1.3 * np.abs(decoded).max()


def test_who_falls_silent_sleeps_after_the_gate_has_closed_and_wakes_again() -> None:
    world = World()
    room_of(world, one := Teller(1), two := Teller(2, 1000.0), Teller(3, 1700.0))
    world.run(1)
    for _ in range(3):
        one.silent = True
        world.run(0.3)
        assert not asleep(world, 1), "the ends of words are heard"
        world.run(0.7)
        assert asleep(world, 1)
        one.silent = False
        world.run(1)
        assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_a_level_is_a_hint_and_no_more() -> None:
    world = World()
    room_of(world, low := Teller(1), two := Teller(2, 1000.0), high := Teller(3, 1700.0))
    low.told, high.told, high.silent = 120, 0, True
    world.run(2)
    assert two.level(440.0) < -60, "who lies low is not heard"
    assert 3 in decoders(world), "who lies high is measured"
    assert world.totals(3).level_dbfs < -60
    assert not [event for event in world.of(Talking) if 3 in dict(event.talkers)]


def test_in_a_call_of_two_everything_is_heard() -> None:
    world = World()
    room_of(world, one := Teller(1), two := Teller(2, 1000.0))
    one.told = 120
    world.run(2)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1.5)


def test_packets_that_tell_nothing_are_decoded() -> None:
    world = World()
    room_of(world, one := Teller(1), Teller(2, 1000.0), Teller(3, 1700.0))
    one.silent, one.tells = True, False
    world.run(1)
    assert not asleep(world, 1)
    one.tells = True
    world.run(1)
    assert asleep(world, 1)
    one.tells = False
    world.run(0.2)
    assert not asleep(world, 1)


def test_a_level_that_nobody_agreed_on_is_not_read() -> None:
    world = World()
    for peer in (one := Teller(1), two := Teller(2, 1000.0), Teller(3, 1700.0)):
        world.add(peer)
    one.told = 120
    world.run(2)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1.5)


def test_losses_and_pauses_while_asleep_do_no_harm() -> None:
    world = World(seed=4)
    room_of(world, one := Teller(1), two := Teller(2, 1000.0), Teller(3, 1700.0))
    one.silent = True
    world.delay[1] = lambda at: None if world.random.random() < 0.3 else 0.0
    world.run(3)
    world.delay[1] = lambda at: None
    world.run(3)
    del world.delay[1]
    assert 1 not in decoders(world)
    one.silent = False
    world.run(2)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)


def test_a_muted_leg_is_not_decoded_and_heard_when_it_may_speak() -> None:
    world = World()
    room_of(world, Teller(1), two := Teller(2, 1000.0), Teller(3, 1700.0))
    world.apply(SetVoice(leg=1, muted=True))
    world.run(1)
    assert asleep(world, 1)
    assert world.totals(1).level_dbfs == pytest.approx(-17, abs=1.5)
    world.apply(SetVoice(leg=1))
    world.run(1)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)
    world.apply(SetVoice(leg=1, muted=True, echo=True))
    world.run(1)
    assert not asleep(world, 1)


def test_the_row_of_a_closed_leg_tells_nothing_of_the_next() -> None:
    world = World()
    room_of(world, Teller(1), Teller(2, 1000.0), Teller(3, 1700.0))
    world.peers[1].silent = True
    world.run(1)
    slot = world.engine.legs.slots[1]
    world.apply(CloseLeg(leg=1))
    assert not world.engine.opus.asleep[slot]
    assert (world.engine.opus.number[slot] == -1).all()
    assert world.engine.legs.some_tell_levels
    for leg in (2, 3):
        world.apply(CloseLeg(leg=leg))
    assert not world.engine.legs.some_tell_levels


def test_a_new_offer_may_take_the_level_away() -> None:
    world = World()
    room_of(world, one := Teller(1), Teller(2, 1000.0), Teller(3, 1700.0))
    one.silent = True
    world.run(1)
    assert asleep(world, 1)
    plain = {"remote_ip": "10.0.0.1", "remote_port": one.port, "remote_rtcp_port": one.port + 1}
    world.apply(SetMedia(leg=1, send=one.format(), receive=[one.format()], **plain))  # type: ignore[arg-type]
    world.run(0.2)
    assert not asleep(world, 1)


def test_packets_with_an_extension_are_heard_whatever_the_codec() -> None:
    world = World()
    world.add(one := Peer(1, "PCMU", 440.0), audio_level_extension=IDENTIFIER)
    two = world.add(Peer(2, "PCMU", 1000.0))
    plain = one.packet
    extension = struct.pack("!HHBBxx", 0xBEDE, 1, IDENTIFIER << 4, 120)

    def packet(payload: bytes, payload_type: int, marker: bool = False) -> bytes:
        datagram = plain(payload, payload_type, marker)
        return bytes([0x90]) + datagram[1:12] + extension + datagram[12:]

    one.packet = packet  # type: ignore[method-assign]
    world.run(2)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)
    assert world.totals(1).rejected_packets == 0


def test_packets_of_twenty_milliseconds_are_known_by_their_first_octet() -> None:
    for first in range(0, 256, 4):
        assert TWENTY_MS[first] == (packet_samples(bytes([first, 1, 2, 3])) == 320)
    assert not TWENTY_MS[1::4].any()
    assert not TWENTY_MS[2::4].any()
    assert not TWENTY_MS[3::4].any()
