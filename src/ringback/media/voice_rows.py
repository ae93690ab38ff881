"""The voices of one tick, as rows: what is decoded goes so to who hears, records and listens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringback.media.columns import Bools, Floats, Longs

NARROW, WIDE, FULL = 160, 320, 960
"""Samples of a frame of 20 ms at 8, 16 and 48 kHz."""


@dataclass(slots=True)
class Voices:
    """Voices of k legs at one rate: legs int64[k] rows, samples float32[k, m], heard bool[k] in their
    rooms."""

    legs: Longs
    samples: Floats
    heard: Bools


NO_VOICES = Voices(np.zeros(0, np.int64), np.zeros((0, NARROW), np.float32), np.zeros(0, np.bool_))
NO_HIGH_BANDS = Voices(np.zeros(0, np.int64), np.zeros((0, FULL), np.float32), np.zeros(0, np.bool_))
