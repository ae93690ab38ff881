"""When packets came against when they were sent: transit, jitter, deltas and skew (RFC 3550, 6.4.1, A.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.counting import Counted, Mask, Rows
from ringback.diagnosis.stream.formats import COMFORT_NOISE, EVENT, FIRST_DYNAMIC
from ringback.diagnosis.stream.measured import Jitter, PayloadFormat
from ringback.native import at, kernels

Times = NDArray[np.float64]

JUMP_MS: Final = 500.0
"""A change of transit that is larger, and stays, is a jump of the sender's time stamps."""
_AROUND: Final = 25
_AROUND_MS: Final = 1000.0
"""At least so many packets and so much time before and after decide whether a change of transit stays."""
_MOST_JUMPS: Final = 1000
"""Where more are suspected no single one is looked at: the time stamps mean nothing."""
SKEW_MS: Final = 30_000.0
"""The shortest stretch over which skew is told."""
_BINS: Final = 64
_STEADY_PPM: Final = 100.0
"""How far the quartiles of slopes may lie apart, beside half of their median."""
_MOST_PPM: Final = 20_000.0
"""What is further off is no clock that is a little wrong, but time stamps of another rate."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The timed packets of a stream in the order of the capture, m of them: first copies in a codec's clock.

    `rows` intp[m]; `arrived_ms` float64[m] since the stream's first packet; `transit_ms` float64[m],
    arrival minus time stamp, the smallest 0; `change_ms` float64[m], by how much transit changed since the
    packet before (D of RFC 3550); `jumps` bool[m] marks packets at which the sender's time stamps jumped,
    which have no change; `jitter_ms` float64[m] is J.
    """

    rows: Rows
    arrived_ms: Times
    transit_ms: Times
    change_ms: Times
    jumps: Mask
    jitter_ms: Times


def clocks(formats: Mapping[int, PayloadFormat]) -> Times:
    """Clock in Hz by payload type, float64[256]: 0 for events, whose time stamps stand still."""
    table = np.zeros(256)
    for number, known in formats.items():
        if 0 <= number < 128 and known.name != EVENT:
            table[number] = max(known.clock_rate, 0)
    return table


def time(packets: Packets, counted: Counted, table: Times) -> Timing:
    """Transit and jitter of the packets that have a clock in `table` (see `clocks`)."""
    rows, arrived, change, largest = _changes(packets, counted.fresh, table)
    jumps = np.zeros(len(rows), np.bool_)
    if not len(rows):
        return Timing(rows, arrived, change, change, jumps, change)
    how = np.ones(len(rows), np.uint8)
    how[0] = 2
    if largest > JUMP_MS:
        jumps = _jumps(change, arrived)
        change[jumps] = 0.0
        how[jumps] = 2
    transit = np.cumsum(change)
    return Timing(rows, arrived, transit - transit.min(), change, jumps, smooth(change, how))


def _changes(packets: Packets, fresh: Mask, table: Times) -> tuple[Rows, Times, Times, float]:
    """The rows of timed packets, when they came, by how much transit changed at each, at most how much."""
    if kernels is None:
        return changes_plainly(packets, fresh, table)
    n = len(packets)
    rows, arrived, change, largest = np.empty(n, np.int64), np.empty(n), np.empty(n), np.empty(1)
    m = kernels.rb_transit(
        n, *_columns(packets), at(fresh), at(table), at(rows), at(arrived), at(change), at(largest)
    )
    return rows[:m], arrived[:m], change[:m], float(largest[0])


def changes_plainly(packets: Packets, fresh: Mask, table: Times) -> tuple[Rows, Times, Times, float]:
    """As `_changes`, without the compiled loop."""
    rows = np.flatnonzero(fresh & (table > 0)[packets.payload_type])
    arrived = (packets.arrived_ns[rows] - packets.arrived_ns[0]) / 1e6
    change, clock = np.zeros(len(rows)), table[packets.payload_type[rows]]
    elapsed, sent = np.diff(arrived), np.diff(packets.timestamp[rows]).view(np.int32)
    # Time stamps in two clocks cannot be compared: transit is taken not to have changed.
    change[1:] = np.where(clock[1:] == clock[:-1], elapsed - sent * (1000.0 / clock[1:]), 0.0)
    return rows, arrived, change, float(np.abs(change).max(initial=0.0))


def _columns(packets: Packets) -> tuple[Any, Any, Any]:
    """Arrival, time stamp and payload type for a compiled loop."""
    return (
        at(np.ascontiguousarray(packets.arrived_ns, np.int64)),
        at(np.ascontiguousarray(packets.timestamp, np.uint32)),
        at(np.ascontiguousarray(packets.payload_type, np.uint8)),
    )


def _jumps(change: Times, arrived: Times) -> Mask:
    """Large changes that stay: the least transit of the second after is as far from that of the one before.

    Whole seconds, since packets held back in a queue come all at once when it moves again.
    """
    jumps = np.abs(change) > JUMP_MS
    candidates = np.flatnonzero(jumps).tolist()
    if len(candidates) > _MOST_JUMPS:
        return jumps
    transit, reached = np.cumsum(change), np.maximum.accumulate(arrived)
    for j in candidates:
        start = min(int(np.searchsorted(reached, reached[j - 1] - _AROUND_MS)), max(j - _AROUND, 0))
        end = max(int(np.searchsorted(reached, reached[j] + _AROUND_MS)), j + _AROUND)
        jumps[j] = abs(transit[j:end].min() - transit[start:j].min()) > JUMP_MS
    return jumps


def smooth(change: Times, how: NDArray[np.uint8]) -> Times:
    """J after each packet: it takes in the change where `how` is 1, begins anew at 2, and stays at 0."""
    if kernels is None:
        return smooth_plainly(change, how)
    out = np.empty(len(change))
    kernels.rb_jitter(len(change), at(np.ascontiguousarray(change)), at(np.ascontiguousarray(how)), at(out))
    return out


def smooth_plainly(change: Times, how: NDArray[np.uint8]) -> Times:
    """As `smooth`, without the compiled loop."""
    out: list[float] = []
    jitter = 0.0
    for size, kind in zip(np.abs(change).tolist(), how.tolist(), strict=True):
        if kind == 2:
            jitter = 0.0
        elif kind == 1:
            jitter += (size - jitter) / 16
        out.append(jitter)
    return np.array(out, np.float64)


def summary(jitter_ms: Times) -> Jitter:
    """Mean and largest J of packets after the first."""
    if len(jitter_ms) < 2:
        return Jitter(0.0, 0.0)
    return Jitter(float(jitter_ms[1:].mean()), float(jitter_ms.max()))


def skew_ppm(timing: Timing) -> float | None:
    """How much faster the sender's clock runs than the capture's, in parts per million.

    The least transit of each of 64 stretches is free of most queueing. The slope is the median over pairs
    of stretches an eighth of the stream apart, which a step of the route does not move. None where it is
    too short, or its paths differ too much.
    """
    if len(timing.rows) < 2 * _BINS:
        return None
    when, transit = timing.arrived_ms, timing.transit_ms
    span = float(when.max() - when.min())
    if span < SKEW_MS:
        return None
    where = np.minimum(((when - when.min()) * (_BINS / span)).astype(np.intp), _BINS - 1)
    if (where[1:] < where[:-1]).any():
        order = np.argsort(where, kind="stable")
        when, transit, where = when[order], transit[order], where[order]
    begins = np.concatenate(([0], np.flatnonzero(where[1:] != where[:-1]) + 1))
    lowest = np.minimum.reduceat(transit, begins)
    least = np.flatnonzero(transit == np.repeat(lowest, np.diff(begins, append=len(where))))
    least = least[np.concatenate(([True], where[least[1:]] != where[least[:-1]]))]
    apart = max(len(least) // 8, 1)
    x, y = when[least], transit[least]
    length = x[apart:] - x[:-apart]
    slopes = (y[apart:] - y[:-apart])[length > 0] / length[length > 0] * 1e6
    if len(slopes) < _BINS // 2:
        return None
    slopes.sort()
    low, middle, high = (float(slopes[len(slopes) * part // 4]) for part in (1, 2, 3))
    steady = high - low <= _STEADY_PPM + abs(middle) / 2
    return -middle if steady and abs(middle) <= _MOST_PPM else None


@dataclass(frozen=True, slots=True)
class WiresharkTiming:
    """Delta and jitter as Wireshark 4.0 shows them for a stream."""

    jitter: Jitter
    max_delta_ms: float
    mean_delta_ms: float


def as_wireshark(packets: Packets, formats: Mapping[int, PayloadFormat]) -> WiresharkTiming:
    """Delta and jitter by Wireshark's rule of what counts.

    Every packet of the capture, duplicates too, moves the time on from which the next delta counts if its
    time stamp is not before the first one's; time stamps are compared with those of the last packet that
    has a clock. Events and dynamic types that SDP does not name have none. Packets that carry the marker or
    comfort noise, and what follows comfort noise, are left out of mean and largest. The mean is Wireshark's
    running one, whose weights count the packets left out, too.
    """
    named = {n: known for n, known in formats.items() if n < FIRST_DYNAMIC or known.source == "sdp"}
    table = clocks(named) // 1000
    if kernels is None:
        return wireshark_plainly(packets, table)
    noise, out = np.zeros(256, np.uint8), np.empty(4)
    noise[list(COMFORT_NOISE)] = 1
    marker = at(np.ascontiguousarray(packets.marker, np.bool_))
    kernels.rb_wireshark(len(packets), *_columns(packets), marker, at(table), at(noise), at(out))
    max_jitter, mean_jitter, max_delta, mean_delta = out.tolist()
    return WiresharkTiming(Jitter(mean_jitter, max_jitter), max_delta, mean_delta)


def wireshark_plainly(packets: Packets, table: Times) -> WiresharkTiming:
    """As `as_wireshark`, without the compiled loop; `table` is clocks in kHz by payload type."""
    kinds = packets.payload_type
    noise = np.isin(kinds, list(COMFORT_NOISE))
    counts = ~(packets.marker | noise)
    counts[1:] &= ~noise[:-1]
    numbers, stamps, arrived = np.arange(len(packets)), packets.timestamp, packets.arrived_ns
    clock = table[kinds]
    early = (stamps - stamps[0]).view(np.int32) < 0
    if early.any():
        numbers, stamps, arrived, clock, counts = (
            column[~early] for column in (numbers, stamps, arrived, clock, counts)
        )
    delta = np.diff(arrived) / 1e6
    max_delta, mean_delta = _largest_and_mean(delta, numbers[1:], counts[1:])
    moved = delta
    if not clock[1:].all():
        # The first packet's time stamp counts whatever it is.
        timed = np.append(0, np.flatnonzero(clock[1:]) + 1)
        moved = delta[timed[1:] - 1]
        numbers, stamps, clock, counts = (column[timed] for column in (numbers, stamps, clock, counts))
    change = np.abs(moved - np.diff(stamps).view(np.int32) / clock[1:])
    jitter = smooth(change, np.ones(len(change), np.uint8))
    max_jitter, mean_jitter = _largest_and_mean(jitter, numbers[1:], counts[1:])
    return WiresharkTiming(Jitter(mean_jitter, max_jitter), max_delta, mean_delta)


def _largest_and_mean(values: Times, numbers: Rows, counts: Mask) -> tuple[float, float]:
    if not counts.all():
        values, numbers = values[counts], numbers[counts]
    return float(values.max(initial=0.0)), _running_mean(values, numbers)


def _running_mean(values: Times, numbers: Rows) -> float:
    """m += (value - m) / number, which is the plain mean where the numbers are 1, 2, 3, ..."""
    if not len(values):
        return 0.0
    if len(values) == numbers[-1]:
        return float(values.mean())
    weights = (numbers - 1) / numbers
    start = 1 if numbers[0] == 1 else 0
    # The weight of a value is what all that came after it left of it.
    left = np.cumprod(weights[start:][::-1])[::-1]
    after = np.append(left, 1.0)
    total = float((values[start:] / numbers[start:] * after[1:]).sum())
    return total + float(values[0] * after[0]) if start else total
