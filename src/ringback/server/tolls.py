"""Keeps what was called by trunks in the store, so that a restart does not begin the day anew."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from ringback.routing.toll_caps import TollCaps
from ringback.server.lasting import Lasting
from ringback.store.holdings import today
from ringback.store.tolls import Tolls

_EVERY_S: Final = 5.0
"""How much of calls under way a power cut may forget."""

log = structlog.get_logger(__name__)


class TollKeeper:
    """Saves what changed every few seconds; the call path never waits."""

    def __init__(self, caps: TollCaps, store: Tolls) -> None:
        self._caps = caps
        self._store = store
        self._work = Lasting()

    async def restore(self) -> None:
        """Give the caps what was saved of today."""
        self._caps.restore(await self._store.load(today()))

    def start(self) -> None:
        """Begin to save changes."""
        self._work.start(self._run())

    async def stop(self) -> None:
        """Save what is left and end."""
        await self._work.stop()
        await self._save()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._save()

    async def _save(self) -> None:
        changed = self._caps.take_changed(time.monotonic())
        if not changed:
            return
        try:
            await self._store.save(changed)
        except Exception:
            # What was counted stays in memory, and is saved with the next call of who it is counted for.
            log.exception("what was called by trunks could not be saved")
