"""The desk at which calls of voicemail are served: the store, the vault and the engine behind one counter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from msgspec.structs import replace

from ringback.call.leg import Leg
from ringback.call.switchboard import Switchboard
from ringback.governance.private import Private
from ringback.governance.vault import VaultError, VaultReader
from ringback.media.protocol import Talking
from ringback.server.errands import Errands, nothing
from ringback.server.exchange import Exchange
from ringback.server.voice_streams import VoiceStreams
from ringback.server.voicemail_takes import PART, WRITER_PATIENCE_S, MessageRecordings
from ringback.store.errors import InvalidError
from ringback.store.mailboxes import Greeting, StoredMailbox, StoredMessage
from ringback.store.plan.voice import MailboxPlan
from ringback.store.store import Store
from ringback.voicemail.counts import Counts
from ringback.voicemail.desk import Listener, Shut
from ringback.voicemail.mailbox import (
    GREETINGS,
    Box,
    GreetingKind,
    Message,
    MessageState,
    Rate,
    Voice,
    VoiceKind,
    in_order,
)

_TRY_AGAIN_S: Final = (0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)

log = structlog.get_logger(__name__)


class VoicemailDesk:
    """Implements `voicemail.desk.Desk`. `changed` is told the extension whose counts are others, `received`
    that a message lies there."""

    def __init__(
        self,
        store: Store,
        switchboard: Switchboard,
        exchange: Exchange,
        least_pin_digits: int,
        changed: Callable[[str], None],
        received: Callable[[str, str], None],
        counts: Counts | None = None,
    ) -> None:
        self._store = store
        self._switchboard = switchboard
        self._exchange = exchange
        self._least_pin_digits = least_pin_digits
        self._changed = changed
        self._received = received
        self.counts = counts or Counts()
        self._errands = Errands(exchange)
        self._takes = MessageRecordings(store, switchboard, self._errands, self.mailbox)
        self.streams = VoiceStreams(
            self._open_voice, self._to_media, lives=lambda leg: leg in switchboard.legs
        )

    # Mailboxes

    def plan(self, extension: str) -> MailboxPlan | None:
        """What the plan says of the extension's mailbox; None if it has none."""
        known = self._store.directory.extension(extension)
        if known is None or not known.enabled:
            return None
        return self._store.directory.plan.get(MailboxPlan, extension)

    def stored(self, extension: str) -> StoredMailbox | None:
        """The mailbox as the store has it, if it is still of who holds the extension."""
        found = self._store.mailboxes.of(extension)
        holder = self._store.directory.extension(extension)
        if found is None or holder is None or not same_holder(found, holder.id, holder.person_id):
            return None
        return found

    def box(self, extension: str) -> Box | None:
        """The mailbox as it is now."""
        plan = self.plan(extension)
        if plan is None:
            return None
        stored = self.stored(extension)
        being_left = self._takes.being_left(stored) if stored is not None else 0
        box = _box(plan, extension, stored, being_left)
        # At a phone that several share anybody may stand.
        shared = any(
            one.shared and one.extension == extension for one in self._store.directory.devices.values()
        )
        return replace(box, trusts_own_phone=box.trusts_own_phone and not shared)

    def local(self, at: datetime | None = None) -> datetime:
        """A time as clocks on the wall show it."""
        return (at or datetime.now(UTC)).astimezone()

    async def mailbox(self, extension: str) -> StoredMailbox:
        """The mailbox of who holds the extension now, made if it is used for the first time."""
        holder = self._store.extensions.get(extension)
        found = self._store.mailboxes.of(extension)
        if found is not None and not same_holder(found, holder.id, holder.person_id):
            await self._store.mailboxes.archive(extension)
        return await self._store.mailboxes.ensure(extension, holder.id, holder.person_id)

    # Playing

    def play(self, leg: Leg, voice: Voice, from_ms: int = 0) -> int:
        """Play a voice of the vault to a leg."""
        return self.streams.play(leg, voice, from_ms)

    async def _open_voice(self, voice: Voice) -> VaultReader:
        if voice.id not in self._takes:
            stored = await self._store.voices.get(voice.id)
            if stored.kind == "message":
                extension = stored.extension or ""
                # Once more: the extension may have gone to somebody else while the call was on.
                if self.stored(extension) is None:
                    raise VaultError("this message is nobody's")
                await self._store.mailboxes.message(extension, voice.id)
                # Before anybody hears it; where that cannot be written down, nobody does.
                await self._store.voices.note(voice.id, f"extension {extension}", "played", "by phone")
                self.counts.heard["phone"] += 1
        return await self._store.voices.open(voice.id, PART)

    # Recording

    def reserve(
        self, leg: Leg, box: Box, kind: VoiceKind, then: Callable[[Voice | None, float], None]
    ) -> None:
        """A place in the vault, its row on the disk."""
        self._takes.reserve(leg, box, kind, then)

    def record(self, leg: Leg, voice: Voice, listener: Listener) -> None:
        """Record what a leg says, alone in a room."""
        self._takes.record(leg, voice, listener)

    def stop(self, voice: Voice) -> None:
        """End a recording."""
        self._takes.stop(voice)

    def drop(self, voice: Voice) -> None:
        """A place or a recording that nobody wants."""
        self._takes.drop(voice)

    def talking(self, event: Talking, now: float) -> bool:
        """Who speaks in a room; False where the room is not ours."""
        return self._takes.talking(event, now)

    # What becomes of it

    def deliver(self, voice: Voice, box: Box, *, urgent: bool, then: Callable[[bool, float], None]) -> None:
        """Make a message of it; told once it is on the disk. A database that is away is asked again."""
        plan = self.plan(box.extension) or MailboxPlan(name=box.extension)
        until = datetime.now(UTC) + timedelta(days=plan.keep_days) if plan.keep_days else None

        async def keep() -> bool:
            await self._takes.complete(voice.id)
            extension = await self._store.mailboxes.deliver(
                voice.id, voice.length_ms, urgent=urgent, keep_until=until
            )
            self._takes.settled(voice.id)
            if extension is not None:
                self._changed(extension)
                self._received(extension, voice.id)
            return extension is not None

        async def work() -> bool:
            try:
                return await keep()
            except Exception:
                log.exception("a message is not in the database yet; it is tried again")
                self._later(keep)
                return False

        self._errands.do(work(), then, False, "")

    def _later(self, keep: Callable[[], Awaitable[bool]]) -> None:
        async def again() -> None:
            for pause_s in _TRY_AGAIN_S:
                await asyncio.sleep(pause_s)
                with suppress(Exception):
                    await keep()
                    return
            log.error("a message waits in the vault for the next start of the server")

        self._errands.run(again())

    def greet(
        self, box: Box, kind: GreetingKind, voice: Voice | None, then: Callable[[bool, float], None]
    ) -> None:
        """Use what was recorded as a greeting."""

        async def work() -> bool:
            mailbox = await self.mailbox(box.extension)
            if mailbox.id != box.id:
                if voice is not None:
                    self.drop(voice)
                return False
            if voice is not None:
                await self._takes.complete(voice.id)
            greeting = Greeting(voice.id, voice.rate, voice.length_ms) if voice is not None else None
            await self._store.mailboxes.greet(mailbox, kind, greeting)
            if voice is not None:
                self._takes.settled(voice.id)
            return True

        self._errands.do(work(), then, False, "a greeting could not be kept")

    # The holder

    def open(
        self, extension: str, pin: Private[str] | None, then: Callable[[Box | Shut, float], None]
    ) -> None:
        """The mailbox for a right PIN, or for who has proved to be its holder."""

        async def work() -> Box | Shut:
            mailboxes, plan = self._store.mailboxes, self.plan(extension)
            # Nothing is looked at before the PIN: what there is and what there is not take equally long.
            right = pin is None or await mailboxes.is_pin(extension, pin)
            if plan is None or not right or (pin is not None and self.stored(extension) is None):
                return Shut.WRONG
            await self.mailbox(extension)
            return self.box(extension) or Shut.WRONG

        self._errands.do(work(), then, Shut.AWAY, "a mailbox cannot be opened")

    def choose_pin(self, box: Box, pin: Private[str], then: Callable[[bool, float], None]) -> None:
        """Keep another PIN."""

        async def work() -> bool:
            stored = self.stored(box.extension)
            if stored is None or stored.id != box.id:
                return False
            try:
                await self._store.mailboxes.set_pin(box.extension, pin, self._least_pin_digits)
            except InvalidError:
                return False
            return True

        self._errands.do(work(), then, False, "a PIN could not be kept")

    def messages(self, box: Box, then: Callable[[list[Message], float], None]) -> None:
        """What lies in the mailbox."""

        async def work() -> list[Message]:
            stored = self.stored(box.extension)
            if stored is None or stored.id != box.id:
                return []
            return in_order([message_of(one) for one in await self._store.mailboxes.messages(box.id)])

        self._errands.do(work(), then, [], "messages cannot be read")

    def mark(self, message: Message, state: MessageState) -> None:
        """Keep that a message was heard, or is to be saved."""

        async def work() -> None:
            extension = await self._store.mailboxes.mark(message.id, state)
            if extension is not None:
                self._changed(extension)

        self._errands.do(work(), nothing, None, "a message could not be marked")

    def delete(self, messages: list[Message]) -> None:
        """Delete messages for good."""

        async def work() -> None:
            for message in messages:
                extension = await self._store.mailboxes.mark(message.id, "deleted")
                if extension is not None:
                    await self._store.mailboxes.purge(message.id, f"extension {extension}", "by phone")
                    self._changed(extension)

        self._errands.do(work(), nothing, None, "messages could not be deleted")

    # Work that waits

    async def close(self) -> None:
        """Let what is being kept be kept."""
        await self.streams.close()
        await self._errands.close(WRITER_PATIENCE_S + 1)

    def _to_media(self, command: Any) -> None:
        def act(_now: float) -> int:
            self._switchboard.media(command)
            return 0

        self._exchange.act(act)


def same_holder(mailbox: StoredMailbox, extension_id: str, person_id: str | None) -> bool:
    """Whether a mailbox is of who holds the extension; one of nobody in particular becomes theirs."""
    if mailbox.extension_id != extension_id:
        return False
    return mailbox.person_id is None or mailbox.person_id == person_id


def message_of(stored: StoredMessage) -> Message:
    """A message as the phone side knows it."""
    state: MessageState = "new" if stored.state == "new" else "saved" if stored.state == "saved" else "old"
    return Message(
        id=stored.id,
        voice=Voice(stored.id, _rate(stored.rate), stored.length_ms),
        received_at=stored.received_at,
        caller=stored.caller,
        urgent=stored.urgent,
        state=state,
    )


def _box(plan: MailboxPlan, extension: str, stored: StoredMailbox | None, being_left: int) -> Box:
    greetings: dict[GreetingKind, Voice] = {}
    if stored is not None:
        for kind in GREETINGS:
            greeting = stored.greetings.get(kind)
            if greeting is not None:
                greetings[kind] = Voice(greeting.voice_id, _rate(greeting.rate), greeting.length_ms)
    lies_there = (stored.counts.all if stored is not None else 0) + being_left
    return Box(
        id=stored.id if stored is not None else "",
        extension=extension,
        has_pin=stored is not None and stored.has_pin,
        full=lies_there >= plan.max_messages,
        max_message_s=plan.max_message_s,
        operator=plan.operator,
        trusts_own_phone=plan.trust_own_phone,
        greetings=greetings,
    )


def _rate(rate: int) -> Rate:
    return 16000 if rate == 16000 else 8000
