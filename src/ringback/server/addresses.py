"""Which of our addresses a peer can reach: what Contact and SDP say when we listen on every interface."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache


@lru_cache(maxsize=4096)
def _towards(remote: str) -> str:
    """The local address the kernel would use to reach `remote`; sends nothing."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((remote, 9))
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        return str(probe.getsockname()[0])


@lru_cache(maxsize=64)
def is_wildcard(address: str) -> bool:
    """Whether the address means every interface."""
    return ipaddress.ip_address(address).is_unspecified


def reachable(bound: str, public: str, remote: str) -> str:
    """The address to tell a peer at `remote`: public if set, else bound, else the kernel's choice."""
    if public:
        return public
    return _towards(remote) if is_wildcard(bound) else bound
