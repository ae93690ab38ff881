"""Which of our addresses a peer can reach: what Contact and SDP say when we listen on every interface."""

from __future__ import annotations

import ipaddress
import socket
import time
from functools import lru_cache
from typing import Final

from ringback.config.values import of_family

# Addresses of nobody: only the way there is asked for (RFC 5737, RFC 3849).
_ANYWHERE: Final = {4: "192.0.2.1", 6: "2001:db8::1"}
# How long an answer of the routing table is believed: addresses of IPv6 come and go (RFC 8981).
_ROUTE_S: Final = 60.0
_LOOPBACK: Final = {4: "127.0.0.1", 6: "::1"}


@lru_cache(maxsize=4096)
def _towards(remote: str, _minute: int) -> str:
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
    return _towards(_asked_for(bound, remote), int(time.monotonic() / _ROUTE_S))


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


class MediaAddresses:
    """Our addresses for media: what SDP names to a peer, by the family of what it signals from."""

    def __init__(self, bound: tuple[str, ...], public: tuple[str, ...]) -> None:
        """`bound` are those of the media sockets, `public` those to tell instead; each at most one of a
        family."""
        self._bound = {version: of_family(bound, version) for version in (4, 6)}
        self._public = {version: of_family(public, version) for version in (4, 6)}
        self.everywhere = any(is_wildcard(address) for address in bound)
        """Whether media is received on loopback beside other addresses."""
        # As the sockets of IPv6 are made then.
        self._on_both = all(address and is_wildcard(address) for address in self._bound.values())

    def towards(self, remote: str) -> tuple[str, str]:
        """The address to offer to a peer at `remote`, and that of the other family; "" for one we have not.

        Without media in the peer's family it is told the other one: it may have both.
        """
        first, other = (6, 4) if ":" in remote else (4, 6)
        own, beside = self._at(first, remote), self._at(other, remote)
        return (own, beside) if own else (beside, "")

    def also_at(self, *addresses: str) -> str:
        """Of these addresses that of IPv4, if ports of IPv6 are reached by it as well, "" else."""
        return of_family(addresses, 4) if self._on_both else ""

    def _at(self, version: int, remote: str) -> str:
        bound = self._bound[version]
        return reachable(bound, self._public[version], remote) if bound else ""
