"""L16: samples as they are, 16 bits each, most significant octet first (RFC 3551, 4.5.11)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16000
SAMPLE_BYTES = 2

_FULL_SCALE = np.float32(32768)
_TO_UNIT = np.float32(1 / 32768)


def decode(payload: NDArray[np.uint8]) -> Samples:
    """Octets uint8[2m] to samples float32[m], full scale ±1."""
    return payload.view(">i2") * _TO_UNIT


class L16Encoder:
    """Encodes one stream; it has no state."""

    def encode(self, samples: Samples) -> bytes:
        """Samples float32[m], full scale ±1, to 2m octets; louder is clipped."""
        scaled = np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767)
        octets: bytes = scaled.astype(">i2").tobytes()
        return octets
