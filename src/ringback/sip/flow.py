"""A flow: the pair of addresses, and for streams the connection, that a message came by (RFC 5626 §3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]
Address = tuple[str, int]

DEFAULT_PORT: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a message came from or goes to.

    `local` and `remote` are (IP address without brackets, port). `id` numbers the connection of a stream
    transport; 0 means UDP or, on a stream, "open a connection to `remote`".
    """

    transport: Transport
    local: Address
    remote: Address
    id: int = 0

    @property
    def secure(self) -> bool:
        """True when the transport encrypts (TLS, WSS)."""
        return self.transport in ("tls", "wss")

    @property
    def reliable(self) -> bool:
        """True when the transport retransmits by itself, so that SIP must not (RFC 3261 §17)."""
        return self.transport != "udp"
