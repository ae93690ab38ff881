"""The numbers of a stream for each ten seconds of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.buffers import Played
from ringback.diagnosis.stream.counting import Counted, Numbers, Rows
from ringback.diagnosis.stream.measured import INTERVAL_S, Interval, Jitter, Late, Mos
from ringback.diagnosis.stream.sound import DIGITAL_SILENCE_DBOV, Heard
from ringback.diagnosis.stream.timing import Timing
from ringback.native import at, kernels

Values = NDArray[np.float64]

LENGTH_NS: Final = INTERVAL_S * 1_000_000_000
_MOST_SPREAD: Final = 1 << 20
"""Lost packets that are placed one by one; where more are lost a run counts where it ends."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which of the `number` int64[b] intervals that hold anything a packet or a loss belongs to.

    `of` intp[n] is the interval of each packet, `of_lost` intp[l] that of each lost one (or, with `weights`
    int64[l], of several); `run_of_lost` says which run it is of. Intervals in which nothing came and
    nothing was missing, as in a pause, are left out.
    `unique` and `lost` int64[b] are how many came, each once, and how many did not, `longest_lost` and
    `lost_runs` the longest run of losses and how many there are.
    """

    number: Numbers
    of: Rows
    unique: Numbers
    lost: Numbers
    longest_lost: Numbers
    lost_runs: Numbers

    def __len__(self) -> int:
        return len(self.number)

    def count(self, rows: Rows) -> Numbers:
        """How many of some packets are in each interval."""
        if not len(rows):
            return np.zeros(len(self), np.int64)
        return np.bincount(self.of[rows], minlength=len(self))


def split(packets: Packets, counted: Counted) -> Split:
    """Divide a stream; a lost packet belongs to the time between its neighbours at which it was due."""
    first = packets.arrived_ns[0]
    keys = np.maximum((packets.arrived_ns - first) // LENGTH_NS, 0)
    before = np.flatnonzero(counted.missing)
    runs, weights = before, None
    if len(before):
        length = counted.missing[before]
        end = packets.arrived_ns[counted.rows[before]] - first
        start = packets.arrived_ns[counted.rows[before - 1]] - first
        if int(length.sum()) <= _MOST_SPREAD:
            runs = np.repeat(before, length)
            place = np.arange(len(runs)) - np.repeat(np.cumsum(length) - length, length) + 1
            share = place / np.repeat(length + 1, length)
            when = np.repeat(start, length) + share * np.repeat(end - start, length)
        else:
            when, weights = end.astype(np.float64), length
        lost_keys = np.maximum(when // LENGTH_NS, 0).astype(np.int64)
    else:
        lost_keys = np.zeros(0, np.int64)
    number, of = _compressed(np.concatenate((keys, lost_keys)) if len(before) else keys)
    n, size = len(packets), len(number)
    fresh = of[:n] if counted.unique == n else of[:n][counted.fresh]
    longest, pieces = _lost_runs(of[n:], runs, weights, size)
    lost = np.bincount(of[n:], weights, size).astype(np.int64)
    return Split(number, of[:n], np.bincount(fresh, minlength=size), lost, longest, pieces)


def _lost_runs(of: Rows, runs: Rows, weights: Numbers | None, size: int) -> tuple[Numbers, Numbers]:
    """The longest run of losses in each interval, and how many there are; a run may go on in the next.

    `of` intp[l] is the interval of each lost packet (or, with `weights` int64[l], of several), `runs` intp[l]
    which run it is of.
    """
    if not len(of):
        return np.zeros(size, np.int64), np.zeros(size, np.int64)
    begins = np.flatnonzero(np.concatenate(([True], (np.diff(of) != 0) | (np.diff(runs) != 0))))
    each = np.ones(len(of), np.int64) if weights is None else weights
    where = of[begins]
    count, _, longest = sums(where, np.add.reduceat(each, begins).astype(np.float64), size)
    return longest.astype(np.int64), count


def _compressed(keys: Numbers) -> tuple[Numbers, Rows]:
    """The distinct keys in order, and which of them each is."""
    most = int(keys.max())
    if most > 4 * len(keys):
        number, of = np.unique(keys, return_inverse=True)
        return number, of.astype(np.intp)
    present = np.bincount(keys) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[keys]


def sums(of: Rows, values: Values, size: int) -> tuple[Numbers, Values, Values]:
    """How many of some values are in each of `size` groups, their sum, and the largest, at least 0."""
    if kernels is None:
        return sums_plainly(of, values, size)
    count, total, largest = np.zeros(size, np.int64), np.zeros(size), np.zeros(size)
    columns = np.ascontiguousarray(of, np.int64), np.ascontiguousarray(values, np.float64)
    kernels.rb_sums(len(of), *map(at, columns), at(count), at(total), at(largest))
    return count, total, largest


def sums_plainly(of: Rows, values: Values, size: int) -> tuple[Numbers, Values, Values]:
    """As `sums`, without the compiled loop."""
    largest = np.zeros(size)
    np.maximum.at(largest, of, values)
    count = np.bincount(of, minlength=size)
    return count, np.bincount(of, values, size).astype(np.float64), largest


def intervals(
    packets: Packets,
    counted: Counted,
    timing: Timing,
    parts: Split,
    played: Sequence[Played],
    mos: Sequence[Mos],
    heard: Heard | None,
    ptime_ms: float,
) -> tuple[Interval, ...]:
    """Put together what is known of each interval; `played` by the buffers of `Late`, in their order."""
    fresh = np.flatnonzero(counted.fresh)
    duplicates = parts.count(np.flatnonzero(counted.duplicate))
    reordered = parts.count(np.flatnonzero(counted.reordered))
    late = [parts.count(timing.rows[np.flatnonzero(each.late)]).tolist() for each in played]
    changes, jitter, max_jitter = sums(parts.of[timing.rows[1:]], timing.jitter_ms[1:], len(parts))
    mean_jitter = jitter / np.maximum(changes, 1)
    deltas = np.diff(packets.arrived_ns[fresh]) / 1e6
    _, _, max_delta = sums(parts.of[fresh[1:]], deltas, len(parts))
    levels, silent, clipped = _sounds(heard, parts)
    began = (int(packets.arrived_ns[0]) + parts.number * LENGTH_NS).tolist()
    seconds = [float(INTERVAL_S)] * len(parts)
    seconds[-1] = min(max((int(packets.arrived_ns.max()) - began[-1]) / 1e9, ptime_ms / 1000), INTERVAL_S)
    columns = zip(
        began,
        seconds,
        (parts.unique + parts.lost).tolist(),
        parts.unique.tolist(),
        parts.lost.tolist(),
        duplicates.tolist(),
        reordered.tolist(),
        map(Late, *late),
        map(Jitter, mean_jitter.tolist(), max_jitter.tolist()),
        max_delta.tolist(),
        parts.longest_lost.tolist(),
        mos,
        levels,
        silent,
        clipped,
        strict=True,
    )
    return tuple(Interval(*row) for row in columns)


def _sounds(heard: Heard | None, parts: Split) -> tuple[list[float | None], ...]:
    """Level of what is not silent, shares of silent packets and clipped samples; None without open codec."""
    if heard is None:
        nothing: list[float | None] = [None] * len(parts)
        return nothing, nothing, nothing
    every = parts.of[heard.rows]
    count = np.bincount(every, minlength=len(parts))
    voiced, power, _ = sums(every[heard.loud], heard.power, len(parts))
    some = voiced > 0
    level = np.full(len(parts), DIGITAL_SILENCE_DBOV)
    level[some] = 10 * np.log10(power[some] / voiced[some])
    clipped = np.zeros(len(parts))
    if heard.clipped.any():
        samples = np.bincount(every, heard.samples, len(parts))
        clipped = np.bincount(every, heard.clipped, len(parts)) / np.maximum(samples, 1)
    silent = 1 - voiced / np.maximum(count, 1)
    return tuple(
        [value if known else None for value, known in zip(column.tolist(), count.tolist(), strict=True)]
        for column in (level, silent, clipped)
    )
