"""What is done to mailboxes by time alone: at start what a crash left, then retention, deletion, archives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update

from ringback.store.database import Database
from ringback.store.mailbox_schema import mailbox_greetings, mailbox_messages, mailboxes
from ringback.store.mailboxes import Mailboxes
from ringback.store.voice_schema import voices
from ringback.store.voices import Voices

SHORTEST_MS: Final = 1_500
"""What a crash left of a message is kept if it is not shorter."""
RESTORABLE: Final = timedelta(minutes=15)
"""For so long what was deleted on a page can be had back."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A message that was being left when the process died: what was said of it is kept."""

    id: str
    extension: str


class MailboxUpkeep:
    """Runs at start and every few minutes."""

    def __init__(self, database: Database, mailboxes: Mailboxes, stored: Voices) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._voices = stored

    async def recover(self) -> list[Recovered]:
        """At start: files without rows and rows without files go, what was being said becomes a message."""
        await self._voices.settle("message", keep_cut=True)
        await self._voices.settle("greeting", keep_cut=False)
        table = mailbox_messages
        query = (
            select(table.c.id, table.c.rate, mailboxes.c.extension, voices.c.octets)
            .join(mailboxes, mailboxes.c.id == table.c.mailbox_id)
            .outerjoin(voices, (voices.c.id == table.c.id) & voices.c.state.in_(("whole", "cut")))
            .where(table.c.state == "taking")
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        recovered: list[Recovered] = []
        for row in rows:
            length_ms = (row.octets or 0) * 500 // row.rate
            if length_ms < SHORTEST_MS:
                await self._mailboxes.discard(row.id)
                continue
            async with self._database.write() as connection:
                values = {"state": "new", "length_ms": length_ms}
                await connection.execute(update(table).where(table.c.id == row.id).values(**values))
            recovered.append(Recovered(row.id, row.extension))
        await self._remove_strays()
        await self._mailboxes.load()
        return recovered

    async def _remove_strays(self) -> None:
        """Rows of messages whose voice is gone, and voices that are nobody's message or greeting."""
        readable = select(voices.c.id).where(voices.c.state.in_(("whole", "cut")))
        async with self._database.write() as connection:
            await connection.execute(delete(mailbox_messages).where(mailbox_messages.c.id.not_in(readable)))
            await connection.execute(
                delete(mailbox_greetings).where(mailbox_greetings.c.voice_id.not_in(readable))
            )
        query = select(voices.c.id).where(
            voices.c.kind.in_(("message", "greeting")),
            voices.c.state.in_(("whole", "cut")),
            ~voices.c.legal_hold,
            voices.c.id.not_in(select(mailbox_messages.c.id)),
            voices.c.id.not_in(select(mailbox_greetings.c.voice_id)),
        )
        async with self._database.read() as connection:
            strays = (await connection.execute(query)).scalars().all()
        for voice in strays:
            await self._mailboxes.purge(voice, "voicemail", "nobody's")

    async def sweep(self, now: datetime, archive_days: int) -> set[str]:
        """Delete what is due; returns the extensions whose counts are others now."""
        await self._voices.expire(now)
        for message in await self._ids(
            mailbox_messages.c.state == "deleted", mailbox_messages.c.deleted_at <= now - RESTORABLE
        ):
            await self._mailboxes.purge(message, "retention", "deleted by its owner")
        changed = await self._forget_expired()
        for archive in await self._mailboxes.archives():
            if archive.archived_at + timedelta(days=archive_days) <= now:
                await self._mailboxes.delete_archive(archive.id, "retention", "kept long enough")
        return {extension for one in changed if (extension := await self._mailboxes.refresh(one))}

    async def _forget_expired(self) -> set[str]:
        """Rows of messages that retention has deleted; the mailboxes that had them."""
        table = mailbox_messages
        gone = select(voices.c.id).where(voices.c.state == "deleted")
        async with self._database.write() as connection:
            query = select(table.c.id, table.c.mailbox_id).where(table.c.id.in_(gone))
            rows = (await connection.execute(query)).all()
            if rows:
                await connection.execute(delete(table).where(table.c.id.in_([row.id for row in rows])))
        return {row.mailbox_id for row in rows}

    async def _ids(self, *conditions: object) -> Iterable[str]:
        async with self._database.read() as connection:
            found = await connection.execute(select(mailbox_messages.c.id).where(*conditions))  # type: ignore[arg-type]
            return list(found.scalars())
