"""What crosses the line between sockets and engine: datagrams as columns, in and out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringback.media.columns import Bytes, Ints, Longs, Shorts, Words

MTU = 1536
"""Bytes kept of an incoming datagram; what is longer is marked by its length and refused."""
OUTGOING_BYTES = 704
"""Bytes at most in an outgoing datagram: RTP header, payload and SRTP tag."""


def rtp_socket(pair: int) -> int:
    """Number of the RTP socket of a pair (even, as its port)."""
    return 2 * pair


def rtcp_socket(pair: int) -> int:
    """Number of the RTCP socket of a pair (odd, as its port)."""
    return 2 * pair + 1


@dataclass(slots=True)
class PacketBatch:
    """n received datagrams.

    data uint8[n, MTU]; length int32[n] in bytes, greater than MTU if the datagram was cut; socket int32[n];
    ip uint32[n] and port uint16[n] of the source, in host order; arrival_ns int64[n] on the engine's clock.
    """

    data: Bytes
    length: Ints
    socket: Ints
    ip: Words
    port: Shorts
    arrival_ns: Longs

    def __len__(self) -> int:
        return len(self.length)


@dataclass(slots=True)
class OutgoingBatch:
    """m datagrams to send: data uint8[r, OUTGOING_BYTES], length int32[m], socket int32[m], ip uint32[m],
    port uint16[m]; `row` int64[m] says which rows of data they are, None: one after another.

    They are sorted by socket, so that one system call takes all of a socket.
    """

    data: Bytes
    length: Ints
    socket: Ints
    ip: Words
    port: Shorts
    row: Longs | None = None

    def __len__(self) -> int:
        return len(self.length)

    def datagram(self, i: int) -> bytes:
        """The octets of one datagram."""
        row = i if self.row is None else int(self.row[i])
        return self.data[row, : self.length[i]].tobytes()


def empty_batch() -> PacketBatch:
    """A batch of no datagrams."""
    return PacketBatch(
        np.zeros((0, MTU), np.uint8),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.uint32),
        np.zeros(0, np.uint16),
        np.zeros(0, np.int64),
    )


def empty_outgoing() -> OutgoingBatch:
    """A batch of nothing to send."""
    return OutgoingBatch(
        np.zeros((0, OUTGOING_BYTES), np.uint8),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.uint32),
        np.zeros(0, np.uint16),
    )
