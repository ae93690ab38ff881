"""Stretching: a voice gets shorter or longer by whole periods, and nobody hears where."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.stretch import ALIKE, QUIET, find_periods, leave

from . import signals
from .signals import Samples

RATES = [8000, 16000]


def plain_period(sound: Samples, at: int, most: int, back: bool, rate: int) -> int:
    """Lags tried one by one, at 8 kHz."""
    step = rate // 8000
    near = [float(sound[i : i + step].sum()) for i in range(at % step, len(sound), step)]
    here = at // step
    window = near[here : here + 80]
    if sum(x * x for x in window) < QUIET * 80 * step * step:
        return min(most // step, 120) * step
    best, likeness = 0, -2.0
    for lag in range(20, min(most // step, 120) + 1):
        begin = here - lag if back else here + lag
        other = near[begin : begin + 80]
        product = sum(x * y for x, y in zip(window, other, strict=True))
        energy = sum(x * x for x in window) * sum(y * y for y in other)
        value = product / (energy + 1e-12) ** 0.5
        if value > likeness + 1e-6:
            best, likeness = lag, value
    return best * step if likeness >= ALIKE else 0


def plain_leave(sound: Samples, at: int, period: int) -> Samples:
    """One sample after another."""
    out = []
    for i in range(len(sound) - at):
        weight = min((i + 0.5) / abs(period), 1) if period else 0
        other = float(sound[min(at + i + period, len(sound) - 1)])
        out.append(float(sound[at + i]) * (1 - weight) + other * weight)
    return np.array(out, np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("back", [False, True])
def test_agrees_with_one_sample_after_another(rate: int, back: bool) -> None:
    random = np.random.default_rng(1)
    at, size = rate * 55 // 1000, rate * 130 // 1000
    sounds = [signals.voiced(rate, pitch=p)[:size] for p in (80, 120, 200, 310)]
    sounds += [random.standard_normal(size).astype(np.float32) * level for level in (0.1, 1e-4)]
    sound = np.stack(sounds)
    for most_ms in (15, 8, 3, 1):
        most = np.full(len(sound), rate * most_ms // 1000)
        found = find_periods(sound, at, most, np.full(len(sound), back), rate)
        assert found.tolist() == [plain_period(row, at, int(most[0]), back, rate) for row in sound]
        signed = -found if back else found
        left = leave(sound, at, signed)
        for row, period, made in zip(sound, signed, left, strict=True):
            np.testing.assert_allclose(made, plain_leave(row, at, int(period)), atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [75, 110, 180, 300])
@pytest.mark.parametrize("back", [False, True])
def test_a_period_of_a_voice_goes_unheard(rate: int, pitch: int, back: bool) -> None:
    voice = signals.voiced(rate, pitch=pitch)[None, : rate // 5]
    at = rate // 20
    period = find_periods(voice, at, np.array([rate * 15 // 1000]), np.array([back]), rate)
    periods = period[0] * pitch / rate
    assert abs(periods - round(periods)) < 0.08
    assert round(periods) >= 1
    made = leave(voice, at, -period if back else period)[0]
    joined = np.concatenate((voice[0, :at], made[: rate // 10]))
    assert np.abs(np.diff(joined)).max() < 1.1 * np.abs(np.diff(voice[0])).max()
    level = [np.sqrt(np.mean(joined[i : i + rate // 50] ** 2)) for i in range(0, len(joined), rate // 50)]
    assert min(level[:-1]) > 0.85 * max(level[:-1])


def test_noise_that_is_heard_is_left_alone_and_quiet_noise_is_not() -> None:
    noise = np.random.default_rng(2).standard_normal((20, 1000)).astype(np.float32)
    most, back = np.full(20, 120), np.zeros(20, np.bool_)
    assert not find_periods(noise * 0.1, 400, most, back, 8000).any()
    assert (find_periods(noise * 0.001, 400, most, back, 8000) == 120).all()
    assert (find_periods(noise * 0.001, 400, most // 12, back, 8000) == 10).all()
