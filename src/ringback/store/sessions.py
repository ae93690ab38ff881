"""Sessions of people who are logged in: a random secret in a cookie, kept as SHA-256, checked in memory."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.errors import NotFoundError
from ringback.store.logins import Login, Logins
from ringback.store.rules import new_id, new_secret
from ringback.store.tokens import hash_secret

IDLE: Final = timedelta(hours=12)
"""A session that makes no request for so long is over."""

LONGEST: Final = timedelta(days=7)
"""Whatever it does, it is over after so long."""

_MOST_A_LOGIN: Final = 20
_SEEN_EVERY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Session:
    """Where somebody is logged in: by which browser, since when, and when it last made a request."""

    id: str
    login_id: str
    browser: str
    created_at: datetime
    seen_at: datetime

    def valid_at(self, moment: datetime) -> bool:
        """Whether neither of its limits is reached."""
        return moment - self.seen_at < IDLE and moment - self.created_at < LONGEST


class Sessions:
    """The sessions of all logins; those that are over are deleted when the next one begins."""

    def __init__(self, database: Database, logins: Logins, known: dict[bytes, Session]) -> None:
        self._database = database
        self._logins = logins
        self._known = known
        self._keys = {session.id: key for key, session in known.items()}
        self._kept_at: dict[str, datetime] = {}

    async def begin(self, login: Login, browser: str) -> tuple[Session, Private[str]]:
        """A new session and its secret, which cannot be read again; of too many the oldest ends."""
        now = datetime.now(UTC)
        secret = new_secret()
        session = Session(new_id(), login.id, browser[:80], now, now)
        mine = [one for one in self.of(login.id) if one.valid_at(now)]
        over = [one.id for one in self._known.values() if not one.valid_at(now)]
        over += [one.id for one in mine[_MOST_A_LOGIN - 1 :]]
        async with self._database.write() as connection:
            await connection.execute(
                insert(schema.sessions).values(
                    id=session.id,
                    login_id=login.id,
                    sha256=hash_secret(secret),
                    browser=session.browser,
                    created_at=now,
                    seen_at=now,
                )
            )
            await connection.execute(delete(schema.sessions).where(schema.sessions.c.id.in_(over)))
        self._forget(over)
        self._known[hash_secret(secret)] = session
        self._keys[session.id] = hash_secret(secret)
        return session, secret

    def check(self, secret: Private[str], now: datetime) -> tuple[Session, Login] | None:
        """Whose session this is, noting that it is in use; None if it is none, or over."""
        key = hash_secret(secret)
        session = self._known.get(key)
        if session is None or not session.valid_at(now):
            return None
        login = self._logins.get(session.login_id)
        if login is None:
            return None
        self._known[key] = seen = replace(session, seen_at=now)
        return seen, login

    def login_of(self, session_id: str) -> Login | None:
        """Whose session that is, while it lasts."""
        key = self._keys.get(session_id)
        session = self._known.get(key) if key is not None else None
        if session is None or not session.valid_at(datetime.now(UTC)):
            return None
        return self._logins.get(session.login_id)

    def of(self, login_id: str) -> list[Session]:
        """The sessions of a login, the one used last first."""
        now = datetime.now(UTC)
        mine = (one for one in self._known.values() if one.login_id == login_id and one.valid_at(now))
        return sorted(mine, key=lambda one: one.seen_at, reverse=True)

    async def keep(self, session: Session) -> None:
        """Write down that a session is in use, now and then; while the database is away nothing is lost
        but that."""
        if session.seen_at - self._kept_at.get(session.id, session.created_at) < _SEEN_EVERY:
            return
        self._kept_at[session.id] = session.seen_at
        mine = schema.sessions.c.id == session.id
        with contextlib.suppress(DBAPIError):
            async with self._database.write() as connection:
                await connection.execute(update(schema.sessions).where(mine).values(seen_at=session.seen_at))

    async def end(self, session_id: str, login_id: str) -> None:
        """End a session of a login; raises NotFoundError."""
        if not any(one.id == session_id for one in self.of(login_id)):
            raise NotFoundError(f"there is no session {session_id}")
        await self._end([session_id])

    async def end_all(self, login_id: str) -> int:
        """End every session of a login; how many there were."""
        ended = [one.id for one in self._known.values() if one.login_id == login_id]
        await self._end(ended)
        return len(ended)

    async def _end(self, ended: list[str]) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(schema.sessions).where(schema.sessions.c.id.in_(ended)))
        self._forget(ended)

    def _forget(self, ended: list[str]) -> None:
        for session_id in ended:
            self._kept_at.pop(session_id, None)
            key = self._keys.pop(session_id, None)
            if key is not None:
                self._known.pop(key, None)


async def load_sessions(connection: AsyncConnection) -> dict[bytes, Session]:
    """All sessions by hash."""
    return {bytes(row.sha256): _session(row) for row in await connection.execute(select(schema.sessions))}


def _session(row: Row[Any]) -> Session:
    return Session(row.id, row.login_id, row.browser, row.created_at, row.seen_at)
