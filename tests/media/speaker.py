"""A peer that says what it is given, instead of a tone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ringback.media.codec import g711
from tests.media.world import PAYLOAD_TYPES, Peer


class Speaker(Peer):
    """Says samples at its codec's rate, again and again."""

    def __init__(self, leg: int, says: np.ndarray, **settings: Any) -> None:
        super().__init__(leg, **settings)
        self.says = says.astype(np.float32)

    def speak(self) -> bytes:
        size = self.rate * self.ptime // 1000
        samples = self.says.take(np.arange(self._spoken, self._spoken + size), mode="wrap")
        self._spoken += size
        if self.codec in ("PCMU", "PCMA"):
            payload = g711.encode(samples, self.codec).tobytes()  # type: ignore[arg-type]
        else:
            payload = self._encoder.encode(samples)
        packet = self.packet(payload, PAYLOAD_TYPES[self.codec])
        self.timestamp += self.clock * self.ptime // 1000
        return self.protect(packet)


def power_dbfs(samples: np.ndarray) -> float:
    """Mean power; -100 for silence."""
    return float(10 * np.log10(max(np.mean(samples.astype(np.float64) ** 2), 1e-10)))


def noise(rate: int, dbfs: float, seconds: float = 4.0, seed: int = 1) -> np.ndarray:
    """White noise of a mean power."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal(int(rate * seconds)).astype(np.float32) * np.float32(10 ** (dbfs / 20))
