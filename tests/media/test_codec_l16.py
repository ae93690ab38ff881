"""L16 between octets and samples, and through the engine."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.codec import l16
from ringback.media.protocol import SetMedia

from .world import Peer, World


def test_octets_are_in_network_order_and_what_is_too_loud_is_clipped() -> None:
    samples = np.array([0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5], np.float32)
    octets = l16.L16Encoder().encode(samples)
    assert octets.hex() == "00004000c0007fff80007fff8000"
    back = l16.decode(np.frombuffer(octets, np.uint8))
    np.testing.assert_allclose(back, np.clip(samples, -1, 32767 / 32768), atol=1e-6)


@pytest.mark.parametrize("ptime", [5, 10, 20, 25, 30])
def test_what_is_said_in_l16_is_heard_to_the_bit_whatever_the_packet_time(ptime: int) -> None:
    world = World()
    speaker = world.add(Peer(1, "L16", 1000.0, ptime=ptime))
    hearer = world.add(Peer(2, "L16", 440.0, amplitude=0.0))
    world.run(3)
    heard = hearer.audio(1.0)
    n = np.arange(len(heard))
    fits = np.stack((np.sin(2 * np.pi * 1000 * n / 16000), np.cos(2 * np.pi * 1000 * n / 16000)), axis=1)
    residue = heard - fits @ np.linalg.lstsq(fits, heard, rcond=None)[0]
    assert hearer.level(1000.0) == pytest.approx(20 * np.log10(speaker.amplitude), abs=0.01)
    # What is left is the rounding of 16 bits, twice.
    assert np.abs(residue).max() < 2.5 / 32768


def test_a_lost_packet_is_concealed() -> None:
    world = World()
    world.add(Peer(1, "L16", 1000.0))
    hearer = world.add(Peer(2, "L16", 440.0, amplitude=0.0))
    count = 0

    def delay(at: int) -> float | None:
        nonlocal count
        count += 1
        return None if count % 25 == 0 else 5.0

    world.delay[1] = delay
    world.run(4)
    heard = hearer.audio(2.0).reshape(-1, 160)
    levels = np.sqrt((heard**2).mean(axis=1))
    # 10 ms at a time, the tone goes on: nowhere is a hole.
    assert levels.min() > 0.6 * levels.max()


def test_packets_that_are_no_whole_samples_are_counted_and_dropped() -> None:
    world = World()
    peer = world.add(Peer(1, "L16", 1000.0))
    world.run(1)
    rejected = world.engine.meters.rejected
    before = int(rejected[0])
    world.throw(peer.packet(bytes(641), 109), 2 * peer.to_pair, peer.ip, peer.port, after_ms=1)
    world.run(0.1)
    assert rejected[0] == before + 1


def test_a_change_to_l16_in_the_call_is_heard() -> None:
    world = World()
    first = world.add(Peer(1, "PCMU", 1000.0))
    hearer = world.add(Peer(2, "PCMU", 440.0, amplitude=0.0))
    world.run(1)
    changed = Peer(1, "L16", 1700.0)
    changed.to_pair, changed.ssrc = first.to_pair, 77
    world.peers[1] = changed
    world.apply(
        SetMedia(
            leg=1,
            send=changed.format(),
            receive=[changed.format()],
            remote_ip="10.0.0.1",
            remote_port=changed.port,
            remote_rtcp_port=changed.port + 1,
        )
    )
    world.run(2)
    assert hearer.level(1700.0) == pytest.approx(-14, abs=1)
    assert len(changed.packets[-1]) == 12 + 640
