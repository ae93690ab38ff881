"""Second factors of logins: the secret of an authenticator app, sealed, and recovery codes, hashed."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance import totp
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store import schema
from ringback.store.database import Database
from ringback.store.errors import ConflictError, InvalidError, NotFoundError

RECOVERY_CODES: Final = 10
_READABLE: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUP: Final = 5
_ON: Final = "there is a second factor already; turn it off first"
_OFF: Final = "there is no second factor"
_WRONG: Final = "code: this is not the code that the app shows now"


class SecondFactors:
    """One a login; `has` is answered from memory, codes are looked at in the database."""

    def __init__(self, database: Database, sealer: Sealer, on: Iterable[str]) -> None:
        self._database = database
        self._sealer = sealer
        self._key = sealer.key_for("recovery codes")
        self._on = set(on)

    def has(self, login_id: str) -> bool:
        """Whether a login needs a code."""
        return login_id in self._on

    async def begin(self, login_id: str) -> Private[str]:
        """A new secret, good for nothing before `confirm`; raises ConflictError where there is one."""
        if self.has(login_id):
            raise ConflictError(_ON)
        secret, table = totp.new_secret(), schema.second_factors
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.login_id == login_id))
            await connection.execute(
                insert(table).values(
                    login_id=login_id,
                    secret=self._sealer.seal(secret, "second_factors", "secret", login_id),
                    last_step=0,
                    recovery=[],
                )
            )
        return secret

    async def confirm(self, login_id: str, code: str, now: datetime) -> list[Private[str]]:
        """Need a code from now on, after a first one was shown; returns the recovery codes.

        Raises ConflictError, NotFoundError where none was begun, InvalidError for a wrong code.
        """
        if self.has(login_id):
            raise ConflictError(_ON)
        async with self._database.write() as connection:
            step = await self._step(connection, login_id, code, now)
            codes = _new_codes()
            await self._change(
                connection, login_id, confirmed_at=now, last_step=step, recovery=self._hashes(codes)
            )
        self._on.add(login_id)
        return codes

    async def renew_codes(self, login_id: str) -> list[Private[str]]:
        """Other recovery codes; those before are good for nothing. Raises NotFoundError."""
        if not self.has(login_id):
            raise NotFoundError(_OFF)
        codes = _new_codes()
        async with self._database.write() as connection:
            await self._change(connection, login_id, recovery=self._hashes(codes))
        return codes

    async def check(self, login_id: str, code: str, now: datetime) -> bool:
        """Whether a code is right; each, and each recovery code, is good once."""
        plain = re.sub(r"[\s-]", "", code).lower()
        table = schema.second_factors
        mine = table.c.login_id == login_id
        async with self._database.write() as connection:
            row = (await connection.execute(select(table).where(mine))).first()
            if row is None or row.confirmed_at is None:
                return False
            if len(plain) == totp.DIGITS:
                try:
                    step = await self._step(connection, login_id, plain, now)
                except InvalidError:
                    return False
                await self._change(connection, login_id, last_step=step)
                return True
            left: list[str] = row.recovery
            hashed = self._hashed(plain)
            kept = [each for each in left if not hmac.compare_digest(each, hashed)]
            if len(kept) == len(left):
                return False
            await self._change(connection, login_id, recovery=kept)
            return True

    async def codes_left(self, login_id: str) -> int:
        """How many recovery codes are good still."""
        table = schema.second_factors
        query = select(table.c.recovery).where(table.c.login_id == login_id)
        async with self._database.read() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return len(found or ())

    async def remove(self, login_id: str) -> None:
        """Need a password alone from now on; raises NotFoundError."""
        if not self.has(login_id):
            raise NotFoundError(_OFF)
        table = schema.second_factors
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.login_id == login_id))
        self._on.discard(login_id)

    async def reload(self) -> None:
        """Read again who has one, after something else has written to the database."""
        async with self._database.read() as connection:
            self._on = set(await load_second_factors(connection))

    async def _step(self, connection: AsyncConnection, login_id: str, code: str, now: datetime) -> int:
        table = schema.second_factors
        row = (await connection.execute(select(table).where(table.c.login_id == login_id))).first()
        if row is None:
            raise NotFoundError("nothing was begun; ask for a secret first")
        secret = self._sealer.open(row.secret, "second_factors", "secret", login_id)
        step = totp.matching_step(secret, re.sub(r"\s", "", code), now.timestamp(), row.last_step)
        if step is None:
            raise InvalidError(_WRONG)
        return step

    async def _change(self, connection: AsyncConnection, login_id: str, **values: object) -> None:
        table = schema.second_factors
        await connection.execute(update(table).where(table.c.login_id == login_id).values(**values))

    def _hashes(self, codes: list[Private[str]]) -> list[str]:
        return [self._hashed(code.reveal().replace("-", "")) for code in codes]

    def _hashed(self, plain: str) -> str:
        # With a key of the key file: the database alone does not let anybody try codes.
        return hmac.new(self._key.reveal(), plain.encode(), hashlib.sha256).hexdigest()


async def load_second_factors(connection: AsyncConnection) -> list[str]:
    """The logins that need a code."""
    table = schema.second_factors
    query = select(table.c.login_id).where(table.c.confirmed_at.is_not(None))
    return list((await connection.execute(query)).scalars())


def _new_codes() -> list[Private[str]]:
    def group() -> str:
        return "".join(secrets.choice(_READABLE) for _ in range(_GROUP))

    return [Private(f"{group()}-{group()}") for _ in range(RECOVERY_CODES)]
