"""Packets that pretend to come from a leg's own peer: who knows an address but no key and no SSRC harms no
call."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from ringback.media.protocol import SrtpSuite

from .test_calls import secure
from .world import Peer, World

SUITES: tuple[SrtpSuite, ...] = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM")


def longest_hole_ms(peer: Peer, seconds: float) -> int:
    """The longest stretch of the last seconds in which what was heard is soft: 10 ms at a time."""
    step = peer.rate // 100
    levels = np.sqrt((peer.audio(seconds).reshape(-1, step) ** 2).mean(axis=1))
    longest = current = 0
    for soft in levels < 0.5 * np.median(levels):
        current = current + 10 if soft else 0
        longest = max(longest, current)
    return longest


def check_untouched(world: World, one: Peer, two: Peer, seconds: float = 4) -> None:
    """Both still hear each other, without a hole, and nothing else."""
    world.run(0.2)
    for hearer, other in ((one, two), (two, one)):
        assert hearer.level(other.frequency) == pytest.approx(-14, abs=1)
        assert hearer.level(2000.0, seconds) < -50
        assert longest_hole_ms(hearer, seconds) == 0


@pytest.mark.parametrize("suite", SUITES)
def test_two_hundred_packets_with_bad_tags_from_the_right_address(suite: SrtpSuite) -> None:
    world = World()
    one, two = Peer(1, "PCMU", 440.0), Peer(2, "PCMU", 1000.0)
    world.add(one, srtp=secure(one, suite, 1))
    world.add(two, srtp=secure(two, suite, 2))
    world.run(2)
    forger = Peer(9, "PCMU", 2000.0)
    chance = random.Random(3)
    for _ in range(200):
        # The SSRC is known, numbers lie ahead, or anywhere; the tag is guessed.
        forger.ssrc = one.ssrc
        forger.sequence = one.sequence + chance.choice((0, 1, 5, 50, 1000, 40000))
        forger.timestamp = one.timestamp + chance.choice((0, 160, 16000, 1 << 30))
        forged = forger.speak() + chance.randbytes(10 if "CM" in suite else 16)
        world.throw(forged, 2 * one.to_pair, one.ip, one.port, after_ms=chance.uniform(0, 20))
        world.tick()
    check_untouched(world, one, two)
    assert world.totals(1).rejected_packets == 200


@pytest.mark.parametrize("suite", SUITES)
def test_every_packet_again_and_again(suite: SrtpSuite) -> None:
    world = World()
    one, two = Peer(1, "PCMU", 440.0), Peer(2, "PCMU", 1000.0)
    world.add(one, srtp=secure(one, suite, 1))
    world.add(two, srtp=secure(two, suite, 2))
    sent: list[bytes] = []
    protect = one.protect

    def kept(packet: bytes) -> bytes:
        sent.append(protect(packet))
        return sent[-1]

    one.protect = kept
    world.run(2)
    for _ in range(200):
        for packet in (sent[-2], sent[-20], sent[0]):
            world.throw(packet, 2 * one.to_pair, one.ip, one.port, after_ms=7)
        world.tick()
    check_untouched(world, one, two)
    assert world.totals(1).rejected_packets == 600


def test_injected_audio_that_guesses_the_ssrc_wrong() -> None:
    world = World()
    one, two = world.add(Peer(1, "PCMU", 440.0)), world.add(Peer(2, "PCMU", 1000.0))
    world.run(2)
    chance = random.Random(4)
    for _ in range(200):
        forger = Peer(9, "PCMU", 2000.0)
        forger.ssrc = chance.getrandbits(32)
        forger.sequence = chance.getrandbits(16)
        world.throw(forger.speak(), 2 * one.to_pair, one.ip, one.port, after_ms=chance.uniform(0, 20))
        world.tick()
    check_untouched(world, one, two)


def test_rtcp_of_every_length_from_the_right_address() -> None:
    world = World()
    one, two = world.add(Peer(1, "PCMU", 440.0)), world.add(Peer(2, "PCMU", 1000.0))
    world.run(2)
    chance = random.Random(5)
    for i in range(200):
        for kind in (200, 201, 203, 207):
            # A word that says a longer packet than there is, or none at all; each cut somewhere.
            packet = struct.pack(
                "!BBHI", 0x81, kind, chance.choice((0, 1, 6, 0xFFFF)), chance.getrandbits(32)
            )
            packet = (packet + chance.randbytes(40))[: i % 49]
            for socket, port in ((2 * one.to_pair, one.port), (2 * one.to_pair + 1, one.port + 1)):
                world.throw(packet, socket, one.ip, port, after_ms=chance.uniform(0, 20))
        world.tick()
    check_untouched(world, one, two)
