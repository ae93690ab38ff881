"""Registrations: where devices are, kept so that a restart does not lose them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from ringback.store import schema
from ringback.store.database import Database
from ringback.store.rules import new_id


@dataclass(frozen=True, slots=True)
class StoredRegistration:
    """One binding of a number (RFC 3261 §10.3): when it ends, and the rest as the registrar describes it.

    `details` holds what JSON can hold.
    """

    number: str
    expires_at: datetime
    details: Mapping[str, Any]


class Registrations:
    """The registrations at the time they were last saved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, changed: Mapping[str, Sequence[StoredRegistration]]) -> None:
        """Replace the registrations of the numbers in `changed`, all in one transaction."""
        if not changed:
            return
        table = schema.registrations
        rows = [
            {"id": new_id(), "number": r.number, "expires_at": r.expires_at, "details": dict(r.details)}
            for registrations in changed.values()
            for r in registrations
        ]
        async with self._database.write() as connection:
            await connection.execute(
                delete(table).where(table.c.number == bindparam("changed")),
                [{"changed": number} for number in changed],
            )
            if rows:
                await connection.execute(insert(table), rows)

    async def load(self) -> list[StoredRegistration]:
        """Those that have not expired; the others are deleted."""
        table, now = schema.registrations, datetime.now(UTC)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.expires_at <= now))
            rows = (await connection.execute(select(table))).all()
        return [StoredRegistration(row.number, row.expires_at, row.details) for row in rows]
