"""Comfort noise: as loud and as dark as the peer says, without a seam, and gone when it speaks again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ringback.media.comfort import LOOP_SAMPLES, ComfortNoise

from .world import Peer, World

COMFORT_NOISE_TYPE = 13


def heard(payload: bytes, rate: int, frames: int = 60) -> np.ndarray:
    noise = ComfortNoise()
    noise.hear(payload)
    return np.concatenate([noise.next(rate) for _ in range(frames)])


def dbov(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-20))


def octet(reflection: float) -> int:
    """As RFC 3389 3.2 quantises it."""
    return round(reflection * 32768 / 258) + 127


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("level", [30, 52, 78])
@pytest.mark.parametrize("shape", [b"", bytes([octet(-0.8), octet(0.3)])])
def test_it_is_as_loud_as_the_packet_says(rate: int, level: int, shape: bytes) -> None:
    assert dbov(heard(bytes([level]) + shape, rate)) == pytest.approx(-level, abs=0.5)


def test_its_spectrum_has_the_packets_shape() -> None:
    for reflection, darker in ((-0.8, True), (0.8, False)):
        power = np.abs(np.fft.rfft(heard(bytes([40, octet(reflection)]), 8000))) ** 2
        low, high = power[: len(power) // 4].mean(), power[-len(power) // 4 :].mean()
        # 1 / (1 + k z^-1) has a gain of 1 / (1 + k) at 0 Hz and of 1 / (1 - k) at 4 kHz.
        assert abs(10 * np.log10(low / high)) > 10
        assert (low > high) == darker


def test_it_has_no_seam_and_no_clicks() -> None:
    samples = heard(bytes([40]), 8000, 3 * LOOP_SAMPLES // 160)
    assert np.abs(samples).max() < 6 * np.sqrt(np.mean(samples**2))
    wide = heard(bytes([40]), 16000)
    assert np.abs(np.diff(wide)).max() < 8 * np.sqrt(np.mean(wide**2))


def test_hostile_packets_do_no_harm() -> None:
    random = np.random.default_rng(4)
    for size in (0, 1, 2, 13, 200):
        samples = heard(random.bytes(size), 8000, 5)
        assert np.isfinite(samples).all()
    for extreme in (0, 254, 255):
        assert np.isfinite(heard(bytes([40] + [extreme] * 12), 8000, 5)).all()
    assert not heard(bytes([127]), 8000).any()
    assert not heard(b"", 8000).any()


def pause(world: World, speaker: Peer, level: int, seconds: float, update: float = 0.2) -> None:
    """A peer that stops sending, but for comfort noise."""
    world.run(0.02)
    speak, step = speaker.speak, speaker.clock // 50
    state = {"frames": 0}

    def quiet() -> bytes:
        state["frames"] += 1
        if (state["frames"] - 1) % round(update * 50):
            speaker.timestamp += step
            return b""
        packet = speaker.packet(bytes([level]), COMFORT_NOISE_TYPE)
        speaker.timestamp += step
        return packet

    speaker.speak = quiet  # type: ignore[method-assign]
    world.run(seconds)
    speaker.speak = speak  # type: ignore[method-assign]


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
@pytest.mark.parametrize("update", [0.2, 10.0])
def test_a_pause_sounds_like_the_peers_room(codec: Any, update: float) -> None:
    world = World()
    speaker = world.add(Peer(1, codec, 440.0))
    listener = world.add(Peer(2, codec, 1000.0))
    world.run(2)
    pause(world, speaker, 48, 3.0, update)
    assert dbov(listener.audio(2.5)) == pytest.approx(-48, abs=2)
    totals = world.totals(1)
    assert totals.concealed_frames <= 1
    world.run(1)
    assert listener.level(440.0, 0.9) == pytest.approx(-13.98, abs=0.7)
    assert world.totals(1).concealed_frames <= 1
    assert world.totals(1).lost_packets == 0
    # The pause over, what is lost is concealed as ever.
    world.delay[1] = lambda at: None
    world.run(0.4)
    # A-law has no zero.
    assert dbov(listener.audio(0.2)) < -70


def test_comfort_noise_does_not_open_a_gate() -> None:
    world = World()
    speaker = world.add(Peer(1, "PCMU", 440.0))
    others = [world.add(Peer(leg, "PCMU", 1000.0)) for leg in (2, 3)]
    for other in others:
        other.silent = True
    world.run(2)
    pause(world, speaker, 50, 3.0)
    assert dbov(others[0].audio(1)) < -80
    world.run(1)
    assert others[0].level(440.0, 0.9) == pytest.approx(-13.98, abs=0.7)
