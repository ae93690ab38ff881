"""Bad lines: what is late is waited for, what is lost is concealed, and the delay goes back when it may."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest

from ringback.media.codec import g711
from ringback.media.columns import Columns
from ringback.media.jitter_buffer import DRY, LOST, PLAY, JitterBuffer
from ringback.media.legs import PCMU

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
    world.run(10)
    after = world.totals(1)
    assert after.concealed_frames - before.concealed_frames <= 12
    assert after.late_packets == 0
    assert listener.level(440.0, 5) == pytest.approx(LEVEL, abs=1.0)
    world.delay[1] = lambda at: 0.0
    world.run(60)
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


def test_hours_of_clock_skew_stay_in_time() -> None:
    """Sixty-four legs for a quarter of an hour, their clocks up to 1000 ppm too fast or too slow."""
    count, ticks = 64, 15 * 60 * 50
    buffer = JitterBuffer(count)
    speed = np.linspace(1 - 1e-3, 1 + 1e-3, count)
    sent, timestamp = np.zeros(count), np.zeros(count, np.uint32)
    everybody, most, concealed = np.arange(count), 0, np.zeros(count)
    for tick in range(ticks):
        while len(due := np.flatnonzero(sent <= tick * 20.0)):
            codec = np.full(len(due), PCMU, np.uint8)
            frame, _, fits = buffer.place(due, timestamp[due], codec, tick)
            buffer.store(due[fits], frame[fits], np.zeros((int(fits.sum()), 160), np.uint8))
            timestamp[due] += np.uint32(160)
            sent[due] += 20.0 * speed[due]
        taken = buffer.take(everybody, np.ones(count, np.bool_), tick)
        concealed += (taken.action == LOST) | (taken.action == DRY)
        most = max(most, int(buffer.queued(everybody).max()))
    assert most <= 3
    assert buffer.late.sum() == 0
    # 1000 ppm of a quarter of an hour are 45 frames: no leg waits more often than its slow clock makes it.
    assert concealed.max() <= 50
    assert concealed[count // 2 - 1] <= 2


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


@pytest.mark.parametrize("ptime", [10, 20, 40, 60])
def test_opus_packets_of_other_lengths(ptime: int) -> None:
    world, _, listener = pair(codec="OPUS", ptime=ptime)
    world.run(6)
    assert listener.level(440.0, 2) == pytest.approx(LEVEL, abs=1.5)
    assert world.totals(1).concealed_frames <= 8


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


def test_the_scalar_buffer_agrees() -> None:
    """A plain dictionary of frames, on random lines, plays the same frames as the columns do."""
    line = random.Random(6)
    for _ in range(20):
        buffer, leg, codec = JitterBuffer(1), np.array([0]), np.array([PCMU], np.uint8)
        frames: dict[int, int] = {}
        position = held = 0
        arrivals: list[tuple[float, int]] = sorted(
            (20.0 * n + line.choice([0, 0, 0, 5, 25, 45]), n) for n in range(1, 120) if line.random() > 0.1
        )
        arrivals = [(0.0, 0), *arrivals]
        for tick in range(90):
            while arrivals and arrivals[0][0] <= 20.0 * tick:
                number = arrivals.pop(0)[1]
                frame, _, fits = buffer.place(leg, np.array([160 * number], np.uint32), codec, tick)
                if fits[0]:
                    buffer.store(leg, frame, np.full((1, 160), number, np.uint8))
                if number >= position:
                    frames[number] = number
            buffer.wait_once[:] = False
            taken = buffer.take(leg, np.array([True]), tick)
            newest = max(frames, default=-1)
            while held and position not in frames and newest > position:
                position, held = position + 1, held - 1
            if position in frames:
                assert taken.action[0] == PLAY
                assert buffer.rows[taken.row[0], 0] == frames.pop(position)
                position, held = position + 1, 0
            elif newest > position:
                assert taken.action[0] == LOST
                position, held = position + 1, 0
            else:
                assert taken.action[0] == DRY
                held += 1


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
