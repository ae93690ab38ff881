"""Tones sound as they are meant to: their frequencies, levels, lengths, and no clicks."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.level import dbfs, mean_square
from ringback.media.tones import TONES, UnknownToneError, tone

from .signals import tone_level


def level(samples: np.ndarray) -> float:
    return float(dbfs(mean_square(samples[None]))[0])


@pytest.mark.parametrize("name", TONES)
def test_every_tone_begins_and_ends_softly_and_is_neither_faint_nor_loud(name: str) -> None:
    samples = tone(name)
    assert samples.dtype == np.float32
    assert abs(samples[0]) < 0.002
    assert abs(samples[-1]) < 0.002
    assert np.abs(np.diff(samples)).max() < 0.15
    assert -20 < level(samples[:1600]) < -16
    assert tone(name) is samples
    assert not samples.flags.writeable


@pytest.mark.parametrize(
    ("name", "frequencies", "on", "off"), [("ringback", (440, 480), 2.0, 4.0), ("busy", (480, 620), 0.5, 0.5)]
)
def test_call_progress_as_american_phones_know_it(
    name: str, frequencies: tuple[int, int], on: float, off: float
) -> None:
    samples = tone(name)
    sounding = samples[: int(16000 * on)]
    assert len(samples) == 16000 * (on + off)
    assert not samples[len(sounding) :].any()
    assert level(sounding) == pytest.approx(-18, abs=0.3)
    for frequency in frequencies:
        assert tone_level(sounding, frequency, 16000) == pytest.approx(10 ** (-18 / 20), rel=0.05)


def test_entry_rises_and_exit_falls() -> None:
    for name, sign in (("entry", 1), ("exit", -1)):
        samples = tone(name)
        first, last = samples[:1600], samples[-1600:]
        higher = [tone_level(part, 880, 16000) > tone_level(part, 587.3, 16000) for part in (first, last)]
        assert higher == [False, True][::sign]


def test_an_unknown_tone_is_named() -> None:
    with pytest.raises(UnknownToneError, match="'siren'"):
        tone("siren")
