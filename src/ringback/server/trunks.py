"""Finds out where trunks' hosts are, off the call path, and passes on what the directory says of trunks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from ringback.server.exchange import Exchange
from ringback.server.names import NameService
from ringback.sip.flow import Flow
from ringback.sip.message import SipUri
from ringback.store.directory import Directory, Trunk
from ringback.trunk.lines import TrunkLines
from ringback.trunk.watch import uri_host

_PATIENCE_S: Final = 10.0

Locate = Callable[[Trunk], Awaitable[tuple[Flow, ...]]]
"""The addresses of a trunk's host, the best first; raises LookupError, whose text says what is wrong."""

log = structlog.get_logger(__name__)


class TrunkKeeper:
    """Drives the trunks' watches between `start` and `stop`; `locate` may take its time."""

    def __init__(self, exchange: Exchange, locate: Locate) -> None:
        self._exchange = exchange
        self._locate = locate
        self._lines: TrunkLines | None = None
        self._looking: set[asyncio.Task[None]] = set()

    def start(self, lines: TrunkLines, directory: Directory) -> None:
        """Begin to watch."""
        self._lines = lines
        self.follow(directory)

    def follow(self, directory: Directory) -> None:
        """The directory is another one."""
        lines = self._lines
        if lines is not None:
            self._exchange.perform(lambda now: lines.follow(directory, now))

    def check(self, name: str) -> None:
        """Ask a trunk's other side now; the answer shows in its state."""
        lines = self._lines
        if lines is not None:
            # Not in the middle of what asked for it.
            asyncio.get_running_loop().call_soon(self._exchange.perform, lambda now: lines.check(name, now))

    def look(self, trunk: Trunk) -> None:
        """Find out where a trunk's host is, and tell the lines."""
        task = asyncio.create_task(self._look(trunk))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    def stop(self) -> None:
        """Take registrations back; what is sent for that is waited for by who stops the server."""
        lines, self._lines = self._lines, None
        for task in self._looking:
            task.cancel()
        if lines is not None:
            self._exchange.perform(lines.stop)

    async def _look(self, trunk: Trunk) -> None:
        found: tuple[Flow, ...] | str
        try:
            found = await asyncio.wait_for(self._locate(trunk), _PATIENCE_S)
        except LookupError as error:
            found = str(error.args[0])
        except TimeoutError:
            found = "DNS: no answer from the name servers"
        except Exception:
            log.exception("a trunk's host could not be looked up", trunk=trunk.name)
            found = "DNS: the lookup failed, see the log"
        lines = self._lines
        if lines is not None:
            self._exchange.perform(lambda now: lines.located(trunk, found, now))


def locator(names: NameService) -> Locate:
    """Looks trunks' hosts up as RFC 3263 says."""

    async def locate(trunk: Trunk) -> tuple[Flow, ...]:
        params: dict[str, str | None] = {"transport": trunk.transport}
        found = await names.locate(SipUri(host=uri_host(trunk.host), port=trunk.port, params=params))
        if not found:
            raise LookupError(f"DNS: no such host {trunk.host}")
        return found

    return locate
