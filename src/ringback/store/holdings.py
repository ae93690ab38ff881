"""Who holds an extension from which day to which; who holds it now is what the extension says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.directory import Directory, Extension
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.reassignments import Reassignments
from ringback.store.rules import new_id

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds an extension from `first_day` to `last_day` (YYYY-MM-DD), both included; None: for good."""

    id: str
    extension_id: str
    person_id: str
    first_day: str
    last_day: str | None = None

    def on(self, day: str) -> bool:
        """Whether it holds on a day."""
        return self.first_day <= day and (self.last_day is None or day <= self.last_day)


def holder_on(holdings: Iterable[Holding], day: str) -> str | None:
    """The person who holds an extension on a day, by the holdings of that extension."""
    return next((holding.person_id for holding in holdings if holding.on(day)), None)


def due(
    directory: Directory, holdings: Mapping[str, tuple[Holding, ...]], day: str
) -> list[tuple[Extension, str | None]]:
    """The extensions that somebody else holds on this day than they say, and who that is."""
    return [
        (extension, holder)
        for extension in directory.extensions.values()
        if (holder := holder_on(holdings.get(extension.id, ()), day)) != extension.person_id
    ]


def from_today(
    holdings: Iterable[Holding], extension_id: str, person_id: str | None, day: str
) -> list[Holding]:
    """The holdings when somebody (None: nobody) takes an extension over on a day.

    Who held it until then did so until the day before; what is planned for later stays.
    """
    before = [holding for holding in holdings if holding.first_day < day]
    later = [holding for holding in holdings if holding.first_day > day]
    kept = [replace(holding, last_day=day_before(day)) if holding.on(day) else holding for holding in before]
    if person_id is not None:
        last_day = day_before(min(holding.first_day for holding in later)) if later else None
        kept.append(Holding(new_id(), extension_id, person_id, day, last_day))
    return [*kept, *later]


def planned(holdings: Iterable[Holding], new: Holding) -> list[Holding]:
    """The holdings with a new one among them; one without end that began before ends the day before it.

    Raises ConflictError when the days are somebody else's.
    """
    result = []
    for holding in holdings:
        shortened = holding
        if holding.last_day is None and holding.first_day < new.first_day:
            shortened = replace(holding, last_day=day_before(new.first_day))
        if shortened.on(new.first_day) or new.on(shortened.first_day):
            until = f"to {shortened.last_day}" if shortened.last_day else "on"
            raise ConflictError(f"somebody holds the extension from {shortened.first_day} {until}")
        result.append(shortened)
    return sorted([*result, new], key=lambda holding: holding.first_day)


def today() -> str:
    """The day by the clock of the place, as YYYY-MM-DD."""
    return datetime.now().astimezone().date().isoformat()


def day_before(day: str) -> str:
    """The day before one."""
    return (date.fromisoformat(day) - _ONE_DAY).isoformat()


class Holdings:
    """The holdings; `today` says which day it is here."""

    def __init__(
        self,
        database: Database,
        holder: DirectoryHolder,
        reassignments: Reassignments,
        holdings: Iterable[Holding],
    ) -> None:
        self._database = database
        self._holder = holder
        self._reassignments = reassignments
        self.today: Callable[[], str] = today
        self.load(holdings)

    def load(self, holdings: Iterable[Holding]) -> None:
        """Begin anew with these."""
        self._held: dict[str, tuple[Holding, ...]] = {}
        for holding in sorted(holdings, key=lambda each: each.first_day):
            self._held[holding.extension_id] = (*self._held.get(holding.extension_id, ()), holding)

    def of(self, number: str | None = None, person_id: str | None = None) -> list[tuple[str, Holding]]:
        """Holdings with the numbers of their extensions, by number and day; of one extension or person."""
        extensions = self._holder.current.extensions
        chosen = sorted(extensions) if number is None else [number]
        return [
            (each, holding)
            for each in chosen
            if each in extensions
            for holding in self._held.get(extensions[each].id, ())
            if person_id is None or holding.person_id == person_id
        ]

    async def add(
        self, number: str, person_id: str, first_day: str = "", last_day: str | None = None
    ) -> tuple[str, Holding]:
        """Somebody holds an extension from a day (empty: today) to another (None: for good).

        Raises NotFoundError, InvalidError, or ConflictError when somebody else holds it then.
        """
        first_day = _checked_day(first_day or self.today())
        if last_day is not None:
            last_day = _checked_day(last_day)
            if last_day < first_day:
                raise InvalidError("the last day is before the first one")
        async with self._database.write() as connection:
            extension = self._extension(number)
            if person_id not in self._holder.current.people:
                raise InvalidError(f"there is no person {fit_to_show(person_id, 40)}")
            new = Holding(new_id(), extension.id, person_id, first_day, last_day)
            holdings = planned(self._held.get(extension.id, ()), new)
            changed = await self.write(connection, extension, holdings)
        await self.show(changed, holdings)
        return number, new

    async def end(self, holding_id: str, last_day: str | None) -> tuple[str, Holding]:
        """Another last day, None for good; raises NotFoundError, InvalidError, ConflictError."""
        if last_day is not None:
            last_day = _checked_day(last_day)
        async with self._database.write() as connection:
            extension, old = self._find(holding_id)
            if last_day is not None and last_day < old.first_day:
                raise InvalidError("the last day is before the first one")
            new = replace(old, last_day=last_day)
            others = [each for each in self._held[extension.id] if each.id != holding_id]
            holdings = planned(others, new)
            changed = await self.write(connection, extension, holdings)
        await self.show(changed, holdings)
        return extension.number, new

    async def remove(self, holding_id: str) -> None:
        """Take one back, as if it had never been; raises NotFoundError."""
        async with self._database.write() as connection:
            extension, _ = self._find(holding_id)
            holdings = [each for each in self._held[extension.id] if each.id != holding_id]
            changed = await self.write(connection, extension, holdings)
        await self.show(changed, holdings)

    async def settle(self) -> int:
        """Let extensions say who holds them today, after a day has turned; returns how many changed hands."""
        async with self._database.write() as connection:
            changed = []
            for extension, holder in due(self._holder.current, self._held, self.today()):
                await self._hand_over(connection, extension, holder)
                changed.append(replace(extension, person_id=holder))
        if changed:
            self._holder.replace(self._holder.current.with_extensions(changed))
        await self._reassignments.deliver()
        return len(changed)

    # For others that change within their own transactions

    def held(self, extension_id: str) -> tuple[Holding, ...]:
        """The holdings of an extension, by day."""
        return self._held.get(extension_id, ())

    def of_person(self, person_id: str) -> list[Extension]:
        """The extensions that a person holds, held or will hold."""
        return [
            extension
            for extension in self._holder.current.extensions.values()
            if any(holding.person_id == person_id for holding in self._held.get(extension.id, ()))
        ]

    async def write(
        self, connection: AsyncConnection, extension: Extension, holdings: Sequence[Holding]
    ) -> Extension:
        """Write all holdings of an extension within a transaction; the extension as it is with them."""
        table = schema.holdings
        await connection.execute(delete(table).where(table.c.extension_id == extension.id))
        if rows := [row_of(holding) for holding in holdings]:
            await connection.execute(insert(table), rows)
        holder = holder_on(holdings, self.today())
        if holder != extension.person_id:
            await self._hand_over(connection, extension, holder)
        return replace(extension, person_id=holder)

    async def show(self, changed: Extension, holdings: Iterable[Holding]) -> None:
        """Make what was committed visible, and tell who wants to know of new holders."""
        self.remember(changed.id, holdings)
        self._holder.replace(self._holder.current.with_extension(changed))
        await self._reassignments.deliver()

    def remember(self, extension_id: str, holdings: Iterable[Holding]) -> None:
        """What was committed is how it is from now on."""
        self._held[extension_id] = tuple(sorted(holdings, key=lambda holding: holding.first_day))

    def forget(self, extension_id: str) -> None:
        """An extension is gone."""
        self._held.pop(extension_id, None)

    async def _hand_over(self, connection: AsyncConnection, extension: Extension, holder: str | None) -> None:
        table = schema.extensions
        await connection.execute(update(table).where(table.c.id == extension.id).values(person_id=holder))
        await self._reassignments.note(connection, extension, extension.person_id, holder)

    def _extension(self, number: str) -> Extension:
        extension = self._holder.current.extension(number)
        if extension is None:
            raise NotFoundError(f"there is no extension {fit_to_show(number, 40)}")
        return extension

    def _find(self, holding_id: str) -> tuple[Extension, Holding]:
        for number, holding in self.of():
            if holding.id == holding_id:
                return self._extension(number), holding
        raise NotFoundError("there is no such holding")


async def load_holdings(connection: AsyncConnection) -> list[Holding]:
    """All holdings."""
    return [_holding(row) for row in await connection.execute(select(schema.holdings))]


def row_of(holding: Holding) -> dict[str, Any]:
    """A holding as a row of its table."""
    return {
        "id": holding.id,
        "extension_id": holding.extension_id,
        "person_id": holding.person_id,
        "first_day": holding.first_day,
        "last_day": holding.last_day,
    }


def holding_of(row: Mapping[str, Any]) -> Holding:
    """A holding of such a row."""
    return Holding(row["id"], row["extension_id"], row["person_id"], row["first_day"], row["last_day"])


def _holding(row: Row[Any]) -> Holding:
    return Holding(row.id, row.extension_id, row.person_id, row.first_day, row.last_day)


def _checked_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise InvalidError("a day is written as 2026-12-24") from None
