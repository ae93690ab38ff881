"""WAV files that phones speak from and record into."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_wav(path: Path, audio: NDArray[np.floating], rate: int) -> Path:
    """Write mono audio in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> tuple[NDArray[np.float32], int]:
    """The first channel of a 16-bit WAV as float32 in [-1, 1], and its rate.

    The header's length is not trusted: a phone that still records has not written it yet.
    """
    raw = path.read_bytes()
    data = raw.index(b"data") + 8
    header = raw[:data]
    form = header.index(b"fmt ") + 8
    channels = int.from_bytes(header[form + 2 : form + 4], "little")
    rate = int.from_bytes(header[form + 4 : form + 8], "little")
    usable = (len(raw) - data) // (2 * channels) * 2 * channels
    samples = np.frombuffer(raw, "<i2", count=usable // 2, offset=data).reshape(-1, channels)
    return samples[:, 0].astype(np.float32) / 32768.0, rate
