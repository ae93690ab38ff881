"""Stored voices: the row of each with its wrapped key, what was done with it, retention, holds, deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.vault import (
    Vault,
    VaultError,
    VaultReader,
    WrappedKey,
    begin_rotation,
    end_rotation,
)
from ringback.store.database import Database
from ringback.store.errors import ConflictError, NotFoundError
from ringback.store.rules import new_id
from ringback.store.voice_schema import voice_audit, voices

VoiceKind = Literal["message", "recording", "greeting"]
VoiceState = Literal["writing", "whole", "cut", "deleted"]
Act = Literal[
    "listed", "played", "exported", "verified", "refused", "held", "released", "deleted", "expired"
]  # fmt: skip

REWRAPPED_AT_ONCE: Final = 500
_REASON_LENGTH: Final = 200


class HeldError(ConflictError):
    """The voice is under legal hold."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A stored voice. `octets` of plain audio are in its longest file; `cut` is what a crash ended.

    `format` is `pcm16/RATE`: 16-bit mono samples, little-endian. The owner is `extension`, as it was held by
    `person_id` when the voice was stored. After `keep_until` nobody reads it, unless it is held.
    """

    id: str
    kind: VoiceKind
    state: VoiceState
    extension: str | None
    person_id: str | None
    created_at: datetime
    format: str
    octets: int
    keep_until: datetime | None
    legal_hold: bool
    deleted_at: datetime | None

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self.format.rpartition("/")[2])

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.octets / 2 / self.rate


@dataclass(frozen=True, slots=True)
class NewVoice:
    """A voice whose row is on the disk: its file may be written now, with this key and by nobody else."""

    id: str
    data_key: Private[bytes]


@dataclass(frozen=True, slots=True)
class VoiceDeed:
    """One line of what was done with a voice."""

    voice_id: str
    at: datetime
    who: str
    act: Act
    reason: str


class Copies(Protocol):
    """Where copies of keys of voices are beside the database: backups."""

    async def forget(self, gone: Sequence[str]) -> list[str]:
        """Delete the copies of what was deleted; the places where that has to wait."""

    async def rewrap(self) -> None:
        """Wrap the copies by the current vault key; raises ConflictError where that has to wait."""


class Voices:
    """The rows of all stored voices, and their files in the vault."""

    copies: Copies | None = None

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._owes_forgetting = False
        self.vault = vault

    # From beginning to end

    async def begin(
        self,
        kind: VoiceKind,
        rate: int,
        *,
        extension: str | None = None,
        person_id: str | None = None,
        keep_until: datetime | None = None,
    ) -> NewVoice:
        """A new voice, to be written in the vault under its id; its row is on the disk when this returns."""
        async with self._database.write() as connection:
            return await begin_voice(
                connection,
                self.vault,
                kind,
                rate,
                extension=extension,
                person_id=person_id,
                keep_until=keep_until,
            )

    async def finish(self, voice: str, octets: int, *, cut: bool = False) -> None:
        """The files are closed: from now on the voice counts."""
        async with self._database.write() as connection:
            await finish_voice(connection, voice, octets, cut=cut)

    async def settle(self, kind: VoiceKind, *, keep_cut: bool) -> list[Voice]:
        """At start: end what the last process was writing, and return what was kept of it.

        What was written whole is kept as `cut` with `keep_cut`, otherwise it is removed, as is what is empty.
        """
        kept: list[Voice] = []
        for row in await self._rows(voices.c.kind == kind, voices.c.state == "writing"):
            if await self.close(row.id, keep=keep_cut) is not None:
                kept.append(await self.get(row.id))
        await self.remove_orphans()
        return kept

    async def close(self, voice: str, *, keep: bool) -> int | None:
        """End a voice that was being written with what can be read of its files: the octets of the longest.

        Without `keep`, or where nothing can be read, row and files are removed, and None is returned.
        """
        rows = await self._rows(voices.c.id == voice, voices.c.state == "writing")
        if not rows:
            if not await self._rows(voices.c.id == voice, voices.c.wrapped_key.is_not(None)):
                # Deleted while it was written.
                await asyncio.to_thread(self.vault.remove, voice)
            return None
        held = rows[0].legal_hold
        keep = keep or held
        octets, whole = await asyncio.to_thread(self._readable, rows[0]) if keep else (0, False)
        if octets or held:
            await self.finish(voice, octets, cut=not whole)
            return octets
        async with self._database.write() as connection:
            await connection.execute(delete(voices).where(voices.c.id == voice))
        await asyncio.to_thread(self.vault.remove, voice)
        await self._forget()
        return None

    async def remove_orphans(self) -> int:
        """Remove files to which there is no key any more; how many voices had some."""
        # Files first: whoever begins a voice now makes its row before its file.
        files = await asyncio.to_thread(lambda: set(self.vault.voices()))
        query = select(voices.c.id).where(voices.c.wrapped_key.is_not(None))
        async with self._database.read() as connection:
            orphans = files.difference((await connection.execute(query)).scalars())
        for voice in orphans:
            await asyncio.to_thread(self.vault.remove, voice)
        return len(orphans)

    def _readable(self, row: Row[Any]) -> tuple[int, bool]:
        """Octets of the longest part, and whether all parts have their end."""
        octets, whole = 0, True
        for part in self.vault.parts(row.id):
            try:
                with self.vault.read(
                    row.id, WrappedKey(row.key_id, row.wrapped_key), part, cut=True
                ) as reader:
                    octets = max(octets, reader.size)
                    whole = whole and reader.whole
            except VaultError:
                whole = False
        return octets, whole

    # Reading

    async def get(self, voice: str) -> Voice:
        """A voice, deleted ones too; raises NotFoundError."""
        rows = await self._rows(voices.c.id == voice)
        if not rows:
            raise NotFoundError("there is no such voice")
        return voice_of(rows[0])

    async def all(self, kind: VoiceKind, extension: str | None = None) -> list[Voice]:
        """All that can be read of a kind, the oldest first."""
        conditions = [voices.c.kind == kind, voices.c.state.in_(("whole", "cut"))]
        if extension is not None:
            conditions.append(voices.c.extension == extension)
        return [voice_of(row) for row in await self._rows(*conditions)]

    async def open(self, voice: str, part: str = "") -> VaultReader:
        """Its file, to be closed by who asked; raises NotFoundError for what is over, VaultError.

        Say `note` before anybody hears it.
        """
        rows = await self._rows(voices.c.id == voice, voices.c.state.in_(("whole", "cut")))
        if not rows or (is_over(voice_of(rows[0]), datetime.now(UTC))):
            raise NotFoundError("there is no such voice")
        if await asyncio.to_thread(self.vault.is_withdrawn, voice):
            raise NotFoundError("there is no such voice")
        row = rows[0]
        wrapped = WrappedKey(row.key_id, row.wrapped_key)
        return await asyncio.to_thread(self.vault.read, voice, wrapped, part, cut=row.state == "cut")

    # What is done with it

    async def note(self, voice: str, who: str, act: Act, reason: str = "") -> None:
        """Write down what somebody does with a voice; on the disk when this returns."""
        async with self._database.write() as connection:
            await _note(connection, voice, who, act, reason)

    async def deeds(self, voice: str) -> list[VoiceDeed]:
        """What was done with it, in order; also when it is deleted."""
        query = select(voice_audit).where(voice_audit.c.voice_id == voice).order_by(voice_audit.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [VoiceDeed(row.voice_id, row.at, row.who, row.act, row.reason) for row in rows]

    async def keep(self, voice: str, until: datetime | None) -> None:
        """Change how long it is kept; None: until somebody deletes it."""
        async with self._database.write() as connection:
            await connection.execute(update(voices).where(voices.c.id == voice).values(keep_until=until))

    async def hold(self, voice: str, who: str, reason: str) -> None:
        """Put it under legal hold: no retention and nobody deletes it. Raises NotFoundError."""
        await self._hold(voice, True, who, reason)

    async def release(self, voice: str, who: str, reason: str) -> None:
        """End a legal hold; what should have been deleted before is with the next `expire`."""
        await self._hold(voice, False, who, reason)

    async def _hold(self, voice: str, held: bool, who: str, reason: str) -> None:
        async with self._database.write() as connection:
            changed = await connection.execute(
                update(voices)
                .where(voices.c.id == voice, voices.c.state != "deleted")
                .values(legal_hold=held)
            )
            if not changed.rowcount:
                raise NotFoundError("there is no such voice")
            await _note(connection, voice, who, "held" if held else "released", reason)

    async def delete(self, voice: str, who: str, reason: str = "") -> list[str]:
        """Delete key and files for good; raises NotFoundError, HeldError.

        No copy of the key stays, but for those in the places that are returned, which are away: there it is
        deleted once they are back.
        """
        gone, waiting = await self._shred([voice], who, "deleted", reason)
        if gone:
            return waiting
        found = await self.get(voice)
        if found.legal_hold:
            raise HeldError("this voice is under legal hold; release it first")
        raise NotFoundError("there is no such voice")

    async def expire(self, now: datetime, kind: VoiceKind | None = None) -> list[str]:
        """Delete what has been kept long enough and is not held, of one kind or all; returns what it was."""
        over = [voices.c.keep_until <= now, ~voices.c.legal_hold]
        if kind is not None:
            over.append(voices.c.kind == kind)
        rows = await self._rows(*over, voices.c.state.in_(("whole", "cut")))
        gone, _ = await self._shred([row.id for row in rows], "retention", "expired", "")
        return gone

    async def _shred(
        self, chosen: Sequence[str], who: str, act: Act, reason: str
    ) -> tuple[list[str], list[str]]:
        """What of it was deleted, and where copies of keys wait for that."""
        gone: list[str] = []
        async with self._database.write() as connection:
            for voice in chosen:
                changed = await connection.execute(
                    update(voices)
                    .where(voices.c.id == voice, voices.c.state != "deleted", ~voices.c.legal_hold)
                    .values(
                        state="deleted",
                        wrapped_key=None,
                        key_id=None,
                        extension=None,
                        person_id=None,
                        deleted_at=datetime.now(UTC),
                    )
                )
                if changed.rowcount:
                    gone.append(voice)
                    await _note(connection, voice, who, act, reason)
        waiting: list[str] = []
        try:
            for voice in gone:
                await asyncio.to_thread(self.vault.remove, voice)
            if gone or self._owes_forgetting:
                await self._forget()
        finally:
            if gone and self.copies is not None:
                waiting = await self.copies.forget(gone)
        return gone, waiting

    async def _forget(self) -> None:
        # Where a long read keeps the log, the next deletion or `expire` tries again.
        self._owes_forgetting = not await self._database.forget()

    # Keys

    async def rotate(self, key_file: Path, told: Callable[[int], None] | None = None) -> int:
        """Wrap all data keys by a new key-encryption key; goes on where an earlier try ended.

        The file holds both keys until all are done, in backups too, then the new one alone. `told` hears how
        many are done. Raises SealingError, VaultError, ConflictError while backups are away.
        """
        self.vault.key = key = await asyncio.to_thread(begin_rotation, key_file)
        done = 0
        # Not those whose key is lost.
        others = voices.c.key_id.in_(key.known - {key.current})
        while rows := await self._rows(others, limit=REWRAPPED_AT_ONCE):
            async with self._database.write() as connection:
                for row in rows:
                    data_key = key.unwrap(WrappedKey(row.key_id, row.wrapped_key), row.id)
                    wrapped = key.wrap(data_key, row.id)
                    # Not one that was deleted meanwhile.
                    await connection.execute(
                        update(voices)
                        .where(voices.c.id == row.id, voices.c.key_id == row.key_id)
                        .values(key_id=wrapped.key_id, wrapped_key=wrapped.sealed)
                    )
            done += len(rows)
            if told is not None:
                told(done)
        await self._forget()
        if self.copies is not None:
            await self.copies.rewrap()
        self.vault.key = await asyncio.to_thread(end_rotation, key_file)
        return done

    async def _rows(self, *conditions: Any, limit: int | None = None) -> Sequence[Row[Any]]:
        query = select(voices).where(*conditions).order_by(voices.c.created_at, voices.c.id).limit(limit)
        async with self._database.read() as connection:
            return (await connection.execute(query)).all()


def is_over(voice: Voice, now: datetime) -> bool:
    """Whether its time has passed, so that nobody reads it any more."""
    return voice.keep_until is not None and voice.keep_until <= now and not voice.legal_hold


async def begin_voice(
    connection: AsyncConnection,
    vault: Vault,
    kind: VoiceKind,
    rate: int,
    *,
    extension: str | None = None,
    person_id: str | None = None,
    keep_until: datetime | None = None,
) -> NewVoice:
    """As `Voices.begin`, within a transaction."""
    voice = new_id()
    data_key, wrapped = vault.new_key(voice)
    await connection.execute(
        insert(voices).values(
            id=voice,
            kind=kind,
            state="writing",
            extension=extension,
            person_id=person_id,
            created_at=datetime.now(UTC),
            format=f"pcm16/{rate}",
            octets=0,
            key_id=wrapped.key_id,
            wrapped_key=wrapped.sealed,
            keep_until=keep_until,
            legal_hold=False,
        )
    )
    return NewVoice(voice, data_key)


async def finish_voice(connection: AsyncConnection, voice: str, octets: int, *, cut: bool = False) -> None:
    """Within a transaction: the files are closed, from now on the voice counts."""
    await connection.execute(
        update(voices)
        .where(voices.c.id == voice, voices.c.state == "writing")
        .values(state="cut" if cut else "whole", octets=octets)
    )


async def _note(connection: AsyncConnection, voice: str, who: str, act: Act, reason: str) -> None:
    line = {"voice_id": voice, "at": datetime.now(UTC), "who": who[:80], "act": act}
    await connection.execute(insert(voice_audit).values(**line, reason=reason[:_REASON_LENGTH]))


def voice_of(row: Row[Any]) -> Voice:
    """A row as what it stands for."""
    return Voice(
        id=row.id,
        kind=row.kind,
        state=row.state,
        extension=row.extension,
        person_id=row.person_id,
        created_at=row.created_at,
        format=row.format,
        octets=row.octets,
        keep_until=row.keep_until,
        legal_hold=row.legal_hold,
        deleted_at=row.deleted_at,
    )
