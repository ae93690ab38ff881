"""Sounds on their way to a leg or a room: a position in a list of sounds, at 16 and at 8 kHz alike."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import numpy as np

from ringback.media.columns import Floats
from ringback.media.music import music
from ringback.media.resample import DOWN2_TAIL, down2
from ringback.media.sounds import load
from ringback.media.tones import TONES, tone

MAX_CACHED_SAMPLES = 4_000_000
MAX_SILENCE_MS = 600_000
MAX_SOUNDS = 64
BLOCK = 32
"""Sounds are padded to a multiple of this, so that both rates have whole numbers of samples."""


class SoundError(ValueError):
    """A sound that cannot be played; the text says why without naming the file."""


class Sound:
    """One sound at both rates: wide float32[2n] at 16 kHz, narrow float32[n] at 8 kHz.

    `source` is what it was made of, and an `endless` one repeats itself.
    """

    __slots__ = ("endless", "narrow", "source", "wide")

    def __init__(self, samples: Floats, endless: bool = False) -> None:
        self.source = samples
        self.endless = endless
        # What has whole blocks, as the music, is not copied.
        self.wide = np.pad(samples, (0, -len(samples) % BLOCK)) if len(samples) % BLOCK else samples
        self.narrow = down2(self.wide[None, :], np.zeros((1, DOWN2_TAIL), np.float32))[0][0]


@cache
def _silence(milliseconds: int) -> Floats:
    return np.zeros(16 * milliseconds, np.float32)


class SoundShelf:
    """Sounds by name, ready to play, the least recently used forgotten when they grow too many."""

    def __init__(self, own_music: str = "") -> None:
        """`own_music` is the path of a file that is played as `music`; empty: the built-in one."""
        self._own_music = own_music
        self._music: Sound | None = None
        self._sounds: OrderedDict[str, Sound] = OrderedDict()
        self._samples = 0
        self._lent: dict[str, Floats] = {}

    def lend(self, name: str, samples: Floats) -> None:
        """Let samples float32[n] at 16 kHz be played as `samples:NAME` until `take_back`; from any thread."""
        self._lent[name] = samples

    def take_back(self, name: str) -> None:
        """Forget what was lent; what is being played goes on to its end."""
        self._lent.pop(name, None)

    def get(self, name: str) -> Sound:
        """The sound of that name (see protocol.Play); raises SoundError."""
        if name == "music":
            # It may be long: it is read once, and does not push other sounds from the shelf.
            if self._music is None:
                self._music = Sound(self._read(name), endless=True)
            return self._music
        source = self._read(name)
        sound = self._sounds.get(name)
        if sound is not None and sound.source is source:
            self._sounds.move_to_end(name)
            return sound
        if sound is not None:
            # The file is another than when it was last played.
            self._samples -= len(self._sounds.pop(name).wide)
        sound = Sound(source)
        self._sounds[name] = sound
        self._samples += len(sound.wide)
        while self._samples > MAX_CACHED_SAMPLES and len(self._sounds) > 1:
            self._samples -= len(self._sounds.popitem(last=False)[1].wide)
        return sound

    def prepare(self) -> None:
        """Make now what costs more time than a tick has: the music and the tones."""
        for name in ("music", "silence:1000", *(f"tone:{each}" for each in TONES)):
            self.get(name)

    def _read(self, name: str) -> Floats:
        kind, _, value = name.partition(":")
        try:
            if name == "music":
                return load(self._own_music) if self._own_music else music()
            if kind == "tone":
                return tone(value)
            if kind == "silence":
                return _silence(min(max(int(value), 0), 1000))
            if kind == "samples":
                return self._lent[value]
            return load(name)
        except (OSError, ValueError, KeyError) as error:
            raise SoundError(f"cannot play a sound: {type(error).__name__}") from error


class Playback:
    """Sounds one after another, a frame at a time."""

    __slots__ = ("_index", "_position", "_sounds", "loop", "play", "stop_on_digit")

    def __init__(
        self, chain: list[Sound], *, play: int = 0, loop: bool = False, stop_on_digit: bool = False
    ) -> None:
        self._sounds = [sound for sound in chain if len(sound.wide)]
        self._index = 0
        self._position = 0
        self.play = play
        self.loop = loop
        self.stop_on_digit = stop_on_digit

    def extend(self, chain: list[Sound]) -> None:
        """Play these, too, after the others."""
        self._sounds += [sound for sound in chain if len(sound.wide)]

    @property
    def played_ms(self) -> int:
        """How far it has come, where it repeats itself since it last began."""
        return (sum(len(sound.narrow) for sound in self._sounds[: self._index]) + self._position) // 8

    def skip(self, milliseconds: int) -> None:
        """Leave out so much, as if it had been heard."""
        left = 8 * milliseconds
        if self.loop:
            left %= max(sum(len(sound.narrow) for sound in self._sounds), 1)
        while left > 0 and not self.finished:
            sound = self._sounds[self._index]
            if sound.endless:
                left %= len(sound.narrow)
            step = min(left, len(sound.narrow) - self._position)
            left -= step
            self._position += step
            if self._position >= len(sound.narrow):
                self._position = 0
                self._index += not sound.endless
                if self.loop and self._index == len(self._sounds):
                    self._index = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to play."""
        return self._index >= len(self._sounds)

    def next_frame(self, wide: bool) -> Floats:
        """The next 20 ms: float32[320], or float32[160] at 8 kHz; zeros after the end."""
        frame, _ = self._frame(wide, not wide)
        return frame

    def next_frames(self) -> tuple[Floats, Floats]:
        """The next 20 ms at both rates: float32[320] and float32[160]."""
        return self._frame(True, True)

    def _frame(self, wide: bool, narrow: bool) -> tuple[Floats, Floats]:
        filled = 0
        out_wide = np.zeros(320, np.float32) if wide else _NONE
        out_narrow = np.zeros(160, np.float32) if narrow else _NONE
        while filled < 160 and self._index < len(self._sounds):
            sound = self._sounds[self._index]
            size = min(160 - filled, len(sound.narrow) - self._position)
            if wide:
                piece = sound.wide[2 * self._position : 2 * (self._position + size)]
                out_wide[2 * filled : 2 * (filled + size)] = piece
            if narrow:
                out_narrow[filled : filled + size] = sound.narrow[self._position : self._position + size]
            filled += size
            self._position += size
            if self._position >= len(sound.narrow):
                self._position = 0
                self._index += not sound.endless
                if self.loop and self._index == len(self._sounds):
                    self._index = 0
        return (out_wide, out_narrow) if wide else (out_narrow, out_narrow)


_NONE: Floats = np.zeros(0, np.float32)


def chain(shelf: SoundShelf, names: list[str]) -> list[Sound]:
    """The sounds of these names, in order; raises SoundError."""
    if len(names) > MAX_SOUNDS:
        raise SoundError("too many sounds")
    result: list[Sound] = []
    for name in names:
        kind, _, value = name.partition(":")
        if kind == "silence" and value.isdigit():
            # Long silence is short silence again and again.
            whole, rest = divmod(min(int(value), MAX_SILENCE_MS), 1000)
            result += [shelf.get("silence:1000")] * whole + [shelf.get(f"silence:{rest}")]
        else:
            result.append(shelf.get(name))
    return result
