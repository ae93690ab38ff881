"""The database in backups: a copy of one moment without the keys of voices, checked and completed again.

SQLite itself copies, a statement a table, in one transaction that sees one moment: calls and writes go on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ringback.governance.vault import WrappedKey
from ringback.store.errors import DatabaseUnusableError
from ringback.store.migrations import KNOWN
from ringback.store.values import KEY_CHECK, KEY_CHECK_PLACE

_NOT_COPIED: Final = frozenset({"sessions", "login_links", "registrations"})
"""What is of a moment: who is logged in or registered does so again."""

_WITHOUT: Final = {"voices": frozenset({"wrapped_key", "key_id"})}
_HOLD: Final = "voices_held_keep_their_key"
_STORED: Final = ("whole", "cut")


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """What became of the voices of a restored database: how many can be heard, how many were deleted."""

    heard: int
    deleted: int


def copy_database(source: Path, target: Path) -> tuple[str, ...]:
    """Copy a database that is in use to a new file, without keys of voices; the voices that are whole in it.

    Raises DatabaseUnusableError.
    """
    with _named(source), _opened(f"{source.as_uri()}?mode=rw", patience_s=30) as connection:
        connection.execute("ATTACH ? AS copy", (str(target),))
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            connection.execute(f"PRAGMA copy.{pragma}")
        connection.execute("BEGIN")
        made = connection.execute(
            "SELECT type, name, sql FROM main.sqlite_master "
            "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for kind, name, sql in made:
            if kind == "table":
                _create(connection, kind, sql)
                _copy_rows(connection, name)
        for kind, _, sql in made:
            if kind != "table":
                _create(connection, kind, sql)
        found = connection.execute(
            f"SELECT id FROM copy.voices WHERE state IN {_STORED} ORDER BY created_at, id"  # noqa: S608
        ).fetchall()
        connection.execute("COMMIT")
    return tuple(row[0] for row in found)


def check_database(path: Path) -> None:
    """Raise DatabaseUnusableError for a database that is damaged, or newer than this program."""
    with _named(path), _opened(f"{path.as_uri()}?mode=ro") as connection:
        (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if told != "ok":
            raise DatabaseUnusableError(f"the database is damaged: {told}")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise DatabaseUnusableError("the database is damaged: a row refers to one that is not there")
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if revision not in KNOWN:
            raise DatabaseUnusableError(
                f"the database has schema {revision}, unknown to this version; install a newer Ringback"
            )


def give_keys(path: Path, keys: Mapping[str, WrappedKey], now: datetime, reason: str) -> GivenKeys:
    """Give the voices of a copied database their keys again; those without one are deleted.

    Raises DatabaseUnusableError.
    """
    at = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with _named(path), _opened(f"{path.as_uri()}?mode=rw") as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        query = f"SELECT id FROM voices WHERE state IN {_STORED}"  # noqa: S608
        stored = [row[0] for row in connection.execute(query)]
        # It would keep what was held at the time of the backup, and was released and deleted since.
        trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (_HOLD,)).fetchone()
        connection.execute(f"DROP TRIGGER IF EXISTS {_HOLD}")
        given = [(keys[one].key_id, keys[one].sealed, one) for one in stored if one in keys]
        connection.executemany("UPDATE voices SET key_id = ?, wrapped_key = ? WHERE id = ?", given)
        gone = [one for one in stored if one not in keys]
        connection.executemany(
            "UPDATE voices SET state = 'deleted', legal_hold = 0, extension = NULL, person_id = NULL, "
            "deleted_at = ? WHERE id = ?",
            [(at, one) for one in gone],
        )
        connection.executemany(
            "INSERT INTO voice_audit (voice_id, at, who, act, reason) VALUES (?, ?, 'restore', 'deleted', ?)",
            [(one, at, reason) for one in gone],
        )
        if trigger is not None:
            connection.execute(trigger[0])
        connection.execute("COMMIT")
    return GivenKeys(len(given), len(gone))


def sealed_check(path: Path) -> tuple[str, str, str, bytes]:
    """What shows that a key file belongs to a database: table, column and row that it was sealed for, and the
    sealed value, empty where there is none. Raises DatabaseUnusableError.
    """
    with _named(path), _opened(f"{path.as_uri()}?mode=ro") as connection:
        row = connection.execute("SELECT value FROM settings WHERE key = ?", (KEY_CHECK,)).fetchone()
    sealed = bytes.fromhex(json.loads(row[0])) if row is not None else b""
    return (*KEY_CHECK_PLACE, sealed)


def _create(connection: sqlite3.Connection, kind: str, sql: str) -> None:
    # The statement as it is kept names no database; the copy is meant.
    words = sql.split(maxsplit=1)
    rest = words[1]
    unique = rest.upper().startswith("UNIQUE ")
    rest = rest[len("UNIQUE ") :] if unique else rest
    after = rest[len(kind) :].lstrip()
    connection.execute(f"CREATE {'UNIQUE ' if unique else ''}{kind} copy.{after}")


def _copy_rows(connection: sqlite3.Connection, table: str) -> None:
    if table in _NOT_COPIED:
        return
    names = [row[1] for row in connection.execute(f'PRAGMA main.table_info("{table}")')]
    without = _WITHOUT.get(table, frozenset())
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join("NULL" if name in without else f'"{name}"' for name in names)
    statement = f'INSERT INTO copy."{table}" ({columns}) SELECT {values} FROM main."{table}"'  # noqa: S608
    connection.execute(statement)


@contextmanager
def _opened(uri: str, patience_s: float = 5.0) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri, timeout=patience_s, isolation_level=None, uri=True)) as connection:
        yield connection


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseUnusableError(f"the database {path} cannot be copied or read: {error}") from None
