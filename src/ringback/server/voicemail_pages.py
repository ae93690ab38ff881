"""What the web sees of voicemail: implements `web.voicemailing.Voicemailing` on the store and the desk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Literal

from ringback.governance.private import Private
from ringback.governance.vault import VaultError
from ringback.server.voicemail_desk import VoicemailDesk, message_of
from ringback.server.voicemail_takes import PART
from ringback.server.wav_stream import wav_bytes, wav_pieces
from ringback.store.errors import NotFoundError
from ringback.store.mailboxes import Archive, Counts, StoredMailbox, StoredMessage
from ringback.store.plan.voice import MailboxPlan
from ringback.store.store import Store
from ringback.voicemail.mailbox import in_order
from ringback.web.voicemailing import Kept, MailboxState, Sound

_NO_MESSAGE = "there is no such message"


class VoicemailPages:
    """Every change shows on the message lamp at once."""

    def __init__(
        self, store: Store, desk: VoicemailDesk, least_pin_digits: int, changed: Callable[[str], None]
    ) -> None:
        self._store = store
        self._desk = desk
        self._least_pin_digits = least_pin_digits
        self._changed = changed

    def boxes(self) -> list[MailboxState]:
        """The mailboxes that the plan knows."""
        extensions = sorted(self._store.directory.plan.all(MailboxPlan), key=lambda one: (len(one), one))
        return [self.box(one) for one in extensions if self._desk.plan(one) is not None]

    def box(self, extension: str) -> MailboxState:
        """One of them."""
        plan = self._desk.plan(extension)
        if plan is None:
            raise NotFoundError("this extension has no mailbox")
        stored = self._desk.stored(extension)
        told: Literal["no", "notice", "audio"] = plan.tell if plan.e_mail else "no"
        return MailboxState(
            extension=extension,
            has_pin=stored is not None and stored.has_pin,
            counts=stored.counts if stored is not None else Counts(),
            most_messages=plan.max_messages,
            greetings=tuple(stored.greetings) if stored is not None else (),
            told_by_mail=told,
        )

    async def messages(self, extension: str) -> list[StoredMessage]:
        """What lies there."""
        self.box(extension)
        stored = self._desk.stored(extension)
        if stored is None:
            return []
        found = {message.id: message for message in await self._store.mailboxes.messages(stored.id)}
        return [found[one.id] for one in in_order([message_of(message) for message in found.values()])]

    async def message(self, extension: str, message: str) -> StoredMessage:
        """One message."""
        self._box_in_use(extension)
        return await self._store.mailboxes.message(extension, message)

    async def mark(self, extension: str, message: str, state: Kept) -> StoredMessage:
        """Make it new, old or saved."""
        await self.message(extension, message)
        await self._store.mailboxes.mark(message, state)
        self._changed(extension)
        return await self._store.mailboxes.message(extension, message)

    async def delete(self, extension: str, message: str) -> None:
        """Delete it."""
        await self.message(extension, message)
        await self._store.mailboxes.mark(message, "deleted")
        self._changed(extension)

    async def sound(self, extension: str, message: str, who: str, reason: str) -> Sound:
        """The message for somebody to hear."""
        found = await self.message(extension, message)
        if found.state == "deleted":
            raise NotFoundError(_NO_MESSAGE)
        # What cannot be written down is not heard.
        await self._store.voices.note(message, who, "played", reason)
        store, rate, length_ms = self._store, found.rate, found.length_ms
        try:
            (await store.voices.open(message, PART)).close()
        except VaultError as error:
            raise NotFoundError(f"the message cannot be read: {error}") from None
        self._desk.counts.heard["page"] += 1

        def pieces(start: int, end: int) -> AsyncIterator[bytes]:
            return wav_pieces(store, message, rate, length_ms, PART, start, end)

        return Sound(wav_bytes(rate, length_ms), pieces)

    async def set_pin(self, extension: str, pin: Private[str]) -> None:
        """Another PIN."""
        self.box(extension)
        await self._desk.mailbox(extension)
        await self._store.mailboxes.set_pin(extension, pin, self._least_pin_digits)

    async def clear_pin(self, extension: str) -> None:
        """No PIN."""
        self.box(extension)
        await self._store.mailboxes.clear_pin(extension)

    async def archives(self) -> list[Archive]:
        """What former holders left behind."""
        return await self._store.mailboxes.archives()

    async def delete_archive(self, archive: str, who: str, reason: str) -> None:
        """Delete what a former holder left behind."""
        await self._store.mailboxes.delete_archive(archive, who, reason)

    def _box_in_use(self, extension: str) -> StoredMailbox:
        self.box(extension)
        stored = self._desk.stored(extension)
        if stored is None:
            raise NotFoundError(_NO_MESSAGE)
        return stored
