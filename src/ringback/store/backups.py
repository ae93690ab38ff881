"""Backups as the database knows them: the folders that hold some, what waits there, what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.vault import WrappedKey
from ringback.store.backup_schema import backup_audit, backup_folders
from ringback.store.database import Database
from ringback.store.voice_schema import voices

BackupAct = Literal["made", "failed", "verified", "damaged", "forgotten", "gave up"]

_AT_ONCE: Final = 500
_PROBLEM: Final = " : "


@dataclass(frozen=True, slots=True)
class BackupFolder:
    """A folder with backups. Of all that was deleted until `settled_at` the keys are deleted there, too.

    `last_at` is when the newest backup there was made, None while there is none.
    """

    folder: str
    settled_at: datetime
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class BackupDeed:
    """One line of what was done with backups; `what` is a file or a folder, of a damaged one with what is
    wrong behind it."""

    at: datetime
    who: str
    act: str
    what: str


class Backups:
    """Rows of folders and deeds, and what backups need to know of voices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def folders(self) -> list[BackupFolder]:
        """All folders that hold backups, by name."""
        query = select(backup_folders).order_by(backup_folders.c.folder)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [BackupFolder(row.folder, row.settled_at, row.last_at) for row in rows]

    async def add_folder(self, folder: str, now: datetime) -> None:
        """From now on what is deleted is deleted in that folder, too; nothing for one that is known."""
        async with self._database.write() as connection:
            known = select(backup_folders.c.folder).where(backup_folders.c.folder == folder)
            if (await connection.execute(known)).first() is None:
                values = {"folder": folder, "added_at": now, "settled_at": now}
                await connection.execute(insert(backup_folders).values(**values))

    async def drop_folder(self, folder: str) -> bool:
        """The folder is of no concern any more; False for one that was not known."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(backup_folders).where(backup_folders.c.folder == folder))
        return bool(gone.rowcount)

    async def settled(self, folder: str, at: datetime) -> None:
        """All that was deleted until then is deleted in the folder."""
        await self._set(folder, settled_at=at)

    async def made(self, folder: str, at: datetime) -> None:
        """There is a new backup in the folder."""
        await self._set(folder, last_at=at)

    async def _set(self, folder: str, **values: datetime) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(backup_folders).where(backup_folders.c.folder == folder).values(**values)
            )

    async def waiting(self, folder: BackupFolder) -> int:
        """How many voices were deleted that may still be in backups of the folder."""
        if folder.last_at is None:
            return 0
        query = select(func.count()).where(
            voices.c.state == "deleted",
            voices.c.deleted_at >= folder.settled_at,
            voices.c.created_at <= folder.last_at,
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def keys(self, chosen: Sequence[str]) -> dict[str, WrappedKey]:
        """The wrapped keys of those of the voices that are not deleted."""
        found: dict[str, WrappedKey] = {}
        async with self._database.read() as connection:
            for some in _pieces(chosen):
                query = select(voices.c.id, voices.c.key_id, voices.c.wrapped_key).where(
                    voices.c.id.in_(some), voices.c.wrapped_key.is_not(None)
                )
                for row in (await connection.execute(query)).all():
                    found[row.id] = WrappedKey(row.key_id, row.wrapped_key)
        return found

    async def deleted(self, chosen: Sequence[str]) -> list[str]:
        """Those of the voices that are known to be deleted."""
        gone: list[str] = []
        async with self._database.read() as connection:
            for some in _pieces(chosen):
                query = select(voices.c.id).where(voices.c.id.in_(some), voices.c.state == "deleted")
                gone += (await connection.execute(query)).scalars()
        return gone

    async def note(self, who: str, act: BackupAct, what: str) -> None:
        """Write down what somebody does with backups."""
        async with self._database.write() as connection:
            await _note(connection, who, act, what)

    async def verifications(self) -> dict[str, tuple[datetime, str]]:
        """By file when it was last read to its end, and what was wrong; empty: nothing."""
        columns = backup_audit.c
        query = select(backup_audit).where(columns.act.in_(("verified", "damaged")))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(columns.id.desc()).limit(_AT_ONCE))).all()
        found: dict[str, tuple[datetime, str]] = {}
        for row in rows:
            file, _, problem = row.what.partition(_PROBLEM)
            found.setdefault(file, (row.at, problem if row.act == "damaged" else ""))
        return found

    async def note_verified(self, who: str, file: str, problem: str) -> None:
        """Write down that a backup was read to its end, or what is wrong with it."""
        if problem:
            await self.note(who, "damaged", f"{file}{_PROBLEM}{problem}")
        else:
            await self.note(who, "verified", file)

    async def deeds(self, limit: int = 100) -> list[BackupDeed]:
        """What was done, the latest first."""
        query = select(backup_audit).order_by(backup_audit.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [BackupDeed(row.at, row.who, row.act, row.what) for row in rows]


async def _note(connection: AsyncConnection, who: str, act: BackupAct, what: str) -> None:
    line = {"at": datetime.now(UTC), "who": who[:80], "act": act, "what": what[:1000]}
    await connection.execute(insert(backup_audit).values(**line))


def _pieces(chosen: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(chosen), _AT_ONCE):
        yield chosen[begin : begin + _AT_ONCE]
