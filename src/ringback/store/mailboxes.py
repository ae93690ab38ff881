"""Mailboxes: whose they are, PIN, greetings and messages; what was said lies in the vault under the same id.

A mailbox belongs to who held the extension when it was made. When the extension goes to somebody else it is
archived: the next holder gets another one, and of the archive nobody hears or reads anything any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store.database import Database
from ringback.store.errors import NotFoundError
from ringback.store.mailbox_schema import mailbox_greetings, mailbox_messages, mailboxes
from ringback.store.pins import Pins, checked_pin
from ringback.store.rules import new_id
from ringback.store.voice_schema import voices
from ringback.store.voices import HeldError, NewVoice, Voices

MessageState = Literal["taking", "new", "old", "saved", "deleted"]
KEPT: Final = ("new", "old", "saved")

_GONE: Final = "there is no such message"


@dataclass(frozen=True, slots=True)
class Greeting:
    """A greeting that was recorded."""

    voice_id: str
    rate: int
    length_ms: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What lies in a mailbox: `new` and `old` have the urgent ones among them; saved ones are old."""

    new: int = 0
    old: int = 0
    new_urgent: int = 0
    old_urgent: int = 0

    @property
    def all(self) -> int:
        """How many messages there are."""
        return self.new + self.old


@dataclass(frozen=True, slots=True)
class StoredMailbox:
    """A mailbox that is in use, as it is remembered between the database's answers."""

    id: str
    extension: str
    extension_id: str
    person_id: str | None
    has_pin: bool = False
    greetings: Mapping[str, Greeting] = field(default_factory=lambda: MappingProxyType({}))
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message; `id` is that of its voice, too. `caller` is empty where the number was not known."""

    id: str
    mailbox_id: str
    state: MessageState
    urgent: bool
    caller: Private[str]
    received_at: datetime
    rate: int
    length_ms: int
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Archive:
    """The mailbox of somebody who does not hold the extension any more: how much is in it, nothing else."""

    id: str
    extension: str
    archived_at: datetime
    messages: int


class Mailboxes:
    """All mailboxes. What calls need at once is in memory (`of`), and as new as the last commit."""

    def __init__(self, database: Database, sealer: Sealer, stored: Voices) -> None:
        self._database = database
        self._sealer = sealer
        self._voices = stored
        self._pins = Pins(sealer)
        self._current: dict[str, StoredMailbox] = {}
        self._making = asyncio.Lock()

    # What is remembered

    async def load(self) -> None:
        """Remember the mailboxes that are in use."""
        async with self._database.read() as connection:
            rows = (
                await connection.execute(select(mailboxes).where(mailboxes.c.archived_at.is_(None)))
            ).all()
            found = [_mailbox(row) for row in rows]
            greetings = await _all_greetings(connection)
            counts = await _all_counts(connection)
        self._current = {
            one.extension: replace(
                one,
                greetings=MappingProxyType(greetings.get(one.id, {})),
                counts=counts.get(one.id, Counts()),
            )
            for one in found
        }

    def of(self, extension: str) -> StoredMailbox | None:
        """The mailbox of an extension, if anybody has used it yet."""
        return self._current.get(extension)

    def all(self) -> list[StoredMailbox]:
        """Those in use, by extension."""
        return sorted(self._current.values(), key=lambda one: (len(one.extension), one.extension))

    async def _fresh(self, connection: AsyncConnection, mailbox_id: str) -> StoredMailbox | None:
        """Within a transaction: a mailbox in use as it will be; `_remember` it once that is committed."""
        query = select(mailboxes).where(mailboxes.c.id == mailbox_id, mailboxes.c.archived_at.is_(None))
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        greetings = await _all_greetings(connection, mailbox_id)
        counts = await _all_counts(connection, mailbox_id)
        return replace(
            _mailbox(row),
            greetings=MappingProxyType(greetings.get(mailbox_id, {})),
            counts=counts.get(mailbox_id, Counts()),
        )

    def _remember(self, fresh: StoredMailbox | None) -> str | None:
        if fresh is None:
            return None
        self._current[fresh.extension] = fresh
        return fresh.extension

    async def refresh(self, mailbox_id: str) -> str | None:
        """Something else has changed a mailbox: remember it as it is. Returns its extension."""
        async with self._database.read() as connection:
            fresh = await self._fresh(connection, mailbox_id)
        return self._remember(fresh)

    # Whose it is

    async def ensure(self, extension: str, extension_id: str, person_id: str | None) -> StoredMailbox:
        """The mailbox of an extension, made if there is none."""
        async with self._making:
            known = self._current.get(extension)
            if known is not None:
                return known
            made = StoredMailbox(new_id(), extension, extension_id, person_id)
            async with self._database.write() as connection:
                await connection.execute(
                    insert(mailboxes).values(
                        id=made.id,
                        extension=extension,
                        extension_id=extension_id,
                        person_id=person_id,
                        created_at=datetime.now(UTC),
                    )
                )
            self._current[extension] = made
            return made

    async def adopt(self, extension: str, person_id: str) -> None:
        """Somebody is written down as the holder of an extension that had none."""
        known = self._current[extension]
        async with self._database.write() as connection:
            await connection.execute(
                update(mailboxes).where(mailboxes.c.id == known.id).values(person_id=person_id)
            )
        self._current[extension] = replace(known, person_id=person_id)

    async def archive(self, extension: str) -> None:
        """The extension is not its holder's any more: greetings and PIN go, messages into the archive."""
        known = self._current.get(extension)
        if known is None:
            return
        async with self._database.write() as connection:
            await connection.execute(
                update(mailboxes)
                .where(mailboxes.c.id == known.id)
                .values(archived_at=datetime.now(UTC), pin=None)
            )
            await connection.execute(
                delete(mailbox_greetings).where(mailbox_greetings.c.mailbox_id == known.id)
            )
        if self._current.get(extension) == known:
            del self._current[extension]
        for greeting in known.greetings.values():
            await self._shred(greeting.voice_id, "the extension was reassigned")

    async def give_back(self, extension_id: str, person_id: str | None, since: datetime) -> None:
        """A deletion was taken back: what it has put into the archive is its holder's again.

        Nobody else's: the extension and the person have to be the same. PIN and greetings stay away.
        """
        table = mailboxes
        mine = (
            table.c.extension_id == extension_id,
            table.c.person_id.is_(None) if person_id is None else table.c.person_id == person_id,
            table.c.archived_at >= since,
        )
        async with self._making:
            async with self._database.write() as connection:
                row = (await connection.execute(select(table).where(*mine))).first()
                in_use = table.c.extension == (row.extension if row is not None else "")
                other = select(table.c.id).where(in_use, table.c.archived_at.is_(None))
                if row is None or (await connection.execute(other)).first() is not None:
                    return
                await connection.execute(update(table).where(table.c.id == row.id).values(archived_at=None))
                fresh = await self._fresh(connection, row.id)
            self._remember(fresh)

    async def archives(self) -> list[Archive]:
        """Mailboxes of former holders, the oldest first."""
        query = (
            select(mailboxes).where(mailboxes.c.archived_at.is_not(None)).order_by(mailboxes.c.archived_at)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            counts = await _all_counts(connection)
        return [
            Archive(row.id, row.extension, row.archived_at, counts.get(row.id, Counts()).all) for row in rows
        ]

    async def delete_archive(self, mailbox_id: str, who: str, reason: str) -> None:
        """Delete an archive with all that was said in it; raises NotFoundError. What is held stays."""
        conditions = mailboxes.c.id == mailbox_id, mailboxes.c.archived_at.is_not(None)
        async with self._database.read() as connection:
            if (await connection.execute(select(mailboxes.c.id).where(*conditions))).first() is None:
                raise NotFoundError("there is no such archive")
        kept = False
        for message in await self._messages(mailbox_messages.c.mailbox_id == mailbox_id):
            kept |= not await self._shred(message.id, reason, who)
        if not kept:
            async with self._database.write() as connection:
                await connection.execute(delete(mailboxes).where(*conditions))

    # PIN

    async def set_pin(self, extension: str, pin: Private[str], least_digits: int) -> None:
        """Keep another PIN; raises InvalidError."""
        known = self._current[extension]
        stored = await self._pins.hashed(checked_pin(pin, extension, least_digits), known.id)
        async with self._database.write() as connection:
            await connection.execute(update(mailboxes).where(mailboxes.c.id == known.id).values(pin=stored))
            fresh = await self._fresh(connection, known.id)
        self._remember(fresh)

    async def clear_pin(self, extension: str) -> None:
        """Forget the PIN: the next one is chosen at the extension's own phone. Raises NotFoundError."""
        known = self._current.get(extension)
        if known is None or not known.has_pin:
            raise NotFoundError("this mailbox has no PIN")
        async with self._database.write() as connection:
            await connection.execute(update(mailboxes).where(mailboxes.c.id == known.id).values(pin=None))
            fresh = await self._fresh(connection, known.id)
        self._remember(fresh)

    async def is_pin(self, extension: str, pin: Private[str]) -> bool:
        """Whether this is the PIN; no mailbox and no PIN take as long as a wrong one."""
        known = self._current.get(extension)
        stored = None
        if known is not None:
            async with self._database.read() as connection:
                query = select(mailboxes.c.pin).where(mailboxes.c.id == known.id)
                stored = (await connection.execute(query)).scalar_one_or_none()
        return await self._pins.is_pin(pin, known.id if known is not None else "nobody", stored)

    # What is said

    async def begin_message(self, mailbox: StoredMailbox, rate: int, caller: Private[str]) -> NewVoice:
        """A place for a message; it is none before `deliver`."""
        voice = await self._begin("message", mailbox, rate)
        async with self._database.write() as connection:
            await connection.execute(
                insert(mailbox_messages).values(
                    id=voice.id,
                    mailbox_id=mailbox.id,
                    state="taking",
                    urgent=False,
                    caller=self._sealer.seal(caller, "mailbox_messages", "caller", voice.id),
                    received_at=datetime.now(UTC),
                    rate=rate,
                    length_ms=0,
                )
            )
        return voice

    async def begin_greeting(self, mailbox: StoredMailbox, rate: int) -> NewVoice:
        """A place for a greeting; it is none before `greet`."""
        return await self._begin("greeting", mailbox, rate)

    async def _begin(
        self, kind: Literal["message", "greeting"], mailbox: StoredMailbox, rate: int
    ) -> NewVoice:
        return await self._voices.begin(kind, rate, extension=mailbox.extension, person_id=mailbox.person_id)

    async def deliver(
        self, message: str, length_ms: int, *, urgent: bool, keep_until: datetime | None
    ) -> str | None:
        """A message is complete: from now on it counts. Returns the extension, None if that has gone."""
        table = mailbox_messages
        async with self._database.write() as connection:
            query = select(table.c.mailbox_id).where(table.c.id == message, table.c.state == "taking")
            mailbox_id = (await connection.execute(query)).scalar_one_or_none()
            if mailbox_id is None:
                return None
            await connection.execute(
                update(table)
                .where(table.c.id == message)
                .values(state="new", urgent=urgent, length_ms=length_ms)
            )
            await connection.execute(
                update(voices).where(voices.c.id == message).values(keep_until=keep_until)
            )
            fresh = await self._fresh(connection, mailbox_id)
        return self._remember(fresh)

    async def discard(self, voice: str) -> None:
        """A place or recording that becomes nothing."""
        async with self._database.write() as connection:
            await connection.execute(delete(mailbox_messages).where(mailbox_messages.c.id == voice))
            # What was never finished was never anybody's: no trace is kept of it.
            unfinished = delete(voices).where(voices.c.id == voice, voices.c.state == "writing")
            never = (await connection.execute(unfinished)).rowcount
        if never:
            await asyncio.to_thread(self._voices.vault.remove, voice)
        else:
            await self._shred(voice, "not wanted")

    async def greet(self, mailbox: StoredMailbox, kind: str, greeting: Greeting | None) -> None:
        """Use a greeting in the place of another; None: there is none any more."""
        table = mailbox_greetings
        before = mailbox.greetings.get(kind)
        current = self._current.get(mailbox.extension)
        if current is not None and current.id == mailbox.id:
            before = current.greetings.get(kind)
        async with self._database.write() as connection:
            await connection.execute(
                delete(table).where(table.c.mailbox_id == mailbox.id, table.c.kind == kind)
            )
            if greeting is not None:
                await connection.execute(
                    insert(table).values(
                        mailbox_id=mailbox.id,
                        kind=kind,
                        voice_id=greeting.voice_id,
                        rate=greeting.rate,
                        length_ms=greeting.length_ms,
                    )
                )
            fresh = await self._fresh(connection, mailbox.id)
        self._remember(fresh)
        if before is not None:
            await self._shred(before.voice_id, "another greeting")

    # Messages

    async def messages(self, mailbox_id: str) -> list[StoredMessage]:
        """What lies in a mailbox, the oldest first."""
        table = mailbox_messages
        return await self._messages(table.c.mailbox_id == mailbox_id, table.c.state.in_(KEPT))

    async def message(self, extension: str, message: str) -> StoredMessage:
        """One message of the mailbox in use, deleted but not yet gone ones too; raises NotFoundError."""
        known = self._current.get(extension)
        table = mailbox_messages
        found = (
            await self._messages(
                table.c.id == message, table.c.mailbox_id == known.id, table.c.state != "taking"
            )
            if known is not None
            else []
        )
        if not found:
            raise NotFoundError(_GONE)
        return found[0]

    async def mark(self, message: str, state: Literal["new", "old", "saved", "deleted"]) -> str | None:
        """What has become of a message. Returns the extension whose counts changed; None for no message, and
        for those in an archive, with which nobody does anything any more."""
        table = mailbox_messages
        async with self._database.write() as connection:
            query = (
                select(table.c.mailbox_id)
                .join(mailboxes, mailboxes.c.id == table.c.mailbox_id)
                .where(table.c.id == message, table.c.state != "taking", mailboxes.c.archived_at.is_(None))
            )
            mailbox_id = (await connection.execute(query)).scalar_one_or_none()
            if mailbox_id is None:
                return None
            deleted_at = datetime.now(UTC) if state == "deleted" else None
            await connection.execute(
                update(table).where(table.c.id == message).values(state=state, deleted_at=deleted_at)
            )
            fresh = await self._fresh(connection, mailbox_id)
        return self._remember(fresh)

    async def purge(self, message: str, who: str, reason: str = "") -> None:
        """Delete what was said for good; a message that is held stays, out of everybody's sight."""
        await self._shred(message, reason, who)

    async def _shred(self, voice: str, reason: str, who: str = "voicemail") -> bool:
        """Delete a voice and the row of its message; False where a legal hold forbids that."""
        try:
            await self._voices.delete(voice, who, reason)
        except NotFoundError:
            pass
        except HeldError:
            return False
        async with self._database.write() as connection:
            await connection.execute(delete(mailbox_messages).where(mailbox_messages.c.id == voice))
        return True

    async def _messages(self, *conditions: Any) -> list[StoredMessage]:
        query = (
            select(mailbox_messages)
            .where(*conditions)
            .order_by(mailbox_messages.c.received_at, mailbox_messages.c.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [self._message(row) for row in rows]

    def _message(self, row: Row[Any]) -> StoredMessage:
        return StoredMessage(
            id=row.id,
            mailbox_id=row.mailbox_id,
            state=row.state,
            urgent=row.urgent,
            caller=self._sealer.open(row.caller, "mailbox_messages", "caller", row.id),
            received_at=row.received_at,
            rate=row.rate,
            length_ms=row.length_ms,
            deleted_at=row.deleted_at,
        )


def _mailbox(row: Row[Any]) -> StoredMailbox:
    return StoredMailbox(row.id, row.extension, row.extension_id, row.person_id, has_pin=row.pin is not None)


async def _all_greetings(
    connection: AsyncConnection, mailbox_id: str | None = None
) -> dict[str, dict[str, Greeting]]:
    query = select(mailbox_greetings)
    if mailbox_id is not None:
        query = query.where(mailbox_greetings.c.mailbox_id == mailbox_id)
    found: dict[str, dict[str, Greeting]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.mailbox_id, {})[row.kind] = Greeting(row.voice_id, row.rate, row.length_ms)
    return found


async def _all_counts(connection: AsyncConnection, mailbox_id: str | None = None) -> dict[str, Counts]:
    table = mailbox_messages
    columns = (table.c.mailbox_id, table.c.state, table.c.urgent)
    query = select(*columns, func.count()).where(table.c.state.in_(KEPT)).group_by(*columns)
    if mailbox_id is not None:
        query = query.where(table.c.mailbox_id == mailbox_id)
    found: dict[str, Counts] = {}
    for mailbox, state, urgent, count in await connection.execute(query):
        counts = found.get(mailbox, Counts())
        if state == "new":
            counts = replace(
                counts, new=counts.new + count, new_urgent=counts.new_urgent + (count if urgent else 0)
            )
        else:
            counts = replace(
                counts, old=counts.old + count, old_urgent=counts.old_urgent + (count if urgent else 0)
            )
        found[mailbox] = counts
    return found
