"""Values of the plan with their revisions: as they are now, as they were, and as rows of the database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.store import schema
from ringback.store.plan.document import stored_value
from ringback.store.plan.plan import NAMES
from ringback.store.plan.references import Reference, references
from ringback.store.plan.value import Value

Key = tuple[str, str]
"""Kind and name."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A value, and its last change."""

    value: Value
    revision: int
    changed_at: datetime
    changed_by: str

    @property
    def key(self) -> Key:
        """Its kind and name."""
        return NAMES[type(self.value)], self.value.name

    @cached_property
    def text(self) -> str:
        """What a search looks through: all that the fields say."""
        return msgspec.json.encode(msgspec.structs.astuple(self.value)).decode().casefold()

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """What it refers to."""
        return references(self.value)


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of all that were found; `after` the last of them comes `next`, None at the end."""

    entries: list[Entry]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Revision:
    """A change of one value: what it was before and after, None when it was not there."""

    id: int
    kind: str
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed_at: datetime
    changed_by: str
    undoes: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a file does to one value."""

    kind: str
    name: str
    act: Literal["add", "change", "remove"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def load_entries(connection: AsyncConnection) -> list[Entry]:
    """All values that can be read; what cannot be stays in the database, and the log says so."""
    entries, unreadable = [], 0
    for row in await connection.execute(select(schema.plan_values)):
        try:
            value = stored_value(row.kind, row.value)
        except (KeyError, msgspec.ValidationError, AttributeError):
            unreadable += 1
            continue
        entries.append(Entry(value, row.revision, row.changed_at, row.changed_by))
    if unreadable:
        log.error("values of the plan cannot be read; another version wrote them: %s", unreadable)
    return entries


def value_before() -> Any:
    """In a query of the history: what the value was before each revision."""
    table, older = schema.plan_history, schema.plan_history.alias("older")
    return (
        select(older.c.value)
        .where(
            tuple_(older.c.kind, older.c.name) == tuple_(table.c.kind, table.c.name),
            older.c.revision < table.c.revision,
        )
        .order_by(older.c.revision.desc())
        .limit(1)
        .scalar_subquery()
        .label("before")
    )


def revision_of(row: Row[Any]) -> Revision:
    """A row of such a query."""
    return Revision(
        id=row.revision,
        kind=row.kind,
        name=row.name,
        before=row.before,
        after=row.value,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        undoes=row.undoes,
    )
