"""Which of our addresses a peer can reach: what Contact and SDP say when we listen on every interface."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import Final

# Addresses of nobody: only the way there is asked for (RFC 5737, RFC 3849).
_ANYWHERE: Final = {4: "192.0.2.1", 6: "2001:db8::1"}
_LOOPBACK: Final = {4: "127.0.0.1", 6: "::1"}


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


def bracketed(host: str) -> str:
    """The address as URIs write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def reachable(bound: str, public: str, remote: str) -> str:
    """The address to tell a peer at `remote`: public if set, else bound, else the kernel's choice.

    It is of the family of `bound`; towards a peer of the other one, or of which only a name is known, the one
    that this machine uses towards others.
    """
    if public:
        return public
    if not is_wildcard(bound):
        return bound
    return _towards(_asked_for(bound, remote))


@lru_cache(maxsize=4096)
def _asked_for(bound: str, remote: str) -> str:
    """The address of `bound`'s family that stands for a peer."""
    version = ipaddress.ip_address(bound).version
    try:
        peer = ipaddress.ip_address(remote)
    except ValueError:
        return _ANYWHERE[version]
    if peer.version == version:
        return remote
    return _LOOPBACK[version] if peer.is_loopback else _ANYWHERE[version]
