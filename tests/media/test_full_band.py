"""Opus up to 20 kHz between those who speak it; all others hear what they can."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ringback.media.columns import Floats
from ringback.media.full_band import FRAME, RATE, FullBandEncoder, HighBands
from ringback.media.protocol import OpusWishes, SetVoice
from ringback.media.resample3 import DOWN3_TAIL, ROUND_TRIP, UP3_TAIL, down3, low_pass, up3

from .world import Peer, World, tone_level


class FullPeer(Peer):
    """Opus at 48 kHz both ways, a low and a high tone."""

    def __init__(self, leg: int, low: float, high: float, amplitude: float = 0.2) -> None:
        super().__init__(leg, "OPUS", low, amplitude)
        from ringback.media.codec.opus import OpusDecoder, OpusEncoder  # noqa: PLC0415

        self.rate = RATE
        self.high = high
        self._encoder = OpusEncoder(RATE, 96000, music=True)
        self._decoder = OpusDecoder(RATE)

    def speak(self) -> bytes:
        n = np.arange(self._spoken, self._spoken + FRAME) / RATE
        self._spoken += FRAME
        tones = np.sin(2 * np.pi * self.frequency * n) + np.sin(2 * np.pi * self.high * n)
        samples = (0.0 if self.silent else self.amplitude) * tones
        packet = self.packet(self._encoder.encode(samples.astype(np.float32)), 111)
        self.timestamp += 960
        return self.protect(packet)


def world(**settings: object) -> World:
    return World(full_band=True, **settings)  # type: ignore[arg-type]


def test_what_is_split_and_joined_is_what_it_was() -> None:
    chance = np.random.default_rng(1)
    sound = (0.1 * chance.standard_normal((3, 20 * FRAME))).astype(np.float32)
    bands = HighBands(8)
    legs = np.array([1, 4, 6])
    tail = np.zeros((3, UP3_TAIL), np.float32)
    joined = []
    for tick in range(20):
        bands.follow(legs, tick)
        wide = bands.split(legs, sound[:, tick * FRAME : (tick + 1) * FRAME])
        low, tail = up3(wide, tail)
        joined.append(low + bands.take(legs))
    whole = np.concatenate(joined, axis=1)
    np.testing.assert_allclose(whole[:, ROUND_TRIP:], sound[:, :-ROUND_TRIP], atol=1e-5)


def test_the_filter_is_flat_and_cuts() -> None:
    response = np.abs(np.fft.rfft(low_pass(), 4800))
    frequencies = np.arange(len(response)) * 10
    decibels = 20 * np.log10(response + 1e-12)
    assert np.abs(decibels[frequencies <= 7200]).max() < 0.05
    assert decibels[frequencies >= 8400].max() < -53


def test_down_and_up_are_the_plain_sums() -> None:
    chance = np.random.default_rng(2)
    x = chance.standard_normal((2, FRAME)).astype(np.float32)
    taps = low_pass()
    low, _ = down3(x, np.zeros((2, DOWN3_TAIL), np.float32))
    plain = np.array([np.convolve(row, taps)[:FRAME:3] for row in x])
    np.testing.assert_allclose(low, plain, atol=1e-5)
    high, _ = up3(low, np.zeros((2, UP3_TAIL), np.float32))
    spread = np.zeros((2, FRAME))
    spread[:, ::3] = 3 * low
    np.testing.assert_allclose(high, [np.convolve(row, taps)[:FRAME] for row in spread], atol=1e-5)


def test_opus_legs_hear_each_other_up_to_15_khz_and_others_what_they_can() -> None:
    here = world()
    one = here.add(FullPeer(1, 440.0, 12000.0))
    two = here.add(FullPeer(2, 1000.0, 15000.0))
    wide = here.add(Peer(3, "G722", 2500.0))
    narrow = here.add(Peer(4, "PCMU", 3000.0, amplitude=0.1))
    here.run(4)
    for hearer, other in ((one, two), (two, one)):
        assert hearer.level(other.frequency) == pytest.approx(-14, abs=1.5)
        assert hearer.level(other.high) == pytest.approx(-14, abs=1.5)
        assert hearer.level(hearer.high) < -45
        assert hearer.level(hearer.frequency) < -45
        assert hearer.level(2500.0) == pytest.approx(-14, abs=1.5)
        assert hearer.level(3000.0) == pytest.approx(-20, abs=1.5)
    for hearer in (wide, narrow):
        assert hearer.level(440.0) == pytest.approx(-14, abs=1.5)
        assert hearer.level(1000.0) == pytest.approx(-14, abs=1.5)
    # 12 and 15 kHz are not folded into what 16 kHz holds.
    assert wide.level(4000.0) < -50
    assert wide.level(1000.0 + 0) > -16
    assert tone_level(wide.audio(1.0), 7000.0, 16000) < -50


def test_who_plays_at_24_khz_is_sent_no_more() -> None:
    here = world()
    here.add(FullPeer(1, 440.0, 15000.0))
    here.add(FullPeer(3, 2000.0, 10000.0))
    modest = here.add(FullPeer(2, 1000.0, 9000.0), opus=OpusWishes(max_playback_rate=24000))
    least = here.add(Peer(4, "OPUS", 700.0), opus=OpusWishes(max_playback_rate=16000))
    here.run(3)
    assert modest.level(10000.0) == pytest.approx(-14, abs=2)
    assert modest.level(15000.0) < -40
    assert least.level(440.0) == pytest.approx(-14, abs=1.5)


def test_gain_and_mute_hold_for_all_of_a_voice() -> None:
    here = world()
    one = here.add(FullPeer(1, 440.0, 12000.0))
    two = here.add(FullPeer(2, 1000.0, 15000.0))
    here.run(1)
    here.apply(SetVoice(leg=1, gain_db=-12))
    here.run(2)
    assert two.level(440.0) == pytest.approx(-26, abs=1.5)
    assert two.level(12000.0) == pytest.approx(-26, abs=1.5)
    here.apply(SetVoice(leg=1, muted=True))
    here.run(2)
    assert two.level(440.0) < -50
    assert two.level(12000.0) < -50
    assert one.level(15000.0) == pytest.approx(-14, abs=1.5)


def clicks(sound: Floats) -> float:
    """The loudest of what lies neither at the tones nor below 200 Hz, in dB: a click is broad."""
    size = FRAME
    frames = sound[: len(sound) // size * size].reshape(-1, size) * np.hanning(size)
    spectra = np.abs(np.fft.rfft(frames, axis=1)) / (size / 4)
    quiet = np.ones(spectra.shape[1], np.bool_)
    for tone in (440.0, 12000.0):
        at = round(tone / (RATE / size))
        quiet[max(at - 5, 0) : at + 6] = False
    quiet[:4] = False
    return float(20 * np.log10(spectra[:, quiet].max() + 1e-9))


def test_a_line_that_varies_loses_the_high_band_for_moments_and_does_not_click() -> None:
    here = world()
    chance = random.Random(3)
    one = here.add(FullPeer(1, 440.0, 12000.0))
    hearer = here.add(FullPeer(2, 1000.0, 15000.0, amplitude=0.0))
    calm = here.now_ns + 4_000_000_000
    here.delay[one.leg] = lambda at: chance.uniform(0, 80) if at < calm else 5.0
    here.run(20)
    assert here.totals(1).stretched_frames > 0
    # Calm again, and no longer late: all of it is back.
    assert hearer.level(12000.0, 2.0) == pytest.approx(-14, abs=1.5)
    assert clicks(hearer.audio(8.0)) < -38


def test_one_encoding_serves_all_who_only_listen() -> None:
    here = world()
    here.add(FullPeer(1, 440.0, 12000.0))
    listeners = [here.add(FullPeer(leg, 1000.0, 15000.0, amplitude=0.0)) for leg in range(2, 6)]
    here.run(2)
    encoders = here.engine.rooms.encoders
    assert [type(encoder) for encoder in encoders.values()] == [FullBandEncoder]
    for listener in listeners:
        assert listener.level(12000.0) == pytest.approx(-14, abs=1.5)


@pytest.mark.parametrize("full_band", [False, True])
def test_a_change_of_encoder_is_not_heard(full_band: bool) -> None:
    """Who speaks has an encoder of its own, and some time after it that of all who listen, and back."""
    here = World(full_band=full_band)
    make = FullPeer if full_band else lambda leg, low, high: Peer(leg, "OPUS", low)
    one = here.add(make(1, 440.0, 12000.0))
    here.add(make(2, 1000.0, 15000.0))
    here.run(3)
    here.apply(SetVoice(leg=1, muted=True))
    here.run(2.2)
    here.apply(SetVoice(leg=1, muted=False))
    here.run(1)
    frames = one.audio(5).reshape(-1, one.rate // 50)
    levels = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)))
    assert levels.max() < np.median(levels) + 4
    assert levels.min() > np.median(levels) - 4
