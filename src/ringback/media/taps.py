"""What single legs say, copied out of the engine for who listens in the same process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ringback.media.columns import Bools, Column, Columns, Floats
from ringback.media.legs import Legs
from ringback.media.resample import UP2_TAIL, up2
from ringback.media.voice_rows import NARROW, WIDE, Voices

RATE = 16_000
CHUNK = 50 * WIDE
"""Samples of memory that a tap takes at a time: a second."""


class Tap:
    """What one leg says from a moment on, as samples at 16 kHz; where nothing came there is silence.

    Made by any thread, filled by the engine's. `on_end` is called there when `limit` samples are full, or
    the leg is closed; what was taken may be read at any time.
    """

    def __init__(self, leg: int, limit: int, on_end: Callable[[], None]) -> None:
        self.leg = leg
        self.began_ns: int | None = None
        """When the first sample was played out (CLOCK_MONOTONIC); None before that."""
        self.ended = False
        self._limit = limit
        self._on_end = on_end
        self._chunks: list[Floats] = []
        self._length = 0
        self._next_tick = -1

    def samples(self) -> Floats:
        """What was taken so far: float32[n]."""
        length = min(self._length, self._limit)
        return np.concatenate(self._chunks)[:length] if self._chunks else np.zeros(0, np.float32)

    def put(self, frame: Floats, tick: int, now_ns: int) -> None:
        """Take a tick's float32[320]; ticks that were left out are silence."""
        if self.began_ns is None:
            self.began_ns = now_ns
            self._next_tick = tick
        self._length += WIDE * (tick - self._next_tick)
        while self._length + WIDE > CHUNK * len(self._chunks):
            self._chunks.append(np.zeros(CHUNK, np.float32))
        at = self._length % CHUNK
        self._chunks[self._length // CHUNK][at : at + WIDE] = frame
        self._length += WIDE
        self._next_tick = tick + 1
        if self._length >= self._limit:
            self.end()

    def end(self) -> None:
        """Nothing more comes."""
        if not self.ended:
            self.ended = True
            self._on_end()


class Taps(Columns):
    """The taps of all legs. Any thread may call `open` and a tap's `end`, the engine's the rest."""

    SPEC: ClassVar[dict[str, Column]] = {
        "tapped": Column(np.bool_),
        "tail": Column(np.float32, (UP2_TAIL,)),
    }
    tapped: Bools
    tail: Floats

    def __init__(self, legs: Legs) -> None:
        super().__init__(legs.capacity)
        self._legs = legs
        self._asked: deque[Tap] = deque()
        self._taps: dict[int, list[Tap]] = {}
        self._place = np.zeros(legs.capacity, np.int64)
        self._rings = False

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return bool(self._taps or self._asked)

    def open(self, tap: Tap) -> None:
        """Listen to a leg from its next frame on."""
        self._asked.append(tap)

    def forget(self, slot: int) -> None:
        """A leg was closed."""
        for tap in self._taps.pop(slot, ()):
            tap.end()
        self.clear(slot)

    def step(self, narrow: Voices, wide: Voices, tick: int, now_ns: int) -> None:
        """Give a tick's voices to who listens: all come at 16 kHz, late by `UP2_DELAY` where raised."""
        self._begin()
        slots = np.fromiter(self._taps, np.int64, len(self._taps))
        if not len(slots):
            return
        self._place[slots] = np.arange(len(slots))
        frames = np.zeros((len(slots), WIDE), np.float32)
        mine = np.flatnonzero(self.tapped[narrow.legs])
        if len(mine) or self._rings:
            low = np.zeros((len(slots), NARROW), np.float32)
            low[self._place[narrow.legs[mine]]] = narrow.samples[mine]
            frames, self.tail[slots] = up2(low, self.tail[slots])
            # One more frame after the last voice: the filter still rings.
            self._rings = bool(len(mine))
        mine = np.flatnonzero(self.tapped[wide.legs])
        frames[self._place[wide.legs[mine]]] += wide.samples[mine]
        for slot, frame in zip(slots.tolist(), frames, strict=True):
            for tap in self._taps[slot]:
                tap.put(frame, tick, now_ns)
        self._sweep()

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        super().grow(capacity)
        self._place = np.zeros(capacity, np.int64)

    def _begin(self) -> None:
        while self._asked:
            tap = self._asked.popleft()
            slot = self._legs.slots.get(tap.leg)
            if slot is None:
                tap.end()
                continue
            self._taps.setdefault(slot, []).append(tap)
            self.tapped[slot] = True

    def _sweep(self) -> None:
        for slot, taps in list(self._taps.items()):
            if any(tap.ended for tap in taps):
                self._taps[slot] = [tap for tap in taps if not tap.ended]
                if not self._taps[slot]:
                    del self._taps[slot]
                    self.clear(slot)
