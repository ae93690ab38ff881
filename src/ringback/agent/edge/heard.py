"""What was heard in a call: samples and when they were."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000


@dataclass(frozen=True, slots=True)
class Heard:
    """Mono sound, float32 in [-1, 1] at `rate` Hz; `began` is the first sample's time on `time.monotonic`.

    It is what a person would have heard: after the jitter buffer, gaps concealed or silent.
    """

    samples: NDArray[np.float32]
    began: float
    rate: int = RATE

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    @property
    def times(self) -> NDArray[np.float64]:
        """The time of each sample on `time.monotonic`."""
        return self.began + np.arange(len(self.samples)) / self.rate

    @property
    def level_dbfs(self) -> float:
        """How loud it is on the whole; a sine of amplitude 1 has 0, silence -120."""
        if not len(self.samples):
            return -120.0
        square = float(np.mean(np.square(self.samples, dtype=np.float64)))
        return float(max(10 * np.log10(max(2 * square, 1e-12)), -120.0))

    def save(self, path: str | Path) -> None:
        """Write it as a WAV file of 16 bits."""
        pcm = np.clip(np.rint(self.samples * 32_767), -32_768, 32_767).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, self.rate, len(pcm), "NONE", ""))
            file.writeframes(pcm.tobytes())
