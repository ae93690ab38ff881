"""People: who holds extensions and owns things."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from ringback.store import schema
from ringback.store.database import Database
from ringback.store.directory import Person
from ringback.store.errors import NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.rules import checked_name, new_id


class People:
    """The people of the system."""

    def __init__(self, database: Database, holder: DirectoryHolder) -> None:
        self._database = database
        self._holder = holder

    async def add(self, name: str) -> Person:
        """A new person."""
        person = Person(new_id(), checked_name(name), datetime.now(UTC))
        async with self._database.write() as connection:
            await connection.execute(
                insert(schema.people).values(id=person.id, name=person.name, created_at=person.created_at)
            )
        return person

    async def all(self) -> list[Person]:
        """Everybody, by name."""
        query = select(schema.people).order_by(schema.people.c.name, schema.people.c.id)
        async with self._database.read() as connection:
            return [_person(row) for row in await connection.execute(query)]

    async def get(self, person_id: str) -> Person:
        """One person; raises NotFoundError."""
        query = select(schema.people).where(schema.people.c.id == person_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFoundError(f"there is no person {person_id}")
        return _person(row)

    async def rename(self, person_id: str, name: str) -> Person:
        """Another name for a person; raises NotFoundError."""
        statement = (
            update(schema.people).where(schema.people.c.id == person_id).values(name=checked_name(name))
        )
        async with self._database.write() as connection:
            await connection.execute(statement)
        return await self.get(person_id)

    async def remove(self, person_id: str) -> None:
        """Delete a person; extensions stay and belong to nobody. Raises NotFoundError."""
        async with self._database.write() as connection:
            result = await connection.execute(delete(schema.people).where(schema.people.c.id == person_id))
            if result.rowcount == 0:
                raise NotFoundError(f"there is no person {person_id}")
        directory = self._holder.current
        for extension in directory.extensions.values():
            if extension.person_id == person_id:
                directory = directory.with_extension(replace(extension, person_id=None))
        if directory is not self._holder.current:
            self._holder.replace(directory)


def _person(row: Row[Any]) -> Person:
    return Person(id=row.id, name=row.name, created_at=row.created_at)
