"""What callers say into mailboxes: places in the vault, and the recordings that fill them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from ringback.call.leg import Leg
from ringback.call.switchboard import Switchboard
from ringback.call.voice_recordings import RecordingEvent
from ringback.governance.private import Private
from ringback.governance.vault import VaultError, VaultReader, label
from ringback.media.protocol import RecordingEnded, RecordingFailed, RecordingStarted, Talking
from ringback.server.errands import Errands, nothing
from ringback.store.mailboxes import StoredMailbox
from ringback.store.store import Store
from ringback.voicemail.desk import Listener
from ringback.voicemail.mailbox import Box, Rate, Voice, VoiceKind

PART: Final = "mix"
"""The one file of a voice."""
MOST_AT_ONCE: Final = 200
"""Recordings of callers that go on at one time."""
WRITER_PATIENCE_S: Final = 2.0
"""A writer process that was left alone has ended its files by then."""
_WIDE: Final = frozenset({"G722", "OPUS", "L16"})
_BYTES_A_TICK: Final = {8000: 320, 16000: 640}
_TICK_MS: Final = 20

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Place:
    """A place in the vault that is being filled, or was; the key is here and nowhere else."""

    voice: Voice
    key: Private[bytes]
    mailbox: StoredMailbox


@dataclass(slots=True)
class _Recording:
    place: Place
    leg: int
    room: int
    listener: Listener


class MessageRecordings:
    """All that is being said now; `mailbox` finds, or makes, the mailbox that a place is for."""

    def __init__(
        self,
        store: Store,
        switchboard: Switchboard,
        errands: Errands,
        mailbox: Callable[[str], Awaitable[StoredMailbox]],
    ) -> None:
        self._store = store
        self._switchboard = switchboard
        self._errands = errands
        self._mailbox = mailbox
        self._places: dict[str, Place] = {}
        self._recordings: dict[int, _Recording] = {}
        self._rooms: dict[int, _Recording] = {}

    def __contains__(self, voice: str) -> bool:
        """Whether a voice has not become a message or a greeting yet."""
        return voice in self._places

    def being_left(self, mailbox: StoredMailbox) -> int:
        """How many callers speak into a mailbox now."""
        return sum(one.place.mailbox.id == mailbox.id for one in self._recordings.values())

    def settled(self, voice: str) -> None:
        """A voice has become a message or a greeting."""
        self._places.pop(voice, None)

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
            mailbox = await self._mailbox(box.extension)
            if kind == "message":
                made = await self._store.mailboxes.begin_message(mailbox, rate, caller)
            else:
                made = await self._store.mailboxes.begin_greeting(mailbox, rate)
            voice = Voice(made.id, rate, 0)
            self._places[made.id] = Place(voice, made.data_key, mailbox)
            return voice

        self._errands.do(work(), then, None, "a message cannot be taken")

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
            self._errands.do(self._failed(recording.place), recording.listener.over, None, "")
        else:
            work = self._finished(recording.place, event)
            self._errands.do(work, recording.listener.over, None, "a message could not be finished")

    def _over(self, number: int) -> _Recording | None:
        recording = self._recordings.pop(number, None)
        if recording is not None:
            self._rooms.pop(recording.room, None)
        return recording

    async def _failed(self, place: Place) -> None:
        self._places.pop(place.voice.id, None)
        await self._store.mailboxes.discard(place.voice.id)

    async def _finished(self, place: Place, event: RecordingEnded) -> Voice | None:
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

    async def _readable(self, place: Place, event: RecordingEnded) -> int:
        """Octets of a file that broke off. A writer that was left alone ends what it has, and then itself."""
        path = self._store.voices.vault.path(place.voice.id, PART)
        size = 0
        deadline = asyncio.get_running_loop().time() + WRITER_PATIENCE_S
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
        self._errands.do(
            self._store.mailboxes.discard(voice.id), nothing, None, "a recording could not be removed"
        )
