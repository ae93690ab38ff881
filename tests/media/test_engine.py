"""What people in rooms hear: everybody else at the right level, never themselves, whatever the line does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ringback.media.protocol import (
    CloseLeg,
    Codec,
    CommandFailed,
    JoinRoom,
    LeaveRoom,
    LegClosed,
    OpenLeg,
    Play,
    PlayEnded,
    PlayToRoom,
    SetMedia,
    SetVoice,
    StopPlay,
    Talking,
)

from .world import Peer, World

CODECS: tuple[Codec, ...] = ("PCMU", "PCMA", "G722", "OPUS", "L16")
LEVEL = -13.98
"""The tones' amplitude of 0.2 in dB."""
FREQUENCIES = (440.0, 1000.0, 1700.0)


@pytest.mark.parametrize("codecs", list(itertools.combinations_with_replacement(CODECS, 2)), ids="-".join)
def test_two_legs_hear_each_other_and_not_themselves(codecs: tuple[Codec, Codec]) -> None:
    world = World()
    one = world.add(Peer(1, codecs[0], 440.0))
    two = world.add(Peer(2, codecs[1], 1000.0))
    world.run(3)
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert one.level(440.0) < -40
    assert two.level(1000.0) < -40


@pytest.mark.parametrize(
    "codecs", [("PCMU", "PCMU", "PCMU"), ("PCMU", "G722", "OPUS"), ("PCMA", "PCMU", "G722"), ("OPUS",) * 3]
)
def test_three_legs_each_hear_the_other_two(codecs: tuple[Codec, ...]) -> None:
    world = World()
    peers = [
        world.add(Peer(i, codec, frequency))
        for i, (codec, frequency) in enumerate(zip(codecs, FREQUENCIES, strict=True), 1)
    ]
    world.run(4)
    for peer in peers:
        for other in peers:
            if other is peer:
                assert peer.level(peer.frequency) < -40
            else:
                assert peer.level(other.frequency) == pytest.approx(LEVEL, abs=1.5)


def test_g711_between_two_is_bit_exact() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(2)
    sent = np.round(0.2 * np.sin(2 * np.pi * 440.0 * np.arange(16000) / 8000), 4)
    heard = np.concatenate(two.heard)
    best = max(
        np.corrcoef(heard[8000:12000], sent[start : start + 4000])[0, 1] for start in range(7000, 9000, 1)
    )
    assert best > 0.999
    assert one.packets[0][1] & 0x7F == 0


def test_listeners_of_a_room_get_one_encoding() -> None:
    world = World()
    world.add(Peer(1, "PCMU", 440.0))
    listeners = [world.add(Peer(i, "PCMU", 1000.0)) for i in range(2, 6)]
    for listener in listeners:
        listener.silent = True
    world.run(2)
    payloads = {listener.packets[-1][12:] for listener in listeners}
    assert len(payloads) == 1
    assert listeners[0].level(440.0) == pytest.approx(LEVEL, abs=1.0)


def test_many_loud_voices_are_limited_and_do_not_wrap() -> None:
    world = World()
    peers = [world.add(Peer(i, "PCMU", 440.0, amplitude=0.5)) for i in range(1, 5)]
    for peer in peers:
        peer.phase_ns = 0
    world.run(2)
    audio = peers[0].audio(0.5)
    assert np.abs(audio).max() <= 1.0
    # Three times 0.5 of one tone: had it wrapped, the tone would be gone.
    assert -3 < peers[0].level(440.0) < 2.5


def test_mute_deaf_gain_and_echo() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.apply(SetVoice(leg=1, muted=True))
    world.run(2)
    assert two.level(440.0) < -60
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1)
    world.apply(SetVoice(leg=1, deaf=True))
    world.run(2)
    assert one.level(1000.0) < -60
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)
    world.apply(SetVoice(leg=1, gain_db=-12))
    world.run(2)
    assert two.level(440.0) == pytest.approx(LEVEL - 12, abs=1)
    world.apply(SetVoice(leg=1, echo=True))
    world.run(2)
    assert one.level(440.0) == pytest.approx(LEVEL, abs=1)
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)


@pytest.mark.parametrize("codec", CODECS)
def test_echo_outside_a_room(codec: Codec) -> None:
    world = World()
    peer = world.add(Peer(1, codec, 1000.0), room=None)
    world.run(1)
    assert peer.level(1000.0, 0.5) < -60
    assert len(peer.packets) == 50
    world.apply(SetVoice(leg=1, echo=True))
    world.run(2)
    assert peer.level(1000.0) == pytest.approx(LEVEL, abs=1.5)


def test_leaving_and_changing_rooms() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    world.add(Peer(3, "PCMU", 1700.0), room=2)
    world.run(2)
    world.apply(JoinRoom(leg=1, room=2))
    world.run(2)
    assert one.level(1700.0) == pytest.approx(LEVEL, abs=1)
    assert one.level(1000.0) < -60
    world.apply(LeaveRoom(leg=1))
    world.run(2)
    assert one.level(1700.0) < -60


def test_a_sound_is_played_over_what_a_leg_hears_and_said_to_end() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "G722", 1000.0))
    world.run(1)
    world.apply(Play(leg=2, play=5, sounds=["silence:100", "tone:busy"], loop=True))
    world.run(2)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert two.level(480.0) > -40
    assert one.level(480.0) < -50
    world.apply(Play(leg=2, play=6, sounds=["silence:200"]))
    world.run(1)
    world.apply(Play(leg=2, play=7, sounds=["music"]))
    world.run(1)
    world.apply(StopPlay(leg=2))
    world.apply(StopPlay(leg=2))
    ends = [(event.play, event.reason) for event in world.of(PlayEnded)]
    assert ends == [(5, "replaced"), (6, "finished"), (7, "stopped")]


def test_a_sound_is_played_to_everybody_in_a_room() -> None:
    world = World()
    peers = [world.add(Peer(i, codec, 440.0)) for i, codec in enumerate(CODECS, 1)]
    for peer in peers:
        peer.silent = True
    world.run(1)
    before = [np.abs(peer.audio(0.5)).max() for peer in peers]
    world.apply(PlayToRoom(room=1, sounds=["tone:entry"]))
    world.run(0.6)
    for peer, quiet in zip(peers, before, strict=True):
        assert quiet < 0.02
        assert np.abs(peer.audio(0.6)).max() > 0.05


def test_who_talks_is_told_once_for_each_change() -> None:
    world = World()
    for leg in (1, 2, 3):
        world.add(Peer(leg, "PCMU", 440.0)).silent = leg > 1
    world.run(5)
    assert [[leg for leg, _ in event.talkers] for event in world.of(Talking)] == [[1]]
    world.peers[1].silent = True
    world.peers[2].silent = False
    world.run(5)
    last = world.of(Talking)[-1]
    assert [leg for leg, _ in last.talkers] == [2]
    assert last.talkers[0][1] == pytest.approx(-17, abs=1)
    assert len(world.of(Talking)) <= 4


def test_hold_direction() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    media = {
        "leg": 1,
        "send": one.format(),
        "receive": [one.format()],
        "remote_ip": "10.0.0.1",
        "remote_port": one.port,
        "remote_rtcp_port": one.port + 1,
    }
    world.apply(SetMedia(**media, direction="inactive"))
    count = len(one.packets)
    world.run(1)
    assert len(one.packets) == count
    assert two.level(440.0, 0.8) < -60
    world.apply(SetMedia(**media, direction="recvonly"))
    world.run(1)
    assert len(one.packets) == count
    assert two.level(440.0, 0.5) == pytest.approx(LEVEL, abs=1)
    world.apply(SetMedia(**media, direction="sendrecv"))
    world.run(1)
    assert one.level(1000.0, 0.5) == pytest.approx(LEVEL, abs=1)
    assert one.packets[-1][8:12] == one.packets[0][8:12]


def test_a_codec_change_in_mid_call() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    changed = Peer(1, "OPUS", 440.0)
    changed.to_pair = one.to_pair
    world.apply(
        SetMedia(
            leg=1,
            send=changed.format(),
            receive=[changed.format(), one.format()],
            remote_ip="10.0.0.1",
            remote_port=one.port,
            remote_rtcp_port=one.port + 1,
        )
    )
    world.peers[1] = changed
    world.run(3)
    assert changed.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert world.peers[2].level(440.0) == pytest.approx(LEVEL, abs=1.5)


def test_bad_commands_are_answered_and_harm_nothing() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    bad = [
        OpenLeg(leg=1),
        CloseLeg(leg=9),
        JoinRoom(leg=9, room=1),
        Play(leg=1, play=1, sounds=["/no/such.wav"]),
        Play(leg=1, play=1, sounds=["tone:none"]),
        PlayToRoom(room=77, sounds=["tone:entry"]),
        SetVoice(leg=1, gain_db=900),
        SetMedia(
            leg=1,
            send=one.format(),
            receive=[],
            remote_ip="224.0.0.1",
            remote_port=1,
            remote_rtcp_port=2,
        ),
        SetMedia(leg=1, send=one.format(), receive=[], remote_ip="x", remote_port=1, remote_rtcp_port=2),
    ]
    for command in bad:
        world.apply(command)
    failures = world.of(CommandFailed)
    assert [failure.command for failure in failures] == [type(command).__name__ for command in bad]
    assert not any("internal" in failure.reason for failure in failures)
    assert "/no/such" not in "".join(failure.reason for failure in failures)


def test_closing_gives_totals_and_the_row_back() -> None:
    world = World()
    for round_ in range(3):
        for leg in range(1, 101):
            world.add(Peer(leg, "PCMU", 440.0), room=leg % 10)
        world.run(0.5)
        for leg in range(1, 101):
            world.apply(CloseLeg(leg=leg))
        world.peers.clear()
        closed = world.of(LegClosed)
        assert len(closed) == 100 * (round_ + 1)
        assert closed[-1].totals.received_packets >= 20
        assert closed[-1].totals.lost_packets == 0
    assert world.engine.legs.capacity <= 128
    assert not world.engine.rooms.slots


def test_skipped_ticks_keep_the_clock_of_what_is_sent() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    world.engine.skip(5)
    world.now_ns += 5 * 20_000_000
    world.run(1)
    times = [int.from_bytes(packet[4:8], "big") for packet in one.packets]
    assert (times[-1] - times[0]) % 2**32 == 160 * (len(times) - 1 + 5)
    assert one.level(1000.0, 0.5) == pytest.approx(LEVEL, abs=1)
