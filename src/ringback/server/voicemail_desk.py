"""The desk at which calls of voicemail are served: the store, the vault and the engine behind one counter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import structlog
from msgspec.structs import replace

from ringback.call.leg import Leg
from ringback.call.switchboard import Switchboard
from ringback.call.voice_recordings import RecordingEvent
from ringback.governance.private import Private
from ringback.governance.vault import VaultError, VaultReader, label
from ringback.media.protocol import RecordingEnded, RecordingFailed, RecordingStarted, Talking
from ringback.server.exchange import Exchange
from ringback.server.voice_streams import VoiceStreams
from ringback.store.errors import InvalidError, StoreError
from ringback.store.mailboxes import Greeting, StoredMailbox, StoredMessage
from ringback.store.plan.voice import MailboxPlan
from ringback.store.store import Store
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

PART: Final = "mix"
"""The one file of a voice."""
MOST_AT_ONCE: Final = 200
"""Recordings of callers that go on at one time."""
_WIDE: Final = frozenset({"G722", "OPUS", "L16"})
_BYTES_A_TICK: Final = {8000: 320, 16000: 640}
_TICK_MS: Final = 20
_WRITER_PATIENCE_S: Final = 2.0
_TRY_AGAIN_S: Final = (0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Place:
    """A place in the vault that is being filled, or was; the key is here and nowhere else."""

    voice: Voice
    key: Private[bytes]
    mailbox: StoredMailbox


@dataclass(slots=True)
class _Recording:
    place: _Place
    leg: int
    room: int
    listener: Listener


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
    ) -> None:
        self._store = store
        self._switchboard = switchboard
        self._exchange = exchange
        self._least_pin_digits = least_pin_digits
        self._changed = changed
        self._received = received
        self._places: dict[str, _Place] = {}
        self._recordings: dict[int, _Recording] = {}
        self._rooms: dict[int, _Recording] = {}
        self._tasks: set[asyncio.Task[None]] = set()
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
        box = _box(plan, extension, stored, self._being_left(stored))
        # At a phone that several share anybody may stand.
        shared = any(
            one.shared and one.extension == extension for one in self._store.directory.devices.values()
        )
        return replace(box, trusts_own_phone=box.trusts_own_phone and not shared)

    def local(self, at: datetime | None = None) -> datetime:
        """A time as clocks on the wall show it."""
        return (at or datetime.now(UTC)).astimezone()

    def _being_left(self, stored: StoredMailbox | None) -> int:
        if stored is None:
            return 0
        return sum(one.place.mailbox.id == stored.id for one in self._recordings.values())

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
        if voice.id not in self._places:
            stored = await self._store.voices.get(voice.id)
            if stored.kind == "message":
                extension = stored.extension or ""
                # Once more: the extension may have gone to somebody else while the call was on.
                if self.stored(extension) is None:
                    raise VaultError("this message is nobody's")
                await self._store.mailboxes.message(extension, voice.id)
                # Before anybody hears it; where that cannot be written down, nobody does.
                await self._store.voices.note(voice.id, f"extension {extension}", "played", "by phone")
        return await self._store.voices.open(voice.id, PART)

    # Recording

    def reserve(
        self, leg: Leg, box: Box, kind: VoiceKind, then: Callable[[Voice | None, float], None]
    ) -> None:
        """A place in the vault, its row on the disk."""
        codec = leg.media.send.codec if leg.media is not None else "PCMU"
        rate: Rate = 16000 if codec in _WIDE else 8000
        caller = Private("") if leg.party.hidden else leg.party.number

        async def work() -> Voice | None:
            if len(self._recordings) >= MOST_AT_ONCE:
                return None
            mailbox = await self.mailbox(box.extension)
            if kind == "message":
                made = await self._store.mailboxes.begin_message(mailbox, rate, caller)
            else:
                made = await self._store.mailboxes.begin_greeting(mailbox, rate)
            voice = Voice(made.id, rate, 0)
            self._places[made.id] = _Place(voice, made.data_key, mailbox)
            return voice

        self._do(work(), then, None, "a message cannot be taken")

    def record(self, leg: Leg, voice: Voice, listener: Listener) -> None:
        """Record what a leg says, alone in a room."""
        place = self._places[voice.id]
        room = next(self._switchboard.media_rooms)
        leg.join(room)
        number = self._switchboard.recordings.start(
            room,
            self._store.voices.vault.path(voice.id, PART).parent,
            voice.id,
            place.key,
            self._recorded,
            tracks=False,
            rate=voice.rate,
        )
        self._recordings[number] = self._rooms[room] = _Recording(place, leg.id, room, listener)

    def stop(self, voice: Voice) -> None:
        """End a recording."""
        for number, recording in self._recordings.items():
            if recording.place.voice.id == voice.id:
                self._switchboard.recordings.stop(number)

    def talking(self, event: Talking, now: float) -> bool:
        """Who speaks in a room; False where the room is not ours."""
        recording = self._rooms.get(event.room)
        if recording is None:
            return False
        speaks = any(leg == recording.leg for leg, _ in event.talkers)
        recording.listener.speaking(speaks, now)
        return True

    def _recorded(self, event: RecordingEvent, now: float) -> None:
        """A recording could not be begun, or is over: its file is complete, or will be in a moment."""
        del now
        if isinstance(event, RecordingStarted):
            return
        recording = self._over(event.recording)
        if recording is None:
            return
        if isinstance(event, RecordingFailed):
            log.error("a message cannot be recorded", reason=event.reason)
            self._do(self._failed(recording.place), recording.listener.over, None, "")
        else:
            work = self._finished(recording.place, event)
            self._do(work, recording.listener.over, None, "a message could not be finished")

    def _over(self, number: int) -> _Recording | None:
        recording = self._recordings.pop(number, None)
        if recording is not None:
            self._rooms.pop(recording.room, None)
        return recording

    async def _failed(self, place: _Place) -> None:
        self._places.pop(place.voice.id, None)
        await self._store.mailboxes.discard(place.voice.id)

    async def _finished(self, place: _Place, event: RecordingEnded) -> Voice | None:
        voice = place.voice
        whole = event.reason in ("stopped", "room_ended") and event.frames is not None
        octets = (
            (event.frames or 0) * _BYTES_A_TICK[voice.rate] if whole else await self._readable(place, event)
        )
        if not octets:
            await self._failed(place)
            return None
        await self._store.voices.finish(voice.id, octets, cut=not whole)
        length_ms = octets * _TICK_MS // _BYTES_A_TICK[voice.rate]
        place.voice = Voice(voice.id, voice.rate, length_ms)
        return place.voice

    async def _readable(self, place: _Place, event: RecordingEnded) -> int:
        """Octets of a file that broke off. A writer that was left alone ends what it has, and then itself."""
        path = self._store.voices.vault.path(place.voice.id, PART)
        size = 0
        deadline = asyncio.get_running_loop().time() + _WRITER_PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            with (
                suppress(VaultError),
                VaultReader(path, label(place.voice.id, PART), place.key, cut=True) as reader,
            ):
                size = reader.size
                if reader.whole or event.frames is not None:
                    break
            await asyncio.sleep(0.1)
        return size

    def drop(self, voice: Voice) -> None:
        """A place or a recording that nobody wants."""
        self._places.pop(voice.id, None)
        self._do(self._store.mailboxes.discard(voice.id), _nothing, None, "a recording could not be removed")

    # What becomes of it

    def deliver(self, voice: Voice, box: Box, *, urgent: bool, then: Callable[[bool, float], None]) -> None:
        """Make a message of it; told once it is on the disk. A database that is away is asked again."""
        plan = self.plan(box.extension) or MailboxPlan(name=box.extension)
        until = datetime.now(UTC) + timedelta(days=plan.keep_days) if plan.keep_days else None

        async def keep() -> bool:
            extension = await self._store.mailboxes.deliver(
                voice.id, voice.length_ms, urgent=urgent, keep_until=until
            )
            self._places.pop(voice.id, None)
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

        self._do(work(), then, False, "")

    def _later(self, keep: Callable[[], Awaitable[bool]]) -> None:
        async def again() -> None:
            for pause_s in _TRY_AGAIN_S:
                await asyncio.sleep(pause_s)
                with suppress(Exception):
                    await keep()
                    return
            log.error("a message waits in the vault for the next start of the server")

        self._spawn(again())

    def greet(
        self, box: Box, kind: GreetingKind, voice: Voice | None, then: Callable[[bool, float], None]
    ) -> None:
        """Use what was recorded as a greeting."""

        async def work() -> bool:
            mailbox = await self.mailbox(box.extension)
            if mailbox.id != box.id:
                return False
            greeting = Greeting(voice.id, voice.rate, voice.length_ms) if voice is not None else None
            await self._store.mailboxes.greet(mailbox, kind, greeting)
            if voice is not None:
                self._places.pop(voice.id, None)
            return True

        self._do(work(), then, False, "a greeting could not be kept")

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

        self._do(work(), then, Shut.AWAY, "a mailbox cannot be opened")

    def choose_pin(self, box: Box, pin: Private[str], then: Callable[[bool, float], None]) -> None:
        """Keep another PIN."""

        async def work() -> bool:
            try:
                await self._store.mailboxes.set_pin(box.extension, pin, self._least_pin_digits)
            except InvalidError:
                return False
            return True

        self._do(work(), then, False, "a PIN could not be kept")

    def messages(self, box: Box, then: Callable[[list[Message], float], None]) -> None:
        """What lies in the mailbox."""

        async def work() -> list[Message]:
            stored = self.stored(box.extension)
            if stored is None or stored.id != box.id:
                return []
            return in_order([message_of(one) for one in await self._store.mailboxes.messages(box.id)])

        self._do(work(), then, [], "messages cannot be read")

    def mark(self, message: Message, state: MessageState) -> None:
        """Keep that a message was heard, or is to be saved."""

        async def work() -> None:
            extension = await self._store.mailboxes.mark(message.id, state)
            if extension is not None:
                self._changed(extension)

        self._do(work(), _nothing, None, "a message could not be marked")

    def delete(self, messages: list[Message]) -> None:
        """Delete messages for good."""

        async def work() -> None:
            for message in messages:
                extension = await self._store.mailboxes.mark(message.id, "deleted")
                who = f"extension {extension}" if extension is not None else "voicemail"
                await self._store.mailboxes.purge(message.id, who, "by phone")
                if extension is not None:
                    self._changed(extension)

        self._do(work(), _nothing, None, "messages could not be deleted")

    # Work that waits

    async def close(self) -> None:
        """Let what is being kept be kept."""
        await self.streams.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_WRITER_PATIENCE_S + 1)

    def _to_media(self, command: Any) -> None:
        def act(_now: float) -> int:
            self._switchboard.media(command)
            return 0

        self._exchange.act(act)

    def _do(
        self, work: Coroutine[Any, Any, _T], then: Callable[[_T, float], None], otherwise: _T, problem: str
    ) -> None:
        """Do what waits, then tell the call; a fault of ours costs that call alone."""

        async def run() -> None:
            try:
                result = await work
            except StoreError as error:
                log.error(problem, reason=str(error))
                result = otherwise
            except Exception:
                log.exception(problem)
                result = otherwise

            def act(now: float) -> int:
                then(result, now)
                return 0

            try:
                self._exchange.act(act)
            except Exception:
                log.exception("a call of voicemail met a fault of ours")

        self._spawn(run())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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


def _nothing(_result: object, _now: float) -> None:
    pass
