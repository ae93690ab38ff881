"""G.722 at 64 kbit/s: the right size, level, bandwidth and delay, and nothing a peer sends can hurt."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.codec.g722 import DELAY_SAMPLES, G722Decoder, G722Encoder
from tests.rtp import captures

from . import signals


def through(samples: signals.Samples) -> signals.Samples:
    encoder, decoder = G722Encoder(), G722Decoder()
    frames = [samples[at : at + 320] for at in range(0, len(samples) - 319, 320)]
    return np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames])


def test_a_frame_is_160_octets_and_320_samples() -> None:
    packet = G722Encoder().encode(np.zeros(320, dtype=np.float32))
    assert len(packet) == 160
    heard = G722Decoder().decode(packet)
    assert (heard.dtype, heard.shape) == (np.float32, (320,))


@pytest.mark.parametrize("frequency", [200, 1000, 3000, 5500, 6800])
@pytest.mark.parametrize("level", [0.01, 0.5])
def test_tones_keep_their_level_up_to_7_khz(frequency: int, level: float) -> None:
    heard = through(signals.sine(frequency, 16000, level=level))
    measured = signals.tone_level(heard[1600:], frequency, 16000)
    assert 20 * np.log10(measured / level) == pytest.approx(0, abs=1.0)


def test_a_voice_comes_through_with_the_delay_that_is_stated() -> None:
    voice = signals.spoken_like(16000)
    heard = through(voice)
    correlation = [voice[: len(heard) - 400] @ heard[k : k + len(heard) - 400] for k in range(100)]
    assert int(np.argmax(correlation)) == DELAY_SAMPLES
    aligned = heard[DELAY_SAMPLES:]
    assert signals.snr_db(voice[1600 : len(aligned)], aligned[1600:]) > 15


def test_too_loud_is_clipped_not_wrapped() -> None:
    heard = through(np.clip(signals.sine(300, 16000, level=3.0), -3, 3))
    assert signals.tone_level(heard[1600:], 300, 16000) > 0.9


def test_any_octets_decode() -> None:
    decoder = G722Decoder()
    for size in (0, 1, 159, 160, 161, 1400):
        heard = decoder.decode(np.random.default_rng(size).bytes(size))
        assert heard.shape == (2 * size,)
        assert np.abs(heard).max(initial=0) <= 1


def test_a_real_stream_is_heard() -> None:
    decoder = G722Decoder()
    heard = [
        decoder.decode(datagram.payload[12:])
        for datagram in captures.datagrams("g722-oneway.pcap")
        if len(datagram.payload) == 172 and datagram.payload[1] & 127 == 9
    ]
    assert len(heard) == 425
    level = 10 * np.log10(np.mean(np.concatenate(heard) ** 2) + 1e-10)
    assert -60 < level < -6
