"""Notes what devices say they are when they register, for the inventory; the call path never waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from ringback.server.lasting import Lasting
from ringback.sip.flow import Flow
from ringback.sip.registration import Registrar
from ringback.store.store import Store

_GATHER_S: Final = 2.0

log = structlog.get_logger(__name__)


class SightingKeeper:
    """Gathers what changed into one transaction."""

    def __init__(self, registrar: Registrar, store: Store) -> None:
        self._registrar = registrar
        self._store = store
        self._wake = asyncio.Event()
        self._work = Lasting()

    def seen(self, user: str, flow: Flow, now: float) -> None:
        """A user has registered by a flow; `now` is the registrar's time."""
        devices = self._store.directory.devices
        for binding in self._registrar.bindings(user, now):
            device = devices.get(binding.device) if binding.flow == flow else None
            if device is None:
                continue
            moment = datetime.now(UTC)
            if self._store.sightings.note(device.id, binding.user_agent, flow.remote[0], moment):
                self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        self._work.start(self._run())

    async def stop(self) -> None:
        """Write what is left and end."""
        await self._work.stop()
        await self._write()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_S)
            self._wake.clear()
            await self._write()

    async def _write(self) -> None:
        try:
            await self._store.sightings.write()
        except Exception:
            # They are in memory, and written with the next change.
            log.exception("what devices say they are could not be saved")
