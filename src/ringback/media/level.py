"""Who talks and how loud: a gate over the energies of many legs, adapting to each one's noise.

Levels are in dBFS with a mean square of 1 (a square wave at full scale) as 0, so that a full sine is at -3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.native import at, ffi, kernels

Samples = NDArray[np.float32]
Mask = NDArray[np.bool_]
Legs = NDArray[np.intp]

SILENCE_DBFS = -100.0
"""What a level of nothing is called."""
FLOOR_DBFS = -55.0
"""Below this nobody talks."""
CEILING_DBFS = -45.0
"""Above this somebody always does: tones and music are as steady as noise, and must be heard."""
MARGIN_DB = 9.0
"""How far above its noise a leg must be to talk, between the two."""
HANGOVER_FRAMES = 18
"""Frames for which a leg still talks after its last loud one (360 ms): the ends of words and short pauses."""
WINDOW_FRAMES = 25
WINDOWS = 4
"""The noise is the least level in the last two seconds, kept as the minima of four windows of 500 ms."""
RISE = 0.5
FALL = 0.15
"""How much of a new frame enters the level shown, when it is louder and when it is quieter."""

_SILENCE = np.float32(10 ** (SILENCE_DBFS / 10))


def mean_square(samples: Samples) -> Samples:
    """Energy of each row of samples float32[n, m]: float32[n], 1 at full scale."""
    sums: Samples = np.einsum("ij,ij->i", samples, samples)
    sums *= np.float32(1 / samples.shape[1])
    return sums


def dbfs(energy: Samples) -> Samples:
    """Mean squares as levels in dBFS, never below SILENCE_DBFS."""
    return np.float32(10) * np.log10(np.maximum(energy, _SILENCE))


class SpeechGate:
    """The talk state of `capacity` legs, one row each, fed with one energy a leg a frame of 20 ms.

    A leg talks from the frame on in which it exceeds its threshold: MARGIN_DB over its noise, but within
    FLOOR_DBFS and CEILING_DBFS. Until two seconds were heard, the noise is taken to be nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.talking = np.zeros(capacity, dtype=np.bool_)
        self.level = np.zeros(capacity, dtype=np.float32)
        self._hangover = np.zeros(capacity, dtype=np.int16)
        self._frames = np.zeros(capacity, dtype=np.int16)
        self._lowest = np.full(capacity, np.inf, dtype=np.float32)
        self._minima = np.zeros((capacity, WINDOWS), dtype=np.float32)
        self.compiled: Any = None if kernels is None else self._held()
        """What compiled loops know the columns by."""
        # Nothing was heard yet: this is what a row begins with.
        self._blanks = [(column, column[0].copy()) for _, column in self._columns()]

    def _held(self) -> Any:
        columns = {name.removeprefix("_"): at(column) for name, column in self._columns()}
        return ffi.new("struct gate *", columns | _NUMBERS)

    def _columns(self) -> list[tuple[str, NDArray[Any]]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, np.ndarray)]

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` legs; those that are here keep their rows."""
        fresh = SpeechGate(capacity)
        for name, column in self._columns():
            getattr(fresh, name)[: self.capacity] = column
        self.__dict__.update(fresh.__dict__)

    def reset(self, legs: Legs | int) -> None:
        """Forget all about these rows, for the next legs that use them."""
        for column, blank in self._blanks:
            column[legs] = blank

    def update(self, legs: Legs, energy: Samples) -> Mask:
        """Take a frame's mean square float32[k] of legs intp[k], each once; who of them talks: bool[k]."""
        if kernels is not None:
            return self._update_compiled(kernels, legs, energy)
        threshold = np.clip(self._noise(legs, energy) * _MARGIN, _FLOOR, _CEILING)
        hangover = np.maximum(self._hangover[legs] - 1, 0)
        hangover[energy > threshold] = HANGOVER_FRAMES + 1
        self._hangover[legs] = hangover
        talking: Mask = hangover > 0
        self.talking[legs] = talking
        level = self.level[legs]
        self.level[legs] = level + (energy - level) * np.where(energy > level, _RISE, _FALL)
        return talking

    def _update_compiled(self, library: Any, legs: Legs, energy: Samples) -> Mask:
        result = np.empty(len(legs), np.bool_)
        rows, energies = np.ascontiguousarray(legs, np.int64), np.ascontiguousarray(energy, np.float32)
        library.rb_gate(self.compiled, at(rows), at(energies), len(rows), at(result))
        return result

    def threshold(self, legs: Legs) -> Samples:
        """The mean squares above which legs intp[k] would have talked in their last frames: float32[k]."""
        noise = np.minimum(self._minima[legs].min(axis=1), self._lowest[legs])
        threshold: Samples = np.clip(noise * _MARGIN, _FLOOR, _CEILING)
        return threshold

    def level_dbfs(self, legs: Legs | slice) -> Samples:
        """The smoothed levels of legs intp[k], for showing: float32[k]."""
        return dbfs(self.level[legs])

    def _noise(self, legs: Legs, energy: Samples) -> Samples:
        """Least energy of each leg in the last windows, this frame included."""
        lowest = np.minimum(self._lowest[legs], energy)
        minima = self._minima[legs]
        noise: Samples = np.minimum(minima.min(axis=1), lowest)
        frames = self._frames[legs] + 1
        full = np.flatnonzero(frames % WINDOW_FRAMES == 0)
        if full.size:
            window = frames[full] // WINDOW_FRAMES - 1
            self._minima[legs[full], window] = lowest[full]
            lowest[full] = np.inf
        self._frames[legs] = frames % (WINDOW_FRAMES * WINDOWS)
        self._lowest[legs] = lowest
        return noise


_MARGIN = np.float32(10 ** (MARGIN_DB / 10))
_FLOOR = np.float32(10 ** (FLOOR_DBFS / 10))
_CEILING = np.float32(10 ** (CEILING_DBFS / 10))
_RISE = np.float32(RISE)
_FALL = np.float32(FALL)
_NUMBERS = {
    "windows": WINDOWS,
    "window_frames": WINDOW_FRAMES,
    "margin": _MARGIN,
    "floor": _FLOOR,
    "ceiling": _CEILING,
    "rise": RISE,
    "fall": FALL,
    "hangover_frames": HANGOVER_FRAMES,
}
