"""Writes a backup: a copy of the database without keys of voices, the voices' files, our certificates."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ringback.backup.errors import BackupError, NoRoomError
from ringback.backup.folder import check_room, part_of, remove_parts
from ringback.backup.head import Head
from ringback.backup.stream import DATABASE, MANIFEST, BackupWriter, Manifest, Told
from ringback.governance.private import Private
from ringback.governance.vault import SUFFIX
from ringback.store.backup_copy import copy_database

WORK: Final = "backup-work"
"""The folder below the data folder where the database is copied to; it holds nothing afterwards."""
_ENTRY_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class Source:
    """Where the things are that are kept. `settings` are those that are not the default."""

    data_dir: Path
    database: Path
    voices: Path
    tls: Path
    version: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A backup that waits for its head: how long it is, and the voices in it."""

    octets: int
    voices: tuple[str, ...]


def write_backup(source: Source, folder: Path, head: Head, data_key: Private[bytes], told: Told) -> Written:
    """Write a backup under its temporary name; `told` hears octets done and in all.

    Raises BackupError; nothing is left then.
    """
    work = source.data_dir / WORK
    part = part_of(folder, head)
    try:
        remove_parts(folder)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            return _write(source, work / DATABASE, part, head, data_key, told)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackupError(f"the backup cannot be written to {folder}: {reason}") from None


def _write(
    source: Source, copy: Path, part: Path, head: Head, data_key: Private[bytes], told: Told
) -> Written:
    # The copy is about as long as the database, and on the same disk.
    octets = source.database.stat().st_size
    _check_both(copy.parent, octets)
    voices = copy_database(source.database, copy)
    files = [(DATABASE, copy), *_certificates(source.tls), *_files(source.voices, voices)]
    total = sum(_size(path) + _ENTRY_BYTES for _, path in files)
    check_room(part.parent, total + total // 1000)
    done = 0

    def more(octets: int) -> None:
        nonlocal done
        done += octets
        told(min(done, total), total)

    writer = BackupWriter(part, head, data_key, more)
    manifest = Manifest(source.version, head.created_at, voices, source.settings)
    writer.add(MANIFEST, manifest.packed())
    for name, path in files:
        # What was deleted meanwhile is in no backup.
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            writer.copy(name, file, path.stat().st_size)
    writer.close()
    return Written(part.stat().st_size, voices)


def _check_both(work: Path, octets: int) -> None:
    try:
        check_room(work, octets)
    except NoRoomError as error:
        raise NoRoomError(f"{error}, for a copy of the database") from None


def _certificates(tls: Path) -> Iterator[tuple[str, Path]]:
    if tls.is_dir():
        for path in sorted(tls.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                yield f"tls/{path.name}", path


def _files(folder: Path, voices: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for voice in voices:
        whole = folder / f"{voice}{SUFFIX}"
        if whole.exists():
            yield f"voices/{whole.name}", whole
        for path in sorted((folder / voice).glob(f"*{SUFFIX}")):
            yield f"voices/{voice}/{path.name}", path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
