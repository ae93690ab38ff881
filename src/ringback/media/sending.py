"""From one frame a leg to datagrams: RTP headers as columns, rows ordered by socket (RFC 3550 5.1)."""

from __future__ import annotations

import numpy as np

from ringback.media.batch import OUTGOING_BYTES, OutgoingBatch
from ringback.media.columns import Bytes, Ints, Longs, Shorts, Words
from ringback.media.legs import FRAME_TIMESTAMPS, Legs
from ringback.native import at, kernels
from ringback.rtp import header

HEADER_BYTES = header.HEADER_BYTES
FRAME_BYTES = 160
MAX_PAYLOAD_BYTES = OUTGOING_BYTES - HEADER_BYTES - 32
"""Room for the longest SRTP tag is kept."""


class Sending:
    """The outgoing rows of one tick, written in place into one buffer that is used again at every tick."""

    def __init__(self, legs: Legs, data: Bytes | None = None) -> None:
        """`data` uint8[capacity, OUTGOING_BYTES] is where rows are written; by default a buffer of its
        own."""
        self._legs = legs
        self._data = np.zeros((1024, OUTGOING_BYTES), np.uint8) if data is None else data
        self._order: Longs = np.zeros(0, np.int64)
        self._stale = True
        self.length: Ints = np.zeros(0, np.int32)
        self.position: dict[int, int] = {}
        """Row of the buffer by leg row."""

    def changed(self) -> None:
        """A leg came, went, moved, or began or stopped to send: the order is to be made anew."""
        self._stale = True

    @property
    def order(self) -> Longs:
        """Rows of the legs that send, sorted by socket: row i of the buffer belongs to leg order[i]."""
        if self._stale:
            legs = self._legs
            sends = legs.ready & legs.sends & (legs.remote_ip != 0) & (legs.remote_port != 0)
            slots = np.flatnonzero(sends)
            self._order = slots[np.argsort(legs.pair[slots], kind="stable")]
            if len(slots) > len(self._data):
                self._data = np.zeros((2 * len(slots), OUTGOING_BYTES), np.uint8)
            self.length = np.full(len(slots), HEADER_BYTES, np.int32)
            self.position = {leg: i for i, leg in enumerate(self._order.tolist())}
            self._stale = False
        return self._order

    def begin(self) -> None:
        """Start a tick: no row has a payload yet."""
        if len(self.order):
            self.length[:] = HEADER_BYTES

    @property
    def rows(self) -> Bytes:
        """The buffer, one row for each leg in `order`."""
        return self._data[: len(self._order)]

    def put_frames(self, where: Longs, payload: Bytes) -> None:
        """Whole frames uint8[k, 160] as payload of rows `where`."""
        self._data[where, HEADER_BYTES : HEADER_BYTES + FRAME_BYTES] = payload
        self.length[where] = HEADER_BYTES + FRAME_BYTES

    def put_all_frames(self, frames: Bytes, which: Longs) -> None:
        """For every row i the frame frames[which[i]] of uint8[k, 160]; -1 is the last (`which` int64[n])."""
        if kernels is not None:
            data = self._data
            kernels.rb_scatter(
                at(frames),
                len(frames),
                FRAME_BYTES,
                at(which),
                len(which),
                at(data),
                data.shape[1],
                HEADER_BYTES,
            )
        else:
            payload = frames.take(which, axis=0, mode="wrap")
            self._data[: len(payload), HEADER_BYTES : HEADER_BYTES + FRAME_BYTES] = payload
        self.length[:] = HEADER_BYTES + FRAME_BYTES

    def put_same(self, where: Longs, payload: bytes) -> None:
        """One payload for several rows."""
        size = len(payload) if len(payload) <= MAX_PAYLOAD_BYTES else 0
        self._data[where, HEADER_BYTES : HEADER_BYTES + size] = np.frombuffer(payload, np.uint8, size)
        self.length[where] = HEADER_BYTES + size

    def put_payload(self, where: int, payload: bytes) -> None:
        """One payload of any length up to MAX_PAYLOAD_BYTES as that of row `where`; too long ones are not
        sent."""
        size = len(payload) if len(payload) <= MAX_PAYLOAD_BYTES else 0
        self._data[where, HEADER_BYTES : HEADER_BYTES + size] = np.frombuffer(payload, np.uint8, size)
        self.length[where] = HEADER_BYTES + size

    def put_event(self, where: int, payload_type: int, marker: bool, timestamp: int, payload: bytes) -> None:
        """Turn row `where`, whose header is written, into a telephone-event packet (RFC 4733)."""
        row = self._data[where]
        row[1] = payload_type | marker << 7
        row[4:8] = np.frombuffer(timestamp.to_bytes(4, "big"), np.uint8)
        self.put_payload(where, payload)

    def headers(self) -> None:
        """Write the RTP header of every row and advance the legs' counters by one packet and one frame."""
        legs, order = self._legs, self._order
        if kernels is not None:
            columns = (
                legs.send_payload_type,
                legs.out_marker,
                legs.out_sequence,
                legs.out_timestamp,
                legs.out_ssrc,
            )
            data = self._data
            kernels.rb_headers(at(data), data.shape[1], at(order), len(order), *map(at, columns))
            self.advance(1)
            return
        header.encode(
            self.rows,
            legs.send_payload_type[order],
            legs.out_marker[order],
            legs.out_sequence[order],
            legs.out_timestamp[order],
            legs.out_ssrc[order],
        )
        legs.out_marker[order] = False
        legs.out_sequence[order] += np.uint16(1)
        self.advance(1)

    def count(self, packets: Longs, octets: Longs) -> None:
        """Add what is sent in this tick to the legs' packets and octets of payload, int64[capacity] each.

        Who is sent nothing misses no packet: it gets its sequence number back, and the marker if it had it.

        To be called when headers and payloads are written.
        """
        legs, order, length = self._legs, self._order, self.length
        if kernels is not None:
            columns = map(at, (legs.out_sequence, legs.out_marker, packets, octets))
            kernels.rb_sent(at(order), len(order), at(length), HEADER_BYTES, *columns)
            return
        sent = length > HEADER_BYTES
        packets[order] += sent
        octets[order] += np.where(sent, length - HEADER_BYTES, 0)
        without = order[~sent]
        legs.out_sequence[without] -= np.uint16(1)
        legs.out_marker[without] = True

    def advance(self, ticks: int) -> None:
        """Let the RTP clocks run on by whole frames; also those of held legs, whose time passes unsent."""
        legs = self._legs
        if kernels is not None:
            codec, clocks = at(legs.send_codec), at(legs.out_timestamp)
            kernels.rb_advance(codec, legs.capacity, at(FRAME_TIMESTAMPS), ticks, clocks)
            return
        legs.out_timestamp += FRAME_TIMESTAMPS[legs.send_codec] * np.uint32(ticks)

    def batch(self) -> OutgoingBatch:
        """The rows that carry a payload, as a batch whose columns hold until the next tick."""
        length, keep = self.length, None
        columns = self._destinations()
        if np.count_nonzero(length <= HEADER_BYTES):
            keep = np.flatnonzero(length > HEADER_BYTES)
            length, columns = length[keep], (columns[0][keep], columns[1][keep], columns[2][keep])
        return OutgoingBatch(self.rows, length, *columns, keep)

    def _destinations(self) -> tuple[Ints, Words, Shorts]:
        """Of each row the socket's number, the address and the port that it goes to."""
        legs, order = self._legs, self._order
        if kernels is None:
            return (2 * legs.pair[order]).astype(np.int32), legs.remote_ip[order], legs.remote_port[order]
        n = len(order)
        socket, ip, port = np.empty(n, np.int32), np.empty(n, np.uint32), np.empty(n, np.uint16)
        columns = map(at, (legs.pair, legs.remote_ip, legs.remote_port, socket, ip, port))
        kernels.rb_destinations(at(order), n, *columns)
        return socket, ip, port
