"""How loud known tones are in a recording: least squares on windowed blocks (IEEE 1057 sine fit)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.floating]
Levels = NDArray[np.float64]

FLOOR_DBFS = -120.0
"""What absolute silence is reported as."""


def decibels(amplitude: NDArray[np.float64]) -> Levels:
    """Amplitudes relative to 1.0 in decibels, not below FLOOR_DBFS."""
    floor = 10.0 ** (FLOOR_DBFS / 20.0)
    return np.asarray(20.0 * np.log10(np.maximum(amplitude, floor)), dtype=np.float64)


def tone_track(audio: Audio, rate: int, frequencies: Sequence[float], block_ms: int = 200) -> Levels:
    """Level of each tone in each block: float64[blocks, tones] in dBFS.

    `audio` is float[samples] in [-1, 1] at `rate` Hz; 0 dBFS is a sine of amplitude 1. All tones are fitted
    together under a Hann window, so that a loud one does not leak into a quiet one, whatever its phase;
    they must lie at least 2000 / block_ms Hz apart. A last part shorter than a block is left out.
    Raises ValueError for frequencies outside (0, rate / 2) or a block too short to tell them apart.
    """
    wanted = np.asarray(frequencies, dtype=np.float64)
    size = rate * block_ms // 1000
    if wanted.size == 0 or wanted.min() <= 0 or wanted.max() >= rate / 2:
        raise ValueError(f"frequencies must lie between 0 and {rate / 2} Hz")
    if wanted.size > 1 and np.diff(np.sort(wanted)).min() < 2000 / block_ms:
        raise ValueError(f"a block of {block_ms} ms cannot tell these frequencies apart")
    blocks = len(audio) // size
    rows = np.asarray(audio[: blocks * size], dtype=np.float64).reshape(blocks, size)
    window = np.sqrt(np.hanning(size + 1)[:size])
    phases = 2 * np.pi * np.outer(np.arange(size) / rate, wanted)
    # A constant column takes up any DC offset.
    basis = np.hstack([np.cos(phases), np.sin(phases), np.ones((size, 1))])
    solution = (rows * window) @ np.linalg.pinv(basis * window[:, None]).T
    count = wanted.size
    return decibels(np.hypot(solution[:, :count], solution[:, count : 2 * count]))


def tone_levels(audio: Audio, rate: int, frequencies: Sequence[float], block_ms: int = 200) -> Levels:
    """The usual level of each tone: float64[tones] in dBFS, the median over blocks (see `tone_track`).

    The median is not moved by a block in which the audio jumped, as a jitter buffer's adaptation makes it.
    Raises ValueError as `tone_track` does, and when the audio is shorter than one block.
    """
    track = tone_track(audio, rate, frequencies, block_ms)
    if not len(track):
        raise ValueError(f"audio shorter than a block of {block_ms} ms")
    return np.asarray(np.median(track, axis=0), dtype=np.float64)


def make_tones(
    rate: int, duration_s: float, frequencies: Sequence[float], level_dbfs: float = -12.0
) -> NDArray[np.float32]:
    """A sum of sines, each at `level_dbfs`: float32[samples] at `rate` Hz."""
    times = np.arange(round(rate * duration_s)) / rate
    amplitude = 10.0 ** (level_dbfs / 20.0)
    total = np.zeros(len(times))
    for frequency in frequencies:
        total += amplitude * np.sin(2 * np.pi * frequency * times)
    return total.astype(np.float32)
