"""As what and from where devices registered last; written when that changes and once a day."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.database import Database, insert_all

LONGEST_AGENT: Final = 120
_WRITTEN_EVERY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A device as it was seen last: what it says it is (cleaned), from which address, since when it is so."""

    device_id: str
    user_agent: str
    address: str
    since: datetime
    seen_at: datetime


class Sightings:
    """One a device; in memory as of the last REGISTER, in the database as of the last change."""

    def __init__(self, database: Database, known: Iterable[Sighting]) -> None:
        self._database = database
        self._known = {sighting.device_id: sighting for sighting in known}
        self._written = dict(self._known)
        self._changed: set[str] = set()

    def of(self, device_id: str) -> Sighting | None:
        """How a device was seen last; None: never."""
        return self._known.get(device_id)

    def note(self, device_id: str, user_agent: str, address: str, now: datetime) -> bool:
        """A device has registered; whether that is to be written."""
        agent = fit_to_show(user_agent, LONGEST_AGENT)
        before = self._known.get(device_id)
        if before is not None and (before.user_agent, before.address) == (agent, address):
            self._known[device_id] = replace(before, seen_at=now)
        else:
            self._known[device_id] = Sighting(device_id, agent, address, now, now)
        written = self._written.get(device_id)
        due = (
            written is None
            or (written.user_agent, written.address) != (agent, address)
            or now - written.seen_at >= _WRITTEN_EVERY
        )
        if due:
            self._changed.add(device_id)
        return due

    def follow(self, devices: Collection[str]) -> None:
        """Forget the devices that are gone: the database did with them."""
        for gone in self._known.keys() - set(devices):
            del self._known[gone]
            self._written.pop(gone, None)

    async def write(self) -> int:
        """Write what was noted and is to be written; returns how many rows."""
        table = schema.device_sightings
        changed = [self._known[each] for each in self._changed if each in self._known]
        if changed:
            async with self._database.write() as connection:
                await connection.execute(
                    delete(table).where(table.c.device_id == bindparam("changed")),
                    [{"changed": each.device_id} for each in changed],
                )
                await insert_all(connection, table, [_row(each) for each in changed])
        self._changed -= {each.device_id for each in changed}
        self._changed &= self._known.keys()
        self._written.update({each.device_id: each for each in changed})
        return len(changed)


async def load_sightings(connection: AsyncConnection) -> list[Sighting]:
    """All of them."""
    return [_sighting(row) for row in await connection.execute(select(schema.device_sightings))]


def _row(sighting: Sighting) -> dict[str, Any]:
    return {
        "device_id": sighting.device_id,
        "user_agent": sighting.user_agent,
        "address": sighting.address,
        "since": sighting.since,
        "seen_at": sighting.seen_at,
    }


def _sighting(row: Row[Any]) -> Sighting:
    return Sighting(row.device_id, row.user_agent, row.address, row.since, row.seen_at)
