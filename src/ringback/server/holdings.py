"""Turns days: extensions go to whom they were promised, and who keeps something of former holders is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from ringback.server.lasting import Lasting
from ringback.store.errors import DatabaseUnusableError
from ringback.store.store import Store

_LOOKS_EVERY_S: Final = 30.0

log = structlog.get_logger(__name__)


class HoldingKeeper:
    """Looks now and then whether a day has turned: clocks are set, so that nobody waits for midnight."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work = Lasting()
        self._settled = ""

    async def settle(self) -> None:
        """Hand over what is due; while the database is away it is tried again later."""
        day = self._store.holdings.today()
        try:
            if day != self._settled:
                handed_over = await self._store.holdings.settle()
                if handed_over:
                    log.info("extensions changed hands", extensions=handed_over)
                await self._store.changes.expire(datetime.now(UTC))
                self._settled = day
            else:
                await self._store.reassignments.deliver()
        except DatabaseUnusableError as error:
            log.warning("holders of extensions are looked at later", error=str(error))

    def start(self) -> None:
        """Begin to look."""
        self._work.start(self._run())

    async def stop(self) -> None:
        """End."""
        await self._work.stop()

    async def _run(self) -> None:
        while True:
            await self.settle()
            await asyncio.sleep(_LOOKS_EVERY_S)
