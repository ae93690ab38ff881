"""Samples on their way to a leg that come in pieces while they are played, at either rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ringback.media.columns import Floats
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2

WIDE_RATE = 16_000
TICKS_A_SECOND = 50
AHEAD_S = 2
"""So much is kept in store: the other process may be busy, and its disk slow, for as long."""
ASK_AGAIN_TICKS = 100
PATIENCE_TICKS = 500
"""A stream that gives nothing for so long (10 s) is at its end."""
MOST_BYTES = 512 << 10
"""More than ten seconds at once are not kept."""


class StreamedPlayback:
    """One stream, a frame at a time; `ask(at)` is called for the samples from a position on."""

    __slots__ = (
        "_ask",
        "_asked",
        "_at",
        "_last",
        "_rate",
        "_starving",
        "_store",
        "_tail",
        "play",
        "stop_on_digit",
    )

    def __init__(
        self,
        ask: Callable[[int], None],
        *,
        play: int,
        rate: int,
        stop_on_digit: bool = False,
        from_ms: int = 0,
    ) -> None:
        self.play = play
        self.stop_on_digit = stop_on_digit
        self._ask = ask
        self._rate = rate
        self._at = rate // 1000 * from_ms
        """Position of the first sample in store."""
        self._store = np.zeros(0, np.float32)
        self._last = False
        self._starving = 0
        self._asked = -1
        self._tail: Floats | None = None
        self._want()

    @property
    def played_ms(self) -> int:
        """How far it has come."""
        return self._at // (self._rate // 1000)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to play."""
        return (self._last and not len(self._store)) or self._starving >= PATIENCE_TICKS

    def take(self, at: int, samples: bytes, last: bool) -> None:
        """Take what was asked for; anything else is not looked at."""
        if at != self._at + len(self._store) or self._last:
            return
        self._asked = -1
        self._last = last
        more = np.frombuffer(samples[: min(len(samples), MOST_BYTES) // 2 * 2], "<i2").astype(np.float32)
        more /= 32768
        self._store = np.concatenate((self._store, more))
        self._want()

    def next_frame(self, wide: bool) -> Floats:
        """The next 20 ms: float32[320], or float32[160] at 8 kHz; zeros while nothing is there."""
        size = self._rate // TICKS_A_SECOND
        frame = np.zeros(size, np.float32)
        if len(self._store) >= size or self._last:
            piece = self._store[:size]
            frame[: len(piece)] = piece
            self._store = self._store[len(piece) :]
            self._at += len(piece)
            self._starving = 0
        else:
            self._starving += 1
            if self._starving % ASK_AGAIN_TICKS == 0:
                self._asked = -1
        self._want()
        return self._at_rate(frame, wide)

    def _want(self) -> None:
        end = self._at + len(self._store)
        if not self._last and self._asked != end and len(self._store) < AHEAD_S * self._rate:
            self._asked = end
            self._ask(end)

    def _at_rate(self, frame: Floats, wide: bool) -> Floats:
        if wide == (self._rate == WIDE_RATE):
            return frame
        if self._tail is None:
            self._tail = np.zeros((1, UP2_TAIL if wide else DOWN2_TAIL), np.float32)
        elif self._tail.shape[1] != (UP2_TAIL if wide else DOWN2_TAIL):
            # A re-INVITE changed the codec's rate and back.
            self._tail = np.zeros((1, UP2_TAIL if wide else DOWN2_TAIL), np.float32)
        converted, self._tail = (up2 if wide else down2)(frame[None, :], self._tail)
        fitting: Floats = converted[0]
        return fitting
