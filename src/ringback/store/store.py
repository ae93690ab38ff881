"""The store: everything that is kept, behind one object, with the directory that the call path reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError, create_key, read_key
from ringback.store.administrators import Administrators
from ringback.store.call_records import CallRecords
from ringback.store.database import Database
from ringback.store.directory import Directory
from ringback.store.errors import DatabaseUnusableError
from ringback.store.extensions import Extensions, load_extensions
from ringback.store.holder import DirectoryHolder
from ringback.store.meetings import Meetings, load_meetings
from ringback.store.people import People
from ringback.store.registrations import Registrations
from ringback.store.tokens import Tokens, load_tokens
from ringback.store.tolls import Tolls
from ringback.store.trunks import Trunks, load_trunks
from ringback.store.values import Values, read_value, write_value

_KEY_CHECK = "sealing-key-check"


class Store:
    """Opened with `open_store` or `Store.open`, closed with `close`; one process at a time writes SQLite."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        holder: DirectoryHolder,
        tokens: Tokens,
        reserved: frozenset[str],
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.reserved_numbers = reserved
        self._holder = holder
        self.people = People(database, holder)
        self.extensions = Extensions(database, sealer, holder, reserved)
        self.meetings = Meetings(database, sealer, holder, reserved)
        self.trunks = Trunks(database, sealer, holder)
        self.tolls = Tolls(database)
        self.call_records = CallRecords(database, sealer)
        self.tokens = tokens
        self.administrators = Administrators(database)
        self.registrations = Registrations(database)
        self.values = Values(database)

    @classmethod
    async def open(cls, url: str, sealer: Sealer, reserved_numbers: frozenset[str] = frozenset()) -> Store:
        """Connect, migrate and load the directory; raises DatabaseUnusableError.

        `reserved_numbers` belong to services (echo test, dial-in): no extension and no meeting gets one.
        """
        database = await Database.open(url)
        try:
            await _check_key(database, sealer)
            async with database.read() as connection:
                directory = await _load(connection, sealer)
                known_tokens = await load_tokens(connection)
        except SealingError as error:
            await database.close()
            raise DatabaseUnusableError(
                f"the database and the key file do not belong together: {error}"
            ) from None
        except BaseException:
            await database.close()
            raise
        holder = DirectoryHolder(directory)
        return cls(database, sealer, holder, Tokens(database, known_tokens), reserved_numbers)

    async def close(self) -> None:
        """Close the database; the directory stays readable."""
        await self.database.close()

    @property
    def directory(self) -> Directory:
        """The current directory: take it anew for each call."""
        return self._holder.current

    def on_change(self, listener: Callable[[Directory], None]) -> Callable[[], None]:
        """Call `listener` with each new directory, after it is committed; the returned function ends that."""
        return self._holder.listen(listener)

    async def reload(self) -> None:
        """Read the directory again, after something else has written to the database."""
        async with self.database.read() as connection:
            directory = await _load(connection, self.sealer)
        self._holder.replace(directory)


async def open_store(settings: Settings) -> Store:
    """The store that the settings name; on the first start its folder, database and key are created.

    Raises DatabaseUnusableError. A key is only ever made together with a database: a lost one is an error.
    """
    sqlite_file = _sqlite_file(settings.database_url)
    is_new = sqlite_file is not None and not sqlite_file.exists()
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_new and not settings.key_file.exists():
            sealer = create_key(settings.key_file)
        else:
            sealer = read_key(settings.key_file)
    except OSError as error:
        raise DatabaseUnusableError(f"{settings.data_dir} cannot be created: {error.strerror}") from None
    except SealingError as error:
        raise DatabaseUnusableError(str(error)) from None
    if is_new and sqlite_file is not None:
        with contextlib.suppress(OSError):
            sqlite_file.touch(mode=0o600)
    return await Store.open(settings.database_url, sealer, settings.service_numbers)


async def _load(connection: AsyncConnection, sealer: Sealer) -> Directory:
    return Directory.of(
        await load_extensions(connection, sealer),
        await load_meetings(connection, sealer),
        await load_trunks(connection, sealer),
    )


def _sqlite_file(url: str) -> Path | None:
    scheme, _, path = url.partition(":///")
    return Path(path) if scheme.startswith("sqlite") else None


async def _check_key(database: Database, sealer: Sealer) -> None:
    async with database.read() as connection:
        sealed = await read_value(connection, _KEY_CHECK)
    if sealed is not None:
        sealer.open(bytes.fromhex(sealed), "settings", "value", _KEY_CHECK)
        return
    async with database.write() as connection:
        check = sealer.seal(Private("ringback"), "settings", "value", _KEY_CHECK)
        await write_value(connection, _KEY_CHECK, check.hex())
