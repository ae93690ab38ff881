"""Extensions that changed hands: told, until it is done, to whoever keeps something of the former holder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.store import schema
from ringback.store.database import Database
from ringback.store.directory import Extension
from ringback.store.errors import DatabaseUnusableError
from ringback.store.rules import new_id

# The standard one: verbs of the command line load no more than they need.
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reassignment:
    """An extension left `from_person` for `to_person` (None: nobody) at this time; both None: it is gone.

    What is of before then belongs to the former holder, and is not for the new one.
    """

    id: str
    extension_id: str
    number: str
    from_person: str | None
    to_person: str | None
    at: datetime


Listener = Callable[[Reassignment], Awaitable[None]]


class Reassignments:
    """Notes within the transaction that changed the holder, so that a crash cannot lose it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Listener] = []
        self._delivering = asyncio.Lock()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each one, in order, again after a restart until it has returned once."""
        self._listeners.append(listener)

    async def note(
        self, connection: AsyncConnection, extension: Extension, before: str | None, after: str | None
    ) -> None:
        """Write down within a transaction that an extension changes hands."""
        await connection.execute(
            insert(schema.reassignments).values(
                id=new_id(),
                extension_id=extension.id,
                number=extension.number,
                from_person=before,
                to_person=after,
                at=datetime.now(UTC),
            )
        )

    async def deliver(self) -> None:
        """Tell all that was not told yet; what fails is told again the next time. Never raises."""
        if not self._listeners:
            return
        async with self._delivering:
            try:
                await self._deliver()
            except DatabaseUnusableError as error:
                log.warning("changes of holders are told later: %s", error)

    async def _deliver(self) -> None:
        table = schema.reassignments
        async with self._database.read() as connection:
            rows = (await connection.execute(select(table).order_by(table.c.at, table.c.id))).all()
        for row in rows:
            told = Reassignment(row.id, row.extension_id, row.number, row.from_person, row.to_person, row.at)
            try:
                for listener in self._listeners:
                    await listener(told)
            except Exception:
                log.exception("a change of holder could not be followed; it is tried again")
                continue
            async with self._database.write() as connection:
                await connection.execute(delete(table).where(table.c.id == row.id))
