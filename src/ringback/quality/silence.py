"""Where a recording is silent: level per short frame, and the gaps in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringback.quality.tones import Audio, Levels, decibels

FRAME_MS = 10


def level_track(audio: Audio, rate: int, frame_ms: int = FRAME_MS) -> Levels:
    """Level of each frame: float64[frames] in dBFS, where 0 dBFS is the RMS of a sine of amplitude 1.

    `audio` is float[samples] at `rate` Hz; a last part shorter than a frame is left out.
    """
    size = rate * frame_ms // 1000
    frames = len(audio) // size
    rows = np.asarray(audio[: frames * size], dtype=np.float64).reshape(frames, size)
    return decibels(np.sqrt(2.0 * np.mean(rows * rows, axis=1)))


def gaps(audio: Audio, rate: int, below_dbfs: float = -50.0, minimum_ms: int = 60) -> NDArray[np.float64]:
    """The stretches quieter than `below_dbfs` for `minimum_ms` or longer: float64[gaps, 2], in seconds."""
    return runs(level_track(audio, rate) < below_dbfs, minimum_ms)


def sounds(audio: Audio, rate: int, above_dbfs: float = -50.0, minimum_ms: int = 60) -> NDArray[np.float64]:
    """The stretches at least as loud as `above_dbfs`: float64[stretches, 2], start and end in seconds."""
    return runs(level_track(audio, rate) >= above_dbfs, minimum_ms)


def runs(holds: NDArray[np.bool_], minimum_ms: int, frame_ms: int = FRAME_MS) -> NDArray[np.float64]:
    """Stretches of frames for which something holds: float64[runs, 2], start and end in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], holds, [False])).astype(np.int8)))
    pairs = edges.reshape(-1, 2)
    long_enough = (pairs[:, 1] - pairs[:, 0]) * frame_ms >= minimum_ms
    return pairs[long_enough].astype(np.float64) * (frame_ms / 1000.0)


def longest_gap_ms(audio: Audio, rate: int, below_dbfs: float = -50.0) -> float:
    """The longest silence in milliseconds; 0 when there is none."""
    found = gaps(audio, rate, below_dbfs, minimum_ms=FRAME_MS)
    return float((found[:, 1] - found[:, 0]).max() * 1000.0) if len(found) else 0.0
