"""The packets that nearly all are, from header to jitter buffer in one compiled pass.

A packet is usual that is 20 ms of G.711 or G.722 behind a header without extras, comes without SRTP from the
locked source of a leg that is listened to, is the next of its stream, and has its place in the jitter buffer,
not later than is waited for. Nothing is to be decided about it. All others, and what follows them on the
same leg in the same batch, are left for Intake, which does the same for the usual ones where nothing is
compiled: but for their order among others of a batch, and that a flood of one leg is cut off later.
"""

from __future__ import annotations

from operator import is_not
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ringback.media import delay
from ringback.media.batch import MTU, PacketBatch
from ringback.media.columns import Longs
from ringback.media.jitter_buffer import FRAME_BYTES, MAX_AHEAD, RING, JitterBuffer
from ringback.media.legs import OPUS, Legs
from ringback.media.sources import Sources
from ringback.media.statistics import Meters
from ringback.native import at, ffi, kernels
from ringback.rtp.header import HEADER_BYTES
from ringback.rtp.sequence import MAX_PER_UPDATE, MAX_TRANSIT_STEP, ReceivedSequence

GUARD_NS = 500_000
"""A packet that comes so shortly before its tick may be late the next time, and counts as late."""
MAX_EARLY_TICKS = 8
"""How long a packet may have waited for the worker to be believed."""
_CONSTANTS: Final = {
    "largest_step": MAX_TRANSIT_STEP,
    "most": MAX_PER_UPDATE,
    "ring": RING,
    "ahead_most": MAX_AHEAD,
    "stride": delay.WINDOWS * delay.BINS,
    "bins": delay.BINS,
    "reach": delay.REACH,
    "early": MAX_EARLY_TICKS,
    "codecs": OPUS,
}


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
        self._known: tuple[object, ...] = ()
        self._held: dict[str, Any] = {}
        self._filter: Any = None if kernels is None else ffi.new("struct usual *", _CONSTANTS)

    def filter(self, now_ns: int, tick: int, first_tick_ns: int, guard_ns: int) -> Any | None:
        """What rb_usual and rb_receive tell usual packets by, now; None where nothing is compiled.

        `first_tick_ns` is when tick 0 ought to have been. What came in the last `guard_ns` counts as late.
        """
        if kernels is None:
            return None
        found = self._filter
        table = self._sources.table(kernels)
        # When columns grow they are new arrays, all of an object at once.
        known = table, self._legs.formats, self._buffer.have, self._received.ssrc, self._meters.received_ns
        if len(known) != len(self._known) or any(map(is_not, known, self._known)):
            # What is pointed to is held, also a table that was replaced meanwhile.
            self._held = {"table": at(table)} | {name: at(column) for name, column in self._columns().items()}
            for name, column in self._held.items():
                setattr(found, name, column)
            found.mask = len(table) - 1
            self._known = known
        found.now, found.tick, found.first_tick, found.guard = now_ns, tick, first_tick_ns, guard_ns
        return found

    def take(
        self, batch: PacketBatch, now_ns: int, tick: int, first_tick_ns: int, guard_ns: int
    ) -> PacketBatch:
        """The packets that are left, in their order."""
        n = len(batch)
        readable = batch.data.flags.c_contiguous and batch.data.shape[1] >= HEADER_BYTES
        if kernels is None or not n or not readable:
            return batch
        left = np.empty((2, n), np.int64)
        count = kernels.rb_usual(
            self.filter(now_ns, tick, first_tick_ns, guard_ns),
            at(batch.data),
            batch.data.shape[1],
            *map(at, (batch.length, batch.socket, batch.ip, batch.port, batch.arrival_ns)),
            n,
            *map(at, left),
        )
        return batch if count == n else _some(batch, left[1, :count])

    def _columns(self) -> dict[str, NDArray[Any]]:
        legs, buffer, received = self._legs, self._buffer, self._received
        names = "ssrc", "highest", "received", "seen", "transit", "candidate", "jitter", "touched"
        return dict(zip(names, received.counters(), strict=True)) | {
            "formats": legs.formats,
            "locked": legs.locked,
            "receives": legs.receives,
            "secure": legs.secure,
            "own_ssrc": legs.out_ssrc,
            "received_ns": self._meters.received_ns,
            "anchored": buffer.anchored,
            "codec": buffer.codec,
            "grid_timestamp": buffer.grid_timestamp,
            "grid_frame": buffer.grid_frame,
            "next_frame": buffer.next_frame,
            "newest": buffer.newest,
            "have": buffer.have,
            "frames": buffer.frames,
            "late_streak": buffer.late_streak,
            "wanted": buffer.delay.wanted,
            "counts": buffer.delay.counts,
        }


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
