"""How hard Opus encoders try: less, the more of them there are, so that a tick suffices (RFC 6716).

Measured for 20 ms at 16 kHz: speech coding (SILK, 24 kbit/s) takes 113 µs at complexity 5, 76 at 2, 46 at 0;
transform coding (CELT, 32 kbit/s) 23 at 1. A core that encodes for a few rooms can afford the first; with a
hundred voices the last leaves the tick to the others' audio.
"""

from __future__ import annotations

STEPS: tuple[tuple[int, int], ...] = ((40, 5), (64, 2), (88, 0))
"""Encodings a tick up to which a complexity of speech coding is used: about 4 ms of a tick."""
LIGHT = -1
"""Beyond: transform coding."""
CALM_TICKS = 250
"""Work is taken up again only after 5 s in which there was room for it."""
ROOM = 0.8


def _complexity(encodings: float) -> int:
    return next((complexity for most, complexity in STEPS if encodings <= most), LIGHT)


class Effort:
    """Chooses the complexity of the next tick, or LIGHT, from the encodings of the last."""

    def __init__(self) -> None:
        self.complexity = STEPS[0][1]
        self._calm = 0

    def note(self, encodings: int) -> None:
        """So many frames were encoded in this tick."""
        affordable = _complexity(encodings)
        if affordable < self.complexity:
            self.complexity = affordable
            self._calm = 0
        elif _complexity(encodings / ROOM) > self.complexity:
            self._calm += 1
            if self._calm >= CALM_TICKS:
                self.complexity = _complexity(encodings / ROOM)
                self._calm = 0
        else:
            self._calm = 0
