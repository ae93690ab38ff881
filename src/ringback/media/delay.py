"""How long to wait for packets: each leg's delay, from how late the packets of its last seconds were.

A packet of frame f that is there at tick t has a lateness of t - f ticks. What ticks and frames are counted
from does not matter, as long as all packets of a stream share it. Frame f is played at the tick f + wanted,
so `wanted` is to be the least lateness that hardly a packet exceeds: it rises with the second packet that
comes too late, and falls when the windows that needed it have passed.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ringback.media.columns import Column, Columns, Ints, Longs, Shorts
from ringback.native import at, kernels

BINS = 64
"""Latenesses that are told apart, in ticks: those around the one wanted."""
_MASK = BINS - 1
_BELOW = BINS // 2 - 1
_OFFSETS = np.arange(BINS) - _BELOW
REACH = 16
"""A lateness further from the one wanted counts as this far from it."""
WINDOWS = 5
WINDOW_TICKS = 50
"""What is known is that of the last 4 to 5 s, in windows of a second."""
WINDOW_PACKETS = 10
"""A window is not over before it has so many: a pause is no experience."""
LATE_SHARE = 0.01
"""The share of packets that may come too late, and are concealed."""
LATE_PACKETS = 2
"""So many too late are more than chance, however few packets there were. Those that come late in one tick
count as one: they were held up once."""
MOST_TICKS = 10
"""The longest delay: 200 ms over the fastest packets."""
FAR_TICKS = 8
"""A stream whose packets were out of reach in so many of its last ticks has another clock."""
FAR_WITHIN_TICKS = 50
LONG_AGO = -(10**9)


class Delay(Columns):
    """Columns of all legs' latenesses; `legs` arguments are arrays of rows, each row at most once.

    `wanted` int64 is the lateness in ticks that is waited for. `counts` are histograms, the latest window's
    first, in which a lateness has the place of its last six bits.
    """

    SPEC: ClassVar[dict[str, Column]] = {
        "wanted": Column(np.int64),
        "counts": Column(np.uint16, (WINDOWS, BINS)),
        "late_due": Column(np.int64, empty=LONG_AGO),
        "far": Column(np.int32),
        "far_due": Column(np.int64, empty=LONG_AGO),
    }
    wanted: Longs
    counts: Shorts
    late_due: Longs
    far: Ints
    far_due: Longs

    def note(self, legs: Longs, due: Longs, frame: Longs) -> None:
        """Count a packet a leg: `frame` of its first sample, and the tick `due` at which it can be
        played first."""
        lateness = due - frame
        excess = lateness - self.wanted[legs]
        if not len(legs) or (int(excess.max()) <= 0 and int(excess.min()) >= -REACH):
            self._count(legs, lateness)
            return
        late = excess > 0
        counted = ~late | (due != self.late_due[legs])
        within = lateness - excess + np.clip(excess, -REACH, REACH)
        self._count(legs[counted], within[counted])
        self.late_due[legs[late]] = due[late]
        self.aim(legs[late & counted])
        beyond = counted & (excess > MOST_TICKS)
        if beyond.any():
            self._note_far(legs[beyond], due[beyond], excess[beyond])

    def _count(self, legs: Longs, lateness: Longs) -> None:
        self.counts.reshape(-1)[legs * (WINDOWS * BINS) + (lateness & _MASK)] += np.uint16(1)

    def begin(self, legs: Longs, due: Longs, frame: Longs) -> None:
        """A stream begins on a new grid, with a packet that is taken to be of its fastest.

        What the leg's packets needed before stays: their way is the same.
        """
        counts = self._known(legs)
        lateness = due - frame
        known = counts.any(axis=1)
        self.wanted[legs[~known]] = lateness[~known]
        legs, counts, lateness = legs[known], counts[known], lateness[known]
        fastest = self.wanted[legs] + (counts > 0).argmax(axis=1) - _BELOW
        self._shift(legs, lateness - fastest)

    def _shift(self, legs: Longs, ticks: Longs) -> None:
        """Let all that was noted of these legs have been so much later."""
        at = (np.arange(BINS) - ticks[:, None]) & _MASK
        self.counts[legs] = np.take_along_axis(self.counts[legs], at[:, None, :], axis=2)
        self.wanted[legs] += ticks

    def _note_far(self, legs: Longs, due: Longs, excess: Longs) -> None:
        """Follow streams that stay out of reach: their sender's clock stood still, or jumped."""
        # A stall ends with many packets in one tick; another clock makes those of all ticks late.
        self.far[legs] = np.where(due - self.far_due[legs] <= FAR_WITHIN_TICKS, self.far[legs] + 1, 1)
        self.far_due[legs] = due
        often = self.far[legs] >= FAR_TICKS
        if often.any():
            legs, excess = legs[often], excess[often]
            self.far[legs] = 0
            # Of this window's packets most are out of reach: those that are not are from before.
            latest = self._lined(legs, self.counts[legs, 0])
            most = 2 * latest[:, _BELOW + MOST_TICKS + 1 :].sum(axis=1) > latest.sum(axis=1)
            self._shift(legs[most], excess[most])

    def aim(self, legs: Longs, only_down: bool = False) -> None:
        """Set what is wanted of these legs by what their packets needed."""
        if not len(legs):
            return
        if kernels is not None:
            legs = np.ascontiguousarray(legs)
            histograms = at(legs), len(legs), at(self.counts), WINDOWS, _BELOW
            kernels.rb_aim(*histograms, MOST_TICKS, LATE_SHARE, LATE_PACKETS, only_down, at(self.wanted))
            return
        counts = self._known(legs)
        total = counts.sum(axis=1, keepdims=True)
        later = total - counts.cumsum(axis=1)
        enough = later < np.maximum(LATE_SHARE * total, LATE_PACKETS)
        fastest = (counts > 0).argmax(axis=1)
        least = np.clip(enough.argmax(axis=1), fastest, fastest + MOST_TICKS) - _BELOW
        least[total[:, 0] == 0] = 0
        # That fewer packets are known now is no reason to wait for more of them.
        self.wanted[legs] += np.minimum(least, 0) if only_down else least

    def rotate(self) -> None:
        """End a window (every WINDOW_TICKS)."""
        over = np.flatnonzero(self.counts[:, 0].sum(axis=1) >= WINDOW_PACKETS)
        counts = self.counts[over]
        counts[:, 1:] = counts[:, :-1].copy()
        counts[:, 0] = 0
        self.counts[over] = counts

    def _known(self, legs: Longs) -> Longs:
        """int64[n, BINS]: packets by lateness, column _BELOW being the one wanted."""
        return self._lined(legs, self.counts[legs].sum(axis=1, dtype=np.int64))

    def _lined(self, legs: Longs, counts: NDArray[np.integer[Any]]) -> Longs:
        at = (self.wanted[legs][:, None] + _OFFSETS) & _MASK
        return np.take_along_axis(counts.astype(np.int64), at, axis=1)
