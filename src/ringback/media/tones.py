"""The short sounds that tell a caller what happens, made by formula (call progress as in E.180, USA)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16000
LEVEL_DBFS = -18.0
"""Level of a tone while it sounds, as in `media.level` (mean square)."""
RAMP_MS = 8
"""Tones begin and end this softly, so that they do not click."""


class UnknownToneError(ValueError):
    """There is no tone of that name."""


@cache
def tone(name: str) -> Samples:
    """The tone called `name` (one of TONES) as float32[m] at 16 kHz, read-only; UnknownToneError otherwise.

    Ringback and busy are one period with its pause, to be repeated.
    """
    make = TONES.get(name)
    if make is None:
        raise UnknownToneError(f"no tone is called {name!r}: there are {', '.join(TONES)}")
    samples = make()
    samples.flags.writeable = False
    return samples


def _time(milliseconds: float) -> NDArray[np.float64]:
    return np.arange(int(RATE * milliseconds / 1000)) / RATE


def _beep(frequencies: tuple[float, ...], milliseconds: float) -> Samples:
    """Steady frequencies together at LEVEL_DBFS, with ramps."""
    time = _time(milliseconds)
    sound = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    amplitude = 10 ** (LEVEL_DBFS / 20) * np.sqrt(2 / len(frequencies))
    samples: Samples = (amplitude * _ramped(np.asarray(sound))).astype(np.float32)
    return samples


def _ramped(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    length = RATE * RAMP_MS // 1000
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
    sound[:length] *= ramp
    sound[-length:] *= ramp[::-1]
    return sound


def _bell(frequencies: tuple[float, ...], milliseconds: float) -> Samples:
    """A struck sound that dies away; its first tenth of a second is at about LEVEL_DBFS."""
    time = _time(milliseconds)
    fall = np.exp(-time * 5000 / milliseconds)
    sound = sum(np.sin(2 * np.pi * frequency * time) / (i + 1) for i, frequency in enumerate(frequencies))
    sound = _ramped(np.asarray(sound) * fall)
    loudest = np.sqrt(np.mean(sound[: RATE // 10] ** 2))
    samples: Samples = (sound * (10 ** (LEVEL_DBFS / 20) / loudest)).astype(np.float32)
    return samples


def _silence(milliseconds: float) -> Samples:
    return np.zeros(int(RATE * milliseconds / 1000), dtype=np.float32)


def _sequence(*parts: Callable[[], Samples]) -> Samples:
    return np.concatenate([part() for part in parts])


KEY_LOW_HZ = (697.0, 770.0, 852.0, 941.0)
KEY_HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")
"""The keys of a phone, each with the tone of its row and that of its column (ITU-T Q.23)."""
KEY_MS = 100


TONES = MappingProxyType(
    {
        **{
            f"key-{KEYS[row][column]}": partial(_beep, (KEY_LOW_HZ[row], KEY_HIGH_HZ[column]), KEY_MS)
            for row in range(4)
            for column in range(4)
        },
        "entry": partial(_sequence, partial(_beep, (587.3,), 110), partial(_beep, (880.0,), 160)),
        "exit": partial(_sequence, partial(_beep, (880.0,), 110), partial(_beep, (587.3,), 160)),
        "chime": partial(_bell, (659.3, 1318.5), 700),
        "error": partial(
            _sequence, partial(_beep, (330.0,), 160), partial(_silence, 60), partial(_beep, (277.2,), 260)
        ),
        "ringback": partial(_sequence, partial(_beep, (440.0, 480.0), 2000), partial(_silence, 4000)),
        "beep": partial(_beep, (1000.0,), 400),
        "dial": partial(_beep, (350.0, 440.0), 10_000),
        "busy": partial(_sequence, partial(_beep, (480.0, 620.0), 500), partial(_silence, 500)),
    }
)
"""Every tone by the name the media protocol uses."""
