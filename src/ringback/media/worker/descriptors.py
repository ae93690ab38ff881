"""Socket pairs on their way between processes: descriptors over a Unix socket, so that sockets outlive the
worker that opened them.

One message is at most MAX_PAIRS pairs: RTP and RTCP port of each, and their descriptors beside it
(SCM_RIGHTS). A descriptor that is sent is a duplicate; both ends have the same socket.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

MAX_PAIRS = 64
"""The kernel carries at most 253 descriptors in a message."""
_PORTS = struct.Struct("!HH")


class SocketPair(NamedTuple):
    """An RTP and an RTCP socket by their ports and descriptors."""

    rtp_port: int
    rtcp_port: int
    rtp: int
    rtcp: int

    def close(self) -> None:
        """Close both descriptors."""
        os.close(self.rtp)
        os.close(self.rtcp)


def channel() -> tuple[socket.socket, socket.socket]:
    """The two ends of a new channel."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    return ends


class DescriptorChannel:
    """One end of a channel; never waits."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._unsent: deque[list[SocketPair]] = deque()

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._connection.fileno()

    def send(self, pairs: Sequence[SocketPair]) -> bool:
        """Send duplicates; False while some wait for the other end to read (`flush` goes on). Until they are
        sent the pairs must stay open."""
        for first in range(0, len(pairs), MAX_PAIRS):
            self._unsent.append(list(pairs[first : first + MAX_PAIRS]))
        return self.flush()

    def flush(self) -> bool:
        """Send what waits; whether nothing is left. Raises OSError when the other end is gone."""
        while self._unsent:
            pairs = self._unsent[0]
            body = b"".join(_PORTS.pack(pair.rtp_port, pair.rtcp_port) for pair in pairs)
            descriptors = [fd for pair in pairs for fd in (pair.rtp, pair.rtcp)]
            try:
                socket.send_fds(self._connection, [body], descriptors)
            except (BlockingIOError, InterruptedError):
                return False
            self._unsent.popleft()
        return True

    def receive(self) -> list[SocketPair]:
        """What has come; the descriptors are the caller's. Pairs for which there was no room are left out."""
        received: list[SocketPair] = []
        while True:
            try:
                body, descriptors, _, _ = socket.recv_fds(
                    self._connection, MAX_PAIRS * _PORTS.size, 2 * MAX_PAIRS
                )
            except OSError:
                return received
            if not body:
                return received
            # Where the limit of open files was met, the last descriptors are missing.
            both = zip(descriptors[::2], descriptors[1::2], strict=False)
            for (rtp_port, rtcp_port), (rtp, rtcp) in zip(_PORTS.iter_unpack(body), both, strict=False):
                received.append(SocketPair(rtp_port, rtcp_port, rtp, rtcp))
            if len(descriptors) % 2:
                os.close(descriptors[-1])

    def close(self) -> None:
        """Close this end."""
        self._connection.close()
