"""Addresses that people are given: the page of a meeting, its SIP address, the page to choose a password."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.store.directory import Meeting


def reachable_host(bind: str) -> str:
    """The address under which something bound to `bind` is reached, in brackets if it is IPv6.

    For a wildcard it is the address that this machine uses towards others, or loopback without a network.
    """
    address = ipaddress.ip_address(bind)
    if address.is_unspecified:
        address = _outward_address(address.version)
    return f"[{address}]" if address.version == 6 else str(address)


def _outward_address(version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    family, target = (socket.AF_INET, "192.0.2.1") if version == 4 else (socket.AF_INET6, "2001:db8::1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a UDP socket sends nothing; it only asks the routing table.
            probe.connect((target, 9))
            return ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            return ipaddress.ip_address("127.0.0.1" if version == 4 else "::1")


def own_origins(scheme: str, host: str, public_url: str) -> frozenset[str]:
    """The origins of our own pages, for a request with that Host: as a browser gives them in Origin."""
    own = {f"{scheme}://{host.lower()}"}
    public = urlsplit(public_url.lower())
    if public.netloc:
        own.add(f"{public.scheme}://{public.netloc}")
    return frozenset(own)


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the addresses; built anew when a port turned out to be another than configured."""

    web: str
    sip: str

    @classmethod
    def of(cls, settings: Settings, *, web_port: int | None = None, sip_port: int | None = None) -> Links:
        """Links for the ports really bound, or for the configured ones."""
        port = settings.web.port if web_port is None else web_port
        scheme = "https" if settings.web.secure else "http"
        web = settings.web.public_url.rstrip("/") or f"{scheme}://{reachable_host(settings.web.bind)}:{port}"
        sip = settings.sip.domain or reachable_host(settings.sip.bind[0])
        if not settings.sip.domain:
            sip = f"{sip}:{settings.sip.udp_port if sip_port is None else sip_port}"
        return cls(web, sip)

    def meeting(self, meeting: Meeting) -> str:
        """The page of a meeting for guests; the fragment never reaches a server log."""
        return f"{self.web}/m/{meeting.number}#{meeting.link_token.reveal()}"

    def host(self, meeting: Meeting) -> str:
        """The page of a meeting for its host."""
        return f"{self.web}/m/{meeting.number}#{meeting.host_link_token.reveal()}"

    def dial_in(self, number: str) -> str:
        """The SIP URI to dial."""
        return f"sip:{number}@{self.sip}"

    def setup(self, secret: Private[str]) -> str:
        """The page on which an administrator chooses a password."""
        return f"{self.web}/setup#{secret.reveal()}"
