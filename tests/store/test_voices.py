"""Stored voices: nothing deletes what is held, nothing stays of what is deleted, keys change without loss."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from ringback.governance.vault import VaultError, begin_rotation, read_vault_key
from ringback.store.errors import DatabaseUnusableError, NotFoundError
from ringback.store.store import open_store
from ringback.store.vault_key import give_up_vault_key
from ringback.store.voice_schema import voice_audit, voices
from ringback.store.voices import HeldError

SAID = b"known samples " * 4000


async def stored(store, *, kind="recording", part="", keep_until=None, data=SAID) -> str:
    new = await store.voices.begin(kind, 16_000, extension="1001", keep_until=keep_until)
    writer = store.voices.vault.write(new.id, new.data_key, part)
    writer.write(data)
    writer.close()
    await store.voices.finish(new.id, len(data))
    assert found_on_disk(store.voices.vault.folder.parent, new.data_key.reveal()) == []
    return new.id


def found_on_disk(folder, wanted: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes()]


async def heard(store, voice: str) -> bytes:
    with await store.voices.open(voice) as reader:
        return reader.read(0, reader.size)


async def test_what_is_stored_is_read_again_after_a_restart(store, settings):
    voice = await stored(store)
    await store.close()
    again = await open_store(settings)
    assert await heard(again, voice) == SAID
    found = await again.voices.get(voice)
    assert (found.kind, found.state, found.extension, found.octets) == (
        "recording",
        "whole",
        "1001",
        len(SAID),
    )
    assert found.seconds == len(SAID) / 32_000
    assert [one.id for one in await again.voices.all("recording", "1001")] == [voice]
    assert await again.voices.all("recording", "1002") == []
    await again.close()
    assert found_on_disk(settings.data_dir, SAID[:14]) == []


async def test_nothing_stays_of_what_was_deleted(store, settings):
    voice = await stored(store)
    async with store.database.read() as connection:
        row = (await connection.execute(voices.select())).one()
    assert found_on_disk(settings.data_dir, row.wrapped_key) != []
    sealed = store.voices.vault.path(voice).read_bytes()[24:56]
    await store.voices.delete(voice, "amy", "asked for")
    assert found_on_disk(settings.data_dir, row.wrapped_key) == []
    assert found_on_disk(settings.data_dir, sealed) == []
    for act in (
        store.voices.open(voice),
        store.voices.delete(voice, "amy"),
        store.voices.hold(voice, "amy", "x"),
    ):
        with pytest.raises(NotFoundError):
            await act
    gone = await store.voices.get(voice)
    assert (gone.state, gone.extension) == ("deleted", None)
    assert gone.deleted_at is not None
    assert [(deed.who, deed.act, deed.reason) for deed in await store.voices.deeds(voice)] == [
        ("amy", "deleted", "asked for")
    ]


async def test_a_hold_wins_over_deletion_and_retention(store):
    past = datetime.now(UTC) - timedelta(seconds=1)
    voice = await stored(store, keep_until=past)
    with pytest.raises(NotFoundError):
        await heard(store, voice)
    await store.voices.hold(voice, "ann", "case 12")
    assert await heard(store, voice) == SAID
    with pytest.raises(HeldError, match="release it first"):
        await store.voices.delete(voice, "amy")
    assert await store.voices.expire(datetime.now(UTC)) == []
    await store.voices.release(voice, "ann", "case closed")
    assert await store.voices.expire(datetime.now(UTC)) == [voice]
    assert [(deed.who, deed.act) for deed in await store.voices.deeds(voice)] == [
        ("ann", "held"),
        ("ann", "released"),
        ("retention", "expired"),
    ]


async def test_the_database_itself_keeps_what_is_held_and_what_was_done(store, settings):
    voice = await stored(store)
    await store.voices.hold(voice, "ann", "case 12")
    for statement in (
        delete(voices),
        update(voices).values(wrapped_key=None),
        update(voices).values(wrapped_key=None, legal_hold=False),
        update(voices).values(state="deleted"),
        delete(voice_audit),
        update(voice_audit).values(who="nobody"),
    ):
        with pytest.raises(IntegrityError):
            async with store.database.write() as connection:
                await connection.execute(statement)
    with sqlite3.connect(settings.data_dir / "ringback.db") as other, pytest.raises(sqlite3.IntegrityError):
        other.execute("DELETE FROM voices")
    assert await heard(store, voice) == SAID


async def test_what_a_crash_left_is_settled(store):
    unfinished = await store.voices.begin("recording", 16_000)
    writer = store.voices.vault.write(unfinished.id, unfinished.data_key, "mix")
    writer.write(SAID)
    writer.leave()
    never_written = await store.voices.begin("recording", 16_000)
    message = await store.voices.begin("message", 8_000)
    store.voices.vault.write(message.id, message.data_key).leave()
    whole = await stored(store)
    orphan = store.voices.vault.path("0123456789abcdef")
    orphan.write_bytes(b"RBV1 whatever")
    assert await store.voices.settle("message", keep_cut=False) == []
    kept = await store.voices.settle("recording", keep_cut=True)
    assert [(one.id, one.state, one.octets) for one in kept] == [
        (unfinished.id, "cut", len(SAID) // 16_384 * 16_384)
    ]
    assert set(store.voices.vault.voices()) == {unfinished.id, whole}
    with await store.voices.open(unfinished.id, "mix") as reader:
        assert reader.read(0, reader.size) == SAID[: reader.size]
    for gone in (never_written.id, message.id):
        with pytest.raises(NotFoundError):
            await store.voices.get(gone)


async def test_keys_are_changed_without_touching_files_and_from_where_it_stopped(store, settings):
    ids = [await stored(store, data=b"%d" % i) for i in range(4)]
    files = {path: path.stat().st_mtime_ns for path in settings.voices_dir.iterdir()}
    old = read_vault_key(settings.vault_key_file)
    # As if it had been stopped after one row.
    both = begin_rotation(settings.vault_key_file)
    store.voices.vault.key = both
    assert await heard(store, ids[0]) == b"0"
    later = await stored(store, data=b"later")
    await store.close()
    again = await open_store(settings)
    told = []
    assert await again.voices.rotate(settings.vault_key_file, told.append) == 4
    assert told == [4]
    assert read_vault_key(settings.vault_key_file).current == both.current
    assert not again.voices.vault.key.rotating
    assert [await heard(again, voice) for voice in (*ids, later)] == [b"0", b"1", b"2", b"3", b"later"]
    assert files.items() <= {path: path.stat().st_mtime_ns for path in settings.voices_dir.iterdir()}.items()
    again.voices.vault.key = old
    with pytest.raises(VaultError):
        await heard(again, ids[0])
    await again.close()


async def test_a_lost_or_wrong_vault_key_is_refused_and_not_replaced(store, settings, tmp_path):
    await stored(store)
    await store.close()
    kept = settings.vault_key_file.rename(tmp_path / "kept")
    with pytest.raises(DatabaseUnusableError, match="is not there that 1 stored voices"):
        await open_store(settings)
    assert not settings.vault_key_file.exists()
    begin_rotation(tmp_path / "kept")
    first_line = kept.read_text().splitlines(keepends=True)[0]
    settings.vault_key_file.write_text(first_line)
    settings.vault_key_file.chmod(0o600)
    with pytest.raises(DatabaseUnusableError, match="is not the one that 1 stored voices"):
        await open_store(settings)
    assert settings.vault_key_file.read_text() == first_line
    # For who has lost it the system works again, and what comes back later is heard again.
    assert await give_up_vault_key(settings) == 1
    without = await open_store(settings)
    (lost,) = await without.voices.all("recording")
    with pytest.raises(VaultError):
        await heard(without, lost.id)
    new = await stored(without, data=b"new")
    assert await without.voices.rotate(settings.vault_key_file) == 1
    assert await heard(without, new) == b"new"
    await without.close()
    current = settings.vault_key_file.read_text()
    settings.vault_key_file.write_text(current + kept.read_text())
    again = await open_store(settings)
    assert (await heard(again, lost.id), await heard(again, new)) == (SAID, b"new")
    await again.close()
