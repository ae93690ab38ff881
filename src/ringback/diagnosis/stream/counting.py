"""What of a stream came, in which order and how often: numbers extended over wraps (RFC 3550, A.1, A.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.native import at, kernels
from ringback.rtp.sequence import MAX_DROPOUT, MAX_MISORDER

Numbers = NDArray[np.int64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

SUCCESSOR: Final = 16
"""A packet out of range begins a new count when the next one follows it this closely."""
SILENCE_NS: Final = 1_000_000_000
"""What comes from behind after so long without a newer packet is no late copy: the sender began again."""
APART: Final = 1 << 17
"""How far extended numbers of a new count lie from those before, so that they never meet."""
SAME_MOMENT_NS: Final = 1_000_000
"""Copies of one IP packet this close together were made by the capture, not by the network."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The packets of a stream sorted out, over k distinct ones and n in all.

    `rows` intp[k] are the first copies in the order of their numbers, `extended` int64[k] and `count`
    int32[k] their numbers and which count they belong to; `missing` int64[k] is how many are missing before
    each. `fresh` bool[n] marks the first copies in the order of the capture, `duplicate`, `reordered` and
    `stray` bool[n] the second copies, those that came after a later one, and those of no count. `restarts`
    intp are the rows at which a new count begins.
    """

    rows: Rows
    extended: Numbers
    count: NDArray[np.int32]
    missing: Numbers
    fresh: Mask
    duplicate: Mask
    reordered: Mask
    stray: Mask
    restarts: Rows
    kernel_duplicates: int

    @property
    def unique(self) -> int:
        """Distinct packets."""
        return len(self.rows)

    @property
    def lost(self) -> int:
        """Numbers that never came."""
        return int(self.missing.sum())

    @property
    def expected(self) -> int:
        """From the first to the last of each count."""
        return self.unique + self.lost

    @property
    def slots(self) -> Numbers:
        """Where each distinct packet lies among all that were expected, int64[k], from 0."""
        return np.arange(len(self.rows), dtype=np.int64) + np.cumsum(self.missing)


def count(packets: Packets, step: int) -> Counted:
    """Sort out the packets of a stream, at least one; `step` is the usual one of time stamps, or 0."""
    extended, of = extend(packets, step)
    rows = np.flatnonzero(of >= 0)
    numbers = extended[rows]
    steps = np.diff(numbers)
    total = len(packets)
    fresh, duplicate, reordered = of >= 0, np.zeros(total, np.bool_), np.zeros(total, np.bool_)
    copies = 0
    if not (steps > 0).all():
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        again = np.concatenate(([False], ordered[1:] == ordered[:-1]))
        behind = np.concatenate(([False], numbers[1:] < np.maximum.accumulate(numbers)[:-1]))
        duplicate[rows[order[again]]] = True
        fresh &= ~duplicate
        reordered[rows[behind]] = True
        reordered &= fresh
        copies = _made_by_the_capture(packets, rows[order], again)
        rows, numbers = rows[order[~again]], ordered[~again]
        steps = np.diff(numbers)
    counts = of[rows]
    begins = np.concatenate(([True], counts[1:] != counts[:-1]))
    missing = np.concatenate((np.zeros(1, np.int64), steps - 1))
    missing[begins] = 0
    return Counted(
        rows=rows,
        extended=numbers,
        count=counts,
        missing=missing,
        fresh=fresh,
        duplicate=duplicate,
        reordered=reordered,
        stray=of < 0,
        restarts=_first_rows(of),
        kernel_duplicates=copies,
    )


def usual_step(packets: Packets, rows: Rows | None = None) -> int:
    """The commonest step of time stamps from a packet to its successor, 0 where there is none above 0."""
    timestamps, numbers = packets.timestamp, packets.sequence
    if rows is not None:
        timestamps, numbers = timestamps[rows], numbers[rows]
    follows = np.diff(numbers) == 1
    steps = np.diff(timestamps)[follows].view(np.int32)
    steps = steps[steps > 0]
    if not len(steps):
        return 0
    # Whatever more than half of them are can be found without sorting: it is nearly always the first.
    for candidate in (int(steps[0]), int(steps[len(steps) // 2])):
        if 2 * np.count_nonzero(steps == candidate) > len(steps):
            return candidate
    values, times = np.unique(steps, return_counts=True)
    return int(values[times.argmax()])


def extend(packets: Packets, step: int) -> tuple[Numbers, NDArray[np.int32]]:
    """Numbers that go on where the 16 bits wrap, int64[n], and the count each belongs to, int32[n].

    A packet is of the present count when it is less than MAX_DROPOUT ahead or MAX_MISORDER behind; or when
    its time stamp lies as far away as its number does: a long outage is not a restart. Nothing comes from
    behind after SILENCE_NS without a newer packet, though, and from further behind only where the capture's
    time went back, too. Any other packet waits for its successor; together they begin a new count (A.1).
    Those that wait in vain are of count -1.
    """
    if kernels is None:
        return extend_plainly(packets, step)
    extended, counts = np.empty(len(packets), np.int64), np.empty(len(packets), np.int32)
    columns = (
        np.ascontiguousarray(packets.arrived_ns, np.int64),
        np.ascontiguousarray(packets.sequence, np.uint16),
        np.ascontiguousarray(packets.timestamp, np.uint32),
    )
    limits = (step, MAX_DROPOUT, MAX_MISORDER, SILENCE_NS, SUCCESSOR, APART)
    kernels.rb_extend(len(packets), *map(at, columns), *limits, at(extended), at(counts))
    return extended, counts


def extend_plainly(packets: Packets, step: int) -> tuple[Numbers, NDArray[np.int32]]:
    """As `extend`, without the compiled loop."""
    times, numbers = packets.arrived_ns.tolist(), packets.sequence.tolist()
    stamps = packets.timestamp.tolist()
    extended, counts = [0] * len(numbers), [-1] * len(numbers)
    highest, number, stamp, came, current, candidate = numbers[0], numbers[0], stamps[0], times[0], 0, -1
    for i, (time, here, now) in enumerate(zip(times, numbers, stamps, strict=True)):
        ahead, since = _signed(here - number, 16), time - came
        near = -MAX_MISORDER < ahead < MAX_DROPOUT and (ahead > 0 or since < SILENCE_NS)
        if near or (_in_step(ahead, _signed(now - stamp, 32), step) and (ahead > 0 or since < 0)):
            extended[i], counts[i], candidate = highest + ahead, current, -1
            if ahead > 0:
                highest, number, stamp, came = highest + ahead, here, now, time
            continue
        after = (here - numbers[candidate]) & 0xFFFF
        if candidate >= 0 and after == 0:
            continue
        if candidate < 0 or after > SUCCESSOR:
            candidate = i
            continue
        current += 1
        for j in range(candidate, i + 1):
            counts[j], extended[j] = current, highest + APART + (after if j == i else 0)
        highest, number, stamp, came, candidate = extended[i], here, now, time, -1
    return np.array(extended, np.int64), np.array(counts, np.int32)


def _in_step(ahead: int, elapsed: int, step: int) -> bool:
    return step > 0 and abs(elapsed - ahead * step) <= abs(ahead) * step // 8 + step


def _signed(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half & (1 << bits) - 1) - half


def _first_rows(of: NDArray[np.int32]) -> Rows:
    """The first row of each count but the first one."""
    if not of.max():
        return np.zeros(0, np.intp)
    reached = np.maximum.accumulate(of)
    return np.flatnonzero(np.diff(reached) > 0) + 1


def _made_by_the_capture(packets: Packets, ordered: Rows, again: Mask) -> int:
    """Second copies with the IPv4 identification of the first one, and seen at the same moment."""
    first = np.flatnonzero(~again)[np.cumsum(~again) - 1]
    one, other = ordered[first[again]], ordered[again]
    close = np.abs(packets.arrived_ns[other] - packets.arrived_ns[one]) <= SAME_MOMENT_NS
    return int(np.count_nonzero(close & (packets.ip_id[one] == packets.ip_id[other])))
