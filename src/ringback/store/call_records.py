"""Call records: a row a call and a row a leg, in clear what says nothing of people, the rest sealed.

Numbers, names, what was passed and what was done are sealed with the whole record; what is searched for of
them is there as keyed fingerprints. docs/records.md has every column.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Table, delete, func, select

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store import schema
from ringback.store.call_query import CallQuery, Fingerprints, Held, Plan, plan_of
from ringback.store.call_record import ID_SHIFT, CallLeg, CallRecord, call_id_of, first_id_at
from ringback.store.database import Database
from ringback.store.errors import NotFoundError
from ringback.store.values import Values

WRITE_PATIENCE_MS: Final = 250
"""Records can wait for the database; who changes something would wait behind them."""
_FIRST_WINDOW_MS: Final = 7 * 86_400_000
_WINDOW_S: Final = 0.5
"""A page that needs more than one index is looked for back in time for at most so long."""

_PLACE: Final = ("call_details", "sealed")
_HELD_SINCE: Final = "call-records-held-since"
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CallRecord).decode


def check(records: Sequence[CallRecord]) -> None:
    """Raise for what cannot be stored; all at once costs next to nothing."""
    _encode(records)


@dataclass(frozen=True, slots=True)
class Rows:
    """Records made ready to be stored."""

    calls: list[tuple[Any, ...]]
    details: list[tuple[Any, ...]]
    legs: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """Records, newest first. `next` is where the next page begins, None after the last; a page may be short
    though there are more."""

    records: tuple[CallRecord, ...]
    next: int | None


class CallRecords:
    """The records of calls that are over."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._fingerprints = Fingerprints(sealer.key_for("numbers in call records"))
        self._values = Values(database)
        self._held_since: dict[str, datetime] = {}

    async def load(self) -> None:
        """Learn since when extensions belong to those who hold them. Raises DatabaseUnusableError."""
        kept = await self._values.get(_HELD_SINCE) or {}
        self._held_since = {number: datetime.fromisoformat(at) for number, at in kept.items()}

    async def reassigned(self, number: str, at: datetime) -> None:
        """An extension changed hands: calls before are shown to nobody as their own."""
        since = {**self._held_since, number: at}
        await self._values.set(_HELD_SINCE, {one: when.isoformat() for one, when in since.items()})
        self._held_since = since

    def held(self, extensions: Iterable[str]) -> tuple[Held, ...]:
        """These extensions, each since the one who holds it now does."""
        return tuple(Held(one, self._held_since.get(one, _EVER)) for one in extensions)

    def rows(self, records: Iterable[CallRecord]) -> Rows:
        """What will be stored of them; takes some time, and is safe in any thread."""
        rows = Rows([], [], [])
        for record in records:
            rows.calls.append(self._call_row(record))
            text = Private(_encode(record).decode())
            rows.details.append((record.id, self._sealer.seal(text, *_PLACE, str(record.id))))
            rows.legs.extend(self._leg_row(record.id, n, leg) for n, leg in enumerate(record.legs))
        return rows

    def _call_row(self, record: CallRecord) -> tuple[Any, ...]:
        return (
            record.id, record.direction, record.outcome, record.rang_ms, record.answered_ms, record.ended_ms,
            self._fingerprints.number(record.dialled), self._fingerprints.target(record.called),
            record.ended_by, record.cause, record.reason, record.mos, record.quality, record.emergency,
            record.recorded,
        )  # fmt: skip

    def _leg_row(self, call_id: int, n: int, leg: CallLeg) -> tuple[Any, ...]:
        if leg.extension:
            party = self._fingerprints.extension(leg.extension)
        else:
            party = self._fingerprints.number(leg.number)
        line = leg.line
        measured = (
            (None,) * 6
            if line is None
            else (
                line.received, line.expected, line.jitter_ms, line.round_trip_ms, line.mos, line.remote_mos,
            )
        )  # fmt: skip
        return (
            call_id, n, party, leg.trunk or None, leg.incoming, leg.device, leg.transport, leg.family,
            leg.began_ms, leg.answered_ms, leg.ended_ms, leg.ended_by, leg.status,
            leg.sent[-1] if leg.sent else "", leg.encryption, *measured,
        )  # fmt: skip

    async def add(self, rows: Rows) -> None:
        """Store them all in one transaction; those that are there already stay as they are.

        Raises DatabaseUnusableError.
        """
        async with self._database.write(WRITE_PATIENCE_MS) as connection:
            for table, values in (
                (schema.call_records, rows.calls),
                (schema.call_details, rows.details),
                (schema.call_legs, rows.legs),
            ):
                if values:
                    await connection.exec_driver_sql(_insert(table), values)

    async def get(self, name: str) -> CallRecord:
        """The record of a call by the name of its identifier; raises NotFoundError."""
        call_id = call_id_of(name)
        records = await self._read([call_id]) if call_id is not None else []
        if not records:
            raise NotFoundError("there is no record of such a call")
        return records[0]

    async def find(self, query: CallQuery, *, before: int | None = None, limit: int = 50) -> Page:
        """The newest calls that are what is asked for, and began before the one with that identifier."""
        plan = plan_of(query, self._fingerprints)
        last = plan.last if before is None else min(plan.last, before - 1)
        if not plan.rest or last < plan.first:
            found = await self._ids(plan, plan.first, last, limit + 1)
            return await self._page(found[:limit], found[limit - 1] if len(found) > limit else None)
        return await self._find_back(plan, last, limit)

    async def _find_back(self, plan: Plan, last: int, limit: int) -> Page:
        """Look back in growing stretches of time, as long as there is time: one index finds too many."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _WINDOW_S
        newest, oldest = await self._ends()
        last, first = min(last, newest), max(plan.first, oldest)
        window = _FIRST_WINDOW_MS << ID_SHIFT
        found: list[int] = []
        while last >= first:
            since = max(first, last - window)
            found += await self._ids(plan, since, last, limit + 1 - len(found))
            if len(found) > limit:
                return await self._page(found[:limit], found[limit - 1])
            last = since - 1
            if loop.time() > deadline and last >= first:
                return await self._page(found, last + 1)
            window *= 2
        return await self._page(found, None)

    async def _page(self, found: Sequence[int], following: int | None) -> Page:
        return Page(tuple(await self._read(found)), following)

    async def _ids(self, plan: Plan, first: int, last: int, limit: int) -> list[int]:
        ids: set[int] = set()
        async with self._database.read() as connection:
            for wanted in plan.selects(first, last, limit):
                ids.update((await connection.execute(wanted)).scalars())
        return sorted(ids, reverse=True)[:limit]

    async def _ends(self) -> tuple[int, int]:
        table = schema.call_records
        async with self._database.read() as connection:
            newest = (await connection.execute(select(func.max(table.c.id)))).scalar_one_or_none()
            oldest = (await connection.execute(select(func.min(table.c.id)))).scalar_one_or_none()
        return newest or 0, oldest or 1

    async def _read(self, ids: Sequence[int]) -> list[CallRecord]:
        if not ids:
            return []
        table = schema.call_details
        query = (
            select(table.c.call, table.c.sealed).where(table.c.call.in_(ids)).order_by(table.c.call.desc())
        )
        async with self._database.read() as connection:
            rows = [(row.call, row.sealed) for row in (await connection.execute(query)).all()]
        return await asyncio.to_thread(self._opened, rows)

    def _opened(self, rows: Sequence[tuple[int, bytes]]) -> list[CallRecord]:
        return [
            _decode(self._sealer.open(sealed, *_PLACE, str(call_id)).reveal()) for call_id, sealed in rows
        ]

    async def forget(self, before: datetime, most: int) -> int:
        """Delete at most so many of the oldest records from before a moment; returns how many there were."""
        calls, details, legs = schema.call_records, schema.call_details, schema.call_legs
        async with self._database.write(WRITE_PATIENCE_MS) as connection:
            query = (
                select(calls.c.id).where(calls.c.id < first_id_at(before)).order_by(calls.c.id).limit(most)
            )
            ids = list((await connection.execute(query)).scalars())
            if ids:
                await connection.execute(delete(details).where(details.c.call <= ids[-1]))
                await connection.execute(delete(legs).where(legs.c.call <= ids[-1]))
                await connection.execute(delete(calls).where(calls.c.id <= ids[-1]))
        return len(ids)


def _insert(table: Table) -> str:
    # In the driver's own words: SQLAlchemy's take as long for a row as all the rest of it.
    names = [f'"{column.name}"' for column in table.columns]
    marks = ", ".join("?" * len(names))
    return f'INSERT OR IGNORE INTO "{table.name}" ({", ".join(names)}) VALUES ({marks})'  # noqa: S608
