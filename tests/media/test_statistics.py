"""What is counted of a leg agrees, packet for packet, with a plain count of what was sent and delivered."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ringback.media.codec import g711
from ringback.media.measured import COUNTS, LOSS
from ringback.media.protocol import CloseLeg, Codec, LegClosed, SetVoice
from tests.media.world import MS, PEER_IP, Peer, World


class Line:
    """A phone whose packets are sent by hand over a bad line, and the plain count of what came of them."""

    def __init__(self, world: World, leg: int = 1, codec: Codec = "PCMU") -> None:
        self.world = world
        self.random = random.Random(leg)
        self.peer = world.add(Peer(leg, codec, 440.0))
        # The world would speak for it.
        del world.peers[leg]
        self.first = self.peer.sequence
        self.arrivals: list[tuple[float, int]] = []

    def speak(self, loss: float = 0.0, twice: float = 0.0, jitter_ms: float = 0.0) -> None:
        sequence = self.peer.sequence
        datagram = self.peer.speak()
        copies = 0 if self.random.random() < loss else 1 + (self.random.random() < twice)
        for _ in range(copies):
            delay = self.random.random() * jitter_ms
            self.arrivals.append((self.world.now_ns / MS + delay, sequence))
            self.world.throw(datagram, 2 * self.peer.to_pair, PEER_IP, self.peer.port, delay)

    def truth(self) -> dict[str, int]:
        """By RFC 3550 A.3, scalar and plain, of what has arrived by now."""
        now = self.world.now_ns / MS
        order = [sequence for at, sequence in sorted(self.arrivals, key=lambda one: one[0]) if at <= now]
        seen: set[int] = set()
        highest = reordered = duplicates = 0
        for sequence in order:
            if sequence in seen:
                duplicates += 1
            elif sequence < highest:
                reordered += 1
            seen.add(sequence)
            highest = max(highest, sequence)
        return {
            "expected": highest - min(seen) + 1,
            "received": len(seen),
            "duplicates": duplicates,
            "reordered": reordered,
            "refused": 0,
        }


@pytest.mark.parametrize("codec", ["PCMU", "G722", "OPUS"])
def test_counts_are_exact_on_a_bad_line(codec: Codec) -> None:
    world = World()
    line = Line(world, codec=codec)
    counted = dict.fromkeys(COUNTS, 0)
    sums = [0] * len(COUNTS)
    for second in range(1, 9):
        for _ in range(50):
            line.speak(loss=0.1, twice=0.05, jitter_ms=70)
            world.tick()
        measured = world.measured()
        truth = line.truth()
        for name in COUNTS:
            counted[name] += int(measured[name][0])
        assert {name: counted[name] for name in truth} == truth
        assert measured.message.seconds == (0 if second == 1 else 1)
        sums = [one + more for one, more in zip(sums, measured.message.sums, strict=True)]
    # 65000 and more: the numbers have wrapped on the way.
    assert line.peer.sequence > 0xFFFF
    assert counted["late"] > 0
    assert counted["stretched"] > 0
    world.run(0.2)
    truth = line.truth()
    world.apply(CloseLeg(leg=1))
    totals = world.of(LegClosed)[0].totals
    assert totals.expected_packets == truth["expected"]
    assert totals.lost_packets == truth["expected"] - truth["received"]
    assert totals.duplicate_packets == truth["duplicates"]
    assert totals.reordered_packets == truth["reordered"]
    assert totals.sent_packets == counted["sent"] + 10
    # What was counted after the last second is in the sums, though the leg is gone.
    last = world.measured()
    assert last.legs == []
    sums = [one + more for one, more in zip(sums, last.message.sums, strict=True)]
    assert dict(zip(COUNTS, sums, strict=True)) | truth == dict(zip(COUNTS, sums, strict=True))
    assert sums[COUNTS.index("sent_octets")] == totals.sent_octets > 0


def test_every_datagram_of_a_legs_source_is_counted_once() -> None:
    world = World()
    line = Line(world)
    sent = 0
    for i in range(200):
        line.speak(twice=0.1, jitter_ms=50)
        for datagram in (
            [line.peer.packet(bytes(160), 77)] * (i % 7 == 0)
            + [b"\x80\x00abc"] * (i % 11 == 0)
            + [bytes(900)] * (i % 13 == 0)
        ):
            world.throw(datagram, 2 * line.peer.to_pair, PEER_IP, line.peer.port)
            sent += 1
        world.tick()
    world.run(0.1)
    measured = world.measured()
    counted = sum(measured[name][0] for name in ("received", "duplicates", "refused"))
    assert counted == sent + len(line.arrivals)
    assert measured["refused"] == [sent]


def test_a_flood_of_audio_is_thrown_away_and_counted() -> None:
    world = World()
    line = Line(world)
    for _ in range(50):
        line.speak()
        world.tick()
    for _ in range(25):
        line.speak()
    world.run(1)
    measured = world.measured()
    assert measured["received"] == [75]
    assert measured["refused"] == [0]
    assert 5 <= measured["discarded"][0] <= 25


def test_histograms_are_over_legs_of_which_something_came() -> None:
    world = World()
    Line(world, 1)
    other = Line(world, 2)
    for _ in range(50):
        other.speak(loss=0.5)
        world.tick()
    message = world.measured().message
    assert message.jitter_ms.counts[-1] == 1
    assert message.buffer_ms.counts[-1] == 1
    assert message.loss.counts[-1] == 1
    assert message.loss.counts[LOSS.index(0.2)] == 0
    assert message.loss.counts[LOSS.index(0.5)] + message.loss.counts[-1] >= 1
    assert message.round_trip_ms.counts[-1] == 0
    assert message.quiet == [1]


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "OPUS"])
def test_levels_of_both_directions(codec: Codec) -> None:
    world = World()
    world.add(Peer(1, codec, 440.0, amplitude=0.2))
    world.add(Peer(2, codec, 1000.0, amplitude=0.05))
    world.run(2)
    world.measured()
    world.run(1)
    measured = world.measured()
    # A sine has half the power of its peak.
    assert measured["level_dbfs"] == pytest.approx([-16.99, -29.03], abs=1)
    assert measured["sent_level_dbfs"] == pytest.approx([-29.03, -16.99], abs=1)
    assert measured["clipped"] == [0, 0]
    world.apply(SetVoice(leg=1, muted=True))
    world.run(0.5)
    world.measured()
    world.run(1)
    measured = world.measured()
    assert measured["level_dbfs"][0] == pytest.approx(-16.99, abs=1)
    assert measured["sent_level_dbfs"][1] < -80
    assert measured["silent_s"] == pytest.approx([0.01, 0.01], abs=0.02)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "OPUS"])
def test_the_share_of_clipped_samples(codec: Codec) -> None:
    world = World()
    world.add(Peer(1, codec, 401.0, amplitude=2.0))
    world.add(Peer(2, codec, 401.0, amplitude=0.9))
    world.run(2)
    world.measured()
    world.run(1)
    clipped = world.measured()["clipped"]
    # Of a sine of amplitude 2 two thirds are beyond 1; codecs that model the wave round its edges.
    assert clipped[0] == pytest.approx(2 / 3, abs=0.03 if codec.startswith("PCM") else 0.5)
    assert clipped[1] == 0


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_energy_and_clipping_come_of_one_sum(law: g711.Law) -> None:
    def measure(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return g711.energy_and_clipped(codes, np.arange(len(codes)), law)

    generator = np.random.default_rng(5)
    codes = generator.integers(0, 256, (300, 160), np.uint8)
    samples = g711.decode(codes, law)
    energy, clipped = measure(codes)
    assert clipped is not None
    assert clipped.tolist() == (np.abs(samples) == np.abs(samples).max()).sum(axis=1).tolist()
    assert np.allclose(energy, (samples**2).mean(axis=1), atol=1e-4)
    full = np.full((1, 160), codes.ravel()[np.abs(samples).ravel().argmax()], np.uint8)
    assert measure(full)[1] == [160]  # type: ignore[union-attr]
    quiet = g711.encode(np.full((2, 160), 0.9, np.float32), law)
    assert measure(quiet)[1] is None
    assert np.allclose(measure(quiet)[0], g711.energy(quiet, law))
