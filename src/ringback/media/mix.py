"""The arithmetic of conferences on columns: sums by room, mix minus self, a soft limit, fades.

Voices of 8 kHz codecs and of 16 kHz codecs are summed apart, each at its own rate, and only the sums of a
room are brought to the other rate. As the half-band filters are linear this equals mixing everything at 16
kHz and filtering for each listener, but costs two filters a room instead of one a voice and one a listener;
and between two 8 kHz legs there is no filter and no filter delay at all.
"""

from __future__ import annotations

import numpy as np

from ringback.media.columns import Floats, Longs
from ringback.native import at, kernels

LIMIT = np.float32(0.7)
"""Above this (-3 dBFS) samples are compressed softly; full scale is never passed."""
FEW = 12


def sum_by_room(voices: Floats, rooms: Longs, room_count: int) -> Floats:
    """Sum voices float32[k, m] of rooms int64[k], sorted, to float32[room_count, m]; rooms without are
    zero."""
    sums = np.zeros((room_count, voices.shape[1]), np.float32)
    if not len(rooms):
        return sums
    if kernels is not None and voices.flags.c_contiguous:
        rooms = np.ascontiguousarray(rooms)
        kernels.rb_sum(at(voices), at(rooms), len(rooms), voices.shape[1], at(sums))
        return sums
    starts = np.flatnonzero(np.diff(rooms, prepend=-1))
    counts = np.diff(starts, append=len(rooms))
    most = int(counts.max())
    if most > FEW:
        # One large room: NumPy's segment sum wins only when segments are long.
        sums[rooms[starts]] = np.add.reduceat(voices, starts, axis=0)
        return sums
    sums[rooms[starts]] = voices[starts]
    for turn in range(1, most):
        has = counts > turn
        sums[rooms[starts[has]]] += voices[starts[has] + turn]
    return sums


def mix_own(mix: Floats, room: Longs, voices: Floats, less: Longs, more: Longs, out: Floats) -> None:
    """What some legs hear alone, into out float32[k, m]: the row of mix float32[r, m] that `room` int64[k]
    names, less a voice of float32[v, m] and more one, by row; -1 is none."""
    if kernels is not None and voices.flags.c_contiguous and mix.flags.c_contiguous:
        room = np.ascontiguousarray(room)
        kernels.rb_own(at(mix), at(room), at(voices), at(less), at(more), len(out), out.shape[1], at(out))
        return
    out[:] = np.where((room >= 0)[:, None], mix[room], np.float32(0))
    for sign, which in ((-1, less), (1, more)):
        has = np.flatnonzero(which >= 0)
        out[has] += np.float32(sign) * voices[which[has]]


def limit(mix: Floats) -> Floats:
    """Keep float32[n, m] within ±1, in place: untouched below LIMIT, a tanh knee above."""
    if not mix.size:
        return mix
    if kernels is not None and mix.flags.c_contiguous:
        kernels.rb_limit(at(mix), mix.shape[0], mix.shape[1], LIMIT)
        return mix
    loud = np.flatnonzero(np.maximum(mix.max(axis=1), -mix.min(axis=1)) > LIMIT)
    if len(loud):
        rows = mix[loud]
        over = np.abs(rows) - LIMIT
        span = np.float32(1) - LIMIT
        bent = np.copysign(LIMIT + span * np.tanh(np.maximum(over, 0) / span), rows)
        mix[loud] = np.where(over > 0, bent, rows)
    return mix


def fade_in(samples: int, ramp: int) -> Floats:
    """A gain float32[samples] that rises from 0 to 1 in the first `ramp` and stays."""
    gain = np.ones(samples, np.float32)
    gain[:ramp] = np.arange(1, ramp + 1, dtype=np.float32) / (ramp + 1)
    return gain


def fade_out(samples: int) -> Floats:
    """A gain float32[samples] that falls from 1 to 0."""
    return np.linspace(1, 0, samples, dtype=np.float32)
