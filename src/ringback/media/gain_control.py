"""Automatic gain: quiet voices are made louder and loud ones softer, slowly, and only while they talk.

A voice's level is the mean power of its loud frames in the last three seconds of talk. The gain goes towards
what brings that to the target, never beyond 12 dB either way, and rests in pauses: noise is not pumped up.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.columns import Bools, Column, Columns, Floats, Ints, Longs

TARGET_DBFS = -23.0
"""Mean power of a voice while it talks; full scale square is 0."""
MAX_GAIN_DB = 12.0
WINDOW_FRAMES = 150
FIRST_FRAMES = 25
"""Half a second of talk is heard before the gain moves at all."""
LOUD = np.float32(0.1)
"""Frames more than 10 dB below a voice's level are its pauses."""
RISE_DB = 0.06
FALL_DB = 0.12
"""A frame: 3 dB a second up, 6 down."""


class GainControl(Columns):
    """The gains of all legs that want one; `before` and `gain` are linear, at a frame's begin and end."""

    SPEC: ClassVar[dict[str, Column]] = {
        "level": Column(np.float32),
        "frames": Column(np.int32),
        "gain_db": Column(np.float32),
        "before": Column(np.float32, empty=1.0),
        "gain": Column(np.float32, empty=1.0),
    }
    level: Floats
    frames: Ints
    gain_db: Floats
    before: Floats
    gain: Floats

    def step(self, legs: Longs, energy: Floats, talking: Bools) -> None:
        """Take a frame's mean squares float32[k] of legs int64[k] that want gain control, and who talks."""
        self.before[legs] = self.gain[legs]
        level = self.level[legs]
        loud = talking & (energy > level * LOUD)
        legs, energy, level = legs[loud], energy[loud], level[loud]
        if not len(legs):
            return
        frames = np.minimum(self.frames[legs] + 1, WINDOW_FRAMES)
        level += (energy - level) / frames
        self.level[legs], self.frames[legs] = level, frames
        wanted = np.clip(TARGET_DBFS - 10 * np.log10(level), -MAX_GAIN_DB, MAX_GAIN_DB)
        now = self.gain_db[legs]
        move = np.where(frames >= FIRST_FRAMES, np.clip(wanted - now, -FALL_DB, RISE_DB), 0)
        self.gain_db[legs] = now + move
        self.gain[legs] = 10 ** ((now + move) / 20)

    def apply(self, legs: Longs, samples: Floats) -> None:
        """Frames float32[k, m] of legs int64[k], in place, without a step from one gain to the next."""
        before, after = self.before[legs][:, None], self.gain[legs][:, None]
        ramp = np.arange(1, samples.shape[1] + 1, dtype=np.float32) / samples.shape[1]
        samples *= before + (after - before) * ramp
