"""Reads a backup back: only to see that it is whole, or into a new data folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ringback.backup.errors import BackupError
from ringback.backup.head import Head
from ringback.backup.key_list import NAME as KEYS
from ringback.backup.key_list import Keys, read_keys
from ringback.backup.stream import DATABASE, BackupReader, Manifest, Told
from ringback.config.toml_text import toml_text
from ringback.governance.private import Private
from ringback.governance.sealing import SealingError, read_key, sync_folder
from ringback.governance.vault import KeyEncryptionKey, WrappedKey
from ringback.store.backup_copy import GivenKeys, check_database, give_keys, sealed_check
from ringback.store.errors import DatabaseUnusableError

SETTINGS: Final = "settings.toml"
SEALING_KEY: Final = "secret.key"
GONE: Final = "its key was not in the list beside the backup"

_VOICE: Final = re.compile(r"voices/([0-9a-f]{16})[/.]")
_NOT_RESTORED: Final = ("data_dir",)


@dataclass(frozen=True, slots=True)
class Verified:
    """A backup that was read from its beginning to its end, and is as it was written.

    `voices` are in it, of which `audible` have a key in the list; None where there is no list.
    """

    id: str
    created_at: datetime
    version: str
    octets: int
    voices: int
    audible: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was made of a backup."""

    folder: Path
    created_at: datetime
    voices: GivenKeys
    settings: bool
    has_sealing_key: bool


def keys_beside(file: Path, given: Path | None) -> Path | None:
    """The list of keys to use for a backup: the one that was given, or the one beside it; None for none."""
    if given is not None:
        return given
    beside = file.absolute().parent / KEYS
    return beside if beside.exists() else None


def verify_backup(file: Path, vault_key: KeyEncryptionKey, listed: Path | None, told: Told) -> Verified:
    """Read all of a backup and check its database; raises BackupError.

    The database is for that moment in a folder that nobody else can read.
    """
    keys = read_keys(listed, vault_key) if listed is not None else None
    head, manifest = read_through(file, vault_key, told)
    audible = None if keys is None else sum(voice in keys for voice in manifest.voices)
    return Verified(head.id, head.created_at, manifest.version, head.octets, len(manifest.voices), audible)


def read_through(
    file: Path, key: KeyEncryptionKey | Private[bytes], told: Told, within: Path | None = None
) -> tuple[Head, Manifest]:
    """Read all of a backup by the vault key or its own data key, and check its database; raises BackupError.

    The database is for that moment in a folder of its own, made `within` that folder.
    """
    with BackupReader(file, key) as reader, _private_folder(within) as folder:
        found = False
        for name, octets in reader.entries():
            if name == DATABASE:
                found = True
                _write(folder / DATABASE, reader.pieces(octets))
                _check(folder / DATABASE)
            else:
                for _ in reader.pieces(octets):
                    told(reader.at, reader.size)
        if not found:
            raise BackupError("the backup holds no database")
        return reader.head, reader.manifest


def restore_backup(
    file: Path,
    target: Path,
    vault_key: KeyEncryptionKey,
    *,
    listed: Path | None,
    sealing_key: Path | None,
    now: datetime,
    told: Told,
) -> Restored:
    """Make a new data folder of a backup; raises BackupError, and then there is none.

    Voices whose key is not in the list `listed` are deleted in it; without a list these are all.
    `sealing_key` is the file of `security.key_file`, which is put where it is looked for.
    """
    _check_target(target)
    keys = read_keys(listed, vault_key) if listed is not None else {}
    draft = target.with_name(f".{target.name}.restoring")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            with BackupReader(file, vault_key) as reader:
                given = _unpack(reader, draft, keys, now, told)
                manifest, created_at = reader.manifest, reader.head.created_at
            if sealing_key is not None:
                _put_sealing_key(sealing_key, draft)
            settings = _put_settings(manifest, draft)
            _sync(draft)
            # Onto an empty folder too, never onto another.
            draft.rename(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}") from None
    return Restored(target, created_at, given, settings, sealing_key is not None)


def _check_target(target: Path) -> None:
    try:
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise BackupError(f"{target} is no folder")
        if target.is_dir() and any(target.iterdir()):
            raise BackupError(f"there is something in {target} already; name a new folder")
        if not target.parent.is_dir():
            raise BackupError(f"{target.parent} is not there")
    except OSError as error:
        raise BackupError(f"{target} cannot be used: {error.strerror}") from None


def _unpack(reader: BackupReader, folder: Path, keys: Keys, now: datetime, told: Told) -> GivenKeys:
    given: GivenKeys | None = None
    for name, octets in reader.entries():
        voice = _VOICE.match(name)
        if voice is not None and voice[1] not in keys:
            for _ in reader.pieces(octets):
                pass
        else:
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, reader.pieces(octets))
        if name == DATABASE:
            given = _complete(folder / name, keys, now)
        told(reader.at, reader.size)
    if given is None:
        raise BackupError("the backup holds no database")
    return given


def _complete(database: Path, keys: Mapping[str, WrappedKey], now: datetime) -> GivenKeys:
    _check(database)
    try:
        return give_keys(database, keys, now, GONE)
    except DatabaseUnusableError as error:
        raise BackupError(str(error)) from None


def _check(database: Path) -> None:
    try:
        check_database(database)
    except DatabaseUnusableError as error:
        raise BackupError(str(error)) from None


def _put_sealing_key(key_file: Path, folder: Path) -> None:
    """Put it where it is looked for, if it is the one that the database was sealed with."""
    try:
        sealer = read_key(key_file)
        table, column, row, sealed = sealed_check(folder / DATABASE)
        if sealed:
            sealer.open(sealed, table, column, row)
        text = key_file.read_bytes()
    except (SealingError, DatabaseUnusableError) as error:
        raise BackupError(
            f"{key_file} is not the key file that the backup's database needs: {error}"
        ) from None
    _write(folder / SEALING_KEY, iter((text,)))


def _put_settings(manifest: Manifest, folder: Path) -> bool:
    kept = {key: value for key, value in manifest.settings.items() if key not in _NOT_RESTORED}
    if not kept:
        return False
    text = f"# The settings at the time of the backup, {manifest.created_at:%Y-%m-%d %H:%M} UTC.\n"
    _write(folder / SETTINGS, iter(((text + toml_text(kept)).encode(),)))
    return True


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))


@contextmanager
def _private_folder(within: Path | None = None) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="ringback-verify-", dir=within) as folder:
            yield Path(folder)
    except OSError as error:
        raise BackupError(f"there is no room to look at the database: {error.strerror}") from None
