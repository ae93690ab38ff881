from __future__ import annotations

import numpy as np
import pytest

from ringback.quality.silence import gaps, level_track, longest_gap_ms, sounds
from ringback.quality.tones import make_tones


def test_level_of_a_sine_is_its_amplitude() -> None:
    assert level_track(make_tones(8000, 1.0, [400], -12.0), 8000) == pytest.approx(-12.0, abs=0.1)


def test_gaps_and_sounds_are_where_they_are() -> None:
    tone = make_tones(16000, 0.5, [300], -20.0)
    hush = np.zeros(16000 // 4, np.float32)
    audio = np.concatenate([tone, hush, tone])
    assert gaps(audio, 16000) == pytest.approx(np.array([[0.5, 0.75]]))
    assert sounds(audio, 16000) == pytest.approx(np.array([[0.0, 0.5], [0.75, 1.25]]))
    assert longest_gap_ms(audio, 16000) == pytest.approx(250)


def test_an_unbroken_sound_has_no_gap() -> None:
    audio = make_tones(8000, 1.0, [500])
    assert len(gaps(audio, 8000)) == 0
    assert longest_gap_ms(audio, 8000) == 0


def test_no_audio_is_no_gap() -> None:
    assert gaps(np.zeros(0), 8000).shape == (0, 2)
