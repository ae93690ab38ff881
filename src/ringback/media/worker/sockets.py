"""The worker's UDP sockets: pairs of an even RTP port and the odd RTCP port above it (RFC 3550 11)."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence

from ringback.media.batch import rtcp_socket, rtp_socket

SO_TIMESTAMPNS = 35
RECEIVE_BUFFER = 4 << 20
SEND_BUFFER = 2 << 20
MAX_RTCP_SOCKETS = 1024


class UdpPorts:
    """Opens pairs on one address from a range of ports, skipping what others hold."""

    def __init__(self, bind: str, first_port: int, last_port: int) -> None:
        self._bind = bind
        self._next = first_port + first_port % 2
        self._last = last_port
        self._open: dict[int, socket.socket] = {}
        self._rtcp_waiting = select.epoll()
        self._numbers: dict[int, int] = {}
        self.descriptors: list[int] = []
        """File descriptor by socket number."""

    def open_pair(self, pair: int) -> tuple[int, int] | None:
        """Open the pair of that number; returns its RTP and RTCP ports, or None when the range is used up."""
        while self._next + 1 <= self._last:
            port, self._next = self._next, self._next + 2
            try:
                rtp = self._udp(port)
            except OSError:
                continue
            try:
                rtcp = self._udp(port + 1)
            except OSError:
                rtp.close()
                continue
            self._open[rtp_socket(pair)], self._open[rtcp_socket(pair)] = rtp, rtcp
            # Pairs are numbered as they are opened.
            self.descriptors += [rtp.fileno(), rtcp.fileno()]
            self._numbers[rtcp.fileno()] = rtcp_socket(pair)
            self._rtcp_waiting.register(rtcp.fileno(), select.EPOLLIN)
            return port, port + 1
        return None

    def rtp(self, pairs: Sequence[int]) -> list[tuple[int, int]]:
        """(number, file descriptor) of the RTP sockets of these pairs."""
        return [(number, self.descriptors[number]) for number in map(rtp_socket, pairs)]

    def rtcp(self) -> list[tuple[int, int]]:
        """(number, file descriptor) of the RTCP sockets on which something waits: they are quiet mostly."""
        return [(self._numbers[fd], fd) for fd, _ in self._rtcp_waiting.poll(0, MAX_RTCP_SOCKETS)]

    def close(self) -> None:
        """Close every socket."""
        for opened in self._open.values():
            opened.close()
        self._open.clear()
        self._rtcp_waiting.close()

    def _udp(self, port: int) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            # Expedited forwarding (RFC 3246): DSCP 46.
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
            for forced, plain, size in (
                (33, socket.SO_RCVBUF, RECEIVE_BUFFER),
                (32, socket.SO_SNDBUF, SEND_BUFFER),
            ):
                try:
                    opened.setsockopt(socket.SOL_SOCKET, forced, size)
                except OSError:
                    with contextlib.suppress(OSError):
                        opened.setsockopt(socket.SOL_SOCKET, plain, size)
            opened.bind((self._bind, port))
        except OSError:
            opened.close()
            raise
        return opened
