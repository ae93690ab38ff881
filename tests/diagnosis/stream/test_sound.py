"""Levels of what was spoken, and none of what is ciphertext."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.capture.rows import SQUARES
from ringback.diagnosis.stream.measure import examine
from ringback.media.codec import g711
from tests.diagnosis.stream.streams import KEY, packets

LAWS: dict[int, g711.Law] = {0: "PCMU", 8: "PCMA"}


def of_octets(payload: NDArray[np.uint8], payload_type: int) -> Packets:
    """A stream with these payloads, uint8[n, m], and the levels that a reader gives them."""
    codes = SQUARES[256:] if payload_type == 8 else SQUARES[:256]
    squares = codes[payload]
    power = (squares & np.uint64((1 << 48) - 1)).mean(axis=1) / 8192**2
    return packets(
        np.arange(len(payload)),
        payload_type=payload_type,
        payload_bytes=payload.shape[1],
        level_dbov=10 * np.log10(np.maximum(power, 1e-12)),
        clipped=(squares >> np.uint64(48)).sum(axis=1),
    )


@pytest.mark.parametrize("payload_type", LAWS)
@pytest.mark.parametrize("octets", [80, 170, 240])
def test_ciphertext_is_no_sound(payload_type: int, octets: int) -> None:
    random = np.random.default_rng(4).integers(0, 256, (500, octets), np.uint8)
    measured, series = examine(KEY, of_octets(random, payload_type), {})
    assert measured.sound is None
    assert np.isnan(series.level_dbov).all()
    assert all(interval.level_dbov is None for interval in measured.intervals)


@pytest.mark.parametrize("payload_type", LAWS)
@pytest.mark.parametrize("loudness", [0.02, 0.3, 3.0])
def test_speech_is_sound_however_loud(payload_type: int, loudness: float) -> None:
    chance = np.random.default_rng(5)
    talking = np.repeat(chance.uniform(size=50) < 0.5, 10)
    voice = chance.normal(size=(500, 160)) * np.where(talking, loudness, 0.001)[:, None]
    octets = g711.encode(np.clip(voice, -1, 1).astype(np.float32), LAWS[payload_type])
    measured, _ = examine(KEY, of_octets(octets.reshape(500, 160), payload_type), {})
    assert measured.sound is not None
    assert measured.sound.silent_share == pytest.approx(1 - talking.mean(), abs=0.01)
