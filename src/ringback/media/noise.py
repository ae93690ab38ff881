"""Noise suppression of single legs, by the WebRTC project's (package `webrtc-noise-gain`, optional).

It works at 16 kHz in steps of 10 ms and has to follow a voice all the time, so a leg that has it is always
decoded; about 30 µs a leg and frame. Legs of 8 kHz are brought to 16 kHz and back. It delays a voice by 6 ms.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ringback.media.columns import Floats
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2

MODULE = "webrtc_noise_gain"
STRENGTH = 2
"""Of 0 to 4: what is still natural to the ear."""
NO_GAIN = 0
WIDE = 320
STEP = 160


class NoNoiseSuppressionError(Exception):
    """The package is not installed."""


class _Cleaner:
    __slots__ = ("_processor", "_tail_down", "_tail_up")

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._tail_up = np.zeros((1, UP2_TAIL), np.float32)
        self._tail_down = np.zeros((1, DOWN2_TAIL), np.float32)

    def clean(self, frame: Floats) -> None:
        """A frame float32[160] at 8 or float32[320] at 16 kHz, in place."""
        if len(frame) == WIDE:
            frame[:] = self._clean_wide(frame)
            return
        wide, self._tail_up = up2(frame[None, :], self._tail_up)
        narrow, self._tail_down = down2(self._clean_wide(wide[0])[None, :], self._tail_down)
        frame[:] = narrow[0]

    def _clean_wide(self, frame: Floats) -> Floats:
        pcm = np.clip(np.rint(frame * 32768), -32768, 32767).astype("<i2").tobytes()
        parts = [self._processor.Process10ms(pcm[at : at + 2 * STEP]).audio for at in (0, 2 * STEP)]
        return np.frombuffer(b"".join(parts), "<i2").astype(np.float32) / np.float32(32768)


class NoiseSuppression:
    """The legs, by row, whose noise is suppressed."""

    def __init__(self) -> None:
        self._cleaners: dict[int, _Cleaner] = {}

    @staticmethod
    def available() -> bool:
        """Whether the package is there, without loading it."""
        return find_spec(MODULE) is not None

    def begin(self, leg: int) -> None:
        """Suppress a leg's noise from now on; raises NoNoiseSuppressionError."""
        if leg in self._cleaners:
            return
        try:
            make = import_module(MODULE).AudioProcessor
        except ImportError as error:
            raise NoNoiseSuppressionError(
                "noise suppression is not installed: pip install 'ringback[noise]'"
            ) from error
        self._cleaners[leg] = _Cleaner(make(NO_GAIN, STRENGTH))

    def end(self, leg: int) -> None:
        """Leave a leg's voice as it is."""
        self._cleaners.pop(leg, None)

    def clean(self, legs: list[int], frames: Floats) -> None:
        """Frames float32[k, m] of k legs at 8 or 16 kHz, in place."""
        for leg, frame in zip(legs, frames, strict=True):
            cleaner = self._cleaners.get(leg)
            if cleaner is not None:
                cleaner.clean(frame)

    def __bool__(self) -> bool:
        return bool(self._cleaners)
