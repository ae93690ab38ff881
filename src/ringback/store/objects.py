"""The plan as it is kept: values as documents, every revision of them, and what was before any of these."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.agreement import Fixed, described, disagreements, exists
from ringback.store.changes import next_revision
from ringback.store.database import Database, insert_all
from ringback.store.directory import Directory
from ringback.store.errors import ConflictError, FieldProblem, InvalidValueError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.plan.document import document, read_value, stored_value
from ringback.store.plan.plan import KINDS, NAMES, Plan
from ringback.store.plan.references import OWNED
from ringback.store.plan.toml import TomlError, read_plan, write_plan
from ringback.store.plan.value import Value
from ringback.store.plan.voice import RecordingPolicy
from ringback.store.revisions import Difference, Entry, Key, Page, Revision, revision_of, value_before

_NAMED_USERS: Final = 5


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction has written of the plan, to be shown when it is committed."""

    plan: Plan
    entries: Mapping[Key, Entry | None]


class Objects:
    """The values of the plan; every change shows in the directory as soon as it is committed."""

    def __init__(
        self, database: Database, holder: DirectoryHolder, fixed: Fixed, entries: Iterable[Entry]
    ) -> None:
        self._database = database
        self._holder = holder
        self.fixed = fixed
        self.load(entries)

    def load(self, entries: Iterable[Entry]) -> None:
        """Begin anew with these entries."""
        self._entries: dict[str, dict[str, Entry]] = {}
        self._users: dict[Key, dict[Key, None]] = {}
        self._sorted: dict[str, list[Entry]] = {}
        for entry in entries:
            self._show(entry.key, entry)

    # What there is

    def get(self, kind: str, name: str) -> Entry:
        """One value; raises NotFoundError."""
        entry = self._entries.get(_known(kind), {}).get(name)
        if entry is None:
            raise NotFoundError(f"there is no {kind} {fit_to_show(name, 40)}")
        return entry

    def page(self, kind: str, search: str = "", after: str = "", limit: int = 100) -> Page:
        """Values of a kind that have `search` somewhere in them, in the order of their names."""
        found = self._sorted.get(_known(kind))
        if found is None:
            found = sorted(self._entries.get(kind, {}).values(), key=lambda entry: _order(entry.value.name))
            self._sorted[kind] = found
        if search:
            wanted = search.casefold()
            found = [entry for entry in found if wanted in entry.text]
        total = len(found)
        if after:
            found = [entry for entry in found if _order(entry.value.name) > _order(after)]
        shown = found[:limit]
        return Page(shown, total, shown[-1].value.name if len(found) > limit else None)

    def export(self) -> str:
        """The whole plan as TOML, as `apply` reads it."""
        return write_plan(entry.value for kind in self._entries.values() for entry in kind.values())

    # What is changed

    async def put(
        self, kind: str, name: str, fields: Mapping[str, Any], by: str, revision: int | None = None
    ) -> Entry:
        """Make a value, or change the one of that name; `revision` is the one that it has to have until now.

        Raises InvalidValueError with all that is wrong, ConflictError, DatabaseUnusableError.
        """
        value = read_value(_known(kind), name, fields)
        async with self._database.write() as connection:
            before = self._entries.get(kind, {}).get(name)
            _check_revision(before, revision, kind, name)
            if before is not None and before.value == value:
                return before
            _check_approval(before, value, by)
            written = await self.write(connection, {(kind, name): value}, by)
        self.show(written, self._holder.current)
        return self._entries[kind][name]

    async def remove(self, kind: str, name: str, by: str, revision: int | None = None) -> None:
        """Delete a value; raises NotFoundError, or ConflictError that names what needs it."""
        async with self._database.write() as connection:
            _check_revision(self.get(kind, name), revision, kind, name)
            written = await self.write(connection, {(kind, name): None}, by)
        self.show(written, self._holder.current)

    async def history(
        self, kind: str = "", name: str = "", before: int | None = None, limit: int = 100
    ) -> list[Revision]:
        """Changes, the last one first; of one kind or value, and those before a revision, if that is said."""
        table = schema.plan_history
        query = select(table, value_before()).order_by(table.c.revision.desc()).limit(limit)
        if kind:
            query = query.where(table.c.kind == _known(kind))
        if name:
            query = query.where(table.c.name == name)
        if before is not None:
            query = query.where(table.c.revision < before)
        async with self._database.read() as connection:
            return [revision_of(row) for row in await connection.execute(query)]

    async def revision(self, revision: int) -> Revision:
        """One change; raises NotFoundError."""
        table = schema.plan_history
        query = select(table, value_before()).where(table.c.revision == revision)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFoundError(f"there is no revision {revision}")
        return revision_of(row)

    async def undo(self, revision: int, by: str) -> Entry | None:
        """Put back what was before a revision; None if that was nothing.

        Raises NotFoundError, or ConflictError that says why it cannot be.
        """
        table = schema.plan_history
        query = select(table, value_before()).where(table.c.revision == revision)
        async with self._database.write() as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                raise NotFoundError(f"there is no revision {revision}")
            undone = revision_of(row)
            key = undone.kind, undone.name
            value = _put_back(undone)
            now = self._entries.get(undone.kind, {}).get(undone.name)
            if (None if now is None else now.value) == value:
                raise ConflictError(f"{undone.kind} {undone.name} is as it was before that already")
            try:
                written = await self.write(connection, {key: value}, by, undoes=revision)
            except InvalidValueError as error:
                raise ConflictError(f"this cannot be put back: {error}") from None
        self.show(written, self._holder.current)
        return self._entries.get(undone.kind, {}).get(undone.name)

    async def apply(
        self, text: str, by: str, *, prune: bool = False, dry_run: bool = False
    ) -> list[Difference]:
        """Make all values of a TOML text, all or none; `prune` removes what is not in it.

        A dry run only tells what would change, and raises what the real one would.
        """
        # Large files take a while to read: calls go on meanwhile.
        wanted = await asyncio.to_thread(_values_of, text)
        async with self._database.write() as connection:
            changes = self._changes(wanted, prune)
            found = [self._difference(key, value) for key, value in changes.items()]
            for key, value in changes.items():
                if value is not None:
                    _check_approval(self._entries.get(key[0], {}).get(key[1]), value, by)
            if dry_run or not changes:
                self.check(changes)
                return found
            written = await self.write(connection, changes, by)
        self.show(written, self._holder.current)
        return found

    # For others that change within their own transactions

    def check_unused(self, kind: str, name: str, besides: Iterable[Key] = ()) -> None:
        """Raise ConflictError with what needs an extension, a trunk, a meeting or a value that goes."""
        spared = set(besides)
        users = [
            self._field_of(key, kind, name) for key in self._users.get((kind, name), {}) if key not in spared
        ]
        users += self._dids_to(kind, name)
        if users:
            shown = ", ".join(users[:_NAMED_USERS])
            more = f" and {len(users) - _NAMED_USERS} more" if len(users) > _NAMED_USERS else ""
            raise ConflictError(f"{kind} {name} is needed by {shown}{more}; change that first")

    def owned(self, number: str) -> dict[Key, Value | None]:
        """What goes with an extension."""
        return {(kind, number): None for kind in OWNED if number in self._entries.get(kind, {})}

    async def write(
        self,
        connection: AsyncConnection,
        changes: Mapping[Key, Value | None],
        by: str,
        *,
        undoes: int | None = None,
        beside: Directory | None = None,
    ) -> Written:
        """Write changes within a transaction, after a look at whether all still agrees.

        `beside` is the directory as the same transaction makes it.
        """
        plan = self.check(changes, beside)
        history, values = schema.plan_history, schema.plan_values
        first = await next_revision(connection)
        now = datetime.now(UTC)
        entries: dict[Key, Entry | None] = {}
        rows = []
        for revision, ((kind, name), value) in enumerate(changes.items(), first):
            entries[kind, name] = None if value is None else Entry(value, revision, now, by)
            rows.append(
                {
                    "revision": revision,
                    "kind": kind,
                    "name": name,
                    "value": None if value is None else document(value),
                    "changed_at": now,
                    "changed_by": by,
                }
            )
        if rows:
            await insert_all(connection, history, [{**row, "undoes": undoes} for row in rows])
            await connection.execute(
                delete(values).where(values.c.kind == bindparam("k"), values.c.name == bindparam("n")),
                [{"k": row["kind"], "n": row["name"]} for row in rows],
            )
        await insert_all(connection, values, [row for row in rows if row["value"] is not None])
        return Written(plan, entries)

    def show(self, written: Written, directory: Directory) -> None:
        """Make what was committed visible, in `directory` as it is beside it."""
        for key, entry in written.entries.items():
            self._show(key, entry)
        self._holder.replace(replace(directory, plan=written.plan))

    def check(self, changes: Mapping[Key, Value | None], beside: Directory | None = None) -> Plan:
        """The plan with changes; raises InvalidValueError or ConflictError where it does not agree."""
        directory = self._holder.current if beside is None else beside
        plan = directory.plan.changed(changes)
        problems = disagreements(
            (value for value in changes.values() if value is not None), plan, directory, self.fixed
        )
        if problems:
            several = len(changes) > 1
            raise InvalidValueError(
                "the plan does not agree" if several else described(problems[0][0]),
                [
                    replace(problem, field=f"{'.'.join(_key(value))}.{problem.field}") if several else problem
                    for value, problem in problems
                ],
            )
        for key, value in changes.items():
            if value is None:
                self._check_left(key, changes, plan, directory)
        return plan

    # How

    def _check_left(
        self,
        key: Key,
        changes: Mapping[Key, Value | None],
        plan: Plan,
        directory: Directory,
    ) -> None:
        kind, name = key
        still_good = {
            user
            for user in self._users.get(key, {})
            if user in changes
            or all(
                exists(reference, plan, directory, self.fixed)
                for reference in self._entries[user[0]][user[1]].references
                if reference.name == name and kind in reference.kinds
            )
        }
        self.check_unused(kind, name, besides=still_good)
        _check_people(kind, name, directory)

    def _dids_to(self, kind: str, name: str) -> list[str]:
        """The trunks whose numbers lead to an extension, a meeting or a value, by its number or its name."""
        entry = self._entries.get(kind, {}).get(name)
        number = name if entry is None else getattr(entry.value, "number", "")
        led_to = {f"{kind}:{name}", *([number] if number else [])}
        trunks = self._holder.current.trunks.values()
        return [
            f"trunk {trunk.name} (dids)" for trunk in trunks if not led_to.isdisjoint(trunk.dids.values())
        ]

    def _field_of(self, user: Key, kind: str, name: str) -> str:
        fields = [
            reference.field
            for reference in self._entries[user[0]][user[1]].references
            if reference.name == name and kind in reference.kinds
        ]
        return f"{user[0]} {user[1]} ({', '.join(fields[:3])})"

    def _changes(self, wanted: Mapping[Key, Value], prune: bool) -> dict[Key, Value | None]:
        changes: dict[Key, Value | None] = {}
        for (kind, name), value in wanted.items():
            entry = self._entries.get(kind, {}).get(name)
            if entry is None or entry.value != value:
                changes[kind, name] = value
        if prune:
            there = ((kind, name) for kind, values in self._entries.items() for name in values)
            changes.update({key: None for key in there if key not in wanted})
        return changes

    def _difference(self, key: Key, value: Value | None) -> Difference:
        entry = self._entries.get(key[0], {}).get(key[1])
        return Difference(
            *key,
            act="remove" if value is None else "add" if entry is None else "change",
            before=None if entry is None else document(entry.value),
            after=None if value is None else document(value),
        )

    def _show(self, key: Key, entry: Entry | None) -> None:
        kind, name = key
        values = self._entries.setdefault(kind, {})
        self._sorted.pop(kind, None)
        before = values.pop(name, None)
        for reference in before.references if before is not None else ():
            for named in reference.kinds:
                self._users[named, reference.name].pop(key, None)
        if entry is None:
            return
        values[name] = entry
        for reference in entry.references:
            for named in reference.kinds:
                self._users.setdefault((named, reference.name), {})[key] = None


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise NotFoundError(f"there is no kind {fit_to_show(kind, 40)!r}; kinds are {', '.join(KINDS)}")
    return kind


def _key(value: Value) -> Key:
    return NAMES[type(value)], value.name


def _order(name: str) -> tuple[int, str]:
    # Numbers by their value, before names.
    return (len(name), name) if name.isdigit() else (100, name)


def _check_revision(entry: Entry | None, revision: int | None, kind: str, name: str) -> None:
    if revision is None or revision == (0 if entry is None else entry.revision):
        return
    if entry is None:
        raise ConflictError(f"{kind} {name} is not there any more; look at it again")
    raise ConflictError(f"{kind} {name} was changed meanwhile by {entry.changed_by}; look at it again")


def _check_approval(before: Entry | None, value: Value, by: str) -> None:
    """Only somebody else than who wrote a recording policy approves it, and as it is."""
    if not isinstance(value, RecordingPolicy) or not value.approved_by:
        return
    old = before.value if before is not None else None
    if old == value:
        return
    wrong = ""
    if old is None or msgspec.structs.replace(value, approved_by="") != msgspec.structs.replace(
        old, approved_by=""
    ):
        wrong = "is given afterwards, by somebody else than who changed the policy; leave it empty"
    elif value.approved_by != by:
        wrong = f"is your own name: {by}"
    elif before is not None and before.changed_by == by:
        wrong = "has to be somebody else than who changed the policy"
    if wrong:
        raise InvalidValueError(described(value), [FieldProblem("approved_by", wrong)])


def _check_people(kind: str, name: str, directory: Directory) -> None:
    if kind == "role":
        users = [person.name for person in directory.people.values() if person.role == name]
    elif kind == "location":
        users = [device.name for device in directory.devices.values() if device.location == name]
    else:
        return
    if users:
        who = "people" if kind == "role" else "devices"
        raise ConflictError(f"{kind} {name} is needed by {len(users)} {who}; change these first")


def _put_back(undone: Revision) -> Value | None:
    if undone.before is None:
        return None
    try:
        value = stored_value(undone.kind, undone.before)
    except (KeyError, msgspec.ValidationError):
        raise ConflictError("this cannot be put back: another version wrote it") from None
    # An approval was for what was there then, and by whom it was changed then.
    return msgspec.structs.replace(value, approved_by="") if isinstance(value, RecordingPolicy) else value


def _values_of(text: str) -> dict[Key, Value]:
    try:
        given = read_plan(text)
    except TomlError as error:
        raise InvalidValueError("the file", [FieldProblem("", str(error))]) from None
    values: dict[Key, Value] = {}
    problems: list[FieldProblem] = []
    for (kind, name), fields in given.items():
        try:
            values[kind, name] = read_value(kind, name, fields)
        except InvalidValueError as error:
            problems += [
                replace(each, field=f"{kind}.{fit_to_show(name, 40)}.{each.field}") for each in error.problems
            ]
    if problems:
        raise InvalidValueError("the file", problems)
    return values
