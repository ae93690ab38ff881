"""Between 8 and 16 kHz: flat where speech is, silent where images are, linear, seamless, with known delay."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.resample import (
    DOWN2_DELAY,
    DOWN2_TAIL,
    TAPS,
    UP2_DELAY,
    UP2_TAIL,
    down2,
    half_band,
    up2,
)

from . import signals
from .signals import Samples


def frames(function: object, samples: Samples, size: int, tail: int) -> Samples:
    """Rows [n, m] through a resampler, frame after frame."""
    kept = np.zeros((len(samples), tail), dtype=np.float32)
    out = []
    for at in range(0, samples.shape[1], size):
        made, kept = function(samples[:, at : at + size], kept)  # type: ignore[operator]
        out.append(made)
    return np.concatenate(out, axis=1)


def up(samples: Samples, size: int = 160) -> Samples:
    return frames(up2, samples, size, UP2_TAIL)


def down(samples: Samples, size: int = 320) -> Samples:
    return frames(down2, samples, size, DOWN2_TAIL)


def noise(rows: int, length: int) -> Samples:
    return np.random.default_rng(5).standard_normal((rows, length)).astype(np.float32)


def test_agrees_with_a_plain_convolution() -> None:
    narrow, wide = noise(3, 1600), noise(3, 3200)
    for row, made in zip(narrow, up(narrow), strict=True):
        stuffed = np.zeros(3200)
        stuffed[::2] = row
        np.testing.assert_allclose(made, np.convolve(stuffed, 2 * half_band())[:3200], atol=1e-5)
    for row, made in zip(wide, down(wide), strict=True):
        np.testing.assert_allclose(made, np.convolve(row, half_band())[1:3200:2], atol=1e-5)


def test_response_is_flat_to_3400_hz_and_60_db_down_from_4600_hz() -> None:
    frequency = np.arange(0, 8001, 10)
    turns = np.exp(-2j * np.pi * np.outer(frequency / 16000, np.arange(TAPS)))
    level = 20 * np.log10(np.abs(turns @ half_band()) + 1e-12)
    assert np.abs(level[frequency <= 3400]).max() < 0.5
    assert level[frequency >= 4600].max() < -60


@pytest.mark.parametrize("frequency", [100, 1000, 3400])
def test_a_tone_goes_up_without_an_image_and_down_again(frequency: int) -> None:
    tone = signals.sine(frequency, 8000)[None]
    wide = up(tone)
    inside = wide[0, 1600:]
    assert 20 * np.log10(signals.tone_level(inside, frequency, 16000) / 0.1) == pytest.approx(0, abs=0.1)
    assert 20 * np.log10(signals.tone_level(inside, 8000 - frequency, 16000) / 0.1) < -60
    narrow = down(wide)[0, 800:]
    assert 20 * np.log10(signals.tone_level(narrow, frequency, 8000) / 0.1) == pytest.approx(0, abs=0.1)


def test_what_is_above_4600_hz_does_not_fold_down() -> None:
    for frequency in (4600, 5000, 7000):
        folded = down(signals.sine(frequency, 16000)[None])[0, 800:]
        assert 20 * np.log10(signals.tone_level(folded, 8000 - frequency, 8000) / 0.1) < -60


def test_delays_are_those_stated() -> None:
    impulse = np.zeros((1, 1600), dtype=np.float32)
    impulse[0, 160] = 1
    assert int(np.argmax(up(impulse)[0])) == 320 + UP2_DELAY
    wide = np.zeros((1, 3200), dtype=np.float32)
    wide[0, 320] = 1
    assert int(np.argmax(down(wide)[0])) == 160 + DOWN2_DELAY
    assert UP2_DELAY / 16 < 2
    assert DOWN2_DELAY / 8 < 2


@pytest.mark.parametrize("size", [80, 160, 240, 480])
def test_the_length_of_frames_does_not_matter(size: int) -> None:
    narrow, wide = noise(2, 1440), noise(2, 2880)
    np.testing.assert_allclose(up(narrow, size), up(narrow, 1440), atol=1e-6)
    np.testing.assert_allclose(down(wide, 2 * size), down(wide, 2880), atol=1e-6)


def test_subtracting_before_or_after_is_the_same() -> None:
    mix, own = noise(4, 1600), noise(4, 1600) * 0.3
    np.testing.assert_allclose(down(mix - own), down(mix) - down(own), atol=1e-5)


def test_a_frame_that_cannot_be_split_into_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="165"):
        up2(np.zeros((1, 165), dtype=np.float32), np.zeros((1, UP2_TAIL), dtype=np.float32))
    assert up2(np.zeros((0, 160), np.float32), np.zeros((0, UP2_TAIL), np.float32))[0].shape == (0, 320)
