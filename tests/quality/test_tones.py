from __future__ import annotations

import numpy as np
import pytest

from ringback.quality.tones import FLOOR_DBFS, make_tones, tone_levels, tone_track


def test_levels_are_those_of_the_tones() -> None:
    audio = make_tones(8000, 2.0, [440], -6.0) + make_tones(8000, 2.0, [1090], -20.0)
    assert tone_levels(audio, 8000, [440, 1090]) == pytest.approx([-6.0, -20.0], abs=0.01)


@pytest.mark.parametrize("offset", [0.0, 0.3, 1.7, 3.1])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_loud_tone_does_not_leak_into_an_absent_one(rate: int, offset: float) -> None:
    audio = make_tones(rate, 2.0, [440 + offset, 1870], -3.0) + np.float32(0.1)
    assert tone_levels(audio, rate, [440, 1090, 1870])[1] < -75


def test_the_median_stands_a_jump_in_the_audio() -> None:
    audio = make_tones(8000, 4.0, [700], -10.0)
    jumped = np.concatenate([audio[:10_000], audio[10_123:20_000], audio[21_000:]])
    assert tone_levels(jumped, 8000, [700, 1500])[0] == pytest.approx(-10, abs=0.1)


def test_track_shows_when_a_tone_was_there() -> None:
    audio = np.concatenate([np.zeros(8000, np.float32), make_tones(8000, 1.0, [500], -10.0)])
    track = tone_track(audio, 8000, [500])[:, 0]
    assert track[:5].max() == FLOOR_DBFS
    assert track[5:] == pytest.approx([-10.0] * 5, abs=0.1)


def test_impossible_questions_are_refused() -> None:
    audio = np.zeros(8000)
    with pytest.raises(ValueError, match="between"):
        tone_levels(audio, 8000, [5000])
    with pytest.raises(ValueError, match="apart"):
        tone_levels(audio, 8000, [440, 442])
    with pytest.raises(ValueError, match="shorter"):
        tone_levels(audio[:10], 8000, [440])
