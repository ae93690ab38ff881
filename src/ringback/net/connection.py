"""One TCP or TLS connection: framing, keep-alives, time limits, write bound (RFC 3261 §18, RFC 5626)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, Protocol, cast

from ringback.net.bind import address_of
from ringback.net.limits import Limits
from ringback.net.tls import TlsCipher
from ringback.sip.flow import UNBOUND, Flow, Transport
from ringback.sip.message import Message
from ringback.sip.parse import KeepAlive, Malformed, StreamFramer

# Dead peers are found within about three minutes, also on connections that are never closed for idleness.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 90),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_PONG: Final = b"\r\n"


class ConnectionOwner(Protocol):
    """What a connection tells to the one that keeps all of them."""

    limits: Limits

    def now(self) -> float:
        """Monotonic seconds."""

    def opened(self, connection: StreamConnection, address: str) -> int | None:
        """A connection exists: the number it gets, or None when it may not stay."""

    def deliver(self, connection: StreamConnection, message: Message | Malformed) -> None:
        """A message came."""

    def hear(self, connection: StreamConnection, data: bytes, message: Message | Malformed) -> None:
        """A message is on the wire, also one of which nothing else will be told."""

    def lost(self, connection: StreamConnection) -> None:
        """A connection that was `opened` is gone; told once."""


class StreamConnection(asyncio.Protocol):
    """A connection from its acceptance or establishment to its end.

    With a `cipher` it is TLS, and counted before its handshake, so that half-open handshakes count.
    `usable` is True when messages can be sent; `settled` is set when that is so or never will be.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        transport: Transport,
        *,
        outgoing: bool = False,
        cipher: TlsCipher | None = None,
        name: str = "",
    ) -> None:
        self.flow = Flow(transport, UNBOUND, UNBOUND, 0, name)
        self.outgoing = outgoing
        self.proven = outgoing
        self.trusted = False
        self.usable = False
        self.settled = asyncio.Event()
        # Flows without a number that were used to open this connection: their users hear of its end too.
        self.aliases: set[Flow] = set()
        self._owner = owner
        self._cipher = cipher
        self._transport: asyncio.Transport | None = None
        self._framer = StreamFramer(owner.limits.header_bytes, owner.limits.body_bytes)
        self._lost = False
        self._opened_at = self._heard_at = owner.now()
        self._message_since: float | None = None
        self._closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the socket is there."""
        stream = cast(asyncio.Transport, transport)
        self._transport = stream
        try:
            local = address_of(stream.get_extra_info("sockname"))
            remote = address_of(stream.get_extra_info("peername"))
        except OSError:
            number = None
        else:
            number = self._owner.opened(self, remote[0])
        if number is None:
            self._lost = True
            stream.abort()
            return
        self.flow = Flow(self.flow.transport, local, remote, number, self.flow.name)
        _set_options(stream)
        if self._cipher is None:
            self._become_usable()
        elif self.outgoing:
            self._decrypt(b"")

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes came."""
        if self._closing_since is not None or self._lost:
            return
        if self._cipher is None:
            self._take(data)
            return
        plain = self._decrypt(data)
        if plain:
            self._take(plain)
        if self._cipher.ended:
            self.close()

    def _decrypt(self, data: bytes) -> bytes:
        if self._cipher is None or self._transport is None:
            return b""
        try:
            plain = self._cipher.receive(data)
        except ssl.SSLError:
            # The alert that says why.
            self._transport.write(self._cipher.to_send())
            self.close()
            return b""
        self._transport.write(self._cipher.to_send())
        if self._cipher.established and not self.usable:
            self._become_usable()
        return plain

    def _become_usable(self) -> None:
        self._heard_at = self._owner.now()
        self.usable = True
        self.settled.set()

    def _take(self, data: bytes) -> None:
        self._heard_at = self._owner.now()
        items = self._framer.feed(data)
        # Together: one write for each of thousands in a segment would keep others waiting.
        pings = sum(isinstance(item, KeepAlive) and item.ping for item in items)
        if pings:
            self.write(_PONG * pings)
        for item, wire in zip(items, self._framer.wire, strict=True):
            if isinstance(item, KeepAlive):
                continue
            self._owner.hear(self, wire, item)
            if not isinstance(item, Malformed):
                self.proven = True
            if not isinstance(item, Malformed) or item.answerable:
                self._owner.deliver(self, item)
            if isinstance(item, Malformed) and item.close:
                # The answer, if there was one to give, is written by now.
                self.close()
            if self._closing_since is not None:
                return
        if not self._framer.mid_message:
            self._message_since = None
        elif self._message_since is None:
            self._message_since = self._heard_at

    def eof_received(self) -> bool:
        """Asyncio's: the peer sends no more; we close too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's signature
        """Asyncio's: the connection is gone."""
        self.settled.set()
        if not self._lost:
            self._lost = True
            self._owner.lost(self)

    def write(self, data: bytes) -> bool:
        """Send, or drop the connection when the peer does not read what it gets; False when not sent."""
        if self._transport is None or not self.usable or self._closing_since is not None or self._lost:
            return False
        if self._transport.get_write_buffer_size() + len(data) > self._owner.limits.write_buffer_bytes:
            self.abort()
            return False
        if self._cipher is not None:
            self._cipher.send(data)
            data = self._cipher.to_send()
        self._transport.write(data)
        return True

    def close(self) -> None:
        """Close after what was written is sent."""
        if self._closing_since is not None:
            return
        self._closing_since = self._owner.now()
        if self._transport is not None:
            if self._cipher is not None and not self._lost:
                self._cipher.shut_down()
                self._transport.write(self._cipher.to_send())
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._closing_since is None:
            self._closing_since = self._owner.now()
        if self._transport is not None:
            self._transport.abort()

    def overdue(self, now: float) -> bool:
        """Whether a time limit is over: for a handshake, a first or a begun message, or of silence."""
        limits = self._owner.limits
        if self._closing_since is not None:
            # The peer does not take what is left to send.
            return now - self._closing_since > limits.message_s
        if not self.usable:
            return now - self._opened_at > limits.handshake_s
        if self._message_since is not None and now - self._message_since > limits.message_s:
            return True
        if self.trusted:
            return False
        return now - self._heard_at > (limits.idle_s if self.proven else limits.message_s)


def _set_options(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    for level, option, value in _KEEPALIVE:
        try:
            sock.setsockopt(level, option, value)
        except OSError:
            # The peer may be gone already; its end will be told in the ordinary way.
            return
