"""Bad lines: what is late is waited for, what is lost is concealed, and the delay goes back when it may."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest

from ringback.media.codec import g711
from ringback.media.columns import Columns
from ringback.media.jitter_buffer import PLAY, JitterBuffer
from ringback.media.legs import PCMU

from .plain_buffer import PlainBuffer
from .world import MS, Peer, World

LEVEL = -13.98


def pair(**settings: Any) -> tuple[World, Peer, Peer]:
    """Two PCMU legs in one room; the settings are the speaker's."""
    world = World()
    speaker = world.add(Peer(1, **{"codec": "PCMU", "frequency": 440.0, **settings}))
    listener = world.add(Peer(2, "PCMU", 1000.0))
    return world, speaker, listener


def buffered_ms(world: World, leg: int = 1) -> float:
    return float(world.totals(leg).buffer_ms)


def test_a_clean_line_has_no_delay_and_nothing_concealed() -> None:
    world, _, listener = pair()
    world.run(10)
    totals = world.totals(1)
    assert (totals.lost_packets, totals.late_packets, totals.concealed_frames) == (0, 0, 0)
    assert totals.buffer_ms == 0
    assert totals.received_packets == totals.expected_packets
    assert totals.jitter_ms < 0.1
    assert listener.level(440.0) == pytest.approx(LEVEL, abs=0.5)


def test_loss_is_concealed_and_costs_no_delay() -> None:
    world, _, listener = pair()
    lost = random.Random(3)
    world.delay[1] = lambda at: None if lost.random() < 0.05 else 0.0
    world.run(20)
    totals = world.totals(1)
    assert totals.lost_packets == pytest.approx(50, abs=25)
    assert totals.concealed_frames == pytest.approx(totals.lost_packets, abs=3)
    assert totals.late_packets == 0
    assert totals.buffer_ms < 3
    assert listener.level(440.0, 5) == pytest.approx(LEVEL, abs=1.0)


def test_jitter_grows_the_delay_until_nothing_is_late_and_calm_shrinks_it() -> None:
    world, _, listener = pair()
    jitter = random.Random(4)
    world.delay[1] = lambda at: jitter.uniform(0, 60)
    world.run(10)
    before = world.totals(1)
    assert 20 <= before.buffer_ms <= 80
    world.run(6)
    after = world.totals(1)
    assert after.concealed_frames - before.concealed_frames <= 6
    assert after.late_packets == 0
    assert listener.level(440.0, 5) == pytest.approx(LEVEL, abs=1.0)
    world.delay[1] = lambda at: 0.0
    world.run(8)
    assert buffered_ms(world) < 5


def test_the_delay_never_exceeds_200_ms() -> None:
    world, _, _ = pair()
    world.run(1)
    stall = {"until": world.now_ns + 600 * MS}
    world.delay[1] = lambda at: max(0.0, (stall["until"] - at) / MS)
    world.run(1)
    assert world.engine.buffer.queued(np.array([world.engine.legs.slots[1]]))[0] <= 10
    world.run(10)
    assert buffered_ms(world) <= 200


def test_reordering_within_the_delay_is_put_right() -> None:
    world, _, listener = pair()
    world.delay[1] = lambda at: 45.0 if at // (20 * MS) % 5 == 0 else 0.0
    world.run(10)
    before = world.totals(1)
    world.run(20)
    after = world.totals(1)
    assert after.lost_packets <= 1
    assert after.late_packets - before.late_packets == 0
    assert after.concealed_frames - before.concealed_frames <= 2
    assert listener.level(440.0, 5) == pytest.approx(LEVEL, abs=0.7)


def test_duplicates_are_counted_and_heard_once() -> None:
    world, speaker, listener = pair()
    speak = speaker.speak

    def twice() -> bytes:
        packet = speak()
        world.throw(packet, 2 * speaker.to_pair, speaker.ip, speaker.port, 3)
        return packet

    speaker.speak = twice  # type: ignore[method-assign]
    world.run(5)
    assert world.totals(1).duplicate_packets == pytest.approx(250, abs=3)
    assert world.totals(1).lost_packets == 0
    assert listener.level(440.0) == pytest.approx(LEVEL, abs=0.5)


def test_skewed_clocks_stay_in_time() -> None:
    """Sixty-four legs for six minutes, their clocks up to 1000 ppm too fast or too slow."""
    count, ticks = 64, 6 * 60 * 50
    buffer = JitterBuffer(count)
    speed = np.linspace(1 - 1e-3, 1 + 1e-3, count)
    sent, timestamp = np.linspace(-19, 0, count), np.zeros(count, np.uint32)
    everybody, nobody, most = np.arange(count), np.zeros(count, np.bool_), 0
    for tick in range(ticks):
        while len(due := np.flatnonzero(sent <= tick * 20.0)):
            codec = np.full(len(due), PCMU, np.uint8)
            # As of packets that come in the last half millisecond before their tick.
            when = np.ceil((sent[due] + 0.5) / 20).astype(np.int64)
            frame, _, fits = buffer.place(due, timestamp[due], codec, when)
            buffer.store(due[fits], frame[fits], np.zeros((int(fits.sum()), 160), np.uint8))
            timestamp[due] += np.uint32(160)
            sent[due] += 20.0 * speed[due]
        buffer.take(everybody, nobody, nobody, tick)
        most = max(most, int(buffer.queued(everybody).max()))
    assert most <= 2
    assert buffer.late.sum() == 0
    assert buffer.concealed.sum() == 0


@pytest.mark.parametrize("speed", [0.999, 1.001], ids=["fast", "slow"])
@pytest.mark.parametrize("codec", ["PCMU", "G722"])
def test_a_skewed_clock_costs_no_gap(codec: Any, speed: float) -> None:
    world, _, listener = pair(codec=codec)
    world.speed[1] = speed
    world.run(24)
    assert world.totals(1).concealed_frames == 0
    assert buffered_ms(world) < 25
    assert_unbroken(listener.audio(22), 440.0)


def assert_unbroken(heard: np.ndarray, frequency: float, amplitude: float = 0.2) -> None:
    """A tone without a hole and without a click."""
    power = np.sqrt(np.mean(heard[: len(heard) // 80 * 80].reshape(-1, 80) ** 2, axis=1))
    assert power.min() > 0.7 * amplitude / np.sqrt(2)
    assert np.abs(np.diff(heard)).max() < 1.25 * amplitude * 2 * np.pi * frequency / 8000


def test_after_a_late_burst_the_delay_is_back_at_its_floor_at_once() -> None:
    world, _, listener = pair()
    world.run(8)
    floor = mouth_to_ear_frames(world)
    stall = world.now_ns
    world.delay[1] = lambda at: max(0.0, (stall + 100 * MS - at) / MS) if at >= stall else 0.0
    world.run(0.12)
    assert mouth_to_ear_frames(world) > floor + 3
    world.run(1.2)
    assert mouth_to_ear_frames(world) < floor + 0.2
    world.run(6)
    assert mouth_to_ear_frames(world) < floor + 0.2
    assert world.totals(1).late_packets == world.totals(1).lost_packets == 0
    assert_unbroken(listener.audio(7), 440.0)


def mouth_to_ear_frames(world: World, leg: int = 1) -> float:
    """How far the sound being played lies behind the clock, from any origin."""
    slot, buffer = world.engine.legs.slots[leg], world.engine.buffer
    return float(world.engine.tick - buffer.next_frame[slot] + buffer.carry[slot] / 160)


def test_the_delay_grows_before_it_is_needed() -> None:
    world, _, listener = pair()
    world.run(2)
    began, jitter = world.now_ns, random.Random(8)
    world.delay[1] = lambda at: jitter.uniform(0, min(60, (at - began) / 1e9 * 4))
    world.run(20)
    totals = world.totals(1)
    assert totals.concealed_frames <= 5
    assert totals.late_packets <= 5
    assert 20 <= totals.buffer_ms <= 80
    assert_unbroken(listener.audio(15), 440.0)


def test_late_ticks_of_the_worker_are_no_jitter() -> None:
    world, _, _ = pair()
    world.run(3)
    floor = mouth_to_ear_frames(world)
    late = random.Random(9)
    for _ in range(250):
        # A tick that is late finds packets that came after its time.
        hurry = late.choice([0, 0, 0, 19]) * MS
        world.now_ns += hurry
        world.tick()
        world.now_ns -= hurry
    assert mouth_to_ear_frames(world) <= floor
    world.engine.skip(4)
    world.now_ns += 4 * 20 * MS
    world.run(1)
    assert mouth_to_ear_frames(world) <= floor
    assert world.totals(1).late_packets == 0


def test_a_restarted_sender_is_heard_at_once() -> None:
    world, speaker, listener = pair()
    world.run(2)
    speaker.timestamp = 12345
    speaker.ssrc += 77
    speaker.sequence = 3
    world.run(1)
    assert listener.level(440.0, 0.7) == pytest.approx(LEVEL, abs=0.7)
    speaker.timestamp -= 16000000
    world.run(1)
    assert listener.level(440.0, 0.7) == pytest.approx(LEVEL, abs=0.7)


@pytest.mark.parametrize("advance", [True, False], ids=["clock runs on", "clock stands"])
def test_a_pause_is_silence_and_the_return_is_heard(advance: bool) -> None:
    world, speaker, listener = pair()
    world.run(2)
    concealed = world.totals(1).concealed_frames
    pause = world.now_ns
    world.delay[1] = lambda at: None if at < pause + 3_000 * MS else 0.0
    sequence, timestamp = speaker.sequence, speaker.timestamp
    world.run(3)
    assert listener.level(440.0, 2.5) < -60
    assert world.totals(1).concealed_frames - concealed <= 12
    speaker.sequence = sequence
    if not advance:
        speaker.timestamp = timestamp
    world.run(2)
    assert listener.level(440.0) == pytest.approx(LEVEL, abs=0.5)
    assert world.totals(1).lost_packets <= 1
    assert buffered_ms(world) < 25


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
def test_packets_of_other_lengths(codec: Any, ptime: int) -> None:
    world, _, listener = pair(codec=codec, ptime=ptime)
    world.run(6)
    assert listener.level(440.0, 2) == pytest.approx(LEVEL, abs=0.7)
    assert world.totals(1).concealed_frames <= 8
    assert world.totals(1).late_packets == 0


def test_the_longest_packets_are_played_as_they_are() -> None:
    """190 ms of PCMU reach to four octets from the end of what is kept of a datagram."""
    world, speaker, listener = pair(ptime=190)
    said: list[bytes] = []
    speak = speaker.speak
    speaker.speak = lambda: said.append(speak()) or said[-1]  # type: ignore[func-returns-value, method-assign]
    world.run(6)
    middle = b"".join(packet[12:] for packet in said)[16_000:32_000]
    assert middle in b"".join(packet[12:] for packet in listener.packets)


@pytest.mark.parametrize("ptime", [10, 20, 40, 60])
def test_opus_packets_of_other_lengths(ptime: int) -> None:
    world, _, listener = pair(codec="OPUS", ptime=ptime)
    world.run(6)
    assert listener.level(440.0, 2) == pytest.approx(LEVEL, abs=1.5)
    assert world.totals(1).concealed_frames <= 8


def test_packets_of_mixed_lengths() -> None:
    world, speaker, listener = pair()
    lengths = random.Random(2)
    speak = speaker.speak

    def differently() -> bytes:
        speaker.ptime = lengths.choice([10, 20, 30, 40, 60])
        return speak()

    speaker.speak = differently  # type: ignore[method-assign]
    world.run(8)
    before = world.totals(1)
    world.run(4)
    assert world.totals(1).concealed_frames - before.concealed_frames <= 1
    assert world.totals(1).late_packets <= 5
    assert_unbroken(listener.audio(4), 440.0)


@pytest.mark.parametrize("codec", ["G722", "OPUS"])
def test_loss_and_jitter_with_codecs_that_keep_a_state(codec: Any) -> None:
    world, _, listener = pair(codec=codec)
    line = random.Random(5)
    world.delay[1] = lambda at: None if line.random() < 0.03 else line.uniform(0, 30)
    world.run(15)
    assert listener.level(440.0, 5) == pytest.approx(LEVEL, abs=2)


def test_a_loss_leaves_no_gap_and_no_click() -> None:
    world, _, listener = pair()
    world.run(2)
    at = world.now_ns
    world.delay[1] = lambda sent: None if at <= sent < at + 20 * MS else 0.0
    world.run(1)
    heard = np.concatenate(listener.heard)[-8000:]
    power = np.array([np.sqrt(np.mean(heard[i : i + 80] ** 2)) for i in range(0, len(heard), 80)])
    assert power.min() > 0.08
    assert np.abs(np.diff(heard)).max() < 0.2 * 2 * np.pi * 440 / 8000 * 2


def test_the_plain_buffer_agrees() -> None:
    """On random lines it plays the same frames as the columns do."""
    line = random.Random(6)
    for _ in range(20):
        buffer, leg, codec = JitterBuffer(1), np.array([0]), np.array([PCMU], np.uint8)
        plain, base, nobody = PlainBuffer(), int(buffer.next_frame[0]), np.zeros(1, np.bool_)
        late = line.choice([[0], [0, 5], [0, 0, 0, 5, 25, 45], [0] * 40 + [70]])
        arrivals = sorted((20.0 * n + line.choice(late), n) for n in range(1, 400) if line.random() > 0.1)
        arrivals = [(0.0, 0), *arrivals]
        for tick in range(360):
            while arrivals and arrivals[0][0] <= 20.0 * tick:
                number = arrivals.pop(0)[1]
                due = np.array([tick])
                frame, _, fits = buffer.place(leg, np.array([160 * number], np.uint32), codec, due)
                assert fits[0] == (plain.position is None or number >= plain.position)
                if fits[0]:
                    buffer.store(leg, frame, np.full((1, 160), number % 256, np.uint8))
                plain.place(number, tick)
            taken = buffer.take(leg, nobody, nobody, tick)
            action, number = plain.take(tick)
            assert (taken.action[0], taken.frame[0] - base) == (action, number)
            if action == PLAY:
                assert buffer.rows[taken.row[0], 0] == number % 256


def test_hostile_payloads_and_timestamps_do_no_harm() -> None:
    world, speaker, listener = pair()
    world.run(1)
    chaos = random.Random(7)
    for i in range(3000):
        size = chaos.choice([0, 1, 2, 159, 160, 161, 400, 1400])
        header = struct.pack(
            "!BBHII",
            0x80,
            0,
            chaos.getrandbits(16),
            chaos.getrandbits(32),
            chaos.choice([speaker.ssrc, chaos.getrandbits(32)]),
        )
        world.throw(header + chaos.randbytes(size), 2 * speaker.to_pair, speaker.ip, speaker.port)
        if i % 30 == 0:
            world.tick()
    world.run(3)
    assert listener.level(440.0) == pytest.approx(LEVEL, abs=1.0)
    assert world.totals(1).rejected_packets > 0


def test_columns_keep_their_rows_when_they_grow() -> None:
    buffer = JitterBuffer(2)
    buffer.next_frame[1] = 77
    buffer.grow(8)
    assert isinstance(buffer, Columns)
    assert buffer.next_frame[1] == 77
    assert not buffer.anchored[2:].any()
    assert buffer.frames.shape[0] == 8
    assert g711.SILENCE["PCMU"] == 0xFF
