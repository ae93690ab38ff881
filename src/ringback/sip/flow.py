"""A flow: the pair of addresses, and for streams the connection, that a message came by (RFC 5626 §3.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

import msgspec

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]
Address = tuple[str, int]

DEFAULT_PORT: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


class Flow(msgspec.Struct, frozen=True, gc=False):
    """Where a message came from or goes to.

    `local` and `remote` are (IP address without brackets, port). `id` numbers the connection of a stream
    transport; 0 means UDP or, on a stream, "open a connection to `remote`". `local` UNBOUND leaves the choice
    among our sockets to the transports. `name` is the domain that a TLS server has to prove when we connect
    to it (RFC 5922 §7.3); empty means the address.
    """

    transport: Transport
    local: Address
    remote: Address
    id: int = 0
    name: str = ""

    @property
    def secure(self) -> bool:
        """True when the transport encrypts (TLS, WSS)."""
        return self.transport in ("tls", "wss")

    @property
    def by_page(self) -> bool:
        """True for the WebSocket of a page (RFC 7118): a browser, which knows media by WebRTC alone."""
        return self.transport in ("ws", "wss")

    @property
    def reliable(self) -> bool:
        """True when the transport retransmits by itself, so that SIP must not (RFC 3261 §17)."""
        return self.transport != "udp"

    @property
    def named(self) -> bool:
        """True when the host of `remote` is a name that has to be looked up before anything can be sent."""
        return _is_name(self.remote[0])


@lru_cache(maxsize=4_096)
def _is_name(host: str) -> bool:
    return ":" not in host and not host.replace(".", "").isdigit()


Targets = tuple[Flow, ...]
"""Where a request may go, the best first: one is tried after the other until one answers (RFC 3263 §4.3).

Unlike a flow alone, which a peer was heard by and which is kept to, these are addresses that we found: a
request too large for UDP goes to them by TCP first (RFC 3261 §18.1.1).
"""

UNBOUND: Final[Address] = ("", 0)
"""The `local` of a flow that no socket has been chosen for."""
