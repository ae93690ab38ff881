"""The keeper of recordings: nothing without its row, nothing lost while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringback.call.effects import Notice
from ringback.config import Settings, load_settings
from ringback.governance.private import Private
from ringback.governance.vault import begin_rotation
from ringback.media.protocol import RecordingEnded
from ringback.recording.archive import Beginning, Begun, ConsentLine, Speaker
from ringback.server import recording
from ringback.server.prompts import PromptLibrary
from ringback.server.recording import RecordingKeeper
from ringback.store.errors import DatabaseUnusableError, NotFoundError
from ringback.store.store import Store, open_store
from tests.call.office import Office

ALICE = Speaker(1, "1001", None, Private("1001"))
VISITOR = Speaker(2, "visit-8f14e45f", None, Private("5550100"))
LINE = ConsentLine(7, ALICE, "all", "opt-out", "Recorded.", "agreed", "did not refuse")
BEGINNING = Beginning(7, "all", "opt-out", "internal", 90, ("auditor",), (ALICE, VISITOR))
ENDED = RecordingEnded(recording=1, reason="stopped", frames=50, dropped_frames=0, legs=[1])


class Away:
    """A database that can be away."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        write = store.database.write

        @asynccontextmanager
        async def maybe() -> AsyncIterator[Any]:
            if self.away:
                raise DatabaseUnusableError("the disk is gone")
            async with write() as connection:
                yield connection

        monkeypatch.setattr(store.database, "write", maybe)


class Acts:
    def act(self, operation: Callable[[float], int]) -> int:
        return operation(0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    elsewhere = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(tmp_path / "vault.key")}
    return load_settings(environ=elsewhere, data_dir=tmp_path / "data")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_the_database_missed_is_written_when_it_is_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "AGAIN_S", 0.02)
    store = await open_store(settings)
    database, notices = Away(store, monkeypatch), list[Notice]()
    prompts = PromptLibrary(settings.data_dir / "prompts")
    monkeypatch.setattr(prompts, "speak_later", lambda texts: None)
    keeper = RecordingKeeper(settings, store, Office().switchboard, Acts(), prompts, notices.append)
    await keeper.start()
    answers: list[Begun | str] = []
    keeper.consent(LINE)
    keeper.begin(BEGINNING, lambda begun, _: answers.append(begun))
    await until(lambda: bool(answers))
    begun = answers.pop()
    assert isinstance(begun, Begun)
    assert Path(begun.folder).parent == settings.voices_dir
    assert [line.state for line in await store.recordings.consents(7)] == ["agreed"]
    writer = store.voices.vault.write(begun.voice, begun.data_key, "mix")
    writer.write(bytes(32_000))
    writer.close()

    database.away = True
    keeper.consent(LINE)
    keeper.begin(BEGINNING, lambda begun, _: answers.append(begun))
    keeper.finish(begun.voice, ENDED, keep=True)
    await until(lambda: bool(answers))
    assert answers == ["the database is away"], "without a line in the ledger nothing is recorded"
    assert await store.recordings.all() == []
    await asyncio.sleep(0.1)
    database.away = False
    await until(lambda: not keeper._waiting and not keeper._lines and keeper._jobs.empty())
    await keeper.stop()
    assert len(await store.recordings.consents(7)) == 2
    (found,) = await store.recordings.all()
    assert (found.voice.id, found.voice.state, found.voice.seconds) == (begun.voice, "whole", 1.0)
    assert [(track.part, track.extension) for track in found.tracks] == [("leg-1", "1001"), ("leg-2", None)]
    keeper.withdraw(begun.voice)
    keeper.withdraw(begun.voice)
    await keeper.stop()
    assert await store.recordings.all() == []
    await store.close()


async def keeper_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> tuple[Store, Away, RecordingKeeper]:
    store = await open_store(settings)
    prompts = PromptLibrary(settings.data_dir / "prompts")
    monkeypatch.setattr(prompts, "speak_later", lambda texts: None)
    keeper = RecordingKeeper(settings, store, Office().switchboard, Acts(), prompts, lambda notice: None)
    await keeper.start()
    return store, Away(store, monkeypatch), keeper


async def recorded(store: Store, keeper: RecordingKeeper, *, whole: bool = True) -> str:
    """A recording of a second, which is finished or still being written."""
    answers: list[Begun | str] = []
    keeper.begin(BEGINNING, lambda begun, _: answers.append(begun))
    await until(lambda: bool(answers))
    (begun,) = answers
    assert isinstance(begun, Begun)
    writer = store.voices.vault.write(begun.voice, begun.data_key, "mix")
    writer.write(bytes(32_000))
    if whole:
        writer.close()
        keeper.finish(begun.voice, ENDED, keep=True)
        await until(lambda: begun.voice not in keeper._open)
    else:
        writer.leave()
    return begun.voice


@pytest.mark.parametrize("moment", ["later", "while it is recorded", "power cut while it is recorded"])
async def test_a_withdrawal_that_waits_for_the_database_outlasts_the_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store, database, keeper = await keeper_of(settings, monkeypatch)
    voice = await recorded(store, keeper, whole=moment == "later")
    other = await recorded(store, keeper)
    database.away = True
    if moment == "later":
        keeper.withdraw(voice)
    else:
        keeper.forbid(voice)
        if moment == "while it is recorded":
            keeper.finish(voice, ENDED, keep=False)
    await until(lambda: store.voices.vault.is_withdrawn(voice))
    with pytest.raises(NotFoundError):
        await store.voices.open(voice, "mix")
    await keeper.stop()
    database.away = False
    assert (await store.voices.get(voice)).state != "deleted"
    await store.close()

    store, database, keeper = await keeper_of(settings, monkeypatch)
    assert [one.voice.id for one in await store.recordings.all()] == [other]
    with pytest.raises(NotFoundError):
        await store.voices.open(voice, "mix")
    assert [path.name for path in settings.voices_dir.iterdir()] == [other]
    await keeper.stop()
    await store.close()


async def test_a_legal_hold_is_stronger_than_a_withdrawal(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _, keeper = await keeper_of(settings, monkeypatch)
    voice = await recorded(store, keeper)
    await store.voices.hold(voice, "ann", "case 12")
    keeper.withdraw(voice)
    await keeper.stop()
    assert not store.voices.vault.is_withdrawn(voice)
    assert [one.voice.id for one in await store.recordings.all()] == [voice]
    await store.close()


async def test_a_change_of_the_vault_key_goes_on_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await open_store(settings)).close()
    begin_rotation(settings.vault_key_file)
    store = await open_store(settings)
    prompts = PromptLibrary(settings.data_dir / "prompts")
    monkeypatch.setattr(prompts, "speak_later", lambda texts: None)
    keeper = RecordingKeeper(settings, store, Office().switchboard, Acts(), prompts, lambda notice: None)
    await keeper.start()
    await until(lambda: not store.voices.vault.key.rotating)
    assert len(settings.vault_key_file.read_text().splitlines()) == 1
    await keeper.stop()
    await store.close()


async def test_what_was_refused_leaves_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_store(settings)
    notices: list[Notice] = []
    prompts = PromptLibrary(settings.data_dir / "prompts")
    monkeypatch.setattr(prompts, "speak_later", lambda texts: None)
    keeper = RecordingKeeper(settings, store, Office().switchboard, Acts(), prompts, notices.append)
    assert keeper.sounds("Recorded.") is None, "nobody has spoken it yet"
    await keeper.start()
    answers: list[Begun | str] = []
    keeper.begin(BEGINNING, lambda begun, _: answers.append(begun))
    await until(lambda: bool(answers))
    begun = answers[0]
    assert isinstance(begun, Begun)
    store.voices.vault.write(begun.voice, begun.data_key, "mix").leave()
    keeper.finish(begun.voice, ENDED, keep=False)
    await keeper.stop()
    assert await store.recordings.all() == []
    assert list(settings.voices_dir.iterdir()) == []
    assert [notice.kind for notice in notices] == ["recording.discarded"]
    await store.close()


async def test_what_somebody_withdrew_from_is_deleted_though_the_server_stops_just_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(settings)
    prompts = PromptLibrary(settings.data_dir / "prompts")
    monkeypatch.setattr(prompts, "speak_later", lambda texts: None)
    keeper = RecordingKeeper(settings, store, Office().switchboard, Acts(), prompts, lambda notice: None)
    begun, deleted = asyncio.Event(), list[str]()

    async def delete(voice: str, *_: str) -> None:
        begun.set()
        await asyncio.sleep(0.05)
        deleted.append(voice)

    monkeypatch.setattr(store.voices, "delete", delete)
    await keeper.start()
    keeper.withdraw("0123456789abcdef")
    await begun.wait()
    await keeper.stop()
    await store.close()
    assert deleted == ["0123456789abcdef"]
