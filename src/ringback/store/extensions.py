"""Extensions: the numbers that devices register to, with their digest secrets sealed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.agreement import taken_by
from ringback.store.database import Database
from ringback.store.directory import Digest, Extension
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.holdings import Holdings, from_today, row_of
from ringback.store.objects import Objects
from ringback.store.reassignments import Reassignments
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
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._objects = objects
        self._holdings = holdings
        self._reassignments = reassignments

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
            checked_extension_number(number, fixed.services),
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
        if person_id is not None or no_person:
            await self._hold(number, None if no_person else person_id)
        return await self._update(number, changes) if changes else self.get(number)

    async def set_password(self, number: str, password: Private[str] | None = None) -> Private[str]:
        """Another password, a generated one if none is given; devices need it from now on."""
        password = new_password() if password is None else checked_password(password, number)
        md5, sha256 = digests_of(number, password)
        await self._update(number, {"ha1_md5": md5, "ha1_sha256": sha256})
        return password

    async def remove(self, number: str) -> None:
        """Delete an extension with its devices, its mailbox and how it answers.

        Raises NotFoundError, or ConflictError that names what needs it.
        """
        objects = self._objects
        async with self._database.write() as connection:
            extension = self.get(number)
            owned = objects.owned(number)
            objects.check_unused("extension", number, besides=owned)
            written = await objects.write(connection, owned, f"removal of extension {number}")
            await self._reassignments.note(connection, extension, extension.person_id, None)
            await connection.execute(delete(schema.extensions).where(schema.extensions.c.id == extension.id))
            await connection.execute(
                delete(schema.registrations).where(schema.registrations.c.number == number)
            )
        self._holdings.forget(extension.id)
        directory = self._holder.current
        gone = [device for device in directory.devices.values() if device.extension == number]
        objects.show(written, directory.without_devices(gone).without_extension(number))
        await self._reassignments.deliver()

    async def _hold(self, number: str, person_id: str | None) -> None:
        async with self._database.write() as connection:
            extension = self.get(number)
            if extension.person_id == person_id:
                return
            self._check_person(person_id)
            day = self._holdings.today()
            holdings = from_today(self._holdings.held(extension.id), extension.id, person_id, day)
            changed = await self._holdings.write(connection, extension, holdings)
        await self._holdings.show(changed, holdings)

    def _check_person(self, person_id: str | None) -> None:
        if person_id is not None and person_id not in self._holder.current.people:
            raise InvalidError(f"there is no person {fit_to_show(person_id, 40)}")

    async def _update(self, number: str, changes: dict[str, Any]) -> Extension:
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            extension = replace(self.get(number), **changes)
            statement = update(schema.extensions).where(schema.extensions.c.id == extension.id)
            with _conflicts_named(extension):
                await connection.execute(statement.values(values_of(self._sealer, extension)))
        self._holder.replace(self._holder.current.with_extension(extension))
        return extension


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
