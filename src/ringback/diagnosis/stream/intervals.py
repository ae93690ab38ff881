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
from ringback.diagnosis.stream.sound import DIGITAL_SILENCE_DBOV, SILENT_DBOV
from ringback.diagnosis.stream.timing import Timing

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
    """

    number: Numbers
    of: Rows
    of_lost: Rows
    run_of_lost: Rows
    weights: Numbers | None

    def __len__(self) -> int:
        return len(self.number)

    def count(self, rows: Rows) -> Numbers:
        """How many of some packets are in each interval."""
        return np.bincount(self.of[rows], minlength=len(self))

    def total(self, rows: Rows, values: Values) -> Values:
        """The sum of something over some packets in each interval."""
        return np.asarray(np.bincount(self.of[rows], weights=values, minlength=len(self)), np.float64)

    def lost(self) -> Numbers:
        """How many were lost in each interval."""
        counts = np.bincount(self.of_lost, weights=self.weights, minlength=len(self))
        return counts.astype(np.int64)

    def largest(self, rows: Rows, values: Values) -> Values:
        """The largest of something over some packets in each interval, 0 where there are none."""
        return _largest(self.of[rows], values, len(self))

    def lost_runs(self) -> tuple[Numbers, Numbers]:
        """The longest run of losses in each interval, and how many runs there are."""
        if not len(self.of_lost):
            return np.zeros(len(self), np.int64), np.zeros(len(self), np.int64)
        same = (np.diff(self.of_lost) == 0) & (np.diff(self.run_of_lost) == 0)
        begins = np.flatnonzero(np.concatenate(([True], ~same)))
        each = np.ones(len(self.of_lost), np.int64) if self.weights is None else self.weights
        lengths, where = np.add.reduceat(each, begins), self.of_lost[begins]
        longest = _largest(where, lengths.astype(np.float64), len(self))
        return longest.astype(np.int64), np.bincount(where, minlength=len(self))


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
    number, of = _compressed(np.concatenate((keys, lost_keys)))
    n = len(packets)
    return Split(number, of[:n], of[n:], runs, weights)


def _compressed(keys: Numbers) -> tuple[Numbers, Rows]:
    """The distinct keys in order, and which of them each is."""
    most = int(keys.max())
    if most > 4 * len(keys):
        number, of = np.unique(keys, return_inverse=True)
        return number, of.astype(np.intp)
    present = np.bincount(keys) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[keys]


def _largest(where: Rows, values: Values, size: int) -> Values:
    out = np.zeros(size)
    if not len(where):
        return out
    if (np.diff(where) < 0).any():
        order = np.argsort(where, kind="stable")
        where, values = where[order], values[order]
    begins = np.flatnonzero(np.concatenate(([True], where[1:] != where[:-1])))
    out[where[begins]] = np.maximum.reduceat(values, begins)
    return out


def intervals(
    packets: Packets,
    counted: Counted,
    timing: Timing,
    parts: Split,
    played: Sequence[Played],
    mos: Sequence[Mos],
    ptime_ms: float,
) -> tuple[Interval, ...]:
    """Put together what is known of each interval; `played` by the buffers of `Late`, in their order."""
    unique = parts.count(np.flatnonzero(counted.fresh))
    lost = parts.lost()
    longest, _ = parts.lost_runs()
    duplicates = parts.count(np.flatnonzero(counted.duplicate))
    reordered = parts.count(np.flatnonzero(counted.reordered))
    late = [parts.count(timing.rows[np.flatnonzero(each.late)]).tolist() for each in played]
    timed = timing.rows[1:]
    each = np.maximum(parts.count(timed), 1)
    mean_jitter = parts.total(timed, timing.jitter_ms[1:]) / each
    max_jitter = parts.largest(timed, timing.jitter_ms[1:])
    fresh = np.flatnonzero(counted.fresh)
    max_delta = parts.largest(fresh[1:], np.diff(packets.arrived_ns[fresh]) / 1e6)
    levels, silent, clipped = _sounds(packets, fresh, parts)
    began = (int(packets.arrived_ns[0]) + parts.number * LENGTH_NS).tolist()
    seconds = [float(INTERVAL_S)] * len(parts)
    seconds[-1] = min(max((int(packets.arrived_ns.max()) - began[-1]) / 1e9, ptime_ms / 1000), INTERVAL_S)
    columns = zip(
        began,
        seconds,
        (unique + lost).tolist(),
        unique.tolist(),
        lost.tolist(),
        duplicates.tolist(),
        reordered.tolist(),
        map(Late, *late),
        map(Jitter, mean_jitter.tolist(), max_jitter.tolist()),
        max_delta.tolist(),
        longest.tolist(),
        mos,
        levels,
        silent,
        clipped,
        strict=True,
    )
    return tuple(Interval(*row) for row in columns)


def _sounds(packets: Packets, fresh: Rows, parts: Split) -> tuple[list[float | None], ...]:
    """Level of what is not silent, shares of silent packets and clipped samples; None without open codec."""
    levels = packets.level_dbov[fresh]
    open_ = ~np.isnan(levels)
    if not open_.any():
        nothing: list[float | None] = [None] * len(parts)
        return nothing, nothing, nothing
    rows, levels = fresh[open_], levels[open_].astype(np.float64)
    heard = parts.count(rows)
    loud = levels >= SILENT_DBOV
    voiced = parts.count(rows[loud])
    power = parts.total(rows[loud], 10 ** (levels[loud] / 10))
    level = np.full(len(parts), DIGITAL_SILENCE_DBOV)
    some = voiced > 0
    level[some] = 10 * np.log10(power[some] / voiced[some])
    samples = parts.total(rows, packets.payload_bytes[rows].astype(np.float64))
    clipped = parts.total(rows, packets.clipped[rows].astype(np.float64)) / np.maximum(samples, 1)
    silent = 1 - voiced / np.maximum(heard, 1)
    return tuple(
        [value if count else None for value, count in zip(column.tolist(), heard.tolist(), strict=True)]
        for column in (level, silent, clipped)
    )
