"""Backups made by the running server: when they are due or asked for, each by a process of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from ringback import __version__
from ringback.backup.errors import BackupError
from ringback.backup.folder import (
    StoredBackup,
    backups_in,
    forget_backup,
    needed_keys,
    open_folder,
    part_of,
    publish,
    too_many,
)
from ringback.backup.head import Head, read_head
from ringback.backup.key_list import NAME as KEYS
from ringback.backup.key_list import change_keys, read_keys
from ringback.backup.making import WORK, Written
from ringback.call.effects import Notice
from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.sealing import KEY_BYTES
from ringback.governance.vault import WrappedKey
from ringback.server.backup_folders import LONG_S, PATIENCE_S, BackupFolders
from ringback.store.backups import BackupDeed, BackupFolder
from ringback.store.errors import StoreError
from ringback.store.store import Store, sqlite_file
from ringback.web.backing_up import (
    BackupFile,
    BackupFolderState,
    BackupProgress,
    BackupRefusedError,
    BackupsState,
    UnknownBackupError,
)
from ringback.web.operations import Metric

COMMAND: Final = (sys.executable, "-m", "ringback.server.backing_up")
ITSELF: Final = "the server"
TICK_S: Final = 15.0
FIRST_S: Final = 60.0
"""After a start nothing is due for so long."""
AGAIN_S: Final = 900.0
"""So long after a backup that failed the next is tried."""
_NO_SUCH: Final = "no folder that can be reached has such a backup; see: ringback backup list"
_LONGEST_LINE: Final = 1 << 20

log = structlog.get_logger(__name__)


class BackupKeeper:
    """Implements `web.backing_up.BackingUp`. `start` and `stop` are for a server; without them it makes
    backups when asked."""

    def __init__(self, settings: Settings, store: Store, publish: Callable[[Notice], None]) -> None:
        self._settings = settings
        self._store = store
        self._tell = publish
        self.folders = store.voices.copies = BackupFolders(store)
        self._progress: BackupProgress | None = None
        self._work: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._due: datetime | None = None
        self._last_at: datetime | None = None
        self._last_octets = 0
        self._failed_at: datetime | None = None
        self._problem = ""
        self._waits = 0

    async def start(self) -> None:
        """Begin to make backups when they are due, and to catch up with what was deleted."""
        await asyncio.to_thread(shutil.rmtree, self._settings.data_dir / WORK, ignore_errors=True)
        rows = await self._store.backups.folders()
        self._last_at = max((row.last_at for row in rows if row.last_at is not None), default=None)
        if self._folder is not None and self._settings.backup.every_h:
            own = next((row.last_at for row in rows if row.folder == str(self._folder)), None)
            soon = datetime.now(UTC) + timedelta(seconds=FIRST_S)
            self._due = max(soon, own + self._every) if own is not None else soon
        self._upkeep = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End what goes on; a backup that was being made is none."""
        for task in (self._upkeep, self._work):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._store.voices.copies = None

    @property
    def _folder(self) -> Path | None:
        return self._settings.backup.folder

    @property
    def _every(self) -> timedelta:
        return timedelta(hours=self._settings.backup.every_h)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except StoreError as error:
                log.warning("backups wait for the database", reason=str(error))
            except Exception:
                log.exception("backups could not be looked after")
            await asyncio.sleep(TICK_S)

    async def _look(self) -> None:
        away = await self.folders.catch_up()
        rows = await self._store.backups.folders() if away else []
        self._waits = sum([await self._store.backups.waiting(row) for row in rows if row.folder in away])
        if self._due is not None and datetime.now(UTC) >= self._due and self._progress is None:
            await self.begin(None, ITSELF)

    # BackingUp

    async def state(self) -> BackupsState:
        """How it is, with all backups that can be seen."""
        # First: one that is not being made any more is among those that are there.
        making = self._progress
        rows = {row.folder: row for row in await self._store.backups.folders()}
        own = str(self._folder) if self._folder is not None else None
        if own is not None and own not in rows:
            rows[own] = BackupFolder(own, datetime.now(UTC), None)
        read = await self._store.backups.verifications()
        folders = await asyncio.gather(*(self._shown(row, read) for row in rows.values()))
        return BackupsState(
            folder=own,
            every_h=self._settings.backup.every_h,
            keep=self._settings.backup.keep,
            making=making,
            last_at=max((row.last_at for row in rows.values() if row.last_at is not None), default=None),
            next_at=self._due,
            failed_at=self._failed_at,
            problem=self._problem,
            folders=tuple(folders),
        )

    async def begin(self, folder: str | None, who: str, *, verify: bool = False) -> BackupProgress:
        """Begin a backup in a folder, None: in that of the settings; raises BackupRefusedError.

        With `verify` it is read through once it is made.
        """
        path, head = self._chosen(folder), self._new_head()
        # Between the last look and this line nothing waits: there is one at a time.
        self._progress = progress = BackupProgress(head.id, str(path), 0, 0)
        self._work = asyncio.create_task(self._try(path, head, who, verify=verify))
        return progress

    async def verify(self, backup: str, who: str) -> BackupProgress:
        """Begin to read a backup through; raises UnknownBackupError, BackupRefusedError."""
        self._refuse_two()
        _, found = await self._find(backup)
        self._refuse_two()
        self._progress = progress = _reading(found)
        self._work = asyncio.create_task(self._try_verifying(found, who))
        return progress

    async def make(self, folder: str | None, who: str) -> BackupFile:
        """As `begin`, and wait for it; raises BackupRefusedError, BackupError."""
        path, head = self._chosen(folder), self._new_head()
        self._progress = BackupProgress(head.id, str(path), 0, 0)
        try:
            return _file(await self._make(path, head, who))
        finally:
            self._progress = None

    def progress(self) -> BackupProgress | None:
        """The backup that is being made."""
        return self._progress

    async def forget(self, backup: str, who: str) -> None:
        """Delete a backup; raises UnknownBackupError, BackupRefusedError."""
        path, found = await self._find(backup)
        try:
            await self.folders.apart(str(path), partial(forget_backup, path, found), LONG_S)
        except BackupError as error:
            log.info("a folder of backups is away", reason=str(error))
            raise UnknownBackupError(_NO_SUCH) from None
        await self._store.backups.note(who, "forgotten", str(found.file))
        await self._keys_needed(path)

    async def _find(self, backup: str) -> tuple[Path, StoredBackup]:
        for row in await self._store.backups.folders():
            path = Path(row.folder)
            try:
                for one in await self.folders.apart(row.folder, partial(backups_in, path)):
                    if backup in (one.id, one.file.name):
                        return path, one
            except BackupError as error:
                log.info("a folder of backups is away", reason=str(error))
        raise UnknownBackupError(_NO_SUCH)

    async def give_up(self, folder: str, who: str) -> None:
        """A folder is gone for good; raises UnknownBackupError."""
        if not await self._store.backups.drop_folder(folder):
            raise UnknownBackupError(f"no backups are known in {folder}; see: ringback backup list")
        self.folders.drop(folder)
        await self._store.backups.note(who, "gave up", folder)

    async def deeds(self) -> list[BackupDeed]:
        """What was done with backups, the latest first."""
        return await self._store.backups.deeds()

    # Making

    def _refuse_two(self) -> None:
        if self._progress is not None:
            act = "made" if self._progress.act == "making" else "verified"
            raise BackupRefusedError(f"a backup is being {act} already; see: ringback backup list")

    def _chosen(self, folder: str | None) -> Path:
        self._refuse_two()
        path = Path(folder) if folder is not None else self._folder
        if path is None:
            raise BackupRefusedError(
                "there is no folder for backups: set backup.folder, or name one: "
                "ringback backup create --to FOLDER"
            )
        problem = self._settings.problem_of_backups(path)
        if problem:
            raise BackupRefusedError(f"the folder {problem}")
        return path

    @staticmethod
    def _new_head() -> Head:
        return Head(secrets.token_hex(8), round(time.time() * 1000))

    async def _try(self, path: Path, head: Head, who: str, *, verify: bool = False) -> None:
        try:
            made = await self._make(path, head, who)
        except (BackupError, StoreError) as error:
            await self._failed(path, str(error), who)
        except Exception as error:
            log.exception("a backup could not be made")
            await self._failed(
                path, f"the server made a mistake ({type(error).__name__}); its log says more", who
            )
        else:
            self._tell(Notice("backup.made", {"file": made.file.name, "octets": made.octets}))
            if verify:
                self._progress = _reading(made)
                await self._verified(made, who)
        finally:
            self._progress = None
            self._work = None

    # Reading through

    async def _try_verifying(self, stored: StoredBackup, who: str) -> None:
        try:
            await self._verified(stored, who)
        except StoreError as error:
            log.warning("that a backup was verified could not be written down", reason=str(error))
        finally:
            self._progress = None
            self._work = None

    async def _verified(self, stored: StoredBackup, who: str) -> None:
        problem = ""
        try:
            await self._read_through(stored)
        except BackupError as error:
            problem = str(error)
        except Exception as error:
            log.exception("a backup could not be verified")
            problem = f"the server made a mistake ({type(error).__name__}); its log says more"
        told: dict[str, object] = {"file": stored.file.name, **({"reason": problem} if problem else {})}
        self._tell(Notice("backup.damaged" if problem else "backup.verified", told))
        await self._store.backups.note_verified(who, str(stored.file), problem)

    async def _read_through(self, stored: StoredBackup) -> None:
        folder, vault_key = str(stored.file.parent), self._store.voices.vault.key

        def opened() -> Private[bytes]:
            # The list beside it is needed as much.
            read_keys(stored.file.parent / KEYS, vault_key)
            return read_head(stored.file).data_key(vault_key)

        key = await self.folders.apart(folder, opened)
        asked = {
            "verify": str(stored.file),
            "key": base64.b64encode(key.reveal()).decode(),
            "data_dir": str(self._settings.data_dir),
        }
        async with contextlib.aclosing(self._asking(asked)) as telling:
            async for told in telling:
                if "sound" in told:
                    return
        raise BackupError("the process that read the backup ended before its end")

    async def _failed(self, path: Path, problem: str, who: str) -> None:
        self._failed_at, self._problem = datetime.now(UTC), problem
        if self._due is not None and path == self._folder:
            self._due = datetime.now(UTC) + timedelta(seconds=AGAIN_S)
        self._tell(Notice("backup.failed", {"reason": problem}))
        with contextlib.suppress(StoreError):
            await self._store.backups.note(who, "failed", str(path))

    async def _make(self, path: Path, head: Head, who: str) -> StoredBackup:
        folder = str(path)
        before = {row.folder: row for row in await self._store.backups.folders()}.get(folder)
        known = before is not None and before.last_at is not None
        await self.folders.apart(folder, partial(open_folder, path, known=known))
        # Before anything is read: whatever is deleted from now on is deleted there, too.
        await self._store.backups.add_folder(folder, datetime.now(UTC))
        data_key = Private(secrets.token_bytes(KEY_BYTES))
        try:
            written = await self._written(path, head, data_key)
            made = await self._publish(path, replace(head, octets=written.octets), data_key, written)
        except BaseException:
            with contextlib.suppress(BackupError):
                part = part_of(path, head)
                await self.folders.apart(folder, partial(part.unlink, missing_ok=True))
            if before is None:
                await self._store.backups.drop_folder(folder)
            raise
        await self._store.backups.made(folder, head.created_at)
        await self._store.backups.note(who, "made", str(made.file))
        self._last_at, self._last_octets = head.created_at, made.octets
        self._failed_at, self._problem = None, ""
        if self._due is not None and path == self._folder:
            self._due = head.created_at + self._every
        try:
            for one in too_many(
                await self.folders.apart(folder, partial(backups_in, path)), self._settings.backup.keep
            ):
                await self.folders.apart(folder, partial(forget_backup, path, one), LONG_S)
                await self._store.backups.note(ITSELF, "forgotten", str(one.file))
            await self._keys_needed(path)
        except BackupError as error:
            log.warning("backups that are too many could not be deleted", reason=str(error))
        return made

    async def _keys_needed(self, path: Path) -> None:
        key = self._store.voices.vault.key
        try:
            await self.folders.apart(str(path), partial(needed_keys, path, key), LONG_S)
        except BackupError as error:
            log.warning("keys that no backup needs any more could not be deleted", reason=str(error))

    async def _publish(
        self, path: Path, head: Head, data_key: Private[bytes], written: Written
    ) -> StoredBackup:
        async with self.folders.alone(str(path), LONG_S) as do:
            # What is deleted after this is read, is deleted from the list as soon as the folder is free.
            keys = await self._store.backups.keys(written.voices)
            return await do(partial(self._published, path, head, data_key, keys))

    def _published(
        self, path: Path, head: Head, data_key: Private[bytes], keys: dict[str, WrappedKey]
    ) -> StoredBackup:
        vault_key = self._store.voices.vault.key
        # Keys first: a backup that is there has all of them.
        change_keys(path, vault_key, lambda before: {**before, **keys})
        return publish(path, replace(head, key=vault_key.wrap(data_key, head.purpose)))

    async def _written(self, path: Path, head: Head, data_key: Private[bytes]) -> Written:
        voices: list[str] = []
        async with contextlib.aclosing(self._asking(self._asked(path, head, data_key))) as telling:
            async for told in telling:
                if "octets" in told:
                    return Written(told["octets"], tuple(voices))
                voices += told.get("voices", ())
        raise BackupError("the process that wrote the backup ended before its end")

    async def _asking(self, asked: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """What a process of its own tells that does this; raises BackupError for what it could not."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            async for line in process.stdout:
                told = json.loads(line)
                if "problem" in told:
                    raise BackupError(told["problem"])
                if self._progress is not None and "done" in told:
                    self._progress = replace(self._progress, done=told["done"], total=told["total"])
                yield told
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _asked(self, path: Path, head: Head, data_key: Private[bytes]) -> dict[str, Any]:
        settings = self._settings
        return {
            "id": head.id,
            "created_ms": head.created_ms,
            "folder": str(path),
            "key": base64.b64encode(data_key.reveal()).decode(),
            "data_dir": str(settings.data_dir),
            "database": str(sqlite_file(settings.database_url)),
            "voices": str(settings.voices_dir),
            "tls": str(settings.tls_dir),
            "version": __version__,
            "settings": settings.model_dump(mode="json", exclude_defaults=True, exclude={"data_dir"}),
        }

    # Telling

    async def _shown(self, row: BackupFolder, read: Mapping[str, tuple[datetime, str]]) -> BackupFolderState:
        path, found, problem, waiting = Path(row.folder), [], "", 0
        try:
            if row.last_at is not None:
                await self.folders.apart(row.folder, partial(open_folder, path, known=True), PATIENCE_S)
                found = await self.folders.apart(row.folder, partial(backups_in, path), PATIENCE_S)
        except BackupError as error:
            problem = str(error)
        if self.folders.behind(row.folder):
            waiting = await self._store.backups.waiting(row)
        shown = []
        for one in found:
            verified_at, damage = read.get(str(one.file), (None, ""))
            shown.append(replace(_file(one), verified_at=verified_at, damage=damage))
        return BackupFolderState(row.folder, problem, waiting, tuple(shown))

    def metrics(self) -> Iterable[Metric]:
        """When the last backup was, whether the latest failed, and what waits."""
        last = self._last_at.timestamp() if self._last_at is not None else 0.0
        told = (
            ("last_success_timestamp_seconds", "When the newest backup was made; 0: never.", last),
            ("last_size_bytes", "Octets of the newest backup of this start.", float(self._last_octets)),
            ("failed", "1 while the latest backup could not be made.", float(self._failed_at is not None)),
            ("in_progress", "1 while a backup is being made.", float(self._progress is not None)),
            (
                "waiting_deletions",
                "Deleted voices that are still in backups that are away.",
                float(self._waits),
            ),
        )
        for name, description, value in told:
            yield Metric(f"ringback_backup_{name}", "gauge", description, (({}, value),))


def _reading(stored: StoredBackup) -> BackupProgress:
    return BackupProgress(stored.id, str(stored.file.parent), 0, 0, "verifying")


def _file(stored: StoredBackup) -> BackupFile:
    return BackupFile(stored.id, str(stored.file), stored.created_at, stored.octets, stored.problem)
