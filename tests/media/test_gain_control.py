"""Automatic gain makes voices equally loud, slowly, within bounds, and leaves pauses as they are."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.gain_control import MAX_GAIN_DB, TARGET_DBFS, GainControl
from ringback.media.level import SpeechGate, mean_square
from ringback.media.protocol import Codec, SetVoice
from tests.media.signals import voiced
from tests.media.speaker import Speaker, noise, power_dbfs
from tests.media.world import World

LEGS = np.array([0])


def at_level(samples: np.ndarray, dbfs: float) -> np.ndarray:
    return samples * np.float32(10 ** ((dbfs - power_dbfs(samples)) / 20))


def run(frames: np.ndarray) -> np.ndarray:
    """One leg's frames float32[n, m] after gain control."""
    control, gate = GainControl(1), SpeechGate(1)
    out = frames.copy()
    for i in range(len(frames)):
        energy = mean_square(frames[i : i + 1])
        control.step(LEGS, energy, gate.update(LEGS, energy))
        control.apply(LEGS, out[i : i + 1])
    return out


@pytest.mark.parametrize(
    ("level", "expected"), [(-33, TARGET_DBFS), (-14, TARGET_DBFS), (-23, TARGET_DBFS), (-40, -28), (-6, -18)]
)
def test_voices_come_to_the_target_but_not_by_more_than_twelve_decibels(
    level: float, expected: float
) -> None:
    talk = at_level(voiced(8000, 12), level).reshape(-1, 160)
    out = run(talk)
    assert power_dbfs(out[-100:]) == pytest.approx(expected, abs=0.5)
    gain = np.sqrt(mean_square(out) / mean_square(talk))
    decibels = 20 * np.log10(gain)
    assert np.abs(decibels).max() <= MAX_GAIN_DB + 0.01
    # At most 6 dB a second, and nothing before half a second was heard.
    assert np.abs(np.diff(decibels)).max() <= 0.13
    assert np.abs(decibels[:23]).max() < 0.01


def test_in_pauses_the_gain_rests_and_noise_is_not_pumped_up() -> None:
    talk, pause = at_level(voiced(8000, 2), -34), noise(8000, -62, 4)
    signal = np.concatenate([talk, pause, talk, pause, talk, pause])
    out = run(signal.reshape(-1, 160)).reshape(-1)
    gain = np.sqrt(mean_square(out.reshape(-1, 160)) / mean_square(signal.reshape(-1, 160)))
    for second in (2.6, 8.6, 14.6):
        during = gain[round(50 * second) : round(50 * (second + 3.3))]
        assert during.max() - during.min() < 1e-3
    assert run(pause.reshape(-1, 160)).tolist() == pause.reshape(-1, 160).tolist()


def test_there_is_no_step_between_frames() -> None:
    constant = np.full((400, 160), 0.02, np.float32)
    out = run(constant).reshape(-1)
    assert np.abs(np.diff(out)).max() < 0.02 * 0.02 / 100


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
def test_legs_that_want_it_get_it_and_others_do_not(codec: Codec) -> None:
    world = World()
    rate = 8000 if codec == "PCMU" else 16000
    quiet = at_level(voiced(rate, 4), -33)
    speaker = world.add(Speaker(1, quiet, codec=codec))
    listener = world.add(Speaker(2, np.zeros(rate), codec=codec))
    world.run(3)
    plain = power_dbfs(listener.audio(1))
    assert plain == pytest.approx(-33, abs=1)
    world.apply(SetVoice(leg=1, agc=True))
    world.run(6)
    assert power_dbfs(listener.audio(1)) == pytest.approx(TARGET_DBFS, abs=1)
    world.apply(SetVoice(leg=1))
    world.run(2)
    assert power_dbfs(listener.audio(1)) == pytest.approx(-33, abs=1)
    assert not world.engine.legs.some_agc
    assert power_dbfs(speaker.audio(1)) < -70
