"""What each extension has called by trunks on a day, kept so that a restart does not begin the day anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from ringback.store import schema
from ringback.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredToll:
    """Calls of an account in one class of numbers on a day (YYYY-MM-DD), and how long they were in all."""

    day: str
    account: str
    call_class: str
    calls: int
    seconds: int


class Tolls:
    """The counts as they were last saved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, changed: Iterable[StoredToll]) -> None:
        """Replace these counts, all in one transaction."""
        table = schema.toll_usage
        async with self._database.write() as connection:
            for toll in changed:
                await connection.execute(
                    delete(table).where(
                        table.c.day == toll.day,
                        table.c.account == toll.account,
                        table.c.call_class == toll.call_class,
                    )
                )
                await connection.execute(
                    insert(table).values(
                        day=toll.day,
                        account=toll.account,
                        call_class=toll.call_class,
                        calls=toll.calls,
                        seconds=toll.seconds,
                    )
                )

    async def load(self, day: str) -> list[StoredToll]:
        """Those of a day; what is of days before is deleted."""
        table = schema.toll_usage
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.day < day))
            rows = (await connection.execute(select(table).where(table.c.day == day))).all()
        return [StoredToll(row.day, row.account, row.call_class, row.calls, row.seconds) for row in rows]
