"""API tokens: shown once, kept as SHA-256, checked in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.errors import InvalidError, NotFoundError
from ringback.store.rules import checked_name, new_id, new_secret

PREFIX = "rb_"
"""What every token begins with, so that one in the wrong place is recognised."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, which is not the token itself."""

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None

    def valid_at(self, moment: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or moment < self.expires_at


class Tokens:
    """The tokens of the API."""

    def __init__(self, database: Database, known: dict[bytes, Token]) -> None:
        self._database = database
        self._known = known

    async def add(
        self, role: str, *, name: str = "", valid_days: int | None = None
    ) -> tuple[Token, Private[str]]:
        """A new token, which cannot be read again; raises InvalidError."""
        if role not in {known.value for known in Role}:
            raise InvalidError("the role is one of: " + ", ".join(known.value for known in Role))
        if valid_days is not None and not 1 <= valid_days <= 3650:
            raise InvalidError("a token is valid for 1 to 3650 days")
        now = datetime.now(UTC)
        expires_at = None if valid_days is None else now + timedelta(days=valid_days)
        token = Token(new_id(), checked_name(name, may_be_empty=True), Role(role), now, expires_at)
        secret = Private(PREFIX + new_secret().reveal())
        sha256 = hash_secret(secret)
        async with self._database.write() as connection:
            await connection.execute(
                insert(schema.tokens).values(
                    id=token.id,
                    name=token.name,
                    role=token.role.value,
                    sha256=sha256,
                    created_at=token.created_at,
                    expires_at=token.expires_at,
                )
            )
        self._known[sha256] = token
        return token, secret

    def all(self) -> list[Token]:
        """All tokens, oldest first."""
        return sorted(self._known.values(), key=lambda token: (token.created_at, token.id))

    def check(self, secret: Private[str]) -> Token | None:
        """The token that this is, None if it is none or has expired.

        Looked up by its hash: how long that takes tells nothing about the tokens that exist.
        """
        token = self._known.get(hash_secret(secret))
        return token if token is not None and token.valid_at(datetime.now(UTC)) else None

    async def revoke(self, token_id: str) -> None:
        """Make a token useless from now on; raises NotFoundError."""
        async with self._database.write() as connection:
            result = await connection.execute(delete(schema.tokens).where(schema.tokens.c.id == token_id))
            if result.rowcount == 0:
                raise NotFoundError(f"there is no token {token_id}")
        for sha256 in [sha256 for sha256, token in self._known.items() if token.id == token_id]:
            del self._known[sha256]


def hash_secret(secret: Private[str]) -> bytes:
    """SHA-256 of a random secret; no salt is needed for 192 random bits."""
    return hashlib.sha256(secret.reveal().encode()).digest()


async def load_tokens(connection: AsyncConnection) -> dict[bytes, Token]:
    """All tokens by hash."""
    return {bytes(row.sha256): _token(row) for row in await connection.execute(select(schema.tokens))}


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
