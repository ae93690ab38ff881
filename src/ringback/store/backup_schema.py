"""The tables of backups: the folders that hold some, and what was done with backups."""

from __future__ import annotations

from typing import Final

from sqlalchemy import DDL, Column, Integer, String, Table, event

from ringback.store.schema import UtcDateTime, metadata

backup_folders = Table(
    "backup_folders",
    metadata,
    Column("folder", String(1000), primary_key=True),
    Column("added_at", UtcDateTime, nullable=False),
    # Up to when what was deleted is deleted there, too.
    Column("settled_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime),
)

backup_audit = Table(
    "backup_audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String(80), nullable=False),
    Column("act", String(16), nullable=False),
    Column("what", String(1000), nullable=False),
)

TRIGGERS: Final = (
    """CREATE TRIGGER backup_audit_is_not_changed BEFORE UPDATE ON backup_audit
    BEGIN SELECT RAISE(ABORT, 'what was done with backups is not rewritten'); END""",
    """CREATE TRIGGER backup_audit_is_not_deleted BEFORE DELETE ON backup_audit
    BEGIN SELECT RAISE(ABORT, 'what was done with backups is not rewritten'); END""",
)

for trigger in TRIGGERS:
    made = DDL(trigger)  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", made.execute_if(dialect="sqlite"))
