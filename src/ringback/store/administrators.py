"""Administrators: people who run the system, and the one-time links with which they choose a password."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.errors import InvalidError, NotFoundError
from ringback.store.rules import checked_name, new_id, new_secret
from ringback.store.tokens import hash_secret

LINK_VALID: Final = timedelta(hours=24)
MIN_PASSWORD_LENGTH: Final = 12
MAX_PASSWORD_LENGTH: Final = 256
FIRST_ADMINISTRATOR: Final = "admin"


@dataclass(frozen=True, slots=True)
class Administrator:
    """Somebody who may change everything."""

    id: str
    name: str
    has_password: bool
    created_at: datetime


class Administrators:
    """The administrators and their one-time links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Administrator]:
        """All administrators, by name."""
        query = select(schema.administrators).order_by(schema.administrators.c.name)
        async with self._database.read() as connection:
            return [_administrator(row) for row in await connection.execute(query)]

    async def new_link(self, name: str = FIRST_ADMINISTRATOR) -> Private[str]:
        """The secret of a new one-time link, valid for 24 hours; older links of this administrator end.

        Creates the administrator if there is none with that name.
        """
        name = checked_name(name)
        async with self._database.write() as connection:
            return await renew_link(connection, name)

    async def knows_link(self, secret: Private[str]) -> bool:
        """Whether a one-time link can still be used."""
        query = select(schema.one_time_links.c.id).where(_usable(secret))
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def choose_password(self, link: Private[str], password: Private[str]) -> Administrator:
        """Set the password of the administrator to whom the link was given; the link is used up.

        Raises NotFoundError for a link that is unknown, used or too old, InvalidError for a weak password.
        """
        if not await self.knows_link(link):
            raise NotFoundError(_NO_LINK)
        hashed = await asyncio.to_thread(_hash, _checked(password))
        async with self._database.write() as connection:
            query = select(schema.one_time_links.c.administrator_id).where(_usable(link))
            row = (await connection.execute(query)).first()
            if row is None:
                raise NotFoundError(_NO_LINK)
            mine = schema.administrators.c.id == row.administrator_id
            await connection.execute(update(schema.administrators).where(mine).values(password_hash=hashed))
            await connection.execute(
                delete(schema.one_time_links).where(
                    schema.one_time_links.c.administrator_id == row.administrator_id
                )
            )
            found = (await connection.execute(select(schema.administrators).where(mine))).one()
        return _administrator(found)

    async def check_password(self, name: str, password: Private[str]) -> Administrator | None:
        """The administrator, None if name or password are wrong; both take the same time."""
        query = select(schema.administrators).where(schema.administrators.c.name == name)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        stored = row.password_hash if row is not None else None
        right = await asyncio.to_thread(_verify, stored or _NOBODY, password)
        return _administrator(row) if row is not None and stored and right else None


_NO_LINK = "this link is unknown, used or older than 24 hours; make a new one: ringback admin link"
# The hash of a password nobody has, with today's parameters: an unknown name takes as long.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$MkMOeaGgz2Kp78kbWCpmgQ$It9aHBgqZPpVoAA6KYQY2DLS5t+nZkuhTSTM5PIOb64"


async def renew_link(connection: AsyncConnection, name: str) -> Private[str]:
    """The secret of a new one-time link for the administrator with that name, created if need be."""
    query = select(schema.administrators.c.id).where(schema.administrators.c.name == name)
    administrator_id = (await connection.execute(query)).scalar_one_or_none()
    if administrator_id is None:
        administrator_id = new_id()
        await connection.execute(
            insert(schema.administrators).values(id=administrator_id, name=name, created_at=datetime.now(UTC))
        )
    return await _insert_link(connection, administrator_id)


async def _insert_link(connection: AsyncConnection, administrator_id: str) -> Private[str]:
    secret = new_secret()
    links = schema.one_time_links
    await connection.execute(delete(links).where(links.c.administrator_id == administrator_id))
    await connection.execute(
        insert(links).values(
            id=new_id(),
            administrator_id=administrator_id,
            sha256=hash_secret(secret),
            expires_at=datetime.now(UTC) + LINK_VALID,
        )
    )
    return secret


def _usable(secret: Private[str]) -> Any:
    links = schema.one_time_links.c
    return (links.sha256 == hash_secret(secret)) & (links.expires_at > datetime.now(UTC))


def _checked(password: Private[str]) -> Private[str]:
    length = len(password.reveal())
    if length < MIN_PASSWORD_LENGTH:
        raise InvalidError(f"the password needs at least {MIN_PASSWORD_LENGTH} characters")
    if length > MAX_PASSWORD_LENGTH:
        raise InvalidError(f"the password must not be longer than {MAX_PASSWORD_LENGTH} characters")
    return password


def _hash(password: Private[str]) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415 - loaded when a password is chosen, not at every start

    return PasswordHasher().hash(password.reveal())


def _verify(hashed: str, password: Private[str]) -> bool:
    from argon2 import PasswordHasher  # noqa: PLC0415
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(hashed, password.reveal())
    except (Argon2Error, InvalidHashError):
        return False


def _administrator(row: Row[Any]) -> Administrator:
    return Administrator(
        id=row.id, name=row.name, has_password=row.password_hash is not None, created_at=row.created_at
    )
