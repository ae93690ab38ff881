"""Which certificates the server shows to phones and browsers, and what names its own one has to carry."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ringback.config import Settings
from ringback.net.certificate import CertificatePaths, own_certificate, read_facts

__all__ = ["certified_names", "read_facts", "sip_certificate", "web_certificate"]

_LOCAL_ADDRESSES: Final = Path("/proc/net/fib_trie")
_LOCAL: Final = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


def sip_certificate(settings: Settings) -> CertificatePaths:
    """The certificate for SIP: the one given, or our own. OSError when that cannot be made."""
    sip = settings.sip
    if sip.certificate is not None and sip.private_key is not None:
        return CertificatePaths(sip.certificate, sip.private_key)
    return own_certificate(settings.tls_dir, certified_names(settings))


def web_certificate(settings: Settings) -> CertificatePaths | None:
    """The certificate for HTTPS, None where the web is plain HTTP. OSError when it cannot be made."""
    web = settings.web
    if web.certificate is not None and web.private_key is not None:
        return CertificatePaths(web.certificate, web.private_key)
    return own_certificate(settings.tls_dir, certified_names(settings)) if web.secure else None


def certified_names(settings: Settings) -> list[str]:
    """Every name and address under which phones and browsers may know us: one certificate is for both."""
    names = [settings.sip.domain.strip("[]"), urlsplit(settings.web.public_url).hostname or ""]
    for bind in (*settings.sip.bind, settings.web.bind):
        names += _local_addresses() if ipaddress.ip_address(bind).is_unspecified else [bind]
    host = socket.gethostname()
    if _HOST_NAME.fullmatch(host) and "." not in host:
        # How multicast DNS knows us (RFC 6762).
        names.append(f"{host}.local")
    return list(dict.fromkeys(name for name in names if _is_name(name)))


def _is_name(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return _HOST_NAME.fullmatch(name) is not None


def _local_addresses() -> list[str]:
    """The IPv4 addresses of this machine, and its IPv6 address towards others."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found.update(_LOCAL.findall(_LOCAL_ADDRESSES.read_text()))
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket sends nothing; it asks the routing table.
            probe.connect((target, 9))
            found.add(str(probe.getsockname()[0]))
    return sorted(found)
