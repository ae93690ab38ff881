"""Sound made shorter or longer by a period of the voice: no click, no other pitch (WSOLA, pitch-synchronous).

Going over from one place in the sound to the same place a period later leaves the period out; going over to
the place a period before plays it twice.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ringback.media.columns import Bools, Floats, Longs

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
    near = sound[:, at - around : at + around].reshape(len(sound), -1, step).sum(axis=2)
    middle = near.shape[1] // 2
    here = near[:, middle : middle + _WINDOW]
    windows = sliding_window_view(near, _WINDOW, axis=1)
    # The column of a lag is the same as that of its window: lags run from the shortest up.
    later = windows[:, middle + _SHORTEST : middle + _LONGEST + 1]
    earlier = windows[:, middle - _LONGEST : middle - _SHORTEST + 1][:, ::-1]
    compared = np.where(back[:, None, None], earlier, later)
    product = np.einsum("nlw,nw->nl", compared, here)
    energy = np.einsum("nlw,nlw->nl", compared, compared)
    own = np.einsum("nw,nw->n", here, here)
    likeness = product / np.sqrt(energy * own[:, None] + np.float32(1e-12))
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
    here = np.arange(sound.shape[1] - at)
    weight = np.clip((here + 0.5) / np.maximum(np.abs(period), 1)[:, None], 0, 1).astype(np.float32)
    weight[period == 0] = 0
    index = np.minimum(at + here + period[:, None], sound.shape[1] - 1)
    other = np.take_along_axis(sound, index, axis=1)
    own = sound[:, at:]
    return own + (other - own) * weight
