"""Sounds from files, as samples at the rate of the mix: WAV (8 or 16 kHz, 16 bit, mono) and raw G.722."""

from __future__ import annotations

import io
import stat
import wave
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.media.codec.g722 import DELAY_SAMPLES, G722Decoder
from ringback.media.music import music
from ringback.media.resample import BLOCK, UP2_DELAY, UP2_TAIL, up2

__all__ = ["CACHE_BYTES", "MAX_FILE_BYTES", "RATE", "SoundCache", "SoundError", "load", "music"]

Samples = NDArray[np.float32]

RATE = 16000
MAX_FILE_BYTES = 10 * 1024 * 1024
CACHE_BYTES = 64 * 1024 * 1024


class SoundError(ValueError):
    """A file that cannot be played; the message says which and why, for the person who chose it."""


class _Key(NamedTuple):
    path: str
    modified_ns: int
    size: int


class SoundCache:
    """The sounds played last, decoded, as long as they fit into `limit_bytes`; for use by one thread."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self._sounds: OrderedDict[_Key, Samples] = OrderedDict()

    def load(self, path: str | Path) -> Samples:
        """The sound in a .wav or .g722 file as float32[m] at 16 kHz, full scale ±1, read-only; or SoundError.

        A file is decoded once, and again when it has changed. A prompt of some seconds takes a few
        milliseconds the first time; long files take up to a second, so load them away from the media clock.
        """
        file = Path(path)
        key = _examine(file)
        known = self._sounds.get(key)
        if known is not None:
            self._sounds.move_to_end(key)
            return known
        samples = _decode(file)
        samples.flags.writeable = False
        self._keep(key, samples)
        return samples

    def _keep(self, key: _Key, samples: Samples) -> None:
        if samples.nbytes > self.limit_bytes:
            return
        self._sounds[key] = samples
        self.size_bytes += samples.nbytes
        while self.size_bytes > self.limit_bytes:
            _, oldest = self._sounds.popitem(last=False)
            self.size_bytes -= oldest.nbytes


_cache = SoundCache()


def load(path: str | Path) -> Samples:
    """The sound in a file, through one cache for the process: see SoundCache.load."""
    return _cache.load(path)


def _examine(file: Path) -> _Key:
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        raise SoundError(f"{file.name}: no such sound") from error
    if not stat.S_ISREG(status.st_mode):
        raise SoundError(f"{file.name}: not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise SoundError(f"{file.name}: longer than {MAX_FILE_BYTES // 1024 // 1024} MiB")
    return _Key(str(file), status.st_mtime_ns, status.st_size)


def _decode(file: Path) -> Samples:
    decode = _DECODERS.get(file.suffix.lower())
    if decode is None:
        raise SoundError(f"{file.name}: neither .wav nor .g722")
    try:
        with file.open("rb") as opened:
            # The file may have grown since it was measured.
            data = opened.read(MAX_FILE_BYTES)
    except OSError as error:
        raise SoundError(f"{file.name}: cannot be read") from error
    return decode(file.name, data)


def _from_wav(name: str, data: bytes) -> Samples:
    try:
        with wave.open(io.BytesIO(data)) as opened:
            form = opened.getparams()
            frames = opened.readframes(opened.getnframes())
    except (wave.Error, EOFError) as error:
        raise SoundError(f"{name}: not a PCM WAV file") from error
    if form.nchannels != 1 or form.sampwidth != 2 or form.framerate not in (8000, 16000):
        found = f"{form.nchannels} channels, {8 * form.sampwidth} bit, {form.framerate} Hz"
        raise SoundError(f"{name}: must be mono, 16 bit, 8000 or 16000 Hz; it has {found}")
    samples = np.frombuffer(frames[: len(frames) // 2 * 2], dtype="<i2").astype(np.float32)
    samples /= 32768
    return samples if form.framerate == RATE else _doubled(samples)


def _doubled(samples: Samples) -> Samples:
    """8 kHz to 16 kHz, without the delay of the filter."""
    length = len(samples)
    padding = -(length + UP2_TAIL) % BLOCK + UP2_TAIL
    row = np.pad(samples, (0, padding))[None]
    raised, _ = up2(row, np.zeros((1, UP2_TAIL), dtype=np.float32))
    return raised[0, UP2_DELAY : UP2_DELAY + 2 * length].copy()


def _from_g722(name: str, data: bytes) -> Samples:
    if not data:
        raise SoundError(f"{name}: empty")
    return G722Decoder().decode(data)[DELAY_SAMPLES // 2 :]


_DECODERS = {".wav": _from_wav, ".g722": _from_g722}
