"""What was changed and deleted of people, extensions, devices, trunks and meetings, to be taken back.

What plain fields said before and after is kept as it is in the tables. Of what was deleted the rows
themselves are kept, with secrets as the tables have them: sealed for their row, or hashed. Both go after
`KEPT_DAYS`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol

from sqlalchemy import LargeBinary, Table, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.store import schema
from ringback.store.database import Database
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.revisions import Revision

AccountKind = Literal["person", "extension", "device", "trunk", "meeting"]
ACCOUNT_KINDS: Final[tuple[AccountKind, ...]] = ("person", "extension", "device", "trunk", "meeting")

KEPT_DAYS: Final = 30
"""After so many days nothing can be taken back any more, and nothing is left of it."""

Rows = dict[str, list[dict[str, Any]]]
"""Rows of tables, as JSON can hold them."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What was put back; `notes` are sentences on what did not come back with it."""

    kind: str
    name: str
    title: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one thing; `rows` are those that a deletion took away, empty for other changes."""

    revision: Revision
    rows: Rows

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that were changed, as they were before."""
        before, after = self.revision.before or {}, self.revision.after or {}
        return {name: value for name, value in before.items() if after.get(name) != value}


class Undoes(Protocol):
    """Takes changes of one kind back."""

    async def undo(self, change: Change, by: str) -> Undone:
        """Put back what was before; raises NotFoundError, or ConflictError that says why it cannot be."""


class Changes:
    """The history of accounts; revisions are counted together with those of the plan."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(
        self,
        connection: AsyncConnection,
        kind: AccountKind,
        name: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        by: str,
        *,
        rows: Rows | None = None,
        undoes: int | None = None,
    ) -> None:
        """Write down a change within its transaction, unless nothing is another than before."""
        if before == after:
            return
        now = datetime.now(UTC)
        table = schema.account_history
        await connection.execute(delete(table).where(table.c.changed_at < now - timedelta(days=KEPT_DAYS)))
        await connection.execute(
            insert(table).values(
                revision=await next_revision(connection),
                kind=kind,
                name=name,
                before=None if before is None else dict(before),
                after=None if after is None else dict(after),
                kept=rows,
                changed_at=now,
                changed_by=by[:80],
                undoes=undoes,
            )
        )

    async def forget(self, connection: AsyncConnection, kind: AccountKind, name: str) -> None:
        """Have nothing left of what one thing was."""
        table = schema.account_history
        await connection.execute(delete(table).where(table.c.kind == kind, table.c.name == name))

    async def expire(self, now: datetime) -> None:
        """Delete what is older than it may be."""
        table = schema.account_history
        async with self._database.write() as connection:
            await connection.execute(
                delete(table).where(table.c.changed_at < now - timedelta(days=KEPT_DAYS))
            )

    async def page(
        self, kinds: Iterable[str], name: str = "", before: int | None = None, limit: int = 100
    ) -> list[Revision]:
        """Changes of these kinds, the last one first."""
        table = schema.account_history
        oldest = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        query = select(table).where(table.c.kind.in_(list(kinds)), table.c.changed_at >= oldest)
        if name:
            query = query.where(table.c.name == name)
        if before is not None:
            query = query.where(table.c.revision < before)
        query = query.order_by(table.c.revision.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_change(row).revision for row in await connection.execute(query)]

    async def find(self, revision: int) -> Change | None:
        """One change, if it can still be taken back."""
        table = schema.account_history
        oldest = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        query = select(table).where(table.c.revision == revision, table.c.changed_at >= oldest)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _change(row)


async def next_revision(connection: AsyncConnection) -> int:
    """The number of the next change, of the plan or of accounts, within a transaction."""
    last = [
        (await connection.execute(select(func.max(table.c.revision)))).scalar() or 0
        for table in (schema.plan_history, schema.account_history)
    ]
    return max(last) + 1


async def taken(connection: AsyncConnection, table: Table, condition: Any) -> Rows:
    """The rows of a table that fulfil a condition, to be put back some day."""
    rows = (await connection.execute(select(table).where(condition))).mappings().all()
    return {table.name: [_as_json(table, dict(row)) for row in rows]}


async def put_back(
    connection: AsyncConnection, table: Table, rows: Rows, *, only: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Insert the rows of a table again that were taken, or `only` some of them."""
    found = rows.get(table.name, []) if only is None else only
    if found:
        await connection.execute(insert(table), [_from_json(table, row) for row in found])


def cannot(error: InvalidError) -> ConflictError:
    """What does not agree any more with what there is now."""
    return ConflictError(f"this cannot be put back: {error}")


def gone(kind: str, name: str) -> NotFoundError:
    """What was changed is not there any more."""
    return NotFoundError(f"this cannot be put back: there is no {kind} {name} any more")


def _as_json(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in table.columns:
        value = row[column.name]
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif isinstance(value, datetime):
            value = value.isoformat()
        found[column.name] = value
    return found


def _from_json(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in table.columns:
        if column.name not in row:
            continue
        value = row[column.name]
        if value is not None and isinstance(column.type, LargeBinary):
            value = base64.b64decode(value)
        elif value is not None and isinstance(column.type, schema.UtcDateTime):
            value = datetime.fromisoformat(value)
        found[column.name] = value
    return found


def _change(row: Any) -> Change:
    revision = Revision(
        id=row.revision,
        kind=row.kind,
        name=row.name,
        before=row.before,
        after=row.after,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        undoes=row.undoes,
    )
    return Change(revision, row.kept or {})
