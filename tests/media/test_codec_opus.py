"""Opus through libopus: a voice comes through, losses are covered, and no packet can do harm."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.codec import opus
from ringback.media.codec.opus import OpusDecoder, OpusEncoder

from . import signals

pytestmark = pytest.mark.skipif(not opus.available(), reason="libopus is not installed")

DELAY = 90
"""Look-ahead of the coder and delay of the decoder at 16 kHz, together (6.5 ms and some)."""


def packets_of(samples: signals.Samples, encoder: OpusEncoder) -> list[bytes]:
    return [encoder.encode(samples[at : at + 320]) for at in range(0, len(samples) - 319, 320)]


def envelope_distance_db(truth: signals.Samples, heard: signals.Samples) -> float:
    """Opus keeps the sound, not the waveform: mean distance of spectra in bands, in dB."""
    distances = []
    for at in range(1600, len(truth) - 1600, 640):
        bands = []
        for sound in (truth[at : at + 640], heard[at + DELAY : at + DELAY + 640]):
            power = np.abs(np.fft.rfft(sound * np.hanning(640))) ** 2
            bands.append(power[4:160].reshape(-1, 6).sum(axis=1))
        floor = bands[0].max() * 1e-3
        levels = [10 * np.log10(np.maximum(band, floor)) for band in bands]
        distances.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    return float(np.mean(distances))


def test_a_voice_comes_through_at_about_the_bit_rate() -> None:
    voice = signals.spoken_like(16000, seconds=2)
    packets = packets_of(voice, OpusEncoder(bitrate=24000))
    heard = np.concatenate([one for one in map(OpusDecoder().decode, packets) if one is not None])
    assert len(heard) == len(packets) * 320
    assert envelope_distance_db(voice, heard) < 3
    assert sum(map(len, packets)) * 8 / 2 == pytest.approx(24000, rel=0.2)


def test_the_bit_rate_can_be_changed_while_it_runs() -> None:
    voice, encoder = signals.spoken_like(16000, seconds=2), OpusEncoder()
    sizes = [len(packet) for packet in packets_of(voice, encoder)]
    encoder.set_bitrate(12000)
    assert sum(len(packet) for packet in packets_of(voice, encoder)) < 0.7 * sum(sizes)


def test_a_lost_packet_is_recovered_from_the_next_one() -> None:
    voice = signals.spoken_like(16000, seconds=2)
    encoder = OpusEncoder(bitrate=32000)
    encoder.set_expected_loss(30)
    packets = packets_of(voice, encoder)
    recovered, concealed, truth = [], [], []
    whole, with_fec, without = OpusDecoder(), OpusDecoder(), OpusDecoder()
    for number, packet in enumerate(packets):
        expected = whole.decode(packet)
        if number % 5 == 3 and number + 1 < len(packets):
            fec = with_fec.decode(packets[number + 1], fec=True)
            assert fec is not None
            assert len(fec) == 320
            truth.append(expected)
            recovered.append(fec)
            concealed.append(without.conceal())
        else:
            with_fec.decode(packet)
            without.decode(packet)
    errors = [
        np.mean(
            [
                np.sum((np.abs(np.fft.rfft(a)) - np.abs(np.fft.rfft(b))) ** 2)
                for a, b in zip(truth, made, strict=True)
            ]
        )
        for made in (recovered, concealed)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_concealment_continues_and_then_falls_silent() -> None:
    voice, decoder = signals.voiced(16000), OpusDecoder()
    for packet in packets_of(voice, OpusEncoder()):
        decoder.decode(packet)
    levels = [float(np.sqrt(np.mean(decoder.conceal() ** 2))) for _ in range(8)]
    assert levels[2] > 0.3 * np.sqrt(np.mean(voice**2))
    assert levels[2] > levels[3] > levels[4] > levels[5]
    assert levels[6:] == [0, 0]
    assert [len(decoder.conceal(samples)) for samples in (40, 160, 320, 330, 960, 5000)] == [
        40,
        160,
        320,
        320,
        960,
        1920,
    ]


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_how_much_a_packet_holds_at_any_rate(rate: int) -> None:
    encoder = OpusEncoder()
    for milliseconds in (10, 20, 40, 60):
        packet = encoder.encode(np.zeros(16 * milliseconds, dtype=np.float32))
        assert opus.packet_samples(packet, rate) == rate * milliseconds // 1000
        heard = OpusDecoder(rate).decode(packet)
        assert heard is not None
        assert len(heard) == rate * milliseconds // 1000


def test_packets_may_be_views_into_what_was_received() -> None:
    packet = OpusEncoder().encode(signals.voiced(16000)[:320])
    row = np.zeros(1500, dtype=np.uint8)
    row[12 : 12 + len(packet)] = np.frombuffer(packet, dtype=np.uint8)
    view = row[12 : 12 + len(packet)]
    assert opus.packet_samples(view) == 320
    np.testing.assert_array_equal(OpusDecoder().decode(view), OpusDecoder().decode(packet))
    np.testing.assert_array_equal(OpusDecoder().decode(memoryview(packet)), OpusDecoder().decode(packet))


CORRUPT = [
    b"",
    b"\xff",
    b"\xff\xff\xff",
    b"\x03",
    b"\x7b\x31" + bytes(10),
    b"\x01\x00",
    bytes([0xFB, 0x3F]),
]


@pytest.mark.parametrize("packet", CORRUPT)
def test_what_is_no_packet_gives_nothing_and_hurts_nothing(packet: bytes) -> None:
    decoder = OpusDecoder()
    good = OpusEncoder().encode(signals.voiced(16000)[:320])
    decoder.decode(good)
    assert opus.packet_samples(packet) is None
    assert decoder.decode(packet) is None
    assert decoder.decode(good) is not None


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_give_sound_or_nothing(packet: bytes, fec: bool) -> None:
    decoder = OpusDecoder()
    samples = opus.packet_samples(packet)
    heard = decoder.decode(packet, fec=fec)
    if samples is None and not fec:
        assert heard is None
    if heard is not None:
        assert 0 < len(heard) <= 1920
        assert np.isfinite(heard).all()


def test_frames_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="321"):
        OpusEncoder().encode(np.zeros(321, dtype=np.float32))
    with pytest.raises(ValueError, match="setting"):
        OpusEncoder(complexity=99)
    with pytest.raises(ValueError, match="decoder"):
        OpusDecoder(44100)


def test_coders_give_their_memory_back() -> None:
    before = resident_kib()
    for _ in range(2000):
        OpusEncoder(), OpusDecoder()
    gc.collect()
    # 2000 of each would be 120 MiB.
    assert resident_kib() - before < 20 * 1024


def resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
