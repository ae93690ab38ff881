"""Which certificates the server shows to phones and browsers, what they name, and when they are renewed."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from ringback.config import Settings
from ringback.net.certificate import CertificatePaths, own_certificate, read_facts

__all__ = ["CertificateKeeper", "certified_names", "read_facts", "sip_certificate", "web_certificate"]

log = structlog.get_logger(__name__)

CHECKED_EVERY_S: Final = 60.0

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


class CertificateKeeper:
    """Brings certificates that were renewed into use, for connections from then on; those that exist go on.

    Files that changed are noticed within `CHECKED_EVERY_S`, or at once by `reload`; our own certificate is
    renewed when its time comes. One that cannot be used is logged, and the one before stays.
    """

    def __init__(
        self,
        settings: Settings,
        sip: Callable[[CertificatePaths], None],
        web: Callable[[CertificatePaths], None],
    ) -> None:
        self._settings = settings
        self._uses = (("sip", sip_certificate, sip), ("web", web_certificate, web))
        self._seen: dict[str, object] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take note of what is in use, and begin to watch."""
        for name, wanted, _ in self._uses:
            paths = await asyncio.to_thread(wanted, self._settings)
            self._seen[name] = _stamp(paths)
        self._task = asyncio.create_task(self._watch())

    def reload(self) -> None:
        """Look now, and use what there is, changed or not."""
        self._seen.clear()
        self._wake.set()

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECKED_EVERY_S)
            self._wake.clear()
            for name, wanted, use in self._uses:
                await self._check(name, wanted, use)

    async def _check(
        self,
        name: str,
        wanted: Callable[[Settings], CertificatePaths | None],
        use: Callable[[CertificatePaths], None],
    ) -> None:
        try:
            paths = await asyncio.to_thread(wanted, self._settings)
            stamp = _stamp(paths)
            if paths is None or stamp == self._seen.get(name):
                return
            # Also when it cannot be used: it is said once, and tried again when it has changed.
            self._seen[name] = stamp
            use(paths)
            log.info(
                "certificate loaded", name=name, expires=read_facts(paths.certificate).valid_until.date()
            )
        except (OSError, ValueError) as error:
            log.error("certificate not loaded, the one before stays", name=name, reason=str(error))


def _stamp(paths: CertificatePaths | None) -> object:
    """What changes when a file is replaced or written."""
    if paths is None:
        return None
    found = (os.stat(path) for path in (paths.certificate, paths.key))
    return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)


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
