"""The packets that nearly all are, from header to jitter buffer in one compiled pass.

A packet is usual that is 20 ms of G.711 or G.722 behind a header without extras, comes without SRTP from the
locked source of a leg that is listened to, is the next of its stream, and has its place in the jitter buffer,
not later than is waited for. Nothing is to be decided about it. All others, and what follows them on the
same leg in the same batch, are left for Intake, which does for the usual ones exactly the same where nothing
is compiled.
"""

from __future__ import annotations

import numpy as np

from ringback.media import delay
from ringback.media.batch import MTU, PacketBatch
from ringback.media.columns import Longs
from ringback.media.jitter_buffer import FRAME_BYTES, MAX_AHEAD, RING, JitterBuffer
from ringback.media.legs import OPUS, Legs
from ringback.media.sources import Sources
from ringback.media.statistics import Meters
from ringback.native import at, kernels
from ringback.rtp.header import HEADER_BYTES
from ringback.rtp.sequence import MAX_PER_UPDATE, MAX_TRANSIT_STEP, ReceivedSequence

GUARD_NS = 500_000
"""A packet that comes so shortly before its tick may be late the next time, and counts as late."""
MAX_EARLY_TICKS = 8
"""How long a packet may have waited for the worker to be believed."""


class UsualPackets:
    """Takes what is usual out of batches, and puts it where it belongs."""

    def __init__(
        self, legs: Legs, sources: Sources, buffer: JitterBuffer, received: ReceivedSequence, meters: Meters
    ) -> None:
        self._legs = legs
        self._sources = sources
        self._buffer = buffer
        self._received = received
        self._meters = meters

    def take(self, batch: PacketBatch, now_ns: int, tick: int, first_tick_ns: int) -> PacketBatch:
        """The packets that are left, in their order; `first_tick_ns` is when tick 0 ought to have been."""
        n = len(batch)
        if kernels is None or not n or not batch.data.flags.c_contiguous:
            return batch
        legs, buffer = self._legs, self._buffer
        keys, owners = self._sources.table(kernels)
        left = np.empty((2, n), np.int64)
        count = kernels.rb_usual(
            at(batch.data),
            batch.data.shape[1],
            *map(at, (batch.length, batch.socket, batch.ip, batch.port, batch.arrival_ns)),
            n,
            at(keys),
            at(owners),
            len(keys) - 1,
            *map(at, (legs.formats, legs.locked, legs.receives, legs.secure, legs.out_ssrc)),
            at(self._meters.received_ns),
            *self._counters(),
            *map(at, (buffer.anchored, buffer.codec, buffer.grid_timestamp, buffer.grid_frame)),
            *map(at, (buffer.next_frame, buffer.newest, buffer.have, buffer.frames, buffer.late_streak)),
            RING,
            MAX_AHEAD,
            at(buffer.delay.wanted),
            at(buffer.delay.counts),
            delay.WINDOWS * delay.BINS,
            delay.BINS,
            delay.REACH,
            now_ns,
            tick,
            first_tick_ns,
            GUARD_NS,
            MAX_EARLY_TICKS,
            OPUS,
            *map(at, left),
        )
        return batch if count == n else _some(batch, left[1, :count])

    def _counters(self) -> tuple[object, ...]:
        *counters, turn = self._received.counters()
        return *map(at, counters), MAX_TRANSIT_STEP, at(turn), MAX_PER_UPDATE


def _some(batch: PacketBatch, rows: Longs) -> PacketBatch:
    """A batch of some of the rows, as wide as they need."""
    length = batch.length[rows]
    longest = int(length.max()) if len(rows) else 0
    # A frame may be cut out of it at any place.
    width = max(HEADER_BYTES, min(longest, MTU)) + FRAME_BYTES
    data = np.ascontiguousarray(batch.data[rows, :width])
    return PacketBatch(
        data, length, batch.socket[rows], batch.ip[rows], batch.port[rows], batch.arrival_ns[rows]
    )
