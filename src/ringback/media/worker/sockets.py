"""The worker's UDP sockets: pairs of an even RTP port and the odd RTCP port above it (RFC 3550 11)."""

from __future__ import annotations

import contextlib
import socket

from ringback.media.batch import rtcp_socket, rtp_socket

SO_TIMESTAMPNS = 35
RECEIVE_BUFFER = 4 << 20
SEND_BUFFER = 2 << 20


class UdpPorts:
    """Opens pairs on one address from a range of ports, skipping what others hold."""

    def __init__(self, bind: str, first_port: int, last_port: int) -> None:
        self._bind = bind
        self._next = first_port + first_port % 2
        self._last = last_port
        self._open: dict[int, socket.socket] = {}
        self.descriptors: dict[int, int] = {}
        """File descriptor by socket number."""
        self.rtp: list[tuple[int, int]] = []
        """(number, file descriptor) of every RTP socket."""
        self.rtcp: list[tuple[int, int]] = []
        """(number, file descriptor) of every RTCP socket."""

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
            for number, opened, ready in (
                (rtp_socket(pair), rtp, self.rtp),
                (rtcp_socket(pair), rtcp, self.rtcp),
            ):
                self._open[number] = opened
                self.descriptors[number] = opened.fileno()
                ready.append((number, opened.fileno()))
            return port, port + 1
        return None

    def close(self) -> None:
        """Close every socket."""
        for opened in self._open.values():
            opened.close()
        self._open.clear()

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
