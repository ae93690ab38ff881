"""What arrived of each RTP stream: order, loss, duplicates, jitter, as columns (RFC 3550, A.1, A.3, A.8)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.native import at, kernels

Mask = NDArray[np.bool_]
Legs = NDArray[np.intp]
Counts = NDArray[np.int64]

MAX_DROPOUT = 3000
"""A jump ahead by this many packets or more is not loss but a new count (RFC 3550, A.1)."""
MAX_MISORDER = 100
"""A packet this far behind or more is not late but of a new count (RFC 3550, A.1)."""
WINDOW = 64
"""Packets behind the newest of which we remember whether they came."""
MAX_PER_UPDATE = 32
"""Packets of one leg that one update takes: 640 ms of audio; what a flood adds to them is refused unread."""
MAX_TRANSIT_STEP = 1 << 17
"""A change of transit time, in RTP units, that is no jitter but a new clock at the sender (16 s at 8 kHz)."""

_NONE = -1
_NOBODY: Legs = np.zeros(0, np.intp)


class Arrivals(NamedTuple):
    """What became of each packet of an update.

    `extended` int64[k] counts on where the 16-bit number wraps; `fresh` bool[k] packets are to be played, the
    others are duplicates, too old or of no known source; at a `restarted` bool[k] packet the stream begins
    again with a new count or source, and `extended` has nothing to do with the numbers before.
    """

    extended: Counts
    fresh: Mask
    restarted: Mask


class ReceptionReport(NamedTuple):
    """The columns of an RTCP report block, in its units (RFC 3550, 6.4.1)."""

    ssrc: Counts
    fraction_lost: Counts
    cumulative_lost: Counts
    extended_highest_sequence: Counts
    jitter: Counts


class ReceivedSequence:
    """The reception state of `capacity` legs, one row each.

    The first packet of a leg is taken at once: who may send to it was settled before (by address or SRTP), so
    RFC 3550's probation would only cost the first 20 ms. Another SSRC or a jump in the count is on probation
    instead: it is taken up by its second packet in a row, with none of the present source between them.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.ssrc = np.full(capacity, _NONE, dtype=np.int64)
        self.highest = np.zeros(capacity, dtype=np.int64)
        self.received = np.zeros(capacity, dtype=np.int64)
        self.duplicates = np.zeros(capacity, dtype=np.int64)
        self.reordered = np.zeros(capacity, dtype=np.int64)
        self.stale = np.zeros(capacity, dtype=np.int64)
        self.refused = np.zeros(capacity, dtype=np.int64)
        self.restarts = np.zeros(capacity, dtype=np.int64)
        self.jitter = np.zeros(capacity, dtype=np.float64)
        self._base = np.zeros(capacity, dtype=np.int64)
        self._seen = np.zeros(capacity, dtype=np.uint64)
        self._transit = np.full(capacity, _NONE, dtype=np.int64)
        self._left = np.full(capacity, _NONE, dtype=np.int64)
        self._candidate_ssrc = np.full(capacity, _NONE, dtype=np.int64)
        self._candidate_sequence = np.full(capacity, _NONE, dtype=np.int64)
        self._expected_before = np.zeros(capacity, dtype=np.int64)
        self._received_before = np.zeros(capacity, dtype=np.int64)
        self._reported_expected = np.zeros(capacity, dtype=np.int64)
        self._reported_received = np.zeros(capacity, dtype=np.int64)
        self._turn = np.zeros(capacity, dtype=np.uint8)
        # Nothing has come yet: this is what a row begins with.
        self._blanks = [(column, column[0].item()) for _, column in self._columns()]

    def _columns(self) -> list[tuple[str, NDArray[Any]]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, np.ndarray)]

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` legs; those that are here keep their rows."""
        fresh = ReceivedSequence(capacity)
        for name, column in self._columns():
            getattr(fresh, name)[: self.capacity] = column
        self.__dict__.update(fresh.__dict__)

    def reset(self, legs: Legs | int) -> None:
        """Forget all about these rows, for the next legs that use them."""
        for column, blank in self._blanks:
            column[legs] = blank

    def leave(self, leg: int) -> None:
        """The source of a leg said goodbye (RFC 3550, 6.3.4): whatever comes next begins at once."""
        row = np.array([leg])
        self._expected_before[row] += self._expected_now(row)
        self._received_before[row] += self.received[row]
        self._left[row] = self.ssrc[row]
        self.ssrc[row] = _NONE
        self.received[row] = 0
        self._seen[row] = 0

    def expected(self, legs: Legs | slice) -> Counts:
        """Packets that the counts say were sent, over all sources the legs have had: int64[k]."""
        return self._expected_now(legs) + self._expected_before[legs]

    def arrived(self, legs: Legs | slice) -> Counts:
        """Packets that came, each once, over all sources the legs have had: int64[k]."""
        return self.received[legs] + self._received_before[legs]

    def lost(self, legs: Legs) -> Counts:
        """Packets that did not come, over all sources the legs have had: int64[k]."""
        return self.expected(legs) - self.arrived(legs)

    def _expected_now(self, legs: Legs | slice) -> Counts:
        return np.where(self.ssrc[legs] != _NONE, self.highest[legs] - self._base[legs] + 1, 0)

    def report(self, legs: Legs) -> ReceptionReport:
        """Columns for the report blocks on these legs; `fraction_lost` is since the report before."""
        expected, received = self._expected_now(legs), self.received[legs]
        expected_interval = expected - self._reported_expected[legs]
        lost_interval = np.maximum(expected_interval - (received - self._reported_received[legs]), 0)
        self._reported_expected[legs] = expected
        self._reported_received[legs] = received
        fraction = np.minimum(256 * lost_interval // np.maximum(expected_interval, 1), 255)
        return ReceptionReport(
            self.ssrc[legs],
            fraction,
            np.clip(expected - received, -0x800000, 0x7FFFFF),
            self.highest[legs] & 0xFFFFFFFF,
            np.minimum(self.jitter[legs], 0xFFFFFFFF).astype(np.int64),
        )

    def update(
        self,
        legs: Legs,
        sequence: NDArray[np.integer[Any]],
        timestamp: NDArray[np.integer[Any]],
        ssrc: NDArray[np.integer[Any]],
        arrival_rtp_ts: NDArray[np.integer[Any]],
        timed: Mask | None = None,
    ) -> Arrivals:
        """Count k packets in the order they came; `legs` intp[k] are their rows and may repeat.

        `arrival_rtp_ts` int[k] is the time of arrival in units of each packet's RTP clock, from any origin.
        `timed` bool[k] is false for packets whose timestamp is not their time of sending and must not enter
        the jitter (telephone-events). Packets of one leg in one update are counted one after another: the
        update runs in rounds, each with the next packet of every leg, at most MAX_PER_UPDATE.
        """
        count = len(legs)
        result = Arrivals(np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_))
        which: Legs | None = None
        if kernels is not None:
            which = self._next_in_order(
                kernels, legs, sequence, timestamp, ssrc, arrival_rtp_ts, timed, result
            )
            if not len(which):
                return result
            legs, sequence, timestamp, ssrc = legs[which], sequence[which], timestamp[which], ssrc[which]
            arrival_rtp_ts, timed = arrival_rtp_ts[which], None if timed is None else timed[which]
        numbers, sources = sequence.astype(np.int64), ssrc.astype(np.int64)
        transit = (arrival_rtp_ts.astype(np.int64) - timestamp.astype(np.int64)) & 0xFFFFFFFF
        if timed is not None:
            transit = np.where(timed, transit, _NONE)
        for turn in self._turns(legs):
            place = turn if which is None else which[turn]
            self._round(place, legs[turn], numbers[turn], sources[turn], transit[turn], result)
        return result

    def _next_in_order(
        self,
        library: Any,
        legs: Legs,
        sequence: NDArray[np.integer[Any]],
        timestamp: NDArray[np.integer[Any]],
        ssrc: NDArray[np.integer[Any]],
        arrival_rtp_ts: NDArray[np.integer[Any]],
        timed: Mask | None,
        result: Arrivals,
    ) -> Legs:
        """Count the packets that are simply the next of their leg; which are left for the long way."""
        count = len(legs)
        slow = np.empty(count, np.bool_)
        rows = np.ascontiguousarray(legs, np.int64)
        columns = (
            np.ascontiguousarray(sequence, np.uint16),
            np.ascontiguousarray(timestamp, np.uint32),
            np.ascontiguousarray(ssrc, np.uint32),
            np.ascontiguousarray(arrival_rtp_ts, np.int64),
            np.ones(count, np.bool_) if timed is None else np.ascontiguousarray(timed),
        )
        *state, turn = self.counters()
        left = library.rb_sequence(
            count,
            at(rows),
            *map(at, columns),
            MAX_PER_UPDATE,
            *map(at, state),
            MAX_TRANSIT_STEP,
            at(turn),
            at(result.extended),
            at(result.fresh),
            at(slow),
        )
        return np.flatnonzero(slow) if left else _NOBODY

    def counters(self) -> tuple[NDArray[Any], ...]:
        """What a packet that is simply the next of its leg counts in, in the order of rb_sequence; the last,
        uint8[capacity], is zero between calls."""
        return (
            self.ssrc,
            self.highest,
            self.received,
            self._seen,
            self._transit,
            self._candidate_sequence,
            self.jitter,
            self._turn,
        )

    def _turns(self, legs: Legs) -> list[Legs]:
        """Split the packets into rounds in which no leg appears twice."""
        order = np.argsort(legs, kind="stable")
        ordered = legs[order]
        new = np.ones(len(legs), dtype=np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        if new.all():
            return [np.arange(len(legs))] if len(legs) else []
        starts = np.flatnonzero(new)
        rank = np.arange(len(legs)) - np.repeat(starts, np.diff(starts, append=len(legs)))
        np.add.at(self.refused, ordered[rank >= MAX_PER_UPDATE], 1)
        last = min(int(rank.max()) + 1, MAX_PER_UPDATE)
        return [order[rank == turn] for turn in range(last)]

    def _round(
        self, turn: Legs, legs: Legs, numbers: Counts, sources: Counts, transit: Counts, result: Arrivals
    ) -> None:
        highest = self.highest[legs]
        known = self.ssrc[legs] == sources
        step = ((numbers - highest + 0x8000) & 0xFFFF) - 0x8000
        extended = highest + step
        fresh = known & (step == 1)
        next_legs = legs if fresh.all() else legs[fresh]
        # Nearly every packet is the next of its leg; the others go the long way.
        self.highest[next_legs] += 1
        self._seen[next_legs] = (self._seen[next_legs] << np.uint64(1)) | np.uint64(1)
        self._candidate_sequence[next_legs] = _NONE
        if next_legs is not legs:
            self._out_of_order(turn, legs, numbers, sources, step, extended, fresh, known, result)
        result.extended[turn] = extended
        result.fresh[turn] = fresh
        self.received[legs[fresh]] += 1
        self._count_jitter(legs, transit, fresh)

    def _out_of_order(
        self,
        turn: Legs,
        legs: Legs,
        numbers: Counts,
        sources: Counts,
        step: Counts,
        extended: Counts,
        fresh: Mask,
        known: Mask,
        result: Arrivals,
    ) -> None:
        """Decide on all packets that are not simply the next; completes `extended` and `fresh` in place."""
        ahead = np.flatnonzero(known & (step > 1) & (step < MAX_DROPOUT))
        behind = np.flatnonzero(known & (step <= 0) & (step > -MAX_MISORDER))
        first = self.ssrc[legs] == _NONE
        stray = ~(fresh | first)
        stray[ahead] = False
        stray[behind] = False

        self._move_ahead(legs[ahead], step[ahead])
        fresh[ahead] = True
        fresh[behind] = self._fill_gap(legs[behind], -step[behind], extended[behind])

        settled = np.zeros(len(legs), dtype=np.bool_)
        strays = np.flatnonzero(stray)
        settled[strays] = self._probation(legs[strays], numbers[strays], sources[strays])
        # Another source than the one that said goodbye has another clock.
        settled |= first & (self._left[legs] != _NONE) & (self._left[legs] != sources)
        begin = np.flatnonzero(first | settled)
        self._begin(legs[begin], numbers[begin], sources[begin])
        extended[begin] = numbers[begin]
        fresh[begin] = True
        result.restarted[turn] = settled

    def _move_ahead(self, legs: Legs, step: Counts) -> None:
        self.highest[legs] += step
        # A shift by the width of the word or more is undefined in C.
        shifted = self._seen[legs] << np.minimum(step, WINDOW - 1).astype(np.uint64)
        self._seen[legs] = np.where(step < WINDOW, shifted, np.uint64(0)) | np.uint64(1)
        self._candidate_sequence[legs] = _NONE

    def _fill_gap(self, legs: Legs, age: Counts, extended: Counts) -> Mask:
        """Packets that come after a later one: those that were missing, as a mask; the others are counted."""
        seen = self._seen[legs]
        bit = np.uint64(1) << np.minimum(age, WINDOW - 1).astype(np.uint64)
        stale = age >= WINDOW
        duplicate = ~stale & (seen & bit != 0)
        missing: Mask = ~stale & ~duplicate
        self.stale[legs[stale]] += 1
        self.duplicates[legs[duplicate]] += 1
        found = legs[missing]
        self.reordered[found] += 1
        self._seen[found] |= bit[missing]
        self._base[found] = np.minimum(self._base[found], extended[missing])
        self._candidate_sequence[found] = _NONE
        return missing

    def _probation(self, legs: Legs, numbers: Counts, sources: Counts) -> Mask:
        """Strangers and jumps: those that follow on the stray packet before, as a mask; the others wait."""
        settled: Mask = (self._candidate_ssrc[legs] == sources) & (self._candidate_sequence[legs] == numbers)
        self._candidate_ssrc[legs] = sources
        self._candidate_sequence[legs] = (numbers + 1) & 0xFFFF
        self.refused[legs[~settled]] += 1
        self.restarts[legs[settled]] += 1
        return settled

    def _begin(self, legs: Legs, numbers: Counts, sources: Counts) -> None:
        self._expected_before[legs] += self._expected_now(legs)
        self._received_before[legs] += self.received[legs]
        self.ssrc[legs] = sources
        self._left[legs] = _NONE
        self.highest[legs] = numbers
        self.received[legs] = 0
        self.jitter[legs] = 0
        self._base[legs] = numbers
        self._seen[legs] = 1
        self._transit[legs] = _NONE
        self._candidate_sequence[legs] = _NONE
        self._reported_expected[legs] = 0
        self._reported_received[legs] = 0

    def _count_jitter(self, legs: Legs, transit: Counts, fresh: Mask) -> None:
        timed = fresh & (transit != _NONE)
        if not timed.all():
            legs, transit = legs[timed], transit[timed]
        before = self._transit[legs]
        change = np.abs(((transit - before + 0x80000000) & 0xFFFFFFFF) - 0x80000000)
        jitter = self.jitter[legs]
        usual = (before != _NONE) & (change < MAX_TRANSIT_STEP)
        self.jitter[legs] = jitter + np.where(usual, change - jitter, 0) / 16
        self._transit[legs] = transit
