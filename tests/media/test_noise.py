"""Rooms full of open microphones are silent, and a leg's noise is suppressed where that is asked for."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ringback.media.noise import NoiseSuppression
from ringback.media.protocol import Codec, CommandFailed, SetVoice, Talking
from tests.media.signals import voiced
from tests.media.speaker import Speaker, noise, power_dbfs
from tests.media.world import Peer, World


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
@pytest.mark.parametrize("level", [-60, -50])
def test_fifty_open_microphones_do_not_hiss(codec: Codec, level: float) -> None:
    world = World()
    rate = 8000 if codec == "PCMU" else 16000
    microphones = [
        world.add(Speaker(leg, noise(rate, level, 1, seed=leg), codec=codec)) for leg in range(1, 51)
    ]
    talk = np.concatenate([voiced(rate, 1), noise(rate, level, 2)])
    talker = world.add(Speaker(99, talk, codec=codec))
    # Two seconds teach the gates what is noise; then a second of talk and two of pause.
    world.run(3 + 1)
    during = microphones[7].audio(0.5)
    world.run(1.9)
    pause = microphones[7].audio(1)
    assert power_dbfs(during) > -30
    assert power_dbfs(pause) < -80
    assert power_dbfs(talker.audio(3)) < -80
    # Nobody but the talker was said to talk after the first seconds.
    late = [event for event in world.of(Talking)[-3:] if event.talkers]
    assert {leg for event in late for leg, _ in event.talkers} <= {99}


def test_without_the_package_asking_for_it_fails_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtc_noise_gain", None)
    world = World()
    world.add(Peer(1))
    world.apply(SetVoice(leg=1, muted=True, denoise=True))
    assert "pip install 'ringback[noise]'" in world.of(CommandFailed)[0].reason
    assert not world.engine.legs.muted.any()
    assert not world.engine.legs.denoise.any()
    assert not world.engine.voices.noise


@pytest.mark.skipif(not NoiseSuppression.available(), reason="webrtc-noise-gain is not installed")
@pytest.mark.parametrize("codec", ["PCMU", "G722", "OPUS"])
def test_a_legs_noise_is_suppressed_and_its_voice_is_not(codec: Codec) -> None:
    world = World()
    rate = 8000 if codec == "PCMU" else 16000
    talk = np.concatenate([voiced(rate, 1.0), np.zeros(rate)]) * 0.7
    talk = talk + noise(rate, -42, 2)
    world.add(Speaker(1, talk, codec=codec))
    listener = world.add(Speaker(2, np.zeros(rate), codec=codec))

    def heard() -> tuple[float, float]:
        """Loudness of the second of talk and of the second of noise."""
        frames = power_frames(listener.audio(2), rate)
        return float(np.median(frames[frames > -32])), float(np.median(frames[frames <= -32]))

    world.run(6)
    talk_before, noise_before = heard()
    world.apply(SetVoice(leg=1, denoise=True))
    world.run(8)
    talk_after, noise_after = heard()
    # Opus makes noise softer by itself.
    assert noise_before == pytest.approx(-42, abs=8)
    assert noise_after < noise_before - 5
    assert talk_after == pytest.approx(talk_before, abs=2.5)
    world.apply(SetVoice(leg=1))
    world.run(4)
    assert heard()[1] == pytest.approx(noise_before, abs=1)
    assert not world.engine.voices.noise


@pytest.mark.skipif(not NoiseSuppression.available(), reason="webrtc-noise-gain is not installed")
def test_noise_that_would_pass_for_talk_is_none_when_it_is_suppressed() -> None:
    world = World()
    world.add(Speaker(1, noise(8000, -40, 3)))
    for leg in (2, 3):
        world.add(Speaker(leg, np.zeros(8000)))
    world.run(3)
    assert world.engine.voices.gate.talking[world.engine.legs.slots[1]]
    world.apply(SetVoice(leg=1, denoise=True))
    world.run(6)
    assert not world.engine.voices.gate.talking[world.engine.legs.slots[1]]
    assert power_dbfs(world.peers[2].audio(1)) < -80


def power_frames(samples: np.ndarray, rate: int) -> np.ndarray:
    """Power of each 20 ms."""
    frames = samples[: len(samples) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50)
    return 10 * np.log10(np.maximum((frames.astype(np.float64) ** 2).mean(axis=1), 1e-10))
