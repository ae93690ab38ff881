"""Rows of recordings: the ledger is never changed, names go with the recording, a kill at any moment costs
nothing that was acknowledged.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from ringback.governance.private import Private
from ringback.store.errors import NotFoundError
from ringback.store.recordings import StoredConsent, StoredTrack
from ringback.store.store import open_store
from ringback.store.voice_schema import recording_consents, recording_tracks

TRACKS = [
    StoredTrack("leg-1", "1001", None, Private("1001")),
    StoredTrack("leg-2", None, "carrier", Private("+14155550123")),
]


async def recorded(store, *, tracks=TRACKS, keep_days=90, data=b"said" * 9000) -> str:
    new = await store.recordings.begin(
        call_id=7 << 40,
        policy="all",
        mode="always",
        direction="inbound",
        players=["auditor"],
        keep_days=keep_days,
        tracks=tracks,
    )
    for part in ("mix", *(track.part for track in tracks)):
        writer = store.voices.vault.write(new.id, new.data_key, part)
        writer.write(data)
        writer.close()
    assert await store.recordings.finish(new.id, "stopped", keep=True)
    return new.id


def in_clear(folder, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_recording_is_found_by_its_voices_and_names_nobody_once_it_is_deleted(store, settings):
    first = await recorded(store)
    await store.recordings.add_track(first, StoredTrack("leg-3", "1003", None, Private("1003")))
    await store.recordings.add_track(first, StoredTrack("leg-3", "1003", None, Private("1003")))
    second = await recorded(store, tracks=TRACKS[1:])
    found = await store.recordings.all()
    assert [one.voice.id for one in found] == [second, first]
    assert [track.extension for track in found[1].tracks] == ["1001", None, "1003"]
    assert found[1].tracks[1].number == Private("+14155550123")
    assert (found[0].players, found[0].end_reason, found[0].call_id) == (("auditor",), "stopped", 7 << 40)
    assert [one.voice.id for one in await store.recordings.all(extension="1003")] == [first]
    assert [one.voice.id for one in await store.recordings.all(limit=1)] == [second]
    assert len(await store.recordings.all(call_id=7 << 40)) == 2
    assert await store.recordings.all(call_id=7) == []
    assert [one.voice.id for one in await store.recordings.all(before=found[0].voice)] == [first]
    assert not in_clear(settings.data_dir, b"14155550123")
    await store.voices.delete(first, "amy")
    assert [one.voice.id for one in await store.recordings.all()] == [second]
    async with store.database.read() as connection:
        rows = (await connection.execute(recording_tracks.select())).all()
    assert {row.voice_id for row in rows} == {second}


async def test_what_is_over_is_not_listed_and_not_held_is_deleted(store):
    old, held = await recorded(store, keep_days=-1), await recorded(store, keep_days=-1)
    await store.voices.hold(held, "ann", "case 12")
    assert [one.voice.id for one in await store.recordings.all()] == [held]
    assert await store.voices.expire(datetime.now(UTC), "message") == []
    assert await store.voices.expire(datetime.now(UTC), "recording") == [old]


async def test_the_ledger_is_only_added_to(store):
    def line(leg, state, how):
        at = datetime(2026, 11, 26, 12, tzinfo=UTC)
        return StoredConsent(7, leg, "1001", None, at, "all", "opt-out", "Recorded.", state, how)

    lines = [line(1, "agreed", "did not refuse"), line(2, "refused", "pressed 9")]
    await store.recordings.note_consents(lines)
    await store.recordings.note_consents([])
    assert await store.recordings.consents(7) == lines
    assert await store.recordings.consents(8) == []
    for statement in (delete(recording_consents), update(recording_consents).values(state="agreed")):
        with pytest.raises(IntegrityError):
            async with store.database.write() as connection:
                await connection.execute(statement)
    assert await store.recordings.consents(7) == lines


async def test_of_what_is_not_to_be_kept_nothing_is_left(store):
    new = await store.recordings.begin(
        call_id=1, policy="p", mode="opt-out", direction="internal", players=[], keep_days=1, tracks=TRACKS
    )
    store.voices.vault.write(new.id, new.data_key, "mix").close()
    assert not await store.recordings.finish(new.id, "stopped", keep=False)
    with pytest.raises(NotFoundError):
        await store.voices.get(new.id)
    assert list(store.voices.vault.voices()) == []
    assert not await store.recordings.finish(new.id, "stopped", keep=True), "again is harmless"


async def test_what_is_listed_says_why_it_ended(store):
    seen: list[str] = []

    async def look() -> None:
        while len(seen) < 8:
            seen[:] = [one.end_reason for one in await store.recordings.all()]
            assert "" not in seen

    looking = asyncio.create_task(look())
    for _ in range(8):
        voice = await recorded(store)
    await looking
    assert not await store.recordings.finish(voice, "room_ended", keep=True)
    assert {one.end_reason for one in await store.recordings.all()} == {"stopped"}


WRITES_UNTIL_KILLED = """
import asyncio, random, sys
from pathlib import Path
from ringback.config import load_settings
from ringback.store.store import open_store
from tests.store.test_recordings import recorded

async def main() -> None:
    environ = {"RINGBACK_SECURITY__VAULT_KEY_FILE": sys.argv[2]}
    store = await open_store(load_settings(environ=environ, data_dir=Path(sys.argv[1])))
    chance = random.Random(int(sys.argv[3]))
    await store.recordings.settle()
    while True:
        voice = await recorded(store)
        print("kept", voice, flush=True)
        if chance.random() < 0.5:
            await store.voices.delete(voice, "amy")
            print("deleted", voice, flush=True)

asyncio.run(main())
"""


def written_until_killed(settings, attempt: int, after_s: float) -> list[str]:
    """What a process says that it has done until it is killed, a moment after its first recording."""
    words = [str(settings.data_dir), str(settings.vault_key_file), str(attempt)]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        first = process.stdout.readline()
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        said = [first, *process.stdout.read().splitlines()]
    process.wait()
    return said


async def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_no_file_is_left_over(store, settings):
    await store.close()
    said: dict[str, str] = {}
    chance = random.Random(7)
    for attempt in range(3):
        after_s = chance.uniform(0, 0.3)
        for line in await asyncio.to_thread(written_until_killed, settings, attempt, after_s):
            word, voice = line.split()
            said[voice] = word
    assert len(said) >= 3
    again = await open_store(settings)
    await again.recordings.settle()
    there = {one.voice.id for one in await again.recordings.all(limit=1000)}
    kept = {voice for voice, word in said.items() if word == "kept"}
    deleted = {voice for voice, word in said.items() if word == "deleted"}
    # The last of each process may be one step further than it could say.
    assert len(kept - there) <= 3
    for voice in kept & there:
        for part in ("mix", "leg-1", "leg-2"):
            with await again.voices.open(voice, part) as reader:
                assert reader.read(0, 100_000) == b"said" * 9000
    for voice in kept - there:
        assert (await again.voices.get(voice)).state == "deleted"
    assert not deleted & there
    assert set(again.voices.vault.voices()) == there
    await again.close()
