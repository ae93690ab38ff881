"""The connection to the database: SQLite kept durable, real transactions, and the schema's version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import ringback.store.backup_schema
import ringback.store.mailbox_schema
import ringback.store.voice_schema  # noqa: F401
from ringback.store.errors import DatabaseUnusableError
from ringback.store.migrations import HEAD, KNOWN
from ringback.store.schema import metadata

PATIENCE_MS = 5000
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # FULL: what was answered with success survives a power cut, not only a crash of the process.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {PATIENCE_MS}",
    # What is deleted is overwritten.
    "PRAGMA secure_delete = ON",
)


_FORGETTING_TRIES = 20
_FORGETTING_PAUSE_S = 0.05


_PIECE_ROWS = 250


class Database:
    """One engine; `read()` and `write()` are its two kinds of transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._write_lock = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connect and bring the schema up to date; raises DatabaseUnusableError."""
        sqlite = url.startswith("sqlite")
        engine = create_async_engine(
            url,
            connect_args={"isolation_level": None} if sqlite else {},
            # Names and numbers are among them, and errors go into logs.
            hide_parameters=True,
        )
        if sqlite:
            _make_sqlite_durable(engine)
        database = cls(engine)
        try:
            await database._migrate()
        except (DBAPIError, DatabaseUnusableError) as error:
            await engine.dispose()
            wrong = error.__cause__ if isinstance(error, DatabaseUnusableError) else error
            if isinstance(wrong, DBAPIError):
                raise DatabaseUnusableError(f"the database cannot be opened: {wrong.orig}") from None
            raise
        return database

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the database; raises DatabaseUnusableError if it is away."""
        with _unusable_named():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, patience_ms: int = PATIENCE_MS) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write; committed at the end, rolled back on an exception.

        Writers of this process queue here, in order: SQLite has one writer at a time anyway. One of another
        process is waited for at most `patience_ms`. Raises DatabaseUnusableError while nothing can be
        written: locked, full, broken.
        """
        with _unusable_named():
            async with self._write_lock, self._engine.connect() as connection:
                await connection.execution_options(ringback_patience_ms=patience_ms)
                async with connection.begin():
                    yield connection

    async def forget(self) -> bool:
        """Have nothing of what was deleted or replaced left in the write-ahead log; False if it is in use."""
        async with self._write_lock, self._engine.connect() as connection:
            await connection.execution_options(ringback_plain=True)
            for _ in range(_FORGETTING_TRIES):
                busy = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).scalar_one()
                if not busy:
                    return True
                # A reader sees an older state; it is done in a moment.
                await asyncio.sleep(_FORGETTING_PAUSE_S)
        return False

    async def _migrate(self) -> None:
        async with self.read() as connection:
            revision = await connection.run_sync(_revision)
        if revision == HEAD:
            return
        if revision is not None and revision not in KNOWN:
            raise DatabaseUnusableError(
                f"the database has schema {revision}, unknown to this version; install a newer Ringback"
            )
        async with self.write() as connection:
            await connection.run_sync(_bring_up_to_date)


async def insert_all(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, however many: piece by piece, so that calls go on meanwhile."""
    for begin in range(0, len(rows), _PIECE_ROWS):
        await connection.execute(insert(table), rows[begin : begin + _PIECE_ROWS])


@contextmanager
def _unusable_named() -> Iterator[None]:
    """What the database itself cannot do now (locked, full, gone) becomes DatabaseUnusableError."""
    try:
        yield
    except DatabaseError as error:
        # Its kin say that a statement was wrong, or refused by the data.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise DatabaseUnusableError(
            f"the database cannot be used now ({error.orig}); calls go on, changes have to be tried again"
        ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _bring_up_to_date(connection: Connection) -> None:
    if inspect(connection).get_table_names():
        upgrade(connection)
    else:
        _create(connection)


def _create(connection: Connection) -> None:
    """Make what all migrations together make: a first start need not load Alembic for it."""
    metadata.create_all(connection, checkfirst=False)
    version = Table(
        "alembic_version",
        MetaData(),
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
    )
    version.create(connection)
    connection.execute(version.insert().values(version_num=HEAD))


def upgrade(connection: Connection) -> None:
    """Run the migrations that a database lacks; all of them on an empty one."""
    # Imported here: a start with the schema up to date does not pay for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "ringback.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _make_sqlite_durable(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begins(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("ringback_plain"):
            return
        # Python's sqlite3 would begin late and not at all for DDL. A writer takes the lock at once: a reader
        # that turns into a writer can fail without waiting.
        patience_ms = options.get("ringback_patience_ms")
        if patience_ms is None:
            connection.exec_driver_sql("BEGIN")
            return
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience_ms)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
