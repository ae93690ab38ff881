"""G.722 at 64 kbit/s, one coder and one decoder a stream, by the G722 package (RFC 3551, 4.5.2)."""

from __future__ import annotations

import numpy as np
from G722 import G722
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16000
BITRATE = 64000
DELAY_SAMPLES = 22
"""Delay of coder and decoder together, from their 24-tap quadrature mirror filters."""

_FULL_SCALE = np.float32(32768)
_TO_UNIT = np.float32(1 / 32768)


class G722Decoder:
    """Decodes one stream; its state adapts from packet to packet."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = G722(RATE, BITRATE)

    def decode(self, payload: bytes) -> Samples:
        """Decode octets to two samples of 16 kHz each: float32[2 * len(payload)], full scale ±1."""
        pcm = np.frombuffer(self._state.decode(payload), dtype=np.int16)
        return pcm * _TO_UNIT


class G722Encoder:
    """Encodes one stream; its state adapts from frame to frame."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = G722(RATE, BITRATE)

    def encode(self, samples: Samples) -> bytes:
        """Encode float32[2 * k] at 16 kHz, full scale ±1 (louder is clipped), to k octets."""
        scaled = samples * _FULL_SCALE
        np.clip(scaled, -32768, 32767, out=scaled)
        octets: bytes = self._state.encode(np.rint(scaled).astype(np.int16))
        return octets
