from __future__ import annotations

import numpy as np
import pytest

from ringback.quality.markers import CODES, correlation, find_markers, marker
from ringback.quality.tones import make_tones


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_markers_are_found_to_a_tenth_of_a_millisecond(rate: int) -> None:
    rng = np.random.default_rng(1)
    audio = rng.normal(0, 0.01, 4 * rate)
    for at in (0.5, 1.25, 3.0):
        start = round(at * rate)
        audio[start : start + len(marker(5, rate))] += marker(5, rate, -20)
    assert find_markers(audio, rate, 5) == pytest.approx([0.5, 1.25, 3.0], abs=1e-4)


def test_every_code_is_told_from_every_other() -> None:
    for sent in range(CODES):
        audio = np.concatenate([np.zeros(800), marker(sent, 8000), np.zeros(800)])
        assert [code for code in range(CODES) if len(find_markers(audio, 8000, code))] == [sent]


def test_tones_and_silence_are_no_markers() -> None:
    assert len(find_markers(make_tones(8000, 3.0, [440, 1090]), 8000, 3)) == 0
    assert len(find_markers(np.zeros(8000), 8000, 3)) == 0
    assert len(find_markers(np.zeros(8), 8000, 3)) == 0


def test_correlation_does_not_depend_on_level() -> None:
    reference = marker(2, 8000)
    quiet = np.concatenate([np.zeros(100), 0.01 * reference, np.zeros(100)])
    assert correlation(quiet, reference).max() == pytest.approx(1.0)


def test_codes_outside_the_alphabet_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        marker(16, 8000)
