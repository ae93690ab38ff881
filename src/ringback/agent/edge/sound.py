"""What is to be played, from arrays and files, lent to the engine while it is needed."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringback.agent.errors import SoundError
from ringback.media.playing import SoundShelf
from ringback.media.sounds import SoundError as UnplayableError
from ringback.media.sounds import load
from ringback.media.tones import TONES

Sound = NDArray[np.floating] | NDArray[np.integer] | str | Path
"""Samples at 16 kHz (float in [-1, 1] or int16), a .wav or .g722 file, `tone:NAME` or `music`."""


class Lending:
    """Samples on the engine's shelf by what is in them, so that a thousand calls share one sound."""

    def __init__(self, shelf: SoundShelf) -> None:
        self._shelf = shelf
        self._users: dict[str, int] = {}

    async def lend(self, sound: Sound) -> str:
        """The name by which the engine plays this sound, until `release`. Files are read and hashed beside
        the event loop; SoundError says what is wrong."""
        if isinstance(sound, str) and _is_named(sound):
            return sound
        name, samples = await asyncio.to_thread(_prepare, sound)
        self._users[name] = self._users.get(name, 0) + 1
        self._shelf.lend(name, samples)
        return f"samples:{name}"

    def release(self, sound: str) -> None:
        """One user less."""
        kind, _, name = sound.partition(":")
        if kind != "samples" or name not in self._users:
            return
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            self._shelf.take_back(name)


def _is_named(sound: str) -> bool:
    """Whether the engine knows a sound by this name; SoundError for a tone that there is not."""
    kind, colon, name = sound.partition(":")
    if kind == "tone" and colon and name not in TONES:
        raise SoundError(f"there is no such tone; there are {', '.join(TONES)}")
    return sound == "music" or (kind == "tone" and bool(colon)) or (kind == "silence" and name.isdigit())


def _prepare(sound: Sound) -> tuple[str, NDArray[np.float32]]:
    if isinstance(sound, str | Path):
        try:
            samples = load(Path(sound).absolute())
        except (UnplayableError, OSError) as error:
            raise SoundError(str(error)) from error
    else:
        samples = _samples(np.asarray(sound))
    return hashlib.blake2b(samples.tobytes(), digest_size=12).hexdigest(), samples


def _samples(sound: NDArray[np.generic]) -> NDArray[np.float32]:
    if sound.ndim != 1 or not len(sound):
        raise SoundError("samples are one channel, an array of one dimension, and not empty")
    if sound.dtype == np.int16:
        return sound.astype(np.float32) / np.float32(32_768)
    if not np.issubdtype(sound.dtype, np.floating):
        raise SoundError("samples are floats from -1 to 1, or int16")
    samples = np.array(sound, np.float32)
    if not np.isfinite(samples).all() or np.abs(samples).max() > 1.0:
        raise SoundError("samples are floats from -1 to 1, or int16")
    return samples
