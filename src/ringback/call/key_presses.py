"""One press of a key that comes in two ways: as INFO, and in the audio stream (RFC 4733, or as tones)."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

Way = Literal["info", "media"]

PATIENCE_S: Final = 2.0
"""How far apart the two may be, beside how long the key was held down."""


class KeyPresses:
    """The keys of one leg: tells which are new. Each press by one way stands for one by the other, in the
    order in which they came, so that keys pressed twice count twice; sans-IO.
    """

    __slots__ = ("_unmatched", "_way")

    def __init__(self) -> None:
        self._way: Way = "media"
        self._unmatched: deque[tuple[str, float]] = deque()
        """Keys by `_way` of which the other way may still tell, and until when."""

    def is_new(self, way: Way, digit: str, now: float, held_s: float = 0.0) -> bool:
        """Whether this is a press that was not told of by the other way."""
        waiting = self._unmatched
        while waiting and waiting[0][1] + held_s < now:
            waiting.popleft()
        if way != self._way:
            if any(known == digit for known, _ in waiting):
                # What came before it was lost on the other way.
                while waiting.popleft()[0] != digit:
                    pass
                return False
            self._way = way
            waiting.clear()
        waiting.append((digit, now + held_s + PATIENCE_S))
        return True
