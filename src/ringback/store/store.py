"""The store: everything that is kept, behind one object, with the directory that the call path reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.config import Settings
from ringback.config.settings import EMERGENCY_NUMBERS
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError, create_key, read_key
from ringback.store.administrators import Administrators
from ringback.store.agreement import Fixed
from ringback.store.database import Database
from ringback.store.devices import Devices, load_devices
from ringback.store.directory import Directory
from ringback.store.errors import DatabaseUnusableError
from ringback.store.extensions import Extensions, load_extensions
from ringback.store.holder import DirectoryHolder
from ringback.store.holdings import Holding, Holdings, load_holdings
from ringback.store.meetings import Meetings, load_meetings
from ringback.store.objects import Objects
from ringback.store.people import People, load_people
from ringback.store.plan.plan import Plan
from ringback.store.reassignments import Listener, Reassignments
from ringback.store.registrations import Registrations
from ringback.store.revisions import Entry, load_entries
from ringback.store.tokens import Tokens, load_tokens
from ringback.store.tolls import Tolls
from ringback.store.trunks import Trunks, load_trunks
from ringback.store.values import Values, read_value, write_value

_KEY_CHECK = "sealing-key-check"
_NOTHING_FIXED = Fixed()


class Store:
    """Opened with `open_store` or `Store.open`, closed with `close`; one process at a time writes SQLite."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        holder: DirectoryHolder,
        tokens: Tokens,
        fixed: Fixed,
        loaded: _Loaded,
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.reserved_numbers = fixed.services
        self._holder = holder
        self.objects = Objects(database, holder, fixed, loaded.entries)
        self.reassignments = Reassignments(database)
        self.holdings = Holdings(database, holder, self.reassignments, loaded.holdings)
        self.people = People(database, holder, self.holdings, self.reassignments)
        self.extensions = Extensions(
            database, sealer, holder, self.objects, self.holdings, self.reassignments
        )
        self.devices = Devices(database, sealer, holder)
        self.meetings = Meetings(database, sealer, holder, self.objects)
        self.trunks = Trunks(database, sealer, holder, self.objects)
        self.tolls = Tolls(database)
        self.tokens = tokens
        self.administrators = Administrators(database)
        self.registrations = Registrations(database)
        self.values = Values(database)

    @classmethod
    async def open(cls, url: str, sealer: Sealer, fixed: Fixed = _NOTHING_FIXED) -> Store:
        """Connect, migrate and load the directory; raises DatabaseUnusableError.

        `fixed` is what the settings say: numbers of services and of emergencies are given to nothing else.
        """
        database = await Database.open(url)
        try:
            await _check_key(database, sealer)
            async with database.read() as connection:
                loaded = await _load(connection, sealer)
                known_tokens = await load_tokens(connection)
        except SealingError as error:
            await database.close()
            raise DatabaseUnusableError(
                f"the database and the key file do not belong together: {error}"
            ) from None
        except BaseException:
            await database.close()
            raise
        holder = DirectoryHolder(loaded.directory)
        return cls(database, sealer, holder, Tokens(database, known_tokens), fixed, loaded)

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

    def on_reassigned(self, listener: Listener) -> None:
        """Call `listener` when an extension has changed hands: the former holder keeps nothing.

        It is told again, after a restart too, until it has returned once; what is of before
        `Reassignment.at` is the former holder's.
        """
        self.reassignments.listen(listener)

    async def reload(self) -> None:
        """Read the directory again, after something else has written to the database."""
        async with self.database.read() as connection:
            loaded = await _load(connection, self.sealer)
        self.objects.load(loaded.entries)
        self.holdings.load(loaded.holdings)
        self._holder.replace(loaded.directory)


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
    return await Store.open(settings.database_url, sealer, _fixed(settings))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the database holds of the directory, and what goes with it."""

    directory: Directory
    entries: list[Entry]
    holdings: list[Holding]


async def _load(connection: AsyncConnection, sealer: Sealer) -> _Loaded:
    entries = await load_entries(connection)
    directory = Directory.of(
        await load_extensions(connection, sealer),
        await load_meetings(connection, sealer),
        await load_trunks(connection, sealer),
        Plan.of(entry.value for entry in entries),
        await load_people(connection),
        await load_devices(connection, sealer),
    )
    return _Loaded(directory, entries, await load_holdings(connection))


def _fixed(settings: Settings) -> Fixed:
    return Fixed(
        services=settings.service_numbers,
        emergency=frozenset((*EMERGENCY_NUMBERS, *settings.routing.emergency_numbers)),
        classes=frozenset(settings.routing.classes),
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
