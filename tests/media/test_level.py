"""The speech gate: talks at once when somebody speaks, over their noise, and never cuts off a tone."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media import level
from ringback.media.level import HANGOVER_FRAMES, SpeechGate

from . import signals


def energies(*parts: tuple[float, int]) -> list[float]:
    """Parts of a level in dBFS and a number of frames, as mean squares."""
    return [10 ** (dbfs / 10) for dbfs, frames in parts for _ in range(frames)]


def talks(script: list[float]) -> list[bool]:
    gate, leg = SpeechGate(1), np.array([0])
    return [bool(gate.update(leg, np.array([energy], dtype=np.float32))[0]) for energy in script]


def plain_talks(script: list[float]) -> list[bool]:
    """One leg, one frame at a time."""
    minima, window, hangover, result = [0.0] * 4, [], 0, []
    for i, energy in enumerate(script):
        window.append(energy)
        noise = min([*minima, *window])
        if (i + 1) % 25 == 0:
            minima[i // 25 % 4], window = min(window), []
        threshold = min(max(noise * 10**0.9, 10**-5.5), 10**-4.5)
        hangover = HANGOVER_FRAMES if energy > threshold else hangover - 1
        result.append(hangover >= 0)
    return result


def test_agrees_with_one_leg_at_a_time() -> None:
    random = np.random.default_rng(2)
    scripts = 10 ** (random.normal(-5.2, 0.8, size=(6, 400)))
    scripts[1] = 10**-4.8
    scripts[2, 100:] *= 1e-3
    scripts = scripts.astype(np.float32)
    gate, legs = SpeechGate(8), np.array([7, 0, 3, 4, 1, 5])
    columns = [gate.update(legs, scripts[:, i]).tolist() for i in range(scripts.shape[1])]
    expected = [plain_talks(script.tolist()) for script in scripts]
    assert [list(row) for row in zip(*columns, strict=True)] == expected


def test_talks_from_the_first_loud_frame_and_over_short_pauses() -> None:
    talking = talks(energies((-80, 100), (-30, 10), (-80, 12), (-30, 5), (-80, 60)))
    assert not any(talking[:100])
    assert all(talking[100 : 127 + HANGOVER_FRAMES])
    assert not any(talking[127 + HANGOVER_FRAMES :])
    assert 300 <= HANGOVER_FRAMES * 20 <= 400


@pytest.mark.parametrize("dbfs", [-44, -30, -18, -3])
def test_a_steady_tone_is_never_gated(dbfs: float) -> None:
    assert all(talks(energies((dbfs, 3000))))


def test_steady_faint_noise_stops_talking_and_speech_over_it_is_heard() -> None:
    talking = talks(energies((-52, 400), (-40, 1)))
    assert not any(talking[200:400])
    assert talking[-1]


def test_the_faintest_is_never_talk() -> None:
    assert not any(talks(energies((-100, 50), (-56, 50), (-100, 50))))


def test_rows_are_independent_reset_and_kept_when_growing() -> None:
    gate = SpeechGate(2)
    both = np.array([0, 1])
    for _ in range(10):
        gate.update(both, np.array([1e-2, 1e-9], dtype=np.float32))
    gate.grow(4)
    assert gate.talking.tolist() == [True, False, False, False]
    gate.reset(0)
    assert not gate.talking.any()
    assert gate.level_dbfs(np.arange(4)).tolist() == pytest.approx([-100, -90, -100, -100], abs=1)


def test_levels_are_what_a_meter_shows() -> None:
    sine = signals.sine(1000, 16000, seconds=0.02, level=1.0)
    energy = level.mean_square(np.stack([sine, 0.1 * sine, 0 * sine]))
    assert level.dbfs(energy).tolist() == pytest.approx([-3.01, -23.01, -100], abs=0.05)
    gate, legs = SpeechGate(3), np.arange(3)
    for _ in range(30):
        gate.update(legs, energy)
    assert gate.level_dbfs(legs).tolist() == pytest.approx([-3.01, -23.01, -100], abs=0.1)
    shown = []
    for _ in range(20):
        gate.update(legs, np.zeros(3, dtype=np.float32))
        shown.append(float(gate.level_dbfs(legs)[0]))
    assert (np.diff(shown) < 0).all()
    assert -12 < shown[9] < -8


def test_the_threshold_is_that_of_the_last_frame() -> None:
    gate, leg = SpeechGate(2), np.array([1])
    assert gate.threshold(leg) == pytest.approx(10**-5.5)
    for energy in energies((-52, 100)):
        gate.update(leg, np.array([energy], dtype=np.float32))
    assert gate.threshold(leg) == pytest.approx(10**-4.5, rel=1e-3)
    gate.update(leg, np.array([1e-7], dtype=np.float32))
    assert gate.threshold(leg) == pytest.approx(10**-5.5)
