"""The key to the stored voices: made while there are none, missed where it is not there, or given up."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.config import Settings
from ringback.governance.sealing import SealingError
from ringback.governance.vault import KeyEncryptionKey, create_vault_key, read_vault_key
from ringback.store.database import Database
from ringback.store.errors import DatabaseUnusableError
from ringback.store.values import read_value, write_value
from ringback.store.voice_schema import voices

_GIVEN_UP: Final = "vault-keys-given-up"


async def open_vault_key(database: Database, path: Path) -> KeyEncryptionKey:
    """The key in the file; one is made if no voice is sealed by another. Raises DatabaseUnusableError."""
    key = _key_if_there(path)
    async with database.read() as connection:
        given_up = await read_value(connection, _GIVEN_UP) or []
        missed = sum((await _missed(connection, key, given_up)).values())
    if not missed:
        return key or _made(path)
    what = "is not the one" if key else "is not there"
    raise DatabaseUnusableError(
        f"security.vault_key_file {path} {what} that {missed} stored voices were sealed with; put the right "
        "file back, or if it is lost for good: ringback recording give-up-key"
    )


async def give_up_vault_key(settings: Settings) -> int:
    """Do without keys that are missed: their voices are kept, and nobody hears them. How many they are.

    What was sealed by a key that comes back can be heard again. Raises DatabaseUnusableError.
    """
    key = _key_if_there(settings.vault_key_file)
    database = await Database.open(settings.database_url)
    try:
        async with database.write() as connection:
            given_up = list(await read_value(connection, _GIVEN_UP) or [])
            missed = await _missed(connection, key, given_up)
            await write_value(connection, _GIVEN_UP, [*given_up, *missed])
    finally:
        await database.close()
    return sum(missed.values())


async def _missed(
    connection: AsyncConnection, key: KeyEncryptionKey | None, given_up: Collection[str]
) -> dict[str, int]:
    """The keys that are not here, and how many voices each has sealed."""
    kept = select(voices.c.key_id, func.count()).where(voices.c.wrapped_key.is_not(None))
    found = (await connection.execute(kept.group_by(voices.c.key_id))).all()
    return {
        key_id: count
        for key_id, count in found
        if key_id not in given_up and (key is None or not key.knows(key_id))
    }


def _key_if_there(path: Path) -> KeyEncryptionKey | None:
    try:
        return read_vault_key(path) if path.exists() else None
    except (OSError, SealingError) as error:
        raise _unusable(path, error) from None


def _made(path: Path) -> KeyEncryptionKey:
    try:
        return create_vault_key(path)
    except (OSError, SealingError) as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError | SealingError) -> DatabaseUnusableError:
    problem = error.strerror if isinstance(error, OSError) else error
    return DatabaseUnusableError(f"security.vault_key_file {path}: {problem}")
