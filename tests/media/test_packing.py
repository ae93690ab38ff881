"""Packets of 40 and 60 ms for peers that ask for them: nothing is lost, early or twice."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from ringback.media.codec.opus import OpusEncoder, join_packets, packet_samples, same_mode
from ringback.media.protocol import Codec, OpusWishes, SendDigits, SetMedia

from .world import Peer, World


def headers(packets: list[bytes]) -> list[tuple[int, int, int, int]]:
    """Marker, payload type, sequence number and timestamp of each."""
    return [
        (p[1] >> 7, p[1] & 0x7F, *struct.unpack("!HI", p[2:8]))  # type: ignore[misc]
        for p in packets
    ]


@pytest.mark.parametrize("codec", ["PCMU", "G722", "OPUS"])
@pytest.mark.parametrize("ptime", [40, 60])
def test_packets_are_as_long_as_the_peer_asked(codec: Codec, ptime: int) -> None:
    world = World()
    world.add(Peer(1, "PCMU", 1000.0))
    hearer = world.add(Peer(2, codec, 440.0, amplitude=0.0), ptime_ms=ptime)
    world.run(4)
    assert len(hearer.packets) == pytest.approx(4000 / ptime, abs=2)
    read = headers(hearer.packets)
    steps = {(b[2] - a[2] & 0xFFFF, b[3] - a[3] & 0xFFFFFFFF) for a, b in itertools.pairwise(read)}
    assert steps == {(1, hearer.clock * ptime // 1000)}
    assert [marker for marker, *_ in read] == [1] + [0] * (len(read) - 1)
    if codec == "OPUS":
        assert {packet_samples(p[12:]) for p in hearer.packets[-10:]} == {16 * ptime}
    else:
        assert {len(p) - 12 for p in hearer.packets} == {8 * ptime}
    assert hearer.level(1000.0) == pytest.approx(-14, abs=1.5)
    audio = hearer.audio(2.0)
    levels = np.sqrt((audio.reshape(-1, hearer.rate // 100) ** 2).mean(axis=1))
    assert levels.min() > 0.8 * levels.max()


def test_l16_of_40_ms_does_not_fit_a_packet_and_is_sent_by_20() -> None:
    world = World()
    world.add(Peer(1, "PCMU", 1000.0))
    hearer = world.add(Peer(2, "L16", 440.0, amplitude=0.0), ptime_ms=40)
    world.run(2)
    assert {len(p) - 12 for p in hearer.packets[5:]} == {640}
    assert len(hearer.packets) == pytest.approx(100, abs=3)
    assert hearer.level(1000.0) == pytest.approx(-14, abs=1)


def test_keys_are_sent_at_once_and_audio_goes_on_after_them() -> None:
    world = World()
    world.add(Peer(1, "PCMU", 1000.0))
    hearer = world.add(Peer(2, "PCMU", 440.0, amplitude=0.0), ptime_ms=60)
    world.run(1.02)
    world.apply(SendDigits(leg=2, digits="7"))
    world.run(2)
    read = headers(hearer.packets)
    assert {b[2] - a[2] & 0xFFFF for a, b in itertools.pairwise(read)} == {1}
    events = [p for p in hearer.packets if p[1] & 0x7F == 101]
    assert len(events) == 7
    assert len({p[4:8] for p in events}) == 1
    times = [t for _, _, _, t in read]
    assert times == sorted(times)
    assert hearer.level(1000.0) == pytest.approx(-14, abs=1)


def test_the_packet_time_changes_in_the_call() -> None:
    world = World()
    world.add(Peer(1, "PCMU", 1000.0))
    hearer = world.add(Peer(2, "PCMU", 440.0, amplitude=0.0), ptime_ms=60)
    world.run(1)
    world.apply(
        SetMedia(
            leg=2,
            send=hearer.format(),
            receive=[hearer.format()],
            remote_ip="10.0.0.1",
            remote_port=hearer.port,
            remote_rtcp_port=hearer.port + 1,
        )
    )
    world.run(1)
    assert {len(p) for p in hearer.packets[-40:]} == {172}
    assert hearer.level(1000.0, 0.5) == pytest.approx(-14, abs=1)


def test_opus_packets_of_two_modes_are_not_joined() -> None:
    world = World()
    world.add(Peer(1, "OPUS", 1000.0))
    hearer = world.add(Peer(2, "OPUS", 440.0, amplitude=0.0), ptime_ms=60)
    world.run(1)
    # What an own encoder puts out in another bandwidth cannot go into one packet with what was before.
    encoder = world.engine.hearing.encoders[world.engine.legs.slots[2]]
    for _ in range(20):
        encoder.set_max_rate(8000)  # type: ignore[attr-defined]
        world.run(0.1)
        encoder.set_max_rate(16000)  # type: ignore[attr-defined]
        world.run(0.1)
    read = headers(hearer.packets)
    assert {b[2] - a[2] & 0xFFFF for a, b in itertools.pairwise(read)} == {1}
    # Each begins where the one before ended.
    for packet, (_, _, _, time), after in zip(hearer.packets, read, read[1:], strict=False):
        assert (after[3] - time) & 0xFFFFFFFF == 3 * packet_samples(packet[12:])  # type: ignore[operator]


def test_joined_packets_hold_both() -> None:
    encoder = OpusEncoder()
    n = np.arange(960)
    tone = (0.3 * np.sin(2 * np.pi * 440 * n / 16000)).astype(np.float32)
    packets = [encoder.encode(tone[i : i + 320]) for i in (0, 320, 640)]
    assert same_mode(packets[1], packets[2])
    assert packet_samples(join_packets(packets[1:])) == 640
    narrow = OpusEncoder(rate=8000).encode(tone[:160])
    assert not same_mode(packets[0], narrow)
    with pytest.raises(ValueError, match="join"):
        join_packets([packets[0], narrow])


def test_silence_is_not_sent_to_who_does_not_want_it() -> None:
    world = World()
    speaker = world.add(Peer(1, "PCMU", 1000.0))
    wanted = world.add(Peer(2, "OPUS", 440.0, amplitude=0.0), opus=OpusWishes(discontinuous=True))
    always = world.add(Peer(3, "OPUS", 440.0, amplitude=0.0))
    world.run(1)
    speaker.silent = True
    world.run(1)
    before, others = len(wanted.packets), len(always.packets)
    world.run(4)
    assert len(always.packets) - others == 200
    assert len(wanted.packets) - before < 30
    speaker.silent = False
    world.run(1)
    read = headers(wanted.packets)
    assert {b[2] - a[2] & 0xFFFF for a, b in itertools.pairwise(read)} == {1}
    assert wanted.level(1000.0, 0.5) == pytest.approx(-14, abs=1.5)
    # The first packet after a pause is marked (RFC 3551, 4.1).
    pauses = [b[0] for a, b in itertools.pairwise(read) if (b[3] - a[3]) & 0xFFFFFFFF > 960]
    assert pauses
    assert all(pauses)


def test_a_peer_that_plays_at_8_khz_is_sent_no_more() -> None:
    world = World()
    world.add(Peer(1, "L16", 3000.0))
    world.add(Peer(4, "L16", 6000.0))
    narrow = world.add(Peer(2, "OPUS", amplitude=0.0), opus=OpusWishes(max_playback_rate=8000))
    wide = world.add(Peer(3, "OPUS", amplitude=0.0), opus=OpusWishes(max_playback_rate=48000))
    world.run(3)
    assert wide.level(6000.0) > -25
    assert narrow.level(6000.0) < -45
    assert narrow.level(3000.0) > -25


def test_a_peer_with_little_room_gets_few_bits() -> None:
    world = World()
    world.add(Peer(1, "L16", 1000.0))
    small = world.add(Peer(2, "OPUS", amplitude=0.0), opus=OpusWishes(max_average_bitrate=12000))
    usual = world.add(Peer(3, "OPUS", amplitude=0.0), opus=OpusWishes(max_average_bitrate=64000))
    world.run(3)
    bits = [sum(8 * (len(p) - 12) for p in peer.packets[-100:]) / 2 for peer in (small, usual)]
    assert bits[0] < 13000
    assert 18000 < bits[1] < 30000
