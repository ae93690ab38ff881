"""Sound made shorter or longer by a period of the voice: no click, no other pitch (WSOLA, pitch-synchronous).

Going over from one place in the sound to the same place a period later leaves the period out; going over to
the place a period before plays it twice.
"""

from __future__ import annotations

import numpy as np

from ringback.media.columns import Bools, Floats, Longs
from ringback.media.passages import correlations, passages, thinned

SHORTEST_MS = 2.5
LONGEST_MS = 15
"""Periods of voices between 66 and 400 Hz."""
WINDOW_MS = 10
"""What is compared to find the period."""
ALIKE = 0.8
"""Correlation from which on nobody hears the passage."""
QUIET = np.float32(10 ** (-50 / 10))
"""Mean square below which every passage goes unheard."""

_RATE = 8000
_WINDOW = _RATE * WINDOW_MS // 1000
_SHORTEST, _LONGEST = int(_RATE * SHORTEST_MS / 1000), _RATE * LONGEST_MS // 1000


def find_periods(sound: Floats, at: int, most: Longs, back: Bools, rate: int) -> Longs:
    """Periods int64[n], in samples, that may be left out or played twice at column `at` of each sound
    float32[n, m] at 8000 or 16000 Hz, 0 where it would be heard. Of what is quiet it is simply `most`.

    `most` int64[n] is the longest one allowed. With `back` the sound is compared with what lies before (to
    play it twice), else with what follows; LONGEST_MS + WINDOW_MS must be there on either side.
    """
    step = rate // _RATE
    around = (_LONGEST + _WINDOW) * step
    near = thinned(sound[:, at - around : at + around], step)
    middle = near.shape[1] // 2
    here = near[:, middle : middle + _WINDOW]
    later = near[:, middle + _SHORTEST : middle + _LONGEST + _WINDOW]
    earlier = near[:, middle - _LONGEST : middle - _SHORTEST + _WINDOW]
    product, energy = correlations(np.where(back[:, None], earlier, later), here)
    own = np.einsum("nw,nw->n", here, here)
    likeness = product / np.sqrt(energy * own[:, None] + np.float32(1e-12))
    # The column of a lag is the same both ways: lags run from the shortest up.
    likeness = np.where(back[:, None], likeness[:, ::-1], likeness)
    lags = np.arange(_SHORTEST, _LONGEST + 1)
    likeness[lags * step > most[:, None]] = -2
    best = likeness.argmax(axis=1)
    quiet = own < QUIET * np.float32(_WINDOW * step * step)
    alike = likeness.max(axis=1) >= ALIKE
    longest = np.minimum(most // step, _LONGEST) * step
    return np.where(quiet, longest, np.where(alike, lags[best] * step, 0))


def leave(sound: Floats, at: int, period: Longs) -> Floats:
    """What each sound float32[n, m] is from column `at` on, float32[n, m - at], after `period` int64[n]
    samples were left out (positive) or played twice (negative); the last ones are not to be used.
    """
    size = sound.shape[1] - at
    out = sound[:, at:].copy()
    moved = np.flatnonzero(period)
    if not len(moved):
        return out
    period = period[moved]
    long = np.abs(period)
    other = passages(sound[moved], at + period, size)
    passage = min(int(long.max()), size)
    weight = np.minimum((np.arange(passage) + 0.5) / long[:, None], 1).astype(np.float32)
    own = out[moved, :passage]
    other[:, :passage] = own + (other[:, :passage] - own) * weight
    out[moved] = other
    return out
