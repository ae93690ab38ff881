"""Logins: who may come to the console and the phone page, and the one-time links to choose a password."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.passwords import NOBODY, hash_password, is_password
from ringback.store.rules import checked_name, new_id, new_secret
from ringback.store.tokens import hash_secret

LINK_VALID: Final = timedelta(hours=24)
FIRST_ADMINISTRATOR: Final = "admin"


@dataclass(frozen=True, slots=True)
class Login:
    """A name to log in with: a person's (often the e-mail address), or an administrator's of no person."""

    id: str
    name: str
    role: Role
    person_id: str | None
    has_password: bool
    created_at: datetime


class Logins:
    """All logins and their one-time links; those known are kept in memory, for each request asks for one."""

    def __init__(self, database: Database, known: dict[str, Login]) -> None:
        self._database = database
        self._known = known

    def all(self) -> list[Login]:
        """All logins, by name."""
        return sorted(self._known.values(), key=lambda login: login.name)

    def get(self, login_id: str) -> Login | None:
        """The login with this id."""
        return self._known.get(login_id)

    def need(self, login_id: str) -> Login:
        """The login with this id; raises NotFoundError."""
        login = self._known.get(login_id)
        if login is None:
            raise NotFoundError(f"there is no login {login_id}")
        return login

    async def add(self, name: str, role: Role, person_id: str | None) -> tuple[Login, Private[str]]:
        """A new login, and the secret of the link with which its password is chosen.

        Raises ConflictError for a name or a person that has one, InvalidError.
        """
        login = Login(new_id(), _name(name), role, person_id, False, datetime.now(UTC))
        self._refuse_twins(login)
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    insert(schema.logins).values(
                        id=login.id,
                        name=login.name,
                        role=role.value,
                        person_id=person_id,
                        created_at=login.created_at,
                    )
                )
                secret = await _insert_link(connection, login.id)
        except IntegrityError:
            raise InvalidError(f"there is no person {person_id}") from None
        self._known[login.id] = login
        return login, secret

    async def change(
        self,
        login_id: str,
        *,
        name: str | None = None,
        role: Role | None = None,
        person_id: str | None = None,
    ) -> Login:
        """Another name or role, or whose it is; raises NotFoundError, ConflictError, and InvalidError for the
        last administrator and for nobody."""
        login = self.need(login_id)
        if role is not None and role is not Role.ADMIN:
            self._refuse_last(login)
        changed = Login(
            login.id,
            login.name if name is None else _name(name),
            role or login.role,
            person_id or login.person_id,
            login.has_password,
            login.created_at,
        )
        self._refuse_twins(changed)
        mine = schema.logins.c.id == login_id
        values = {"name": changed.name, "role": changed.role.value, "person_id": changed.person_id}
        try:
            async with self._database.write() as connection:
                await connection.execute(update(schema.logins).where(mine).values(**values))
        except IntegrityError:
            raise InvalidError(f"there is no person {person_id}") from None
        self._known[login_id] = changed
        return changed

    async def remove(self, login_id: str) -> None:
        """Delete a login, its sessions with it; raises NotFoundError, InvalidError for the last
        administrator."""
        self._refuse_last(self.need(login_id))
        async with self._database.write() as connection:
            await connection.execute(delete(schema.logins).where(schema.logins.c.id == login_id))
        del self._known[login_id]

    def follow(self, people: Container[str]) -> None:
        """Forget the logins of people who are gone: the database did with them."""
        for login in list(self._known.values()):
            if login.person_id is not None and login.person_id not in people:
                del self._known[login.id]

    async def reload(self) -> None:
        """Read them again, after something else has written to the database."""
        async with self._database.read() as connection:
            self._known = await load_logins(connection)

    async def link_for(self, login_id: str) -> Private[str]:
        """The secret of a new one-time link, valid for 24 hours; older ones end. Raises NotFoundError."""
        self.need(login_id)
        async with self._database.write() as connection:
            return await _insert_link(connection, login_id)

    async def administrator_link(self, name: str = FIRST_ADMINISTRATOR) -> Private[str]:
        """The same for the administrator with that name, who is created if there is none.

        Raises ConflictError where the name is somebody's who is no administrator.
        """
        name = checked_name(name)
        known = self._named(name)
        if known is not None and known.role is not Role.ADMIN:
            raise ConflictError(f"{name} is no administrator")
        async with self._database.write() as connection:
            secret = await renew_link(connection, name)
            self._known.update(await load_logins(connection))
        return secret

    async def knows_link(self, secret: Private[str]) -> bool:
        """Whether a one-time link can still be used."""
        query = select(schema.login_links.c.id).where(_usable(secret))
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def choose_password(self, link: Private[str], password: Private[str]) -> Login:
        """Set the password of the login to which the link was given; the link is used up, sessions end.

        Raises NotFoundError for a link that is unknown, used or too old, InvalidError for a weak password.
        """
        if not await self.knows_link(link):
            raise NotFoundError(_NO_LINK)
        hashed = await hash_password(password)
        async with self._database.write() as connection:
            query = select(schema.login_links.c.login_id).where(_usable(link))
            row = (await connection.execute(query)).first()
            if row is None:
                raise NotFoundError(_NO_LINK)
            return await self._set_password(connection, row.login_id, hashed)

    async def set_password(self, login_id: str, password: Private[str]) -> Login:
        """Set another password; one-time links and sessions end. Raises NotFoundError, InvalidError."""
        self.need(login_id)
        hashed = await hash_password(password)
        async with self._database.write() as connection:
            return await self._set_password(connection, login_id, hashed)

    async def check_password(self, name: str, password: Private[str]) -> Login | None:
        """The login, None if name or password are wrong; both take the same time."""
        login = self._named(name)
        stored: str | None = None
        if login is not None:
            query = select(schema.logins.c.password_hash).where(schema.logins.c.id == login.id)
            async with self._database.read() as connection:
                stored = (await connection.execute(query)).scalar_one_or_none()
        right = await is_password(stored or NOBODY, password)
        return login if stored and right else None

    async def _set_password(self, connection: AsyncConnection, login_id: str, hashed: str) -> Login:
        mine = schema.logins.c.id == login_id
        await connection.execute(update(schema.logins).where(mine).values(password_hash=hashed))
        for table in (schema.login_links, schema.sessions):
            await connection.execute(delete(table).where(table.c.login_id == login_id))
        login = _login((await connection.execute(select(schema.logins).where(mine))).one())
        self._known[login_id] = login
        return login

    def _named(self, name: str) -> Login | None:
        wanted = name.strip()
        names = {login.name: login for login in self._known.values()}
        return names.get(wanted) or names.get(wanted.lower())

    def _refuse_twins(self, login: Login) -> None:
        for other in self._known.values():
            if other.id == login.id:
                continue
            if other.name == login.name:
                raise ConflictError("name: somebody logs in with this name already")
            if login.person_id is not None and other.person_id == login.person_id:
                raise ConflictError("this person has a login already")

    def _refuse_last(self, login: Login) -> None:
        others = [one for one in self._known.values() if one.role is Role.ADMIN and one.id != login.id]
        if login.role is Role.ADMIN and not others:
            raise InvalidError("this is the only administrator; make another one first")


_NO_LINK = "this link is unknown, used or older than 24 hours; ask for a new one (ringback admin link)"


async def renew_link(connection: AsyncConnection, name: str) -> Private[str]:
    """The secret of a new one-time link for the administrator with that name, created if need be."""
    query = select(schema.logins.c.id).where(schema.logins.c.name == name)
    login_id = (await connection.execute(query)).scalar_one_or_none()
    if login_id is None:
        login_id = new_id()
        values = {"id": login_id, "name": name, "role": Role.ADMIN.value, "created_at": datetime.now(UTC)}
        await connection.execute(insert(schema.logins).values(**values))
    return await _insert_link(connection, login_id)


async def load_logins(connection: AsyncConnection) -> dict[str, Login]:
    """All logins by id."""
    return {row.id: _login(row) for row in await connection.execute(select(schema.logins))}


async def _insert_link(connection: AsyncConnection, login_id: str) -> Private[str]:
    secret = new_secret()
    links = schema.login_links
    await connection.execute(delete(links).where(links.c.login_id == login_id))
    await connection.execute(
        insert(links).values(
            id=new_id(),
            login_id=login_id,
            sha256=hash_secret(secret),
            expires_at=datetime.now(UTC) + LINK_VALID,
        )
    )
    return secret


def _usable(secret: Private[str]) -> Any:
    links = schema.login_links.c
    return (links.sha256 == hash_secret(secret)) & (links.expires_at > datetime.now(UTC))


def _name(name: str) -> str:
    # Nobody remembers which letters of an address were large.
    return checked_name(name).lower()


def _login(row: Row[Any]) -> Login:
    return Login(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        person_id=row.person_id,
        has_password=row.password_hash is not None,
        created_at=row.created_at,
    )
