"""Sockets bound to the port that was asked for, or to the next free one."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from functools import lru_cache
from typing import Final

from ringback.sip.flow import Address

PORTS_TRIED: Final = 100
_RECEIVE_BUFFER_BYTES: Final = 4_194_304
# How long an answer of the routing table is believed.
_ROUTE_S: Final = 60.0


def bind_socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A non-blocking socket of a kind (SOCK_DGRAM, SOCK_STREAM) on an address, listening if it is a stream.

    Where the port is taken the next ones are tried, `PORTS_TRIED` in all; port 0 is any. `host` is an IPv4
    or IPv6 address. OSError when none is free or the address is not ours.
    """
    last = port if port == 0 else min(port + PORTS_TRIED - 1, 65_535)
    for candidate in range(port, last + 1):
        try:
            return _bind(host, candidate, kind)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == last:
                raise
    raise OSError(errno.EADDRINUSE, "no free port")


def address_of(name: object) -> Address:
    """(host, port) of what getsockname and the like return for IPv4 and IPv6."""
    if not isinstance(name, tuple) or len(name) < 2:
        raise OSError(errno.ENOTCONN, "no address")
    return str(name[0]), int(name[1])


class LocalAddress:
    """Our address towards a peer, for sockets bound to all interfaces: what the routing table says."""

    def __init__(self, bound: Address) -> None:
        self._bound = bound
        self._wildcard = bound[0] in ("0.0.0.0", "::")  # noqa: S104  # compared, not bound
        self._towards = lru_cache(maxsize=4_096)(self._look_up)

    def towards(self, host: str) -> Address:
        """Our address and port as a peer sees them; the bound one when there is no route."""
        return self._towards(host, int(time.monotonic() / _ROUTE_S)) if self._wildcard else self._bound

    def _look_up(self, host: str, _minute: int) -> Address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket sends nothing.
            probe.connect((host, 9))
            return address_of(probe.getsockname())[0], self._bound[1]
        return self._bound


def _bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Lets a restart take the port while old connections linger; a live listener still keeps it.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(1_024)
    except OSError:
        sock.close()
        raise
    return sock
