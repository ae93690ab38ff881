"""What Opus carries above 8 kHz, from those who say it to those who can hear it, beside the rooms' 16 kHz.

A voice of 48 kHz is split into the 16 kHz that all of the engine works with, and the rest, its high band. For
a hearer of 48 kHz both are joined again, to the sample where nothing was done in between. Time-stretching
works on the 16 kHz alone: the high band fades out where a piece was taken out or put in, and in again.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.codec.opus import OpusEncoder
from ringback.media.columns import Bools, Column, Columns, Floats, Ints, Longs
from ringback.media.resample3 import DOWN3_TAIL, ROUND_TRIP, UP3_TAIL, down3, up3
from ringback.media.voice_rows import FULL

RATE = 48000
FRAME = FULL
KEPT = 5
"""Frames of high band kept of each leg: two that came, and what may be carried."""
EIGHTH_SAMPLES = FRAME // 160
BITRATE = 64000
"""Bits a second of Opus at 48 kHz, where the peer does not ask for fewer."""

_IN = np.linspace(0, 1, FRAME, dtype=np.float32)
_OUT = _IN[::-1]


class HighBands(Columns):
    """The high bands of all legs: the state of the filters that split them off, and the last frames.

    `came` int32[n] is how many frames came in this tick. Who plays the voices says how much of older ones was
    still to be played before it, `carry` int32[n] in eighths of a millisecond, and whose sound it made
    shorter or longer, `stretched` bool[n]. `broken` bool[n] are those whose last frame faded out, `tick`
    int64[n] is when each leg was last followed.
    """

    SPEC: ClassVar[dict[str, Column]] = {
        "down_tail": Column(np.float32, (DOWN3_TAIL,)),
        "up_tail": Column(np.float32, (UP3_TAIL,)),
        "delayed": Column(np.float32, (ROUND_TRIP,)),
        "frames": Column(np.float32, (KEPT * FRAME,)),
        "came": Column(np.int32),
        "carry": Column(np.int32),
        "stretched": Column(np.bool_),
        "broken": Column(np.bool_),
        "tick": Column(np.int64, empty=-2),
    }
    down_tail: Floats
    up_tail: Floats
    delayed: Floats
    frames: Floats
    came: Ints
    carry: Ints
    stretched: Bools
    broken: Bools
    tick: Longs

    def follow(self, legs: Longs, tick: int) -> None:
        """Begin a tick for these legs: what comes of one that was away does not follow what came last."""
        for leg in legs[self.tick[legs] != tick - 1].tolist():
            self.clear(leg)
        self.tick[legs] = tick
        self.came[legs] = 0

    def split(self, legs: Longs, voices: Floats) -> Floats:
        """Take a frame float32[k, 960] of each leg int64[k] and give its 16 kHz, float32[k, 320], 1.5 ms
        later."""
        wide, self.down_tail[legs] = down3(voices, self.down_tail[legs])
        low, self.up_tail[legs] = up3(wide, self.up_tail[legs])
        line = np.concatenate((self.delayed[legs], voices), axis=1)
        self.delayed[legs] = line[:, FRAME:]
        self.frames[legs, :-FRAME] = self.frames[legs, FRAME:]
        self.frames[legs, -FRAME:] = line[:, :FRAME] - low
        self.came[legs] += 1
        return wide

    def take(self, legs: Longs) -> Floats:
        """The high bands float32[k, 960] that belong to what legs int64[k] play now."""
        begin = (KEPT - self.came[legs]) * FRAME - EIGHTH_SAMPLES * self.carry[legs]
        at = np.clip(begin[:, None] + np.arange(FRAME), 0, KEPT * FRAME - 1)
        high: Floats = np.take_along_axis(self.frames[legs], at, axis=1)
        stretched = self.stretched[legs]
        high[self.broken[legs]] *= _IN
        high[stretched] *= _OUT
        self.broken[legs] = stretched
        return high


class FullBandEncoder(OpusEncoder):
    """Encodes one stream at 48 kHz out of its 16 kHz and a high band."""

    __slots__ = ("_tail",)

    def __init__(self, bitrate: int = BITRATE) -> None:
        super().__init__(RATE, bitrate, music=True)
        self._tail = np.zeros((1, UP3_TAIL), np.float32)

    def encode_bands(self, samples: Floats, high: Floats | None) -> bytes:
        """One frame of float32[320] at 16 kHz and, if there is any, float32[960] of high band at 48 kHz."""
        low, self._tail = up3(samples[None, :], self._tail)
        joined = low[0] if high is None else np.clip(low[0] + high, -1, 1)
        return self.encode(joined)
