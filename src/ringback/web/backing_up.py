"""What the web needs from the running system to have backups made: implemented by the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from ringback.store.backups import BackupDeed
from ringback.web.operations import OperationError


class BackupRefusedError(OperationError):
    """A backup cannot be made, or deleted, now."""


class UnknownBackupError(OperationError):
    """There is no such backup, or folder."""

    status = 404


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A backup; `problem` says why it could not be restored, empty otherwise.

    `verified_at` is when all of it was last read, None: never; `damage` what was wrong with it then.
    """

    id: str
    file: str
    created_at: datetime | None
    octets: int
    problem: str
    verified_at: datetime | None = None
    damage: str = ""


@dataclass(frozen=True, slots=True)
class BackupFolderState:
    """A folder of backups. `problem` says why it is away, empty otherwise; `waiting` are voices that were
    deleted and are still in its backups."""

    folder: str
    problem: str
    waiting: int
    backups: tuple[BackupFile, ...]


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """A backup that is being made or read through: octets done, of how many; of 0 while that is not known."""

    id: str
    folder: str
    done: int
    total: int
    act: Literal["making", "verifying"] = "making"


@dataclass(frozen=True, slots=True)
class BackupsState:
    """How it is with backups. `problem` says why the latest could not be made, empty if it was."""

    folder: str | None
    every_h: int
    keep: int
    making: BackupProgress | None
    last_at: datetime | None
    next_at: datetime | None
    failed_at: datetime | None
    problem: str
    folders: tuple[BackupFolderState, ...]


class BackingUp(Protocol):
    """Makes backups, one at a time, and keeps what was deleted out of them."""

    async def state(self) -> BackupsState:
        """How it is, with all backups that can be seen."""

    async def begin(self, folder: str | None, who: str, *, verify: bool = False) -> BackupProgress:
        """Begin a backup in a folder, None: in that of the settings; raises BackupRefusedError.

        With `verify` it is read through once it is made.
        """

    async def verify(self, backup: str, who: str) -> BackupProgress:
        """Begin to read a backup through; raises UnknownBackupError, BackupRefusedError."""

    async def forget(self, backup: str, who: str) -> None:
        """Delete a backup; raises UnknownBackupError, BackupRefusedError."""

    async def give_up(self, folder: str, who: str) -> None:
        """A folder is gone for good, and nothing waits for it any more; raises UnknownBackupError."""

    async def deeds(self) -> list[BackupDeed]:
        """What was done with backups, the latest first."""
