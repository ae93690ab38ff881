"""The store: everything that is kept, behind one object, with the directory that the call path reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.config import Settings
from ringback.config.emergency import USUAL
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError, create_key, read_key
from ringback.governance.vault import Vault
from ringback.store.agreement import Fixed
from ringback.store.backups import Backups
from ringback.store.call_records import CallRecords
from ringback.store.changes import Changes
from ringback.store.database import Database
from ringback.store.devices import Devices, load_devices
from ringback.store.directory import Directory
from ringback.store.errors import DatabaseUnusableError
from ringback.store.extensions import Extensions, load_extensions
from ringback.store.history import History
from ringback.store.holder import DirectoryHolder
from ringback.store.holdings import Holding, Holdings, load_holdings
from ringback.store.importing import Importing
from ringback.store.logins import Logins, load_logins
from ringback.store.mailboxes import Mailboxes
from ringback.store.meetings import Meetings, load_meetings
from ringback.store.objects import Objects
from ringback.store.people import People, load_people
from ringback.store.plan.plan import Plan
from ringback.store.reassignments import Listener, Reassignments
from ringback.store.recordings import Recordings
from ringback.store.registrations import Registrations
from ringback.store.revisions import Entry, load_entries
from ringback.store.second_factors import SecondFactors, load_second_factors
from ringback.store.sessions import Sessions, load_sessions
from ringback.store.sightings import Sighting, Sightings, load_sightings
from ringback.store.tokens import Tokens, load_tokens
from ringback.store.tolls import Tolls
from ringback.store.trunks import Trunks, load_trunks
from ringback.store.values import KEY_CHECK, KEY_CHECK_PLACE, Values, read_value, write_value
from ringback.store.vault_key import open_vault_key
from ringback.store.voices import Voices

_NOTHING_FIXED = Fixed()


class Store:
    """Opened with `open_store` or `Store.open`, closed with `close`; one process at a time writes SQLite."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        holder: DirectoryHolder,
        tokens: Tokens,
        logins: Logins,
        sessions: Sessions,
        vault: Vault,
        fixed: Fixed,
        loaded: _Loaded,
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.reserved_numbers = fixed.services
        self._holder = holder
        self._held: tuple[Directory, dict[str, list[str]]] | None = None
        self.objects = Objects(database, holder, fixed, loaded.entries)
        self.reassignments = Reassignments(database)
        self.holdings = Holdings(database, holder, self.reassignments, loaded.holdings)
        self.changes = Changes(database)
        self.sightings = Sightings(database, loaded.sightings)
        self.people = People(database, holder, self.holdings, self.reassignments, self.changes)
        self.devices = Devices(database, sealer, holder, self.changes)
        self.extensions = Extensions(
            database,
            sealer,
            holder,
            self.objects,
            self.holdings,
            self.reassignments,
            self.devices,
            self.changes,
        )
        self.importing = Importing(database, sealer, holder, self.holdings, fixed)
        self.meetings = Meetings(database, sealer, holder, self.objects, self.changes)
        self.trunks = Trunks(database, sealer, holder, self.objects, self.changes)
        self.tolls = Tolls(database)
        self.call_records = CallRecords(database, sealer)
        self.tokens = tokens
        self.logins = logins
        self.second_factors = SecondFactors(database, sealer, loaded.second_factors)
        self._people, self._devices = loaded.directory.people, loaded.directory.devices
        holder.listen(self._follow_directory)
        self.sessions = sessions
        self.registrations = Registrations(database)
        self.values = Values(database)
        self.voices = Voices(database, vault)
        self.recordings = Recordings(database, sealer, self.voices)
        self.mailboxes = Mailboxes(database, sealer, self.voices)
        self.backups = Backups(database)
        self.history = History(
            self.changes,
            self.objects,
            self.people,
            self.extensions,
            self.devices,
            self.trunks,
            self.meetings,
            logins,
            self.second_factors,
            self.mailboxes,
        )

    @classmethod
    async def open(
        cls, url: str, sealer: Sealer, vault: tuple[Path, Path], fixed: Fixed = _NOTHING_FIXED
    ) -> Store:
        """Connect, migrate and load the directory; raises DatabaseUnusableError.

        `vault` is the folder of stored voices and the file of the key to them, which is made if no voice was
        sealed by another one. `fixed` is what the settings say: numbers of services and of emergencies are
        given to nothing else.
        """
        database = await Database.open(url)
        try:
            await _check_key(database, sealer)
            vault_key = await open_vault_key(database, vault[1])
            async with database.read() as connection:
                loaded = await _load(connection, sealer)
                known_tokens = await load_tokens(connection)
                logins = Logins(database, await load_logins(connection))
                sessions = Sessions(database, logins, await load_sessions(connection))
        except SealingError as error:
            await database.close()
            raise DatabaseUnusableError(
                f"the database and the key file do not belong together: {error}"
            ) from None
        except BaseException:
            await database.close()
            raise
        holder = DirectoryHolder(loaded.directory)
        tokens = Tokens(database, known_tokens)
        opened = Vault(vault[0], vault_key)
        return cls(database, sealer, holder, tokens, logins, sessions, opened, fixed, loaded)

    async def close(self) -> None:
        """Close the database; the directory stays readable."""
        await self.database.close()

    @property
    def directory(self) -> Directory:
        """The current directory: take it anew for each call."""
        return self._holder.current

    def extensions_of(self, person_id: str) -> list[str]:
        """The numbers of the extensions that a person holds now."""
        directory = self._holder.current
        if self._held is None or self._held[0] is not directory:
            held: dict[str, list[str]] = {}
            for extension in directory.extensions.values():
                if extension.person_id is not None and extension.enabled:
                    held.setdefault(extension.person_id, []).append(extension.number)
            self._held = directory, held
        return self._held[1].get(person_id, [])

    def on_change(self, listener: Callable[[Directory], None]) -> Callable[[], None]:
        """Call `listener` with each new directory, after it is committed; the returned function ends that."""
        return self._holder.listen(listener)

    def _follow_directory(self, directory: Directory) -> None:
        # Who is deleted takes the login along, a device what is known of it.
        if directory.people is not self._people:
            self._people = directory.people
            self.logins.follow(directory.people)
        if directory.devices is not self._devices:
            self._devices = directory.devices
            self.sightings.follow([device.id for device in directory.devices.values()])

    def on_reassigned(self, listener: Listener) -> None:
        """Call `listener` when an extension has changed hands: the former holder keeps nothing.

        It is told again, after a restart too, until it has returned once; what is of before
        `Reassignment.at` is the former holder's.
        """
        self.reassignments.listen(listener)

    async def reload(self) -> None:
        """Read directory and logins again, after something else has written to the database."""
        async with self.database.read() as connection:
            loaded = await _load(connection, self.sealer)
        self.objects.load(loaded.entries)
        self.holdings.load(loaded.holdings)
        self._holder.replace(loaded.directory)
        await self.logins.reload()
        await self.second_factors.reload()


async def open_store(settings: Settings) -> Store:
    """The store that the settings name; on the first start its folder, database and key are created.

    Raises DatabaseUnusableError. A key is only ever made together with a database: a lost one is an error.
    """
    database = sqlite_file(settings.database_url)
    is_new = database is not None and not database.exists()
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
    if is_new and database is not None:
        with contextlib.suppress(OSError):
            database.touch(mode=0o600)
    vault = settings.voices_dir, settings.vault_key_file
    return await Store.open(settings.database_url, sealer, vault, _fixed(settings))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the database holds of the directory, and what goes with it."""

    directory: Directory
    entries: list[Entry]
    holdings: list[Holding]
    sightings: list[Sighting]
    second_factors: list[str]


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
    holdings, sightings = await load_holdings(connection), await load_sightings(connection)
    second_factors = await load_second_factors(connection)
    return _Loaded(directory, entries, holdings, sightings, second_factors)


def _fixed(settings: Settings) -> Fixed:
    return Fixed(
        services=settings.reserved_numbers,
        emergency=settings.routing.emergency.union(USUAL),
        classes=frozenset(settings.routing.classes),
        country=settings.routing.country,
    )


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database, None for another kind."""
    scheme, _, path = url.partition(":///")
    return Path(path) if scheme.startswith("sqlite") else None


async def _check_key(database: Database, sealer: Sealer) -> None:
    async with database.read() as connection:
        sealed = await read_value(connection, KEY_CHECK)
    if sealed is not None:
        sealer.open(bytes.fromhex(sealed), *KEY_CHECK_PLACE)
        return
    async with database.write() as connection:
        check = sealer.seal(Private("ringback"), *KEY_CHECK_PLACE)
        await write_value(connection, KEY_CHECK, check.hex())
