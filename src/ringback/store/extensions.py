"""Extensions: the numbers that devices register to, with their digest secrets sealed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.agreement import taken_by
from ringback.store.changes import Change, Changes, Rows, Undone, cannot, gone, put_back, taken
from ringback.store.database import Database
from ringback.store.devices import Devices
from ringback.store.directory import Device, Digest, Directory, Extension
from ringback.store.errors import ConflictError, InvalidError, InvalidValueError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.holdings import Holding, Holdings, from_today, holding_of, row_of
from ringback.store.objects import Objects
from ringback.store.plan.document import document, stored_value
from ringback.store.plan.value import Value
from ringback.store.reassignments import Reassignments
from ringback.store.revisions import Key
from ringback.store.rules import (
    checked_digest,
    checked_extension_number,
    checked_name,
    checked_password,
    digests_of,
    new_id,
    new_password,
)


class Extensions:
    """The extensions; every change shows in the directory as soon as it is committed."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        holder: DirectoryHolder,
        objects: Objects,
        holdings: Holdings,
        reassignments: Reassignments,
        devices: Devices,
        changes: Changes,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._objects = objects
        self._holdings = holdings
        self._reassignments = reassignments
        self._devices = devices
        self._changes = changes

    async def add(
        self,
        number: str,
        *,
        display_name: str = "",
        password: Private[str] | None = None,
        person_id: str | None = None,
        digest: str = "md5",
    ) -> tuple[Extension, Private[str]]:
        """A new extension and its password, a generated one if none is given; it cannot be read again.

        Raises InvalidError or ConflictError.
        """
        fixed = self._objects.fixed
        extension, password = new_extension(
            checked_extension_number(number, fixed.services, fixed.emergency),
            display_name,
            password,
            person_id,
            checked_digest(digest),
        )
        holdings = from_today((), extension.id, person_id, self._holdings.today())
        async with self._database.write() as connection:
            directory = self._holder.current
            self._check_person(person_id)
            holder = taken_by(number, directory, fixed)
            if number not in directory.extensions and holder is not None:
                raise ConflictError(f"{number} is {holder}; choose another number")
            await insert_extension(connection, self._sealer, extension)
            if holdings:
                await connection.execute(insert(schema.holdings), [row_of(each) for each in holdings])
        self._holdings.remember(extension.id, holdings)
        self._holder.replace(self._holder.current.with_extension(extension))
        return extension, password

    def all(self) -> list[Extension]:
        """All extensions, by number."""
        return sorted(self._holder.current.extensions.values(), key=lambda extension: int(extension.number))

    def get(self, number: str) -> Extension:
        """One extension; raises NotFoundError."""
        extension = self._holder.current.extension(number)
        if extension is None:
            raise NotFoundError(f"there is no extension {number}")
        return extension

    async def change(
        self,
        number: str,
        *,
        display_name: str | None = None,
        enabled: bool | None = None,
        person_id: str | None = None,
        no_person: bool = False,
        digest: str | None = None,
        by: str = "",
        undoes: int | None = None,
    ) -> Extension:
        """Change what is given, keep the rest; `no_person` takes the extension from its holder.

        Somebody new holds it from today on.
        """
        changes: dict[str, Any] = {}
        if display_name is not None:
            changes["display_name"] = checked_name(display_name, "the display name", may_be_empty=True)
        if enabled is not None:
            changes["enabled"] = enabled
        if digest is not None:
            changes["digest"] = checked_digest(digest)
        given = no_person or person_id is not None
        if not changes and not given:
            return self.get(number)
        holder = None if no_person else person_id
        return await self._update(number, changes, by, new_holder=given, holder=holder, undoes=undoes)

    async def set_password(self, number: str, password: Private[str] | None = None) -> Private[str]:
        """Another password, a generated one if none is given; devices need it from now on."""
        password = new_password() if password is None else checked_password(password, number)
        md5, sha256 = digests_of(number, password)
        await self._update(number, {"ha1_md5": md5, "ha1_sha256": sha256})
        return password

    async def remove(self, number: str, by: str = "", *, for_good: bool = False) -> None:
        """Delete an extension with its devices, its mailbox and how it answers.

        It can be taken back for a while, unless it is `for_good`. Raises NotFoundError, or ConflictError that
        names what needs it.
        """
        objects = self._objects
        table = schema.extensions
        async with self._database.write() as connection:
            extension = self.get(number)
            owned = objects.owned(number)
            objects.check_unused("extension", number, besides=owned)
            if for_good:
                await self._changes.forget(connection, "extension", number)
                for device in self._devices_of(number):
                    await self._changes.forget(connection, "device", device.id)
            else:
                rows = await self._rows(connection, extension)
                before = shown(extension)
                await self._changes.note(connection, "extension", number, before, None, by, rows=rows)
            written = await objects.write(connection, owned, f"removal of extension {number}")
            await self._reassignments.note(connection, extension, extension.person_id, None)
            await connection.execute(delete(table).where(table.c.id == extension.id))
            await connection.execute(
                delete(schema.registrations).where(schema.registrations.c.number == number)
            )
        self._holdings.forget(extension.id)
        directory = self._holder.current
        gone_too = self._devices_of(number)
        objects.show(written, directory.without_devices(gone_too).without_extension(number))
        await self._reassignments.deliver()

    async def undo(self, change: Change, by: str) -> Undone:
        """Take a change back; raises ConflictError or NotFoundError that say why it cannot be."""
        revision, number = change.revision, change.revision.name
        if revision.before is None:
            await self.remove(number, by)
            return Undone("extension", number, number)
        if revision.after is None:
            return await self._bring_back(change, by)
        fields = change.fields
        no_person = "person_id" in fields and fields["person_id"] is None
        try:
            await self.change(number, **fields, no_person=no_person, by=by, undoes=revision.id)
        except NotFoundError:
            raise gone("extension", number) from None
        except InvalidError as error:
            raise cannot(error) from None
        return Undone("extension", number, number)

    async def _bring_back(self, change: Change, by: str) -> Undone:
        number, objects, notes = change.revision.name, self._objects, []
        rows, table = change.rows, schema.extensions
        async with self._database.write() as connection:
            directory = self._holder.current
            holder = taken_by(number, directory, objects.fixed)
            if holder is not None:
                raise ConflictError(f"this cannot be put back: {number} is {holder}")
            row = rows["extensions"][0]
            there = {**row, "person_id": None}
            await put_back(connection, table, rows, only=[there])
            stored = (await connection.execute(select(table).where(table.c.id == row["id"]))).one()
            extension = _extension(self._sealer, stored)
            devices, missing = await self._bring_devices(connection, rows, number)
            notes += missing
            holdings = [
                holding_of(each) for each in rows.get("holdings", ()) if each["person_id"] in directory.people
            ]
            if len(holdings) < len(rows.get("holdings", ())):
                notes.append("a person who held it is not there any more")
            extension = await self._holdings.write(connection, extension, holdings)
            beside = directory.with_extension(extension).with_devices(devices)
            values, left_out = self._values(rows, number, beside)
            written = await objects.write(connection, values, by, beside=beside)
            notes += left_out
            await self._changes.note(
                connection, "extension", number, None, shown(extension), by, undoes=change.revision.id
            )
        self._holdings.remember(extension.id, holdings)
        objects.show(written, beside)
        await self._reassignments.deliver()
        return Undone("extension", number, number, tuple(notes))

    async def _bring_devices(
        self, connection: AsyncConnection, rows: Rows, number: str
    ) -> tuple[list[Device], list[str]]:
        """The devices that were deleted with an extension, and what is to be said of those that stay away."""
        devices, notes = [], []
        for row in rows.get("devices", ()):
            try:
                async with connection.begin_nested():
                    devices += await self._devices.put_back(connection, {"devices": [row]}, {number})
            except ConflictError as error:
                notes.append(f"its device {row['name']} stays away: {error}")
        return devices, notes

    def _values(
        self, rows: Rows, number: str, beside: Directory
    ) -> tuple[dict[Key, Value | None], list[str]]:
        """How it answered, and that it had a mailbox; what does not agree any more stays away."""
        values: dict[Key, Value | None] = {}
        notes = []
        for saved in rows.get("plan", ()):
            key = saved["kind"], number
            try:
                value = stored_value(saved["kind"], saved["value"])
                self._objects.check({key: value}, beside)
            except (InvalidValueError, KeyError, msgspec.ValidationError):
                notes.append(f"its {saved['kind']} stays away: it does not agree with the plan any more")
                continue
            values[key] = value
        return values, notes

    async def _rows(self, connection: AsyncConnection, extension: Extension) -> Rows:
        """All that goes with an extension, to be put back."""
        tables = schema.extensions, schema.holdings, schema.devices
        extensions, holdings, devices = tables
        conditions = (
            extensions.c.id == extension.id,
            holdings.c.extension_id == extension.id,
            devices.c.extension == extension.number,
        )
        found: Rows = {}
        for table, condition in zip(tables, conditions, strict=True):
            found |= await taken(connection, table, condition)
        owned = self._objects.owned(extension.number)
        found["plan"] = [
            {"kind": kind, "value": document(self._objects.get(kind, name).value)} for kind, name in owned
        ]
        return found

    def _devices_of(self, number: str) -> list[Device]:
        devices = self._holder.current.devices.values()
        return [device for device in devices if device.extension == number]

    def _check_person(self, person_id: str | None) -> None:
        if person_id is not None and person_id not in self._holder.current.people:
            raise InvalidError(f"there is no person {fit_to_show(person_id, 40)}")

    async def _update(
        self,
        number: str,
        changes: dict[str, Any],
        by: str = "",
        *,
        new_holder: bool = False,
        holder: str | None = None,
        undoes: int | None = None,
    ) -> Extension:
        holdings: list[Holding] | None = None
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            before = self.get(number)
            extension = replace(before, **changes)
            if changes:
                statement = update(schema.extensions).where(schema.extensions.c.id == extension.id)
                with _conflicts_named(extension):
                    await connection.execute(statement.values(values_of(self._sealer, extension)))
            if new_holder and holder != before.person_id:
                self._check_person(holder)
                known, day = self._holdings.held(extension.id), self._holdings.today()
                holdings = from_today(known, extension.id, holder, day)
                extension = await self._holdings.write(connection, extension, holdings)
            await self._changes.note(
                connection, "extension", number, shown(before), shown(extension), by, undoes=undoes
            )
        if holdings is None:
            self._holder.replace(self._holder.current.with_extension(extension))
        else:
            await self._holdings.show(extension, holdings)
        return extension


_SHOWN: Final = ("display_name", "enabled", "digest", "person_id")


def shown(extension: Extension) -> dict[str, Any]:
    """What the history says of an extension."""
    return {name: getattr(extension, name) for name in _SHOWN}


def new_extension(
    number: str,
    display_name: str = "",
    password: Private[str] | None = None,
    person_id: str | None = None,
    digest: Digest = "md5",
) -> tuple[Extension, Private[str]]:
    """An extension that is not stored yet, and its password."""
    password = new_password() if password is None else checked_password(password, number)
    md5, sha256 = digests_of(number, password)
    extension = Extension(
        id=new_id(),
        number=number,
        display_name=checked_name(display_name, "the display name", may_be_empty=True),
        ha1_md5=md5,
        ha1_sha256=sha256,
        person_id=person_id,
        enabled=True,
        created_at=datetime.now(UTC),
        digest=digest,
    )
    return extension, password


async def insert_extension(connection: AsyncConnection, sealer: Sealer, extension: Extension) -> None:
    """Store a new extension; raises ConflictError (number) or InvalidError (person)."""
    with _conflicts_named(extension):
        await connection.execute(insert(schema.extensions).values(values_of(sealer, extension)))


async def load_extensions(connection: AsyncConnection, sealer: Sealer) -> list[Extension]:
    """All extensions with their secrets opened."""
    return [_extension(sealer, row) for row in await connection.execute(select(schema.extensions))]


@contextmanager
def _conflicts_named(extension: Extension) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "FOREIGN KEY" in str(error.orig).upper():
            raise InvalidError(f"there is no person {extension.person_id}") from None
        raise ConflictError(f"extension {extension.number} exists already") from None


def values_of(sealer: Sealer, extension: Extension) -> dict[str, Any]:
    """An extension as a row of the table, its secrets sealed."""
    return {
        "id": extension.id,
        "number": extension.number,
        "display_name": extension.display_name,
        "ha1_md5": sealer.seal(extension.ha1_md5, "extensions", "ha1_md5", extension.id),
        "ha1_sha256": sealer.seal(extension.ha1_sha256, "extensions", "ha1_sha256", extension.id),
        "person_id": extension.person_id,
        "enabled": extension.enabled,
        "created_at": extension.created_at,
        "digest": extension.digest,
    }


def _extension(sealer: Sealer, row: Row[Any]) -> Extension:
    return Extension(
        id=row.id,
        number=row.number,
        display_name=row.display_name,
        ha1_md5=sealer.open(row.ha1_md5, "extensions", "ha1_md5", row.id),
        ha1_sha256=sealer.open(row.ha1_sha256, "extensions", "ha1_sha256", row.id),
        person_id=row.person_id,
        enabled=row.enabled,
        created_at=row.created_at,
        digest=checked_digest(row.digest),
    )
