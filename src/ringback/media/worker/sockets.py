"""The worker's UDP sockets: pairs of an even RTP port and the odd RTCP port above it (RFC 3550 11)."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Collection, Sequence

import numpy as np

from ringback.media.batch import rtcp_socket, rtp_socket
from ringback.media.columns import Ints
from ringback.media.worker.descriptors import DescriptorChannel, SocketPair

SO_TIMESTAMPNS = 35
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
IPV6_MTU_DISCOVER = 23
RECEIVE_BUFFER = 4 << 20
SEND_BUFFER = 2 << 20
MAX_RTCP_SOCKETS = 1024
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
UNUSED_NS = 12_000_000_000
"""Other workers' ports are given back when they were unused for so long: nobody sends to them by then."""
FEW_SOCKETS = 64
"""Room for so many at first."""
MAX_TRIES = 512
"""Ports of others that are tried for one pair: each costs some microseconds."""


class UdpPorts:
    """Opens pairs on an IPv4 and an IPv6 address from a range of ports, skipping what others hold; takes and
    gives away others.

    The ports of the range are used in turn, so that what is still sent to a closed one meets nobody for long.
    """

    def __init__(
        self,
        bind: str,
        first_port: int,
        last_port: int,
        channel: DescriptorChannel | None = None,
        bind_ipv6: str = "",
    ) -> None:
        """`bind` is an IPv4 address, `bind_ipv6` an IPv6 one, "" for none. Over `channel` the control process
        is given duplicates of what is opened, and gives what others opened. Where both are all interfaces,
        what is opened for IPv6 is there for IPv4 too: browsers change networks."""
        self._bind = bind
        self._both_families = (bind, bind_ipv6) == EVERYWHERE
        self._bind_ipv6 = bind_ipv6
        self._ports = range(first_port + first_port % 2, last_port, 2)
        self._next = 0
        self._channel = channel
        self._open: dict[int, tuple[int, socket.socket, socket.socket]] = {}
        self._held: dict[int, int] = {}
        self._unused_ns: dict[int, int] = {}
        self._handed: dict[int, SocketPair] = {}
        self._rtcp_waiting = select.epoll()
        self._numbers: dict[int, int] = {}
        self.descriptors: Ints = np.full(FEW_SOCKETS, -1, np.int32)
        """File descriptor by socket number, -1 for one that is not open."""

    def open_pair(self, pair: int) -> tuple[int, int] | None:
        """Open the pair of that number; returns its RTP and RTCP ports, or None when the range is used up."""
        return self._open_on(self._bind, pair)

    def open_pair_ipv6(self, pair: int) -> tuple[int, int] | None:
        """As `open_pair`, on the IPv6 address. A port is used by one family at a time."""
        return self._open_on(self._bind_ipv6, pair)

    def _open_on(self, bind: str, pair: int) -> tuple[int, int] | None:
        if not bind:
            return None
        refused = 0
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            if port in self._held:
                continue
            opened = self._both(bind, port)
            if opened is not None:
                self._insert(pair, port, *opened)
                self._tell(pair)
                return port, port + 1
            refused += 1
            if refused >= MAX_TRIES:
                break
        return None

    def _both(self, bind: str, port: int) -> tuple[socket.socket, socket.socket] | None:
        try:
            rtp = _udp(bind, port, self._both_families)
        except OSError:
            return None
        try:
            return rtp, _udp(bind, port + 1, self._both_families)
        except OSError:
            rtp.close()
            return None

    def _tell(self, pair: int) -> None:
        """Give the control process duplicates; that it is gone is noticed elsewhere."""
        if self._channel is None:
            return
        port, rtp, rtcp = self._open[pair]
        with contextlib.suppress(OSError):
            self._channel.send([SocketPair(port, port + 1, rtp.fileno(), rtcp.fileno())])

    def take_pair(self, pair: int, rtp_port: int, rtcp_port: int, drop: bool) -> bool:
        """Use a pair that was handed over, by that number; False if none with these ports was."""
        self._receive()
        handed = self._handed.pop(rtp_port, None)
        if handed is None:
            return False
        rtp, rtcp = socket.socket(fileno=handed.rtp), socket.socket(fileno=handed.rtcp)
        if drop:
            for each in (rtp, rtcp):
                _empty(each)
        self._insert(pair, rtp_port, rtp, rtcp)
        return True

    def close_pair(self, pair: int) -> None:
        """Close the pair of that number; who has duplicates may go on with them."""
        port, rtp, rtcp = self._open.pop(pair)
        del self._held[port]
        self._rtcp_waiting.unregister(rtcp.fileno())
        del self._numbers[rtcp.fileno()]
        self.descriptors[rtp_socket(pair)] = self.descriptors[rtcp_socket(pair)] = -1
        rtp.close()
        rtcp.close()

    def to_give_back(self, legs_on: Callable[[int], Collection[int]], now_ns: int) -> list[int]:
        """Pairs of other workers' ports that no leg has used for a while: asked once a second or so."""
        unused = [p for port, p in self._held.items() if port not in self._ports and not legs_on(p)]
        self._unused_ns = {pair: self._unused_ns.get(pair, now_ns) for pair in unused}
        return [pair for pair, since in self._unused_ns.items() if now_ns - since >= UNUSED_NS]

    def rtp(self, pairs: Sequence[int]) -> list[tuple[int, int]]:
        """(number, file descriptor) of the RTP sockets of these pairs."""
        numbers = [rtp_socket(pair) for pair in pairs]
        return list(zip(numbers, self.descriptors[numbers].tolist(), strict=True)) if numbers else []

    def rtcp(self) -> list[tuple[int, int]]:
        """(number, file descriptor) of the RTCP sockets on which something waits: they are quiet mostly."""
        return [(self._numbers[fd], fd) for fd, _ in self._rtcp_waiting.poll(0, MAX_RTCP_SOCKETS)]

    def flush(self) -> None:
        """Go on with what the control process has not been given yet."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.flush()

    def close(self) -> None:
        """Close every socket."""
        for pair in list(self._open):
            self.close_pair(pair)
        self._rtcp_waiting.close()

    def _insert(self, pair: int, port: int, rtp: socket.socket, rtcp: socket.socket) -> None:
        self._open[pair] = port, rtp, rtcp
        self._held[port] = pair
        while rtcp_socket(pair) >= len(self.descriptors):
            self.descriptors = np.concatenate((self.descriptors, np.full_like(self.descriptors, -1)))
        self.descriptors[rtp_socket(pair)] = rtp.fileno()
        self.descriptors[rtcp_socket(pair)] = rtcp.fileno()
        self._numbers[rtcp.fileno()] = rtcp_socket(pair)
        self._rtcp_waiting.register(rtcp.fileno(), select.EPOLLIN)

    def _receive(self) -> None:
        if self._channel is None:
            return
        for pair in self._channel.receive():
            known = self._handed.pop(pair.rtp_port, None)
            if known is not None:
                known.close()
            if pair.rtp_port in self._held:
                pair.close()
            else:
                self._handed[pair.rtp_port] = pair


def _udp(bind: str, port: int, both_families: bool) -> socket.socket:
    six = ":" in bind
    four = not six or both_families
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
    try:
        if six:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both_families)
        # First of all: most ports that cannot be had are others'.
        opened.bind((bind, port))
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        # Expedited forwarding (RFC 3246): DSCP 46. Nothing of ours needs fragments, and without them packets
        # need no number each.
        if six:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 46 << 2)
            opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO)
        if four:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
            opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        for forced, plain, size in (
            (33, socket.SO_RCVBUF, RECEIVE_BUFFER),
            (32, socket.SO_SNDBUF, SEND_BUFFER),
        ):
            try:
                opened.setsockopt(socket.SOL_SOCKET, forced, size)
            except OSError:
                with contextlib.suppress(OSError):
                    opened.setsockopt(socket.SOL_SOCKET, plain, size)
    except OSError:
        opened.close()
        raise
    return opened


def _empty(waiting: socket.socket) -> None:
    """Drop what waits: it is too old to be heard."""
    with contextlib.suppress(OSError):
        while True:
            waiting.recv(1)
