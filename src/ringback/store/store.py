"""The store: everything that is kept, behind one object, with the directory that the call path reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError, create_key, read_key
from ringback.governance.vault import KeyEncryptionKey, Vault, create_vault_key, read_vault_key
from ringback.store.database import Database
from ringback.store.directory import Directory
from ringback.store.errors import DatabaseUnusableError
from ringback.store.extensions import Extensions, load_extensions
from ringback.store.holder import DirectoryHolder
from ringback.store.logins import Logins, load_logins
from ringback.store.mailboxes import Mailboxes
from ringback.store.meetings import Meetings, load_meetings
from ringback.store.people import People
from ringback.store.registrations import Registrations
from ringback.store.sessions import Sessions, load_sessions
from ringback.store.tokens import Tokens, load_tokens
from ringback.store.tolls import Tolls
from ringback.store.trunks import Trunks, load_trunks
from ringback.store.values import Values, read_value, write_value
from ringback.store.voices import Voices, unknown_keys

_KEY_CHECK = "sealing-key-check"


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
        reserved: frozenset[str],
        vault: Vault,
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.reserved_numbers = reserved
        self._holder = holder
        self._held: tuple[Directory, dict[str, list[str]]] | None = None
        self.people = People(database, holder)
        self.extensions = Extensions(database, sealer, holder, reserved)
        self.meetings = Meetings(database, sealer, holder, reserved)
        self.trunks = Trunks(database, sealer, holder)
        self.tolls = Tolls(database)
        self.tokens = tokens
        self.logins = logins
        self.sessions = sessions
        self.registrations = Registrations(database)
        self.values = Values(database)
        self.voices = Voices(database, vault)
        self.mailboxes = Mailboxes(database, sealer, self.voices)

    @classmethod
    async def open(
        cls,
        url: str,
        sealer: Sealer,
        vault: tuple[Path, Path],
        reserved_numbers: frozenset[str] = frozenset(),
    ) -> Store:
        """Connect, migrate and load the directory; raises DatabaseUnusableError.

        `vault` is the folder of stored voices and the file of the key to them, which is made if no voice was
        sealed by another one. `reserved_numbers` belong to services (echo test, dial-in): no extension and
        no meeting gets one.
        """
        database = await Database.open(url)
        try:
            await _check_key(database, sealer)
            vault_key = await _vault_key(database, vault[1])
            async with database.read() as connection:
                directory = await _load(connection, sealer)
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
        holder = DirectoryHolder(directory)
        tokens = Tokens(database, known_tokens)
        opened = Vault(vault[0], vault_key)
        return cls(database, sealer, holder, tokens, logins, sessions, reserved_numbers, opened)

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

    async def reload(self) -> None:
        """Read directory and logins again, after something else has written to the database."""
        async with self.database.read() as connection:
            directory = await _load(connection, self.sealer)
        self._holder.replace(directory)
        await self.logins.reload()


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
    vault = settings.voices_dir, settings.vault_key_file
    return await Store.open(settings.database_url, sealer, vault, settings.reserved_numbers)


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


async def _vault_key(database: Database, path: Path) -> KeyEncryptionKey:
    """The key to the stored voices; one is only ever made while there are none."""
    try:
        key = _key_if_there(path)
        async with database.read() as connection:
            shut = await unknown_keys(connection, key)
        if not shut:
            return key or create_vault_key(path)
    except (OSError, SealingError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise DatabaseUnusableError(f"security.vault_key_file {path}: {problem}") from None
    what = "is not the one" if key else "is not there"
    raise DatabaseUnusableError(
        f"security.vault_key_file {path} {what} that {shut} stored voices were sealed with; "
        "put the right file back"
    )


def _key_if_there(path: Path) -> KeyEncryptionKey | None:
    return read_vault_key(path) if path.exists() else None
