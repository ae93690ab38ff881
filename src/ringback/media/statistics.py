"""What is counted of every leg, as columns: told once a second of all legs, and as totals of a leg that
closes. docs/statistics.md says what each column means."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.columns import Column, Columns, Doubles, Floats, Longs
from ringback.media.jitter_buffer import JitterBuffer
from ringback.media.legs import FRAME_TIMESTAMPS, Legs
from ringback.media.level import SpeechGate, dbfs
from ringback.media.measured import (
    BUFFER_MS,
    COUNTS,
    EXPECTED,
    JITTER_MS,
    LOSS,
    QUIET_S,
    RECEIVED,
    ROUND_TRIP_MS,
    VALUES,
)
from ringback.media.protocol import Histogram, LegStatistics, LegTotals
from ringback.rtp.sequence import ReceivedSequence

Rows = Longs | slice
"""Rows by number, or some that follow each other."""
NEVER = -1
_MOST = 0xFFFF
_JITTER, _BUFFER, _ROUND_TRIP, _SILENT = map(
    VALUES.index, ("jitter_ms", "buffer_ms", "round_trip_ms", "silent_s")
)
CLIPPED = np.float32(0.999)
"""Samples at 16 kHz from here on are at the end of the scale."""


class Meters(Columns):
    """Counters and last values of each leg that no other column keeps; unknown is NaN.

    `energy`, `sent_energy` and `clipped` (shares of frames) gather from one second's report to the next.
    """

    SPEC: ClassVar[dict[str, Column]] = {
        "rejected": Column(np.int64),
        "received_ns": Column(np.int64, empty=NEVER),
        "sent": Column(np.int64),
        "sent_octets": Column(np.int64),
        "waiting": Column(np.float32),
        "energy": Column(np.float32),
        "sent_energy": Column(np.float32),
        "clipped": Column(np.float32),
        "round_trip_ms": Column(np.float64, empty=np.nan),
        "remote_lost": Column(np.float64, empty=np.nan),
        "remote_jitter_ms": Column(np.float64, empty=np.nan),
        "remote_jitter_peak_ms": Column(np.float64, empty=np.nan),
        "remote_discarded": Column(np.float64, empty=np.nan),
        "remote_delay_ms": Column(np.float64, empty=np.nan),
        "remote_r_factor": Column(np.float64, empty=np.nan),
        "remote_mos": Column(np.float64, empty=np.nan),
    }
    rejected: Longs
    received_ns: Longs
    sent: Longs
    sent_octets: Longs
    waiting: Floats
    energy: Floats
    sent_energy: Floats
    clipped: Floats
    round_trip_ms: Doubles
    remote_lost: Doubles
    remote_jitter_ms: Doubles
    remote_jitter_peak_ms: Doubles
    remote_discarded: Doubles
    remote_delay_ms: Doubles
    remote_r_factor: Doubles
    remote_mos: Doubles

    def note_clipped(self, slots: Longs, energy: Floats, samples: Floats) -> None:
        """Count what is clipped of frames float32[k, m] of legs int64[k] with mean squares float32[k]."""
        # With less energy not even one sample is clipped.
        loud = np.flatnonzero(energy * samples.shape[1] >= CLIPPED * CLIPPED)
        if len(loud):
            share = (np.abs(samples[loud]) >= CLIPPED).mean(axis=1, dtype=np.float32)
            self.clipped[slots[loud]] += share


class _Told(Columns):
    SPEC: ClassVar[dict[str, Column]] = {"counts": Column(np.int64, (len(COUNTS),))}
    counts: Longs


class Statistics:
    """Reads the parts' columns; the rows of all are those of legs."""

    def __init__(
        self, legs: Legs, buffer: JitterBuffer, received: ReceivedSequence, meters: Meters, gate: SpeechGate
    ) -> None:
        self._legs = legs
        self._buffer = buffer
        self._received = received
        self._meters = meters
        self._gate = gate
        self._told = _Told(legs.capacity)
        self._closed = np.zeros(len(COUNTS), np.int64)
        self._last_ns = 0
        self._last_tick = 0

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        self._told.grow(capacity)

    def opened(self, slot: int) -> None:
        """A leg begins to be counted."""
        self._told.clear(slot)

    def closing(self, slots: Rows) -> Longs:
        """The legs in these rows end: what was not told of them yet goes into the sums. Their counts."""
        counts = self._counts(slots)
        self._closed += (counts - self._told.counts[slots]).sum(axis=0)
        return counts

    def second(self, now_ns: int, tick: int, level_ticks: int) -> LegStatistics:
        """What was counted and measured since this was last asked.

        `level_ticks` is in how many ticks the level of what is sent is measured once.
        """
        slots = np.flatnonzero(self._legs.ready)
        slots = slots[np.argsort(self._legs.identifier[slots])]
        ticks = max(tick - self._last_tick, 1)
        # Multiples of `level_ticks` in what has passed; the first second may have begun anywhere.
        sent_ticks = max((tick - 1) // level_ticks - (self._last_tick - 1) // level_ticks, 1)
        seconds = (now_ns - self._last_ns) / 1e9 if self._last_ns else 0.0
        self._last_tick, self._last_ns = tick, now_ns
        counts = self._counts(slots)
        fresh = counts - self._told.counts[slots]
        self._told.counts[slots] = counts
        sums = fresh.sum(axis=0) + self._closed
        self._closed[:] = 0
        values = self._values(slots, now_ns, ticks, sent_ticks)
        meters = self._meters
        for gathered in (meters.energy, meters.sent_energy, meters.clipped):
            gathered[:] = 0
        identifiers = self._legs.identifier[slots]
        expected, heard = fresh[:, EXPECTED], fresh[:, RECEIVED] > 0
        some = expected > 0
        silent_s = values[:, _SILENT]
        return LegStatistics(
            legs=identifiers.tobytes(),
            rows=_rows(fresh, values),
            seconds=round(seconds, 3),
            sums=sums.tolist(),
            quiet=identifiers[~(silent_s < QUIET_S)].tolist(),
            jitter_ms=_histogram(values[heard, _JITTER], JITTER_MS),
            buffer_ms=_histogram(values[heard, _BUFFER], BUFFER_MS),
            round_trip_ms=_histogram(values[:, _ROUND_TRIP], ROUND_TRIP_MS),
            loss=_histogram(np.maximum(1 - fresh[some, RECEIVED] / expected[some], 0), LOSS),
        )

    def totals(self, slots: Rows, now_ns: int, counted: Longs | None = None) -> dict[int, LegTotals]:
        """Totals of the legs in these rows, by the control process's identifier; `counted` are their counts
        where these are known."""
        columns = (self._counts(slots) if counted is None else counted).T
        counts = dict(zip(COUNTS, columns.tolist(), strict=True))
        measured = self._values(slots, now_ns, 1, 1).astype(np.float64)
        values = dict(zip(VALUES, measured.T.tolist(), strict=True))
        level = self._gate.level_dbfs(slots).tolist()
        return {
            leg: LegTotals(
                received_packets=counts["received"][i],
                expected_packets=counts["expected"][i],
                lost_packets=max(counts["expected"][i] - counts["received"][i], 0),
                late_packets=counts["late"][i],
                duplicate_packets=counts["duplicates"][i],
                rejected_packets=counts["refused"][i],
                concealed_frames=counts["concealed"][i],
                sent_packets=counts["sent"][i],
                jitter_ms=round(values["jitter_ms"][i], 3),
                buffer_ms=round(values["buffer_ms"][i], 1),
                level_dbfs=round(level[i], 1),
                round_trip_ms=_known(values["round_trip_ms"][i]),
                remote_lost_fraction=_known(values["remote_lost"][i]),
                remote_jitter_ms=_known(values["remote_jitter_ms"][i]),
                seconds_since_received=_known(values["silent_s"][i]),
                remote_discarded_fraction=_known(values["remote_discarded"][i]),
                remote_delay_ms=_known(values["remote_delay_ms"][i]),
                remote_r_factor=_known(values["remote_r_factor"][i]),
                remote_mos=_known(values["remote_mos"][i]),
                reordered_packets=counts["reordered"][i],
                discarded_frames=counts["discarded"][i],
                stretched_frames=counts["stretched"][i],
                sent_octets=counts["sent_octets"][i],
            )
            for i, leg in enumerate(self._legs.identifier[slots].tolist())
        }

    def _counts(self, slots: Rows) -> Longs:
        """The columns of COUNTS since each leg was opened: int64[k, len(COUNTS)]."""
        received, buffer, meters = self._received, self._buffer, self._meters
        columns = (
            received.expected(slots),
            received.arrived(slots),
            buffer.late[slots],
            received.duplicates[slots],
            received.reordered[slots],
            buffer.discarded[slots],
            meters.rejected[slots] + received.refused[slots] + received.stale[slots],
            buffer.concealed[slots],
            buffer.stretched[slots],
            meters.sent[slots],
            meters.sent_octets[slots],
        )
        table = np.empty((len(columns[0]), len(columns)), np.int64)
        for i, column in enumerate(columns):
            table[:, i] = column
        return table

    def _values(self, slots: Rows, now_ns: int, ticks: int, sent_ticks: int) -> Floats:
        """The columns of VALUES: float32[k, len(VALUES)]."""
        meters = self._meters
        clock = FRAME_TIMESTAMPS[self._buffer.codec[slots]] / 20.0
        ever = meters.received_ns[slots] != NEVER
        columns = (
            np.where(ever, self._received.jitter[slots] / clock, np.nan),
            dbfs(meters.energy[slots] / np.float32(ticks)),
            meters.clipped[slots] / np.float32(ticks),
            meters.waiting[slots] * np.float32(20),
            dbfs(meters.sent_energy[slots] / np.float32(sent_ticks)),
            meters.remote_lost[slots],
            meters.remote_jitter_ms[slots],
            meters.round_trip_ms[slots],
            np.where(ever, (now_ns - meters.received_ns[slots]) / 1e9, np.nan),
            meters.remote_jitter_peak_ms[slots],
            meters.remote_discarded[slots],
            meters.remote_delay_ms[slots],
            meters.remote_r_factor[slots],
            meters.remote_mos[slots],
        )
        table = np.empty((len(columns[0]), len(columns)), np.float32)
        for i, column in enumerate(columns):
            table[:, i] = column
        return table


def _rows(counts: Longs, values: Floats) -> bytes:
    """As ROW of media/measured.py; counts are cut, and what a half float does not hold is infinite."""
    rows = np.empty((len(counts), len(COUNTS) + len(VALUES)), np.uint16)
    rows[:, : len(COUNTS)] = np.minimum(counts, _MOST)
    with np.errstate(over="ignore"):
        rows[:, len(COUNTS) :] = values.astype(np.float16).view(np.uint16)
    return rows.tobytes()


def _histogram(values: Floats | Doubles, bounds: tuple[float, ...]) -> Histogram:
    """Of those values that are known."""
    known = np.sort(values[~np.isnan(values)])
    counts = np.searchsorted(known, bounds, side="right").tolist()
    return Histogram(counts=[*counts, len(known)], sum=round(float(known.sum(dtype=np.float64)), 6))


def _known(value: float) -> float | None:
    return None if value != value else round(value, 3)  # noqa: PLR0124
