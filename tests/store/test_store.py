"""Opening the store: durable, quick the second time, and only with its own key."""

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import create_async_engine

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.governance.sealing import create_key
from ringback.store.bootstrap import bootstrap
from ringback.store.database import Database, upgrade
from ringback.store.errors import DatabaseUnusableError
from ringback.store.migrations import HEAD, KNOWN
from ringback.store.schema import metadata
from ringback.store.store import Store, open_store


async def reopened(store: Store, settings) -> Store:
    await store.close()
    return await open_store(settings)


async def test_everything_is_there_after_a_restart(store, settings):
    person = await store.people.add("Ada Example")
    await store.extensions.add("1001", display_name="Ada", person_id=person.id)
    meeting = await store.meetings.add("Weekly", "lobby")
    token, secret = await store.tokens.add("admin")
    again = await reopened(store, settings)
    assert again.directory == store.directory
    assert again.meetings.get(meeting.number).guest_pin == meeting.guest_pin
    assert again.tokens.check(secret) == token
    assert [p.name for p in again.people.all()] == ["Ada Example"]
    await again.close()


async def test_files_are_for_the_owner_alone(store, settings):
    for name in ("ringback.db", "secret.key"):
        assert (settings.data_dir / name).stat().st_mode & 0o077 == 0
    assert settings.data_dir.stat().st_mode & 0o077 == 0


async def test_no_secret_is_readable_in_the_files(store, settings):
    _, password = await store.extensions.add("1001")
    meeting = await store.meetings.add("Weekly")
    _, token = await store.tokens.add("admin")
    link = await store.logins.administrator_link()
    extension = store.extensions.get("1001")
    secrets = [password, token, link, meeting.guest_pin, meeting.host_pin, meeting.link_token]
    secrets += [extension.ha1_md5, extension.ha1_sha256]
    await store.close()
    content = b"".join(path.read_bytes() for path in settings.data_dir.glob("ringback.db*"))
    assert b"Weekly" in content
    assert not [secret for secret in secrets if secret.reveal().encode() in content]


async def test_another_key_is_refused_and_a_lost_one_is_not_replaced(store, settings, tmp_path):
    await store.close()
    key = settings.key_file
    kept = key.rename(tmp_path / "kept.key")
    with pytest.raises(DatabaseUnusableError, match="cannot be read"):
        await open_store(settings)
    assert not key.exists()
    shutil.copy(kept, key)
    key.write_text("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=")
    with pytest.raises(DatabaseUnusableError, match="do not belong together"):
        await open_store(settings)


async def test_a_sealed_value_moved_to_another_row_does_not_open(store, settings):
    one, other = await store.meetings.add("One"), await store.meetings.add("Other")
    await store.close()
    with sqlite3.connect(settings.data_dir / "ringback.db") as raw:
        raw.execute(
            "UPDATE meetings SET host_pin = (SELECT host_pin FROM meetings WHERE id = ?) WHERE id = ?",
            (one.id, other.id),
        )
    with pytest.raises(DatabaseUnusableError, match=r"meetings\.host_pin"):
        await open_store(settings)


async def test_a_newer_schema_is_refused_in_words(store, settings):
    await store.close()
    with sqlite3.connect(settings.data_dir / "ringback.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseUnusableError, match="install a newer Ringback"):
        await open_store(settings)


async def test_a_file_that_is_no_database_is_refused_in_words(settings):
    settings.data_dir.mkdir()
    (settings.data_dir / "ringback.db").write_bytes(
        b"no database, but long enough to look like a header " * 9
    )
    with pytest.raises(DatabaseUnusableError):
        await open_store(settings)


@pytest.fixture
async def migrated(settings) -> AsyncIterator[Store]:
    """A store whose database the migrations have made, from the first to the newest."""
    settings.data_dir.mkdir()
    engine = create_async_engine(settings.database_url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()
    create_key(settings.key_file)
    opened = await open_store(settings)
    yield opened
    await opened.close()


async def test_migrations_build_what_the_schema_says(migrated):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with migrated.database.read() as connection:
        assert await connection.run_sync(differences) == []
    await migrated.meetings.add("Weekly")


async def test_a_new_database_is_what_migrations_build(migrated, tmp_path):
    def described(connection):
        found = inspect(connection)
        return {
            name: {
                "columns": [column | {"type": repr(column["type"])} for column in found.get_columns(name)],
                "key": found.get_pk_constraint(name),
                "foreign": sorted(found.get_foreign_keys(name), key=str),
                "unique": sorted(found.get_unique_constraints(name), key=str),
                "indexes": sorted(found.get_indexes(name), key=str),
            }
            for name in found.get_table_names()
        }

    fresh = await open_store(load_settings(environ={}, data_dir=tmp_path / "fresh"))
    async with fresh.database.read() as new, migrated.database.read() as old:
        tables = await new.run_sync(described)
        assert tables == await old.run_sync(described)
        assert set(tables) == {*metadata.tables, "alembic_version"}
        triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        built = [(await connection.exec_driver_sql(triggers)).all() for connection in (new, old)]
        assert built[0] == built[1] != []
        for connection in (new, old):
            assert (await connection.exec_driver_sql("SELECT * FROM alembic_version")).all() == [(HEAD,)]
    await fresh.close()


def test_the_known_revisions_are_those_in_the_folder():
    config = Config()
    config.set_main_option("script_location", "ringback.store:migrations")
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == KNOWN


async def test_sqlite_waits_for_the_disk(store):
    async with store.database.read() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1


async def test_a_failed_transaction_leaves_nothing(store):
    async def fails_halfway():
        async with store.database.write() as connection:
            await connection.exec_driver_sql("INSERT INTO settings VALUES ('k', '1')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails_halfway()
    assert await store.values.get("k") is None


async def test_two_changes_at_once_do_not_undo_each_other(store):
    await store.extensions.add("1001")
    await asyncio.gather(
        store.extensions.change("1001", display_name="Ada"),
        store.extensions.change("1001", enabled=False),
        *(store.meetings.add(f"M{n}") for n in range(8)),
    )
    extension = store.extensions.get("1001")
    assert (extension.display_name, extension.enabled) == ("Ada", False)
    assert len(store.meetings.all()) == 8


ADD_AND_WAIT = """
import asyncio, sys, time
from pathlib import Path
from ringback.config import load_settings
from ringback.store.schema import metadata
from ringback.store.store import open_store
async def main():
    store = await open_store(load_settings(environ={}, data_dir=Path(sys.argv[1])))
    meeting = await store.meetings.add("Kept")
    print(meeting.number, flush=True)
    time.sleep(60)
asyncio.run(main())
"""


def test_what_was_answered_survives_kill_9(settings):
    command = [sys.executable, "-c", ADD_AND_WAIT, str(settings.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number = process.stdout.readline().strip()
        os.kill(process.pid, signal.SIGKILL)

    async def found() -> str:
        store = await open_store(settings)
        await store.close()
        return store.meetings.get(number).name

    assert asyncio.run(found()) == "Kept"


def test_neither_the_first_start_nor_the_second_loads_alembic(settings):
    script = ADD_AND_WAIT.replace("time.sleep(60)", "print('alembic' in sys.modules)")
    command = [sys.executable, "-c", script, str(settings.data_dir)]
    for _ in range(2):
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert answer.splitlines()[1] == "False"


async def test_first_start_makes_what_a_person_needs_and_the_next_nothing(store, settings):
    first = await bootstrap(store)
    assert [extension.number for extension, _ in first.extensions] == ["101", "102"]
    assert first.meeting.name == "Demo"
    assert store.meetings.get(first.meeting.number) == first.meeting
    assert await store.logins.knows_link(first.setup_secret)
    assert "private" in repr(first)
    assert first.setup_secret.reveal() not in repr(first)
    assert await bootstrap(store) is None
    again = await reopened(store, settings)
    assert await bootstrap(again) is None
    assert len(again.extensions.all()) == 2
    await again.close()


async def test_first_start_leaves_numbers_alone_that_are_taken(store):
    await store.extensions.add("101", password=Private("chosen before"))
    await store.logins.administrator_link()
    first = await bootstrap(store)
    assert [extension.number for extension, _ in first.extensions] == ["102"]


async def test_reading_works_while_the_database_is_away(store):
    meeting = await store.meetings.add("Weekly")
    await store.close()
    assert store.directory.meeting(meeting.number) == meeting


async def test_an_open_database_can_be_opened_again(store, settings):
    other = await Database.open(settings.database_url)
    await store.meetings.add("Both")
    async with other.read() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM meetings")).scalar() == 1
    await other.close()


async def test_what_the_database_could_not_take_is_in_no_traceback(store):
    async with store.database.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE people RENAME TO elsewhere")
    # Not in a line of its own, which tracebacks show.
    private = {"name": "Ada Example", "e_mail": "ada@example.com"}
    with pytest.raises(DatabaseUnusableError) as error:
        await store.people.add(**private)
    told = "".join(traceback.format_exception(error.value))
    assert "no such table" in told
    assert not re.search("Ada Example|ada@example", told)
