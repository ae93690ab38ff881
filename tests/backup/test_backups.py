"""Backups of a real store: whole or not there, without what was deleted, restored to what they were."""

import asyncio
import errno
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.backup import folder as folder_module
from ringback.backup import making
from ringback.backup.errors import AwayError, BackupError, NoRoomError
from ringback.backup.folder import backups_in
from ringback.backup.head import HEAD_BYTES
from ringback.backup.key_list import NAME as KEYS
from ringback.backup.key_list import read_keys
from ringback.backup.making import Source, write_backup
from ringback.backup.restoring import restore_backup, verify_backup
from ringback.config import load_settings
from ringback.governance.sealing import create_key_file, read_key_file
from ringback.governance.vault import KeyEncryptionKey, read_vault_key
from ringback.server import backup_folders
from ringback.server.backups import BackupKeeper
from ringback.store.errors import ConflictError, NotFoundError
from ringback.store.store import open_store
from ringback.web.backing_up import BackupRefusedError, UnknownBackupError

SAID = b"known samples " * 4000
WHO = "amy"


async def stored(store, said=SAID, *, part="", keep_until=None, finished=True) -> str:
    new = await store.voices.begin("recording", 16_000, extension="1001", keep_until=keep_until)
    writer = store.voices.vault.write(new.id, new.data_key, part)
    writer.write(said)
    if finished:
        writer.close()
        await store.voices.finish(new.id, len(said))
    else:
        writer.leave()
    return new.id


async def heard(store, voice, part="") -> bytes:
    with await store.voices.open(voice, part) as reader:
        return reader.read(0, reader.size)


def restored(settings, file, target, *, keys=None, sealing_key=None):
    key = read_vault_key(settings.vault_key_file)
    listed = keys or Path(file).parent / KEYS
    sealing_key = sealing_key or settings.key_file
    now = datetime.now(UTC)
    return restore_backup(
        Path(file), target, key, listed=listed, sealing_key=sealing_key, now=now, told=lambda *_: None
    )


async def opened(settings, target):
    elsewhere = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(settings.vault_key_file)}
    return await open_store(load_settings(environ=elsewhere, data_dir=target))


def verified(settings, file):
    key = read_vault_key(settings.vault_key_file)
    return verify_backup(Path(file), key, Path(file).parent / KEYS, lambda *_: None)


def traces(folder, *wanted):
    return [
        (path.name, secret)
        for path in folder.rglob("*")
        if path.is_file()
        for secret in wanted
        if secret in path.read_bytes()
    ]


async def test_what_was_kept_comes_back_and_nothing_of_it_is_in_clear(store, settings, keeper, tmp_path):
    await store.extensions.add("1001", display_name="Ada Lovelace")
    meeting = await store.meetings.add("Weekly", "direct")
    voice, parted = await stored(store), await stored(store, b"other", part="mix")
    settings.tls_dir.mkdir()
    (settings.tls_dir / "authority.key").write_text("PRIVATE KEY")
    made = await keeper.make(None, WHO)
    pin = meeting.guest_pin.reveal().encode()
    assert (
        traces(settings.backup.folder, SAID[:14], b"Ada Lovelace", b"1001", pin, b"PRIVATE KEY", b"SQLite")
        == []
    )
    assert not list(settings.data_dir.glob("backup-work"))
    found = verified(settings, made.file)
    assert (found.voices, found.audible, found.octets) == (2, 2, made.octets)
    done = restored(settings, made.file, tmp_path / "new")
    assert (done.voices.heard, done.voices.deleted) == (2, 0)
    again = await opened(settings, tmp_path / "new")
    assert [one.display_name for one in again.extensions.all()] == ["Ada Lovelace"]
    assert again.meetings.get(meeting.number).guest_pin.reveal() == meeting.guest_pin.reveal()
    assert (await heard(again, voice), await heard(again, parted, "mix")) == (SAID, b"other")
    assert (tmp_path / "new" / "tls" / "authority.key").read_text() == "PRIVATE KEY"
    assert "keep = 2" in (tmp_path / "new" / "settings.toml").read_text()
    # What protects what was done is there, too.
    with sqlite3.connect(tmp_path / "new" / "ringback.db") as other:
        other.execute("INSERT INTO voice_audit VALUES (1, ?, '', '', '', '')", (voice,))
        with pytest.raises(sqlite3.IntegrityError):
            other.execute("DELETE FROM voice_audit")
    await again.close()
    for path in (tmp_path / "new").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_who_was_logged_in_is_not_in_it(store, settings, keeper, tmp_path):
    with sqlite3.connect(settings.data_dir / "ringback.db") as other:
        other.execute("INSERT INTO registrations VALUES ('a', '1001', '2030-01-01 00:00:00.000000', '{}')")
    made = await keeper.make(None, WHO)
    restored(settings, made.file, tmp_path / "new")
    with sqlite3.connect(tmp_path / "new" / "ringback.db") as other:
        assert other.execute("SELECT count(*) FROM registrations").fetchone() == (0,)


async def test_an_old_backup_does_not_bring_back_what_was_deleted(store, settings, keeper, tmp_path):
    gone, kept = await stored(store), await stored(store, b"kept")
    held = await stored(store, b"held")
    await store.voices.hold(held, "ann", "case 12")
    past = await stored(store, b"past", keep_until=datetime.now(UTC) + timedelta(seconds=0.3))
    async with store.database.read() as connection:
        row = (await connection.exec_driver_sql(f"SELECT wrapped_key FROM voices WHERE id = '{gone}'")).one()
    made = await keeper.make(None, WHO)
    copy = shutil.copytree(settings.backup.folder, tmp_path / "off-site")
    assert await store.voices.delete(gone, WHO, "asked for") == []
    await asyncio.sleep(0.4)
    assert await store.voices.expire(datetime.now(UTC)) == [past]
    with pytest.raises(ConflictError):
        await store.voices.delete(held, WHO)
    key = read_vault_key(settings.vault_key_file)
    assert set(read_keys(settings.backup.folder / KEYS, key)) == {kept, held}
    done = restored(settings, made.file, tmp_path / "new")
    assert (done.voices.heard, done.voices.deleted) == (2, 2)
    again = await opened(settings, tmp_path / "new")
    assert (await heard(again, kept), await heard(again, held)) == (b"kept", b"held")
    assert set(again.voices.vault.voices()) == {kept, held}
    for voice in (gone, past):
        with pytest.raises(NotFoundError):
            await heard(again, voice)
        found = await again.voices.get(voice)
        assert (found.state, found.extension) == ("deleted", None)
        assert [(one.who, one.act) for one in await again.voices.deeds(voice)] == [("restore", "deleted")]
    with pytest.raises(ConflictError):
        await again.voices.delete(held, WHO)
    await again.close()
    assert traces(tmp_path / "new", row.wrapped_key) == []
    # Who has an older list, has the keys in it: docs/backup.md says so.
    assert restored(settings, made.file, tmp_path / "older", keys=copy / KEYS).voices.heard == 4


async def test_a_hold_that_was_released_keeps_nothing_in_old_backups(store, settings, keeper, tmp_path):
    voice = await stored(store)
    await store.voices.hold(voice, "ann", "case 12")
    made = await keeper.make(None, WHO)
    await store.voices.release(voice, "ann", "closed")
    await store.voices.delete(voice, WHO)
    assert restored(settings, made.file, tmp_path / "new").voices.deleted == 1
    again = await opened(settings, tmp_path / "new")
    assert (await again.voices.get(voice)).state == "deleted"
    await again.close()


async def test_a_folder_that_is_away_is_told_of_and_caught_up_with(store, settings, keeper, tmp_path):
    gone, kept = await stored(store), await stored(store, b"kept")
    await keeper.make(None, WHO)
    away = settings.backup.folder.rename(tmp_path / "elsewhere")
    settings.backup.folder.mkdir()
    assert await store.voices.delete(gone, WHO) == [str(settings.backup.folder)]
    (state,) = (await keeper.state()).folders
    assert (state.waiting, state.backups) == (1, ())
    assert "is the right disk or share mounted there?" in state.problem
    with pytest.raises(AwayError):
        await keeper.make(None, WHO)
    settings.backup.folder.rmdir()
    away.rename(settings.backup.folder)
    # Another process: the last one was killed before it could catch up.
    later = BackupKeeper(settings, store, lambda _: None)
    assert (await later.state()).folders[0].waiting == 1
    assert await later.folders.catch_up() == []
    key = read_vault_key(settings.vault_key_file)
    assert set(read_keys(settings.backup.folder / KEYS, key)) == {kept}
    (state,) = (await later.state()).folders
    assert (state.waiting, state.problem, len(state.backups)) == (0, "", 1)


async def test_a_crash_after_a_deletion_is_caught_up_with_at_the_next_start(store, settings, keeper):
    gone, kept = await stored(store), await stored(store, b"kept")
    await keeper.make(None, WHO)
    # As if the process had ended as soon as the database knew.
    store.voices.copies = None
    await store.voices.delete(gone, WHO)
    key = read_vault_key(settings.vault_key_file)
    assert set(read_keys(settings.backup.folder / KEYS, key)) == {gone, kept}
    later = BackupKeeper(settings, store, lambda _: None)
    await later.start()
    async with asyncio.timeout(20):
        while set(read_keys(settings.backup.folder / KEYS, key)) != {kept}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await later.stop()


async def test_a_share_that_hangs_holds_nobody_up(store, settings, keeper, monkeypatch):
    voice, other = await stored(store), await stored(store)
    await keeper.make(None, WHO)
    await keeper.folders.catch_up()
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    original = backup_folders.forget_keys

    def hangs(*given):
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return original(*given)

    monkeypatch.setattr(backup_folders, "forget_keys", hangs)
    monkeypatch.setattr(backup_folders.BackupFolders.apart, "__defaults__", (0.05,))
    folder = str(settings.backup.folder)
    assert await store.voices.delete(voice, WHO) == [folder]
    assert await store.voices.delete(other, WHO) == [folder]
    release.set()
    monkeypatch.setattr(backup_folders.BackupFolders.apart, "__defaults__", (5.0,))
    async with asyncio.timeout(20):
        while await keeper.folders.catch_up():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert read_keys(settings.backup.folder / KEYS, read_vault_key(settings.vault_key_file)) == {}


async def test_a_folder_that_is_lost_is_given_up(store, settings, keeper):
    voice = await stored(store)
    await keeper.make(None, WHO)
    shutil.rmtree(settings.backup.folder)
    assert await store.voices.delete(voice, WHO) == [str(settings.backup.folder)]
    await keeper.give_up(str(settings.backup.folder), WHO)
    with pytest.raises(UnknownBackupError):
        await keeper.give_up(str(settings.backup.folder), WHO)
    assert await store.voices.delete(await stored(store), WHO) == []
    made = await keeper.make(None, WHO)
    assert verified(settings, made.file).voices == 0
    assert [(one.who, one.act) for one in await keeper.deeds()] == [
        (WHO, "made"),
        (WHO, "gave up"),
        (WHO, "made"),
    ]


async def test_so_many_are_kept_and_keys_only_of_what_is_in_them(store, settings, keeper):
    voices = []
    for _ in range(3):
        voices.append(await stored(store))
        await keeper.make(None, WHO)
    found = backups_in(settings.backup.folder)
    assert [one.problem for one in found] == ["", ""]
    key = read_vault_key(settings.vault_key_file)
    assert set(read_keys(settings.backup.folder / KEYS, key)) == set(voices)
    with sqlite3.connect(settings.data_dir / "ringback.db") as other:
        # As if the voice were of another installation: unknown here, and in no backup any more.
        other.execute("DELETE FROM voices WHERE id = ?", (voices[0],))
    await keeper.make(None, WHO)
    await keeper.forget(backups_in(settings.backup.folder)[1].id, WHO)
    assert set(read_keys(settings.backup.folder / KEYS, key)) == set(voices[1:])
    with pytest.raises(UnknownBackupError):
        await keeper.forget("0123456789abcdef", WHO)


async def test_what_is_being_written_is_in_the_next_one(store, settings, keeper, tmp_path):
    unfinished = await stored(store, finished=False)
    made = await keeper.make(None, WHO)
    restored(settings, made.file, tmp_path / "new")
    again = await opened(settings, tmp_path / "new")
    assert await again.voices.settle("recording", keep_cut=True) == []
    with pytest.raises(NotFoundError):
        await again.voices.get(unfinished)
    await again.close()


async def test_the_vault_key_changes_for_backups_too(store, settings, keeper, tmp_path):
    voice = await stored(store)
    made = await keeper.make(None, WHO)
    old = read_vault_key(settings.vault_key_file)
    away = settings.backup.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(ConflictError, match="the old one stays"):
        await store.voices.rotate(settings.vault_key_file)
    assert store.voices.vault.key.rotating
    away.rename(settings.backup.folder)
    await store.voices.rotate(settings.vault_key_file)
    assert not store.voices.vault.key.rotating
    assert verified(settings, made.file).audible == 1
    with pytest.raises(BackupError, match="another vault key"):
        verify_backup(Path(made.file), old, None, lambda *_: None)
    assert restored(settings, made.file, tmp_path / "new").voices.heard == 1
    again = await opened(settings, tmp_path / "new")
    assert await heard(again, voice) == SAID
    await again.close()


async def test_every_kind_of_damage_is_found(store, settings, keeper, tmp_path):
    await stored(store, os.urandom(3_000_000))
    first, second = await keeper.make(None, WHO), await keeper.make(None, WHO)
    find_every_damage(settings, Path(first.file), Path(second.file), tmp_path)


def find_every_damage(settings, first, second, tmp_path):
    whole, other = first.read_bytes(), second.read_bytes()
    chunk = (1 << 20) + 16
    begin = HEAD_BYTES + 24

    def swapped(data):
        one, two = data[begin : begin + chunk], data[begin + chunk : begin + 2 * chunk]
        return data[:begin] + two + one + data[begin + 2 * chunk :]

    def exchanged(data):
        return data[: begin + chunk] + other[begin + chunk : begin + 2 * chunk] + data[begin + 2 * chunk :]

    def flipped(data, at):
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    assert verified(settings, first).audible == 1
    for damaged in (
        whole[:-1],
        whole[: begin + chunk],
        whole + b"\0",
        swapped(whole),
        exchanged(whole),
        *(
            flipped(whole, at)
            for at in (0, 5, 9, 20, 60, HEAD_BYTES + 3, begin + 9, begin + chunk + 5, len(whole) - 1)
        ),
        b"",
        os.urandom(5000),
    ):
        first.write_bytes(damaged)
        with pytest.raises(BackupError):
            verified(settings, first)
        with pytest.raises(BackupError):
            restored(settings, first, tmp_path / "new")
        assert not list(tmp_path.glob("*new*")), "nothing is left of a restore that failed"
    first.write_bytes(whole)
    with pytest.raises(BackupError, match="another vault key"):
        verify_backup(first, KeyEncryptionKey(begin_key(tmp_path)), None, lambda *_: None)
    assert restored(settings, first, tmp_path / "new").voices.heard == 1


def begin_key(tmp_path):
    create_key_file(tmp_path / "another.key")
    return read_key_file(tmp_path / "another.key")


async def test_a_damaged_database_is_not_called_sound(store, settings, keeper, monkeypatch, tmp_path):
    original = making.copy_database

    def damages(source, target):
        found = original(source, target)
        data = bytearray(target.read_bytes())
        data[8192:12000] = bytes(12000 - 8192)
        target.write_bytes(data)
        return found

    for number in range(200):
        await store.people.add(f"Person {number}")
    monkeypatch.setattr(making, "copy_database", damages)
    await _make_in_this_process(keeper, monkeypatch)
    (found,) = backups_in(settings.backup.folder)
    with pytest.raises(BackupError, match="damaged"):
        verified(settings, found.file)
    with pytest.raises(BackupError, match="damaged"):
        restored(settings, found.file, tmp_path / "new")


async def _make_in_this_process(keeper, monkeypatch):
    """The process that writes has its own memory, which no test reaches into."""

    async def written(path, head, data_key):
        asked = keeper._asked(path, head, data_key)
        names = ("data_dir", "database", "voices", "tls")
        source = Source(**{n: Path(asked[n]) for n in names}, version="1", settings={})
        return write_backup(source, path, head, data_key, lambda *_: None)

    monkeypatch.setattr(keeper, "_written", written)
    await keeper.make(None, WHO)


async def test_a_full_disk_leaves_no_half_file_and_the_next_one_works(store, settings, keeper, monkeypatch):
    await stored(store)
    pwrite, room = os.pwrite, [40_000]

    def full(fd, data, at):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        now = pwrite(fd, bytes(data)[: room[0]], at)
        room[0] -= now
        return now

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(BackupError, match="No space left on device"):
        await _make_in_this_process(keeper, monkeypatch)
    monkeypatch.undo()
    assert [path.name for path in settings.backup.folder.iterdir()] == []
    assert verified(settings, (await keeper.make(None, WHO)).file).audible == 1


async def test_what_would_fill_the_disk_is_not_begun(store, settings, keeper, monkeypatch):
    usage = shutil.disk_usage(settings.data_dir)
    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(NoRoomError, match="no room for a backup"):
        await _make_in_this_process(keeper, monkeypatch)
    assert backups_in(settings.backup.folder) == []


async def test_what_a_killed_process_left_is_none_and_goes_with_the_next(store, settings, keeper):
    await stored(store)
    await keeper.make(None, WHO)
    # What takes a moment to be copied.
    settings.tls_dir.mkdir()
    large = settings.tls_dir / "large"
    large.touch()
    os.truncate(large, 400_000_000)
    progress = await keeper.begin(None, WHO)
    with pytest.raises(BackupRefusedError, match="being made already"):
        await keeper.begin(None, WHO)
    async with asyncio.timeout(20):
        while not list(settings.backup.folder.glob(".ringback-*.part")):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    (part,) = settings.backup.folder.glob(".ringback-*.part")
    left = part.read_bytes()
    await keeper.stop()
    large.unlink()
    assert not part.exists()
    part.write_bytes(left)
    later = BackupKeeper(settings, store, lambda _: None)
    assert progress.id not in {one.id for one in backups_in(settings.backup.folder)}
    made = await later.make(None, WHO)
    assert not part.exists()
    assert verified(settings, made.file).audible == 1


async def test_it_is_made_by_itself_and_a_failure_is_told(store, settings, tmp_path):
    told = []
    keeper = BackupKeeper(settings, store, told.append)
    await keeper.start()
    keeper._due = datetime.now(UTC)
    await keeper._look()
    await keeper._work
    assert [notice.kind for notice in told] == ["backup.made"]
    state = await keeper.state()
    assert (state.problem, len(state.folders[0].backups)) == ("", 1)
    assert timedelta(hours=23) < state.next_at - datetime.now(UTC) <= timedelta(hours=24)
    settings.backup.folder.rename(tmp_path / "elsewhere")
    keeper._due = datetime.now(UTC)
    await keeper._look()
    await keeper._work
    assert [notice.kind for notice in told] == ["backup.made", "backup.failed"]
    state = await keeper.state()
    assert "is not there" in state.problem
    shown = {metric.name: metric.samples[0][1] for metric in keeper.metrics()}
    assert shown["ringback_backup_failed"] == 1
    assert shown["ringback_backup_last_success_timestamp_seconds"] > 0
    await keeper.stop()


async def test_a_restore_never_touches_what_is_there(store, settings, keeper, tmp_path):
    made = await keeper.make(None, WHO)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("dear")
    (tmp_path / "empty").mkdir()
    for target in (
        tmp_path / "full",
        settings.data_dir,
        tmp_path / "full" / "something",
        tmp_path / "no" / "folder",
    ):
        with pytest.raises(BackupError):
            restored(settings, made.file, target)
    assert (tmp_path / "full" / "something").read_text() == "dear"
    restored(settings, made.file, tmp_path / "empty")
    assert (tmp_path / "empty" / "ringback.db").exists()
    begin_key(tmp_path)
    with pytest.raises(BackupError, match="is not the key file"):
        restored(settings, made.file, tmp_path / "other", sealing_key=tmp_path / "another.key")
    assert not (tmp_path / "other").exists()


async def test_folders_that_are_no_good_are_refused(store, settings, keeper):
    for folder in (
        settings.data_dir / "backups",
        settings.data_dir.parent,
        settings.vault_key_file.parent,
        "relative",
    ):
        with pytest.raises(BackupRefusedError):
            await keeper.make(str(folder), WHO)


def flip_one_bit(file):
    data = bytearray(Path(file).read_bytes())
    data[len(data) // 2] ^= 1
    Path(file).write_bytes(data)


async def read_through(keeper, backup):
    """What the list says of a backup after the server has read it."""
    progress = await keeper.verify(backup, WHO)
    assert progress.act == "verifying"
    with pytest.raises(BackupRefusedError, match="being verified already"):
        await keeper.begin(None, WHO)
    async with asyncio.timeout(20):
        while keeper.progress() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (place,) = (await keeper.state()).folders
    return next(one for one in place.backups if one.id == backup)


async def test_the_server_reads_a_backup_through_and_remembers_what_it_found(store, settings, keeper):
    await stored(store)
    made = await keeper.make(None, WHO)
    (place,) = (await keeper.state()).folders
    assert [one.verified_at for one in place.backups] == [None]
    shown = await read_through(keeper, made.id)
    assert (shown.verified_at is not None, shown.damage) == (True, "")
    flip_one_bit(made.file)
    shown = await read_through(keeper, made.id)
    assert "cut or changed" in shown.damage
    flip_one_bit(made.file)
    assert (await read_through(keeper, made.id)).damage == ""
    # Without the list no stored voice would come back.
    (settings.backup.folder / KEYS).write_bytes(b"nonsense")
    assert (await read_through(keeper, made.id)).damage
    # The database was unpacked for that, and is gone.
    assert not list(settings.data_dir.glob("backup-work"))
    assert [deed.act for deed in await keeper.deeds()] == [
        "damaged",
        "verified",
        "damaged",
        "verified",
        "made",
    ]
    with pytest.raises(UnknownBackupError):
        await keeper.verify("0123456789abcdef", WHO)


async def test_a_backup_is_made_and_read_through_at_one_go(store, keeper):
    begun = await keeper.begin(None, WHO, verify=True)
    acts = set()
    async with asyncio.timeout(20):
        while (progress := keeper.progress()) is not None:
            acts.add(progress.act)
            await asyncio.sleep(0.005)
    assert acts == {"making", "verifying"}
    (place,) = (await keeper.state()).folders
    (shown,) = place.backups
    assert (shown.id, shown.verified_at is not None, shown.damage) == (begun.id, True, "")
