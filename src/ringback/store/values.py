"""Single values that the system remembers by key, such as whether the first start has happened."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.store import schema
from ringback.store.database import Database

KEY_CHECK: Final = "sealing-key-check"
"""The value that only the right key file opens."""
KEY_CHECK_PLACE: Final = ("settings", "value", KEY_CHECK)
"""Table, column and row that it is sealed for."""


class Values:
    """Values as JSON by key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> Any:
        """The value, None if there is none."""
        async with self._database.read() as connection:
            return await read_value(connection, key)

    async def set(self, key: str, value: Any) -> None:
        """Remember a value in the place of any other."""
        async with self._database.write() as connection:
            await write_value(connection, key, value)


async def read_value(connection: AsyncConnection, key: str) -> Any:
    """The value within a transaction, None if there is none."""
    query = select(schema.settings.c.value).where(schema.settings.c.key == key)
    return (await connection.execute(query)).scalar_one_or_none()


async def write_value(connection: AsyncConnection, key: str, value: Any) -> None:
    """Remember a value within a transaction."""
    await connection.execute(delete(schema.settings).where(schema.settings.c.key == key))
    await connection.execute(insert(schema.settings).values(key=key, value=value))
