"""Keys pressed as tones in the audio (ITU-T Q.23, Q.24), for legs whose peer has no telephone-events.

Each leg is looked at every 40 ms, on 40 ms of its voice at 4 kHz: eight correlations, as one matrix product
for all legs. Half of them have their turn in one tick, the others in the next.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from ringback.media.columns import Bools, Column, Columns, Floats, Ints, Longs
from ringback.media.dtmf import Press
from ringback.media.tones import KEY_HIGH_HZ, KEY_LOW_HZ, KEYS
from ringback.native import at, kernels

RATE: Final = 4000
FRAME: Final = 80
"""Samples of 20 ms."""
WINDOW_MS: Final = 40

LEAST_POWER: Final = 10 ** (-36 / 10)
"""Mean square below which a tone is no key; a full sine has 0.5."""
MOST_TWIST: Final = 10 ** (9 / 10)
"""One of the two tones may be so much stronger: lines take away what is high."""
CLEAR: Final = 0.15
"""What the other tones of a group have at most, all together, of what the strongest has."""
PURE: Final = 0.80
"""So much of all that is heard are the two tones, where one look is enough."""
LIKELY: Final = 0.55
"""So much, where a second look says the same."""
GONE_LOOKS: Final = 2
"""A key is over after so many looks without it."""


LOUD: Final = LEAST_POWER / 2
"""A frame with less has nothing to look for: most of what legs send is silence and is not even decoded."""
LISTEN_TICKS: Final = 4
"""After a loud frame so many are looked at: the end of a key is heard in what follows."""

OFF: Final = (-0.012, 0.0, 0.012)
"""A tone may be so far from its frequency: 1.5 % are allowed."""
FORGET_TICKS: Final = 2
"""A key is over, too, when so many frames did not come."""


def _basis(frequencies: tuple[float, ...]) -> Floats:
    """Windowed cosines, then sines, float32[160, 2n]: the squares of products add up to a power."""
    time = np.arange(2 * FRAME) / RATE
    window = np.hanning(2 * FRAME + 1)[:-1]
    phases = 2 * np.pi * np.outer(time, frequencies)
    basis = np.hstack([np.cos(phases), np.sin(phases)]) * window[:, None]
    scaled: Floats = (basis * np.sqrt(2) / window.sum()).astype(np.float32)
    return scaled


_ALL: Final = (*KEY_LOW_HZ, *KEY_HIGH_HZ)
_BASIS: Final = _basis(_ALL)
_NEAR: Final = [_basis(tuple(hz * (1 + off) for off in OFF)) for hz in _ALL]
_WINDOW: Final = (np.hanning(2 * FRAME + 1)[:-1] ** 2).astype(np.float32)


class _Ears(Columns):
    SPEC: ClassVar[dict[str, Column]] = {
        "before": Column(np.float32, (FRAME,)),
        "key": Column(np.int32, empty=-1),
        "likely": Column(np.int32, empty=-1),
        "gone": Column(np.int32),
        "heard_at": Column(np.int64, empty=-1000),
        "loud_at": Column(np.int64, empty=-1000),
    }
    before: Floats
    key: Ints
    likely: Ints
    gone: Ints
    heard_at: Longs
    loud_at: Longs


class InBandKeys:
    """Hears keys in decoded voices, and says what of them is not for others to hear."""

    def __init__(self, capacity: int) -> None:
        self.presses: list[tuple[int, Press]] = []
        """Rows of legs and their keys, until they are fetched; each press once, when it is recognised."""
        self._ears = _Ears(capacity)

    @property
    def capacity(self) -> int:
        """Rows that there are."""
        return self._ears.capacity

    @property
    def loud_at(self) -> Longs:
        """The tick of each leg's last frame that was loud enough for a key, int64[capacity]."""
        return self._ears.loud_at

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        self._ears.grow(capacity)

    def forget(self, leg: int) -> None:
        """A leg was closed or is to be heard anew."""
        self._ears.clear(leg)

    def listens(self, legs: Longs, energy: Floats, tick: int) -> Bools:
        """Of which legs a frame with these mean squares float32[n] may have to do with a key: bool[n]."""
        ears = self._ears
        ears.loud_at[legs[energy >= LOUD]] = tick
        listens: Bools = tick - ears.loud_at[legs] < LISTEN_TICKS
        return listens

    def hear(self, legs: Longs, samples: Floats, tick: int) -> None:
        """Listen to a frame of these legs, float32[n, 160] at 8 kHz or float32[n, 320] at 16 kHz, and silence
        in it what is a key."""
        due, windows, pressed = self._attend(legs, samples, tick)
        if len(due):
            pressed |= self._look(due, windows)
        if pressed:
            samples[self._ears.key[legs] >= 0] = 0

    def _attend(self, legs: Longs, samples: Floats, tick: int) -> tuple[Longs, Floats, bool]:
        """Keep these frames; whose turn it is, their last two as float32[k, 160], and whether any of all has
        a key pressed."""
        ears, size = self._ears, samples.shape[1]
        if kernels is not None and samples.flags.c_contiguous:
            n = len(legs)
            windows, due = np.empty((n, 2 * FRAME), np.float32), np.empty(n, np.int64)
            pressed = np.empty(1, np.int64)
            columns = map(at, (ears.heard_at, ears.key, ears.likely, ears.before, windows, due, pressed))
            voices = at(legs), at(samples), n, FRAME, size // FRAME
            turns = kernels.rb_attend(*voices, tick, FORGET_TICKS, *columns)
            return due[:turns], windows[:turns], bool(pressed[0])
        # Between what a phone with silence suppression sends there is nothing.
        anew = legs[tick - ears.heard_at[legs] > FORGET_TICKS]
        ears.key[anew] = ears.likely[anew] = -1
        ears.before[anew] = 0
        ears.heard_at[legs] = tick
        turn = (legs + tick) % 2 == 0
        frames = _thinned(samples)
        due = legs[turn]
        windows = np.concatenate([ears.before[due], frames[turn]], axis=1)
        ears.before[legs] = frames
        return due, windows, bool((ears.key[legs] >= 0).any())

    def _look(self, legs: Longs, windows: Floats) -> bool:
        """Look for keys in windows float32[k, 160] of these legs; whether there may be any."""
        ears = self._ears
        found, pure = recognised(windows)
        keys = ears.key[legs]
        if int(found.max()) < 0 and int(keys.max()) < 0:
            # As nearly always: nobody presses a key.
            ears.gone[legs], ears.likely[legs] = 0, -1
            return False
        same = found == keys
        ears.gone[legs] = np.where(same | (keys < 0), 0, ears.gone[legs] + 1)
        sure = (found >= 0) & (pure | (found == ears.likely[legs]))
        ears.likely[legs] = found
        over = (ears.gone[legs] >= GONE_LOOKS) | (sure & ~same)
        ears.key[legs[over]] = -1
        for i in np.flatnonzero(sure & ~same).tolist():
            leg, key = int(legs[i]), int(found[i])
            ears.key[leg], ears.gone[leg] = key, 0
            self.presses.append((leg, Press(KEYS[key // 4][key % 4], WINDOW_MS)))
        return True


def _thinned(samples: Floats) -> Floats:
    """Frames at 4 kHz float32[n, 80]: the means of neighbours, which is filter enough for eight tones."""
    every = samples.shape[1] // FRAME
    thinned = samples[:, ::every].copy()
    for offset in range(1, every):
        thinned += samples[:, offset::every]
    thinned *= np.float32(1 / every)
    return thinned


def recognised(windows: Floats) -> tuple[Longs, Bools]:
    """The key in each window float32[n, 160] at 4 kHz as its place in KEYS, -1 for none; and which are beyond
    doubt."""
    found = np.full(len(windows), -1, np.int64)
    pure = np.zeros(len(windows), np.bool_)
    for i, low, high in zip(*(column.tolist() for column in _standing_out(windows @ _BASIS)), strict=True):
        window = windows[i]
        first = float(_powers(window[None], _NEAR[low]).max())
        second = float(_powers(window[None], _NEAR[4 + high]).max())
        share = (first + second) / float((window * window) @ _WINDOW / _WINDOW.sum())
        even = first <= MOST_TWIST * second and second <= MOST_TWIST * first
        if even and share >= LIKELY and min(first, second) >= LEAST_POWER:
            found[i], pure[i] = 4 * low + high, share >= PURE
    return found, pure


def _standing_out(products: Floats) -> tuple[Longs, Longs, Longs]:
    """Which windows have one low and one high tone that stand out of their groups, and which, 0 to 3 of each:
    by their products float32[n, 16] with _BASIS."""
    if kernels is not None:
        windows, low, high = (np.empty(len(products), np.int64) for _ in range(3))
        least = LEAST_POWER / 4
        k = kernels.rb_keys(at(products), len(products), CLEAR, least, at(windows), at(low), at(high))
        return windows[:k], low[:k], high[:k]
    power = _squares(products)
    groups = power.reshape(-1, 2, 4)
    most = groups.max(axis=2)
    alone = (groups.sum(axis=2) - most <= CLEAR * most) & (most >= LEAST_POWER / 4)
    windows = np.flatnonzero(alone.all(axis=1))
    best = groups[windows].argmax(axis=2)
    return windows, best[:, 0], best[:, 1]


def _powers(windows: Floats, basis: Floats) -> Floats:
    """Mean squares float32[n, k] of what windows have of each of k tones."""
    return _squares(windows @ basis)


def _squares(products: Floats) -> Floats:
    half = products.shape[1] // 2
    powers: Floats = products[:, :half] ** 2 + products[:, half:] ** 2
    return powers
