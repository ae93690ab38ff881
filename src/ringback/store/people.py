"""People: who holds extensions and owns things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.agreement import STANDARD_ROLE, is_e_mail
from ringback.store.changes import Change, Changes, Rows, Undone, cannot, gone, put_back, taken
from ringback.store.database import Database
from ringback.store.directory import Directory, Extension, Person
from ringback.store.errors import ConflictError, FieldProblem, InvalidError, InvalidValueError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.holdings import Holding, Holdings, holding_of
from ringback.store.reassignments import Reassignments
from ringback.store.rules import checked_name, new_id


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some people of all that were found, with the numbers they hold; after the last of them comes `next`."""

    people: list[tuple[Person, tuple[str, ...]]]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Everybody of a directory in the order shown, with their numbers and what a search looks through."""

    people: Mapping[str, Person]
    extensions: Mapping[str, Extension]
    rows: list[tuple[Person, tuple[str, ...], str]]


class People:
    """The people of the system; every change shows in the directory as soon as it is committed."""

    def __init__(
        self,
        database: Database,
        holder: DirectoryHolder,
        holdings: Holdings,
        reassignments: Reassignments,
        changes: Changes,
    ) -> None:
        self._database = database
        self._holder = holder
        self._holdings = holdings
        self._reassignments = reassignments
        self._changes = changes
        self._sorted = _Sorted({}, {}, [])

    async def add(self, name: str, *, role: str = STANDARD_ROLE, e_mail: str = "", site: str = "") -> Person:
        """A new person; raises InvalidValueError with all that is wrong."""
        person = Person(new_id(), name, datetime.now(UTC), role, e_mail, site)
        async with self._database.write() as connection:
            person = checked_person(person, self._holder.current)
            await connection.execute(insert(schema.people).values(row_of(person)))
        self._holder.replace(self._holder.current.with_people([person]))
        return person

    def all(self) -> list[Person]:
        """Everybody, by name."""
        return [person for person, _, _ in self._in_order()]

    def page(
        self, search: str = "", after: str = "", limit: int = 100, *, addresses: bool = True
    ) -> PeoplePage:
        """People by name, whose name, number, site, role or (with `addresses`) address has `search` in it.

        `after` is the id of the last one seen; raises InvalidError when that one is gone.
        """
        rows = self._in_order()
        if search:
            wanted = search.casefold()
            rows = [
                row for row in rows if wanted in row[2] or (addresses and wanted in row[0].e_mail.casefold())
            ]
        begin = 0
        if after:
            begin = next((place for place, row in enumerate(rows, 1) if row[0].id == after), -1)
            if begin < 0:
                raise InvalidError("the list has changed; begin it anew")
        shown = rows[begin : begin + limit]
        more = len(rows) > begin + limit
        return PeoplePage(
            [(person, numbers) for person, numbers, _ in shown],
            len(rows),
            shown[-1][0].id if shown and more else None,
        )

    def get(self, person_id: str) -> Person:
        """One person; raises NotFoundError."""
        person = self._holder.current.people.get(person_id)
        if person is None:
            raise NotFoundError(f"there is no person {fit_to_show(person_id, 40)}")
        return person

    def numbers(self, person_id: str) -> tuple[str, ...]:
        """The extensions that a person holds now."""
        extensions = self._holder.current.extensions.values()
        return tuple(sorted(each.number for each in extensions if each.person_id == person_id))

    async def change(
        self, person_id: str, by: str = "", *, undoes: int | None = None, **changes: Any
    ) -> Person:
        """Change name, role, e_mail or site; raises NotFoundError or InvalidValueError."""
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            before = self.get(person_id)
            person = checked_person(replace(before, **changes), self._holder.current)
            statement = update(schema.people).where(schema.people.c.id == person_id)
            await connection.execute(statement.values(row_of(person)))
            await self._changes.note(
                connection, "person", person_id, shown(before), shown(person), by, undoes=undoes
            )
        self._holder.replace(self._holder.current.with_people([person]))
        return person

    async def remove(self, person_id: str, by: str = "", *, for_good: bool = False) -> None:
        """Delete a person; extensions stay, and belong to nobody unless somebody else is to have them.

        It can be taken back for a while, unless it is `for_good`.
        """
        async with self._database.write() as connection:
            person = self.get(person_id)
            if for_good:
                await self._changes.forget(connection, "person", person_id)
            else:
                rows = await _rows_of(connection, person_id)
                before = shown(person)
                await self._changes.note(connection, "person", person_id, before, None, by, rows=rows)
            left = [
                (
                    extension,
                    [each for each in self._holdings.held(extension.id) if each.person_id != person_id],
                )
                for extension in self._holdings.of_person(person_id)
            ]
            changed = [await self._holdings.write(connection, *each) for each in left]
            await connection.execute(delete(schema.people).where(schema.people.c.id == person_id))
        for extension, holdings in left:
            self._holdings.remember(extension.id, holdings)
        directory = self._holder.current.without_person(person_id)
        self._holder.replace(directory.with_extensions(changed) if changed else directory)
        await self._reassignments.deliver()

    async def undo(self, change: Change, by: str) -> Undone:
        """Take a change back; raises ConflictError or NotFoundError that say why it cannot be.

        Who comes back holds the extensions again that nobody else holds on these days.
        """
        revision, person_id = change.revision, change.revision.name
        title = str((revision.after or revision.before or {}).get("name", person_id))
        if revision.before is None:
            await self.remove(person_id, by)
            return Undone("person", person_id, title)
        if revision.after is None:
            return await self._bring_back(change, by)
        try:
            person = await self.change(person_id, by, undoes=revision.id, **change.fields)
        except NotFoundError:
            raise gone("person", title) from None
        except InvalidError as error:
            raise cannot(error) from None
        return Undone("person", person_id, person.name)

    async def _bring_back(self, change: Change, by: str) -> Undone:
        person_id, rows, notes = change.revision.name, change.rows, []
        async with self._database.write() as connection:
            directory = self._holder.current
            if person_id in directory.people:
                raise ConflictError("this cannot be put back: the person is there")
            await put_back(connection, schema.people, rows)
            query = select(schema.people).where(schema.people.c.id == person_id)
            try:
                person = checked_person(_person((await connection.execute(query)).one()), directory)
            except InvalidError as error:
                raise cannot(error) from None
            try:
                async with connection.begin_nested():
                    await put_back(connection, schema.logins, rows)
            except IntegrityError:
                notes.append("the login stays away: its name is somebody else's")
            left = self._free_again(rows, directory, notes)
            changed = [await self._holdings.write(connection, *each) for each in left]
            await self._changes.note(
                connection, "person", person_id, None, shown(person), by, undoes=change.revision.id
            )
        for extension, holdings in left:
            self._holdings.remember(extension.id, holdings)
        directory = self._holder.current.with_people([person])
        self._holder.replace(directory.with_extensions(changed) if changed else directory)
        await self._reassignments.deliver()
        return Undone("person", person_id, person.name, tuple(notes))

    def _free_again(
        self, rows: Rows, directory: Directory, notes: list[str]
    ) -> list[tuple[Extension, list[Holding]]]:
        """The extensions that can be held again, with all who hold them then; the others are noted."""
        extensions = {extension.id: extension for extension in directory.extensions.values()}
        found: dict[str, list[Holding]] = {}
        for row in rows.get("holdings", ()):
            holding = holding_of(row)
            extension = extensions.get(holding.extension_id)
            if extension is None:
                notes.append("an extension that they held is not there any more")
                continue
            known = found.get(extension.id, list(self._holdings.held(extension.id)))
            if any(each.on(holding.first_day) or holding.on(each.first_day) for each in known):
                notes.append(f"somebody else holds {extension.number} now")
                continue
            found[extension.id] = [*known, holding]
        return [(extensions[each], holdings) for each, holdings in found.items()]

    def _in_order(self) -> list[tuple[Person, tuple[str, ...], str]]:
        directory = self._holder.current
        known = self._sorted
        if known.people is not directory.people or known.extensions is not directory.extensions:
            rows = _rows(directory)
            known = self._sorted = _Sorted(directory.people, directory.extensions, rows)
        return known.rows


def _rows(directory: Directory) -> list[tuple[Person, tuple[str, ...], str]]:
    numbers: dict[str, list[str]] = {}
    for extension in directory.extensions.values():
        if extension.person_id is not None:
            numbers.setdefault(extension.person_id, []).append(extension.number)
    rows = []
    for person in sorted(directory.people.values(), key=lambda each: (each.name.casefold(), each.id)):
        held = tuple(sorted(numbers.get(person.id, ())))
        text = "\n".join((person.name, person.site, person.role, *held)).casefold()
        rows.append((person, held, text))
    return rows


def checked_person(person: Person, directory: Directory) -> Person:
    """The person with values in their usual form; raises InvalidValueError with all that is wrong."""
    problems = []
    changes: dict[str, Any] = {"e_mail": person.e_mail.strip()}
    for field, may_be_empty in (("name", False), ("site", True)):
        try:
            changes[field] = checked_name(getattr(person, field), f"the {field}", may_be_empty=may_be_empty)
        except InvalidError as error:
            problems.append(FieldProblem(field, str(error).removeprefix(f"the {field} ")))
    if changes["e_mail"] and not is_e_mail(changes["e_mail"]):
        problems.append(FieldProblem("e_mail", "is not an e-mail address"))
    if person.role != STANDARD_ROLE and person.role not in directory.plan.values.get("role", {}):
        problems.append(FieldProblem("role", f"there is no role {fit_to_show(person.role, 40)}"))
    if problems:
        raise InvalidValueError("the person", problems)
    return replace(person, **changes)


def shown(person: Person) -> dict[str, Any]:
    """What the history says of a person."""
    return {"name": person.name, "role": person.role, "e_mail": person.e_mail, "site": person.site}


async def _rows_of(connection: AsyncConnection, person_id: str) -> Rows:
    people, holdings, logins = schema.people, schema.holdings, schema.logins
    found = await taken(connection, people, people.c.id == person_id)
    found |= await taken(connection, holdings, holdings.c.person_id == person_id)
    return found | await taken(connection, logins, logins.c.person_id == person_id)


def row_of(person: Person) -> dict[str, Any]:
    """A person as a row of the table."""
    return {
        "id": person.id,
        "name": person.name,
        "created_at": person.created_at,
        "role": person.role,
        "e_mail": person.e_mail,
        "site": person.site,
    }


async def load_people(connection: AsyncConnection) -> list[Person]:
    """Everybody."""
    return [_person(row) for row in await connection.execute(select(schema.people))]


def _person(row: Row[Any]) -> Person:
    return Person(row.id, row.name, row.created_at, row.role, row.e_mail, row.site)
