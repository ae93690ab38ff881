"""A folder of backups: which there are, which are too many, and the keys that they still need."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ringback.backup.errors import AwayError, BackupError, NoRoomError
from ringback.backup.head import Head, complete, destroy, read_head, rewrap
from ringback.backup.key_list import NAME as KEYS
from ringback.backup.key_list import Keys, change_keys, rewrap_keys
from ringback.backup.stream import BackupReader
from ringback.governance.sealing import sync_folder
from ringback.governance.vault import KeyEncryptionKey

SUFFIX: Final = ".rbb"
LEAST_ROOM_BYTES: Final = 16 << 20
"""So much is left free on a disk."""

_PART: Final = ".part"
_FILE: Final = re.compile(r"ringback-\d{8}T\d{6}Z-[0-9a-f]{16}\.rbb")


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A backup in a folder; `problem` says why it is none that could be restored, empty otherwise."""

    file: Path
    id: str
    created_at: datetime | None
    octets: int
    problem: str = ""


def file_name(head: Head) -> str:
    """The name of a backup's file."""
    return f"ringback-{head.created_at:%Y%m%dT%H%M%SZ}-{head.id}{SUFFIX}"


def part_of(folder: Path, head: Head) -> Path:
    """Where it is written before it is whole."""
    return folder / f".{file_name(head)}{_PART}"


def open_folder(folder: Path, *, known: bool) -> None:
    """Make a folder for backups unless it is there; one that is `known` holds the list of keys.

    Raises AwayError: what is usually mounted there may not be.
    """
    try:
        if known:
            (folder / KEYS).stat()
        else:
            folder.mkdir(mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise AwayError(f"{folder} cannot be written")
    except FileNotFoundError:
        if known and folder.is_dir():
            raise AwayError(
                f"{folder} has no {KEYS} any more: is the right disk or share mounted there? If its backups "
                f"are gone for good: ringback backup forget --folder {folder}"
            ) from None
        raise AwayError(f"{folder} is not there") from None
    except OSError as error:
        raise AwayError(f"{folder} cannot be used: {error.strerror}") from None


def backups_in(folder: Path) -> list[StoredBackup]:
    """The backups in a folder, the newest first; raises AwayError."""
    try:
        files = [path for path in folder.iterdir() if _FILE.fullmatch(path.name)]
    except OSError as error:
        raise AwayError(f"{folder} cannot be read: {error.strerror}") from None
    found = [_stored(path) for path in files]
    # Of one second their heads, which count milliseconds, tell the order.
    return sorted(found, key=_age, reverse=True)


def _age(one: StoredBackup) -> tuple[str, float]:
    moment, _ = one.file.name.rsplit("-", 1)
    return moment, one.created_at.timestamp() if one.created_at is not None else 0.0


def check_room(folder: Path, octets: int) -> None:
    """Raise NoRoomError where a backup of that length would fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < octets + LEAST_ROOM_BYTES:
        raise NoRoomError(
            f"no room for a backup in {folder}: it needs {octets / 1e6:.0f} MB and "
            f"{LEAST_ROOM_BYTES / 1e6:.0f} MB to spare, {free / 1e6:.0f} MB are free"
        )


def remove_parts(folder: Path) -> None:
    """Remove what was not written to its end."""
    for path in folder.glob(f".ringback-*{_PART}"):
        path.unlink(missing_ok=True)


def publish(folder: Path, head: Head) -> StoredBackup:
    """A backup that was written and is on the disk gets its head and its name; raises OSError."""
    part = part_of(folder, head)
    complete(part, head)
    path = folder / file_name(head)
    part.rename(path)
    sync_folder(folder)
    return _stored(path)


def too_many(found: Sequence[StoredBackup], keep: int) -> list[StoredBackup]:
    """Those beyond the newest `keep` that can be restored; what cannot be is none that counts."""
    whole = [one for one in found if not one.problem]
    return whole[keep:]


def forget_backup(folder: Path, backup: StoredBackup) -> None:
    """Remove a backup, its key first; raises OSError."""
    destroy(backup.file)
    sync_folder(folder)


def forget_keys(folder: Path, vault_key: KeyEncryptionKey, gone: Sequence[str]) -> bool:
    """Have the keys of these voices in no backup of the folder; raises BackupError, OSError."""
    gone_too = frozenset(gone)
    return change_keys(
        folder, vault_key, lambda keys: {voice: key for voice, key in keys.items() if voice not in gone_too}
    )


def needed_keys(folder: Path, vault_key: KeyEncryptionKey) -> None:
    """Remove keys of voices that are in no backup of the folder; raises BackupError, OSError.

    Nothing is done where a whole backup cannot be read: nobody knows what it needs.
    """
    needed: set[str] = set()
    for backup in backups_in(folder):
        if not backup.problem:
            with BackupReader(backup.file, vault_key) as reader:
                needed.update(reader.manifest.voices)

    def change(keys: Keys) -> Keys:
        return {voice: key for voice, key in keys.items() if voice in needed}

    change_keys(folder, vault_key, change)


def rewrap_folder(folder: Path, vault_key: KeyEncryptionKey) -> None:
    """Wrap the keys of all backups and voices by the current vault key; raises BackupError, OSError."""
    for backup in backups_in(folder):
        if not backup.problem:
            rewrap(backup.file, vault_key)
    change_keys(folder, vault_key, lambda keys: rewrap_keys(keys, vault_key))


def _stored(path: Path) -> StoredBackup:
    octets = 0
    try:
        octets = path.stat().st_size
        head = read_head(path)
    except (BackupError, OSError) as error:
        return StoredBackup(path, path.stem.rpartition("-")[2], None, octets, str(error))
    problem = "" if head.octets == octets and head.key is not None else "it was cut, or its key is destroyed"
    return StoredBackup(path, head.id, head.created_at, octets, problem)
