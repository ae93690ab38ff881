"""Who hears a single leg beside the rooms: a monitor what it says and hears, one other what it whispers.

What is to be heard is taken from one tick and mixed into the next, so that neither the order of the legs nor
their rates matter. There are few of these at a time: they are handled one by one.
"""

from __future__ import annotations

import numpy as np

from ringback.media.columns import Floats, Longs
from ringback.media.legs import G722, Legs
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2
from ringback.media.voice_rows import WIDE, Voices

Pair = tuple[int, int]
"""Whose sound it is, and who hears it, as rows."""


class Feeds:
    """Monitors and whispers, by rows of legs; `active` is whether there are any."""

    def __init__(self, legs: Legs) -> None:
        self._legs = legs
        self._monitors: dict[int, int] = {}
        self._whispers: dict[int, int] = {}
        self._next: dict[Pair, Floats] = {}
        self._mixed: dict[Pair, Floats] = {}
        self._tails: dict[Pair, Floats] = {}
        self.active = False

    def monitor(self, listener: int, target: int | None) -> None:
        """Let one hear what another says and hears; None ends that."""
        self._set(self._monitors, listener, target)

    def whisper(self, speaker: int, target: int | None) -> None:
        """Let one be heard by another alone; None ends that."""
        self._set(self._whispers, speaker, target)
        self._legs.whispers[speaker] = target is not None
        self._legs.some_whisper = bool(self._whispers)

    def forget(self, leg: int) -> None:
        """A leg was closed: nobody hears it any more, and it hears nobody."""
        if not self.active:
            return
        for listener in [one for one, other in self._monitors.items() if leg in (one, other)]:
            self.monitor(listener, None)
        for speaker in [one for one, other in self._whispers.items() if leg in (one, other)]:
            self.whisper(speaker, None)

    def begin(self, played: dict[int, Floats]) -> None:
        """Mix what was to be heard in the tick before into what is played to legs."""
        taken, self._next, self._mixed = self._next, {}, {}
        for (source, listener), frame in taken.items():
            fitting = self._mixed[source, listener] = self._at_rate_of(source, listener, frame)
            before = played.get(listener)
            played[listener] = fitting if before is None else before + fitting

    def hear(self, hearers: Longs, rows: Floats, row_of: Longs, voices: Voices) -> None:
        """Take what legs hear and say at one rate.

        `hearers` int64[p] are legs, row_of int64[p] which of rows float32[r, m] each hears, -1 for silence.
        """
        for listener, target in self._monitors.items():
            said = self._voice(voices, target, heard=True)
            at = np.flatnonzero(hearers == target)
            row = int(row_of[at[0]]) if len(at) else -1
            if row >= 0:
                said = rows[row] if said is None else said + rows[row]
                own = self._mixed.get((listener, target))
                if own is not None:
                    # Who whispers to the one it listens to is not to hear itself.
                    said = said - own
            if said is not None:
                self._next[target, listener] = said
        for speaker, target in self._whispers.items():
            said = self._voice(voices, speaker, heard=False)
            if said is not None:
                self._next[speaker, target] = said.copy()

    def _set(self, pairs: dict[int, int], one: int, other: int | None) -> None:
        before = pairs.pop(one, None)
        if before is not None:
            for pair in ((before, one), (one, before)):
                self._tails.pop(pair, None)
                self._next.pop(pair, None)
        if other is not None:
            pairs[one] = other
        self.active = bool(self._monitors or self._whispers)

    @staticmethod
    def _voice(voices: Voices, leg: int, *, heard: bool) -> Floats | None:
        at = np.flatnonzero(voices.legs == leg)
        if not len(at) or (heard and not voices.heard[at[0]]):
            return None
        voice: Floats = voices.samples[at[0]]
        return voice

    def _at_rate_of(self, source: int, listener: int, frame: Floats) -> Floats:
        wide = bool(self._legs.send_codec[listener] >= G722)
        if wide == (len(frame) == WIDE):
            return frame
        size = UP2_TAIL if wide else DOWN2_TAIL
        tail = self._tails.get((source, listener))
        if tail is None or tail.shape[1] != size:
            tail = np.zeros((1, size), np.float32)
        converted, self._tails[source, listener] = (up2 if wide else down2)(frame[None, :], tail)
        fitting: Floats = converted[0]
        return fitting
