"""The desk of voicemail on a real store: what the engine and the database do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ringback.call.leg import Leg
from ringback.call.voice_recordings import VoiceRecordings
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.media.protocol import Command, RecordingEnded, RecordingFailed, StartRecording, Talking
from ringback.server import voicemail_desk, voicemail_takes
from ringback.server.voicemail_desk import VoicemailDesk
from ringback.server.voicemail_takes import PART
from ringback.store.errors import DatabaseUnusableError, NotFoundError
from ringback.store.store import Store, open_store
from ringback.voicemail.mailbox import Voice

RATE = 8_000
CHUNK = 16_384


class Line:
    """A switchboard and exchange with one caller, and the commands that the engine would get."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.media_rooms = count(1)
        self.recordings = VoiceRecordings(self.commands.append)
        self.legs: dict[int, object] = {}

    def media(self, command: Command) -> None:
        self.commands.append(command)

    def act(self, act: Callable[[float], int]) -> int:
        return act(1.0)


class Ear:
    """Hears how a recording goes."""

    def __init__(self) -> None:
        self.spoke: list[bool] = []
        self.ended: list[Voice | None] = []

    def speaking(self, speaks: bool, now: float) -> None:
        self.spoke.append(speaks)

    def over(self, voice: Voice | None, now: float) -> None:
        self.ended.append(voice)


class Counter:
    """The desk, and a caller at it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.line = Line()
        self.told: list[str] = []
        line = cast("Any", self.line)
        self.desk = VoicemailDesk(
            store,
            line,
            line,
            6,
            changed=lambda _: None,
            received=lambda _, message: self.told.append(message),
        )
        party = SimpleNamespace(hidden=False, number=Private("5550142"))
        self.leg = cast("Leg", SimpleNamespace(id=1, media=None, party=party, join=lambda _room: None))

    async def place(self) -> Voice | None:
        box = self.desk.box("1001")
        assert box is not None
        answers: list[Voice | None] = []
        self.desk.reserve(self.leg, box, "message", lambda voice, _: answers.append(voice))
        await settle(lambda: answers)
        return answers[0]

    async def recorded(self) -> tuple[Voice, Ear, StartRecording]:
        """A recording that goes on."""
        voice = await self.place()
        assert voice is not None
        ear = Ear()
        self.desk.record(self.leg, voice, ear)
        command = self.line.commands[-1]
        assert isinstance(command, StartRecording)
        return voice, ear, command

    def ends(self, number: int, reason: str, frames: int | None) -> None:
        ended = RecordingEnded(recording=number, reason=reason, frames=frames, dropped_frames=0, legs=[1])  # type: ignore[arg-type]
        self.line.recordings.heard(ended, 1.0)


async def settle(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    store = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    await store.extensions.add("1001")
    await store.objects.put("mailbox", "1001", {"max_messages": 1}, "a test")
    made = Counter(store)
    yield made
    await made.desk.close()
    await store.close()


async def test_what_the_engine_is_told_is_sealed_and_who_speaks_is_heard(counter: Counter) -> None:
    voice, ear, command = await counter.recorded()
    assert (command.tracks, command.voice, len(command.key)) == (False, voice.id, 32)
    assert command.key.hex() not in repr(command)
    assert counter.desk.talking(Talking(room=command.room, talkers=[(1, -20.0)]), 1.0)
    assert counter.desk.talking(Talking(room=command.room, talkers=[]), 2.0)
    assert ear.spoke == [True, False]
    assert not counter.desk.talking(Talking(room=99, talkers=[(1, -20.0)]), 3.0)
    counter.ends(command.recording, "stopped", 150)
    await settle(lambda: ear.ended)
    assert ear.ended == [Voice(voice.id, 8000, 3_000)]


@pytest.mark.parametrize(("reason", "frames"), [("disk_full", 102), ("failed", None)])
async def test_of_a_recording_that_broke_off_stays_what_can_be_read(
    counter: Counter, reason: str, frames: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voicemail_takes, "WRITER_PATIENCE_S", 0.2)
    voice, ear, command = await counter.recorded()
    key = Private(command.key)
    writer = counter.store.voices.vault.write(voice.id, key, PART)
    writer.write(bytes(2 * CHUNK + 100))
    writer.leave()
    counter.ends(command.recording, reason, frames)
    await settle(lambda: ear.ended)
    assert ear.ended == [Voice(voice.id, 8000, 2 * CHUNK // 16)]
    with await counter.store.voices.open(voice.id, PART) as reader:
        assert len(reader.read(0, 10 * CHUNK)) == 2 * CHUNK


async def test_of_one_that_never_began_nothing_stays(counter: Counter) -> None:
    voice, ear, command = await counter.recorded()
    counter.line.recordings.heard(
        RecordingFailed(recording=command.recording, reason="the disk is full"), 1.0
    )
    await settle(lambda: ear.ended)
    assert ear.ended == [None]
    with pytest.raises(NotFoundError):
        await counter.store.voices.get(voice.id)


async def test_while_the_database_is_away_no_message_is_taken(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DatabaseUnusableError("the database is away")

    monkeypatch.setattr(counter.store.mailboxes, "begin_message", away)
    assert await counter.place() is None


async def test_a_message_is_told_of_only_once_it_is_kept_and_kept_as_soon_as_that_can_be(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, ear, command = await counter.recorded()
    counter.ends(command.recording, "stopped", 150)
    await settle(lambda: ear.ended)
    deliver = counter.store.mailboxes.deliver
    tries = 0

    async def away_at_first(*arguments: Any, **named: Any) -> str | None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("the database is away")
        return await deliver(*arguments, **named)

    monkeypatch.setattr(counter.store.mailboxes, "deliver", away_at_first)
    monkeypatch.setattr(voicemail_desk, "_TRY_AGAIN_S", (0.01, 0.01, 0.01))
    box = counter.desk.box("1001")
    assert box is not None
    answers: list[bool] = []
    kept = Voice(voice.id, 8000, 3_000)
    counter.desk.deliver(kept, box, urgent=False, then=lambda done, _: answers.append(done))
    await settle(lambda: answers)
    assert answers == [False]
    await settle(lambda: counter.told)
    assert counter.told == [voice.id]
    again = counter.desk.box("1001")
    assert again is not None
    assert again.full
