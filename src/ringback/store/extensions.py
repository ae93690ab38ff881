"""Extensions: the numbers that devices register to, with their digest secrets sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.directory import Digest, Extension
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.rules import (
    checked_extension_number,
    checked_name,
    checked_password,
    new_id,
    new_password,
)


class Extensions:
    """The extensions; every change shows in the directory as soon as it is committed."""

    def __init__(
        self, database: Database, sealer: Sealer, holder: DirectoryHolder, reserved: Container[str]
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._reserved = reserved

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
        extension, password = new_extension(
            checked_extension_number(number, self._reserved),
            display_name,
            password,
            person_id,
            _checked_digest(digest),
        )
        async with self._database.write() as connection:
            await insert_extension(connection, self._sealer, extension)
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
        """Change what is given, keep the rest; `no_person` takes the extension from its holder."""
        changes: dict[str, Any] = {}
        if display_name is not None:
            changes["display_name"] = checked_name(display_name, "the display name", may_be_empty=True)
        if enabled is not None:
            changes["enabled"] = enabled
        if person_id is not None or no_person:
            changes["person_id"] = None if no_person else person_id
        if digest is not None:
            changes["digest"] = _checked_digest(digest)
        return await self._update(number, changes)

    async def set_password(self, number: str, password: Private[str] | None = None) -> Private[str]:
        """Another password, a generated one if none is given; devices need it from now on."""
        password = new_password() if password is None else checked_password(password, number)
        md5, sha256 = _ha1(number, password)
        await self._update(number, {"ha1_md5": md5, "ha1_sha256": sha256})
        return password

    async def remove(self, number: str) -> None:
        """Delete an extension; raises NotFoundError."""
        extension = self.get(number)
        async with self._database.write() as connection:
            await connection.execute(delete(schema.extensions).where(schema.extensions.c.id == extension.id))
            await connection.execute(
                delete(schema.registrations).where(schema.registrations.c.number == number)
            )
        self._holder.replace(self._holder.current.without_extension(number))

    async def _update(self, number: str, changes: dict[str, Any]) -> Extension:
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            extension = replace(self.get(number), **changes)
            statement = update(schema.extensions).where(schema.extensions.c.id == extension.id)
            with _conflicts_named(extension):
                await connection.execute(statement.values(_values(self._sealer, extension)))
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
    md5, sha256 = _ha1(number, password)
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
        await connection.execute(insert(schema.extensions).values(_values(sealer, extension)))


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


def _checked_digest(digest: str) -> Digest:
    known: tuple[Digest, ...] = get_args(Digest)
    for one in known:
        if digest == one:
            return one
    raise InvalidError(f"the digest is one of {', '.join(known)}")


def _ha1(number: str, password: Private[str]) -> tuple[Private[str], Private[str]]:
    text = f"{number}:{SIP_REALM}:{password.reveal()}".encode()
    md5 = hashlib.md5(text, usedforsecurity=False)
    return Private(md5.hexdigest()), Private(hashlib.sha256(text).hexdigest())


def _values(sealer: Sealer, extension: Extension) -> dict[str, Any]:
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
        digest=_checked_digest(row.digest),
    )
