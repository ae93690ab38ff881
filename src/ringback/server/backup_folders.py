"""The folders that hold backups, each with a thread of its own: a share that hangs holds up nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog

from ringback.backup.errors import AwayError, BackupError
from ringback.backup.folder import forget_keys, open_folder, rewrap_folder
from ringback.backup.key_list import NAME as KEYS
from ringback.backup.key_list import read_keys
from ringback.governance.vault import VaultError
from ringback.store.backups import BackupFolder
from ringback.store.errors import ConflictError, StoreError
from ringback.store.store import Store

PATIENCE_S: Final = 5.0
"""So long a deletion waits for a folder; what takes longer is done later."""
LONG_S: Final = 600.0

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Folder:
    path: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    thread: threading.Thread | None = None
    behind: bool = True
    """Whether something that was deleted may still be there: nobody has looked since the start."""
    asked: int = 0


class BackupFolders:
    """Implements `store.voices.Copies`: what is deleted is deleted in all backups, once there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[str, _Folder] = {}

    # Copies

    async def forget(self, gone: Sequence[str]) -> list[str]:
        """Delete the keys of these voices in all backups; the folders where that has to wait."""
        try:
            known = await self._store.backups.folders()
        except StoreError as error:
            log.error("what was deleted stays in backups until the next start", reason=str(error))
            return []
        waits = await asyncio.gather(*(self._forget_in(row, gone) for row in known))
        return [row.folder for row, wait in zip(known, waits, strict=True) if wait]

    async def rewrap(self) -> None:
        """Wrap the keys of all backups by the current vault key; raises ConflictError where one is away."""
        for row in await self._store.backups.folders():
            if row.last_at is None:
                continue
            path = Path(row.folder)
            try:
                await self.apart(row.folder, partial(self._rewrapped, path), LONG_S)
            except BackupError as error:
                raise ConflictError(
                    "the new vault key is in use, and the old one stays in the file for the backups that are "
                    f"away: {error}; then ask again"
                ) from None

    def _rewrapped(self, path: Path) -> None:
        open_folder(path, known=True)
        try:
            rewrap_folder(path, self._store.voices.vault.key)
        except VaultError as error:
            raise BackupError(str(error)) from None

    # Catching up

    def behind(self, folder: str) -> bool:
        """Whether something that was deleted may still be in its backups."""
        return self._one(folder).behind

    async def catch_up(self) -> list[str]:
        """Delete what was deleted while folders were away; those that still are."""
        away = []
        for row in await self._store.backups.folders():
            if self._one(row.folder).behind:
                try:
                    await self._settle(row)
                except (BackupError, StoreError):
                    away.append(row.folder)
        return away

    async def _forget_in(self, row: BackupFolder, gone: Sequence[str]) -> bool:
        """Whether it has to wait."""
        one, path, known = self._one(row.folder), Path(row.folder), row.last_at is not None
        one.asked += 1
        at = datetime.now(UTC)
        try:
            if one.behind:
                await self._settle(row)
            else:
                await self.apart(row.folder, lambda: self._dropped(path, known, gone))
                if one.asked == 1:
                    await self._store.backups.settled(row.folder, at)
        except (BackupError, StoreError) as error:
            one.behind = True
            log.warning("what was deleted waits to be deleted in backups", reason=str(error))
            return True
        finally:
            one.asked -= 1
        return False

    async def _settle(self, row: BackupFolder) -> None:
        """Delete all in it that is known to be deleted; raises BackupError, StoreError."""
        path, known = Path(row.folder), row.last_at is not None
        at = datetime.now(UTC)
        listed = await self.apart(row.folder, lambda: self._listed(path, known))
        gone = await self._store.backups.deleted(listed)
        await self.apart(row.folder, lambda: self._dropped(path, known, gone))
        self._one(row.folder).behind = False
        await self._store.backups.settled(row.folder, at)

    def _listed(self, path: Path, known: bool) -> list[str]:
        open_folder(path, known=known)
        if not (path / KEYS).exists():
            return []
        return list(read_keys(path / KEYS, self._store.voices.vault.key))

    def _dropped(self, path: Path, known: bool, gone: Sequence[str]) -> None:
        open_folder(path, known=known)
        if (path / KEYS).exists():
            forget_keys(path, self._store.voices.vault.key, gone)

    # Threads

    async def apart(self, folder: str, work: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """Do something with a folder, one thing at a time; raises BackupError, AwayError where it takes too
        long."""
        async with self.alone(folder, patience_s) as do:
            return await do(work)

    @asynccontextmanager
    async def alone(self, folder: str, patience_s: float) -> AsyncIterator[_Do]:
        """As `apart` for several things, between which nothing else is done with the folder."""
        one = self._one(folder)
        try:
            async with asyncio.timeout(patience_s):
                await one.lock.acquire()
        except TimeoutError:
            raise AwayError(f"{folder} does not answer") from None
        try:
            yield _Do(one, patience_s)
        finally:
            one.lock.release()

    def drop(self, folder: str) -> None:
        """It is of no concern any more."""
        self._folders.pop(folder, None)

    def _one(self, folder: str) -> _Folder:
        return self._folders.setdefault(folder, _Folder(Path(folder)))


class _Do:
    """Runs work in the folder's thread."""

    def __init__(self, one: _Folder, patience_s: float) -> None:
        self._one = one
        self._patience_s = patience_s

    async def __call__(self, work: Callable[[], T]) -> T:
        one = self._one
        if one.thread is not None and one.thread.is_alive():
            raise AwayError(f"{one.path} does not answer")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = work()
            except Exception as raised:
                error = raised
            # Nobody may be there any more to hear it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        # A daemon: a share that hangs for ever does not keep the server from ending.
        one.thread = threading.Thread(target=run, daemon=True)
        one.thread.start()
        try:
            async with asyncio.timeout(self._patience_s):
                result = await done
        except TimeoutError:
            raise AwayError(f"{one.path} does not answer") from None
        except OSError as error:
            raise AwayError(f"{one.path} cannot be used: {error.strerror or error}") from None
        one.thread = None
        return result
