"""Phones in pages: SIP credentials of a session's own, good for one extension while the session lasts."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private
from ringback.server.lasting import Lasting
from ringback.sip.digest import make_ha1
from ringback.sip.flow import Flow
from ringback.store.directory import Device
from ringback.web.phoning import NewPhone

PREFIX: Final = "p-"
LIFETIME_S: Final = 24 * 3600.0
"""A page that is open for longer asks anew."""

PER_SESSION: Final = 10
MOST: Final = 20_000
FLOWS_A_PAGE: Final = 8
"""Connections that are remembered; a page that makes another one has lost those before."""

LOOKS_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Page:
    session: str
    device: Device
    expires_at: float
    flows: dict[Flow, None] = field(default_factory=dict)


class Softphones:
    """The phones of all pages, as devices with credentials of their own; in memory alone.

    Whether the session lasts, and its person still holds the extension, is asked whenever one logs in, and
    every few seconds: the connections of who has left are cut, with all that came by them.
    """

    def __init__(
        self,
        holds: Callable[[str, str], bool],
        cut: Callable[[Flow], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`holds(session, extension)`: whether the session may use the extension now."""
        self._holds = holds
        self._cut = cut
        self._clock = clock
        self._pages: dict[str, _Page] = {}
        self._work = Lasting()

    def __len__(self) -> int:
        return len(self._pages)

    def open(self, session: str, extension: str) -> NewPhone:
        """Credentials for another page; of too many the oldest end."""
        now = self._clock()
        self._make_room(session, now)
        username, password = PREFIX + secrets.token_hex(16), secrets.token_hex(16)
        device = Device(
            id=username,
            name="Browser",
            extension=extension,
            username=username,
            ha1_md5=make_ha1(username, SIP_REALM, password),
            ha1_sha256=make_ha1(username, SIP_REALM, password, "SHA-256"),
            created_at=datetime.now(UTC),
        )
        self._pages[username] = _Page(session, device, now + LIFETIME_S)
        return NewPhone(username, Private(password), SIP_REALM, LIFETIME_S)

    def device(self, username: str, now: float) -> Device | None:
        """The phone that logs in with that name, while it may."""
        page = self._pages.get(username)
        if page is None:
            return None
        if now >= page.expires_at or not self._holds(page.session, page.device.extension):
            self._end(username)
            return None
        return page.device

    def came(self, username: str, flow: Flow) -> None:
        """A page has logged in, by that connection."""
        page = self._pages.get(username)
        if page is None:
            return
        page.flows[flow] = None
        if len(page.flows) > FLOWS_A_PAGE:
            oldest = next(iter(page.flows))
            del page.flows[oldest]
            self._cut(oldest)

    def review(self) -> None:
        """Cut off who may not be a phone any more."""
        now = self._clock()
        for username in list(self._pages):
            self.device(username, now)

    def start(self) -> None:
        """Look now and then: sessions end by time alone, too."""
        self._work.start(self._run())

    async def stop(self) -> None:
        """Look no more."""
        await self._work.stop()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            self.review()

    def _end(self, username: str) -> None:
        page = self._pages.pop(username, None)
        for flow in page.flows if page is not None else ():
            self._cut(flow)

    def _make_room(self, session: str, now: float) -> None:
        mine = [name for name, page in self._pages.items() if page.session == session]
        over = mine[: max(0, len(mine) - PER_SESSION + 1)]
        if len(self._pages) >= MOST:
            over += [name for name, page in self._pages.items() if now >= page.expires_at]
            over += list(self._pages)[:1]
        for name in over:
            self._end(name)
