"""The tables of stored voices, with the triggers by which the database itself keeps what is held."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    event,
)

from ringback.store.schema import ID, UtcDateTime, metadata

voices = Table(
    "voices",
    metadata,
    Column("id", ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("extension", String(6)),
    Column("person_id", ID),
    Column("created_at", UtcDateTime, nullable=False),
    Column("format", String(16), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("key_id", String(16)),
    Column("wrapped_key", LargeBinary),
    Column("keep_until", UtcDateTime),
    Column("legal_hold", Boolean, nullable=False),
    Column("deleted_at", UtcDateTime),
    Index(None, "extension"),
    Index(None, "keep_until"),
    Index(None, "created_at"),
)

voice_audit = Table(
    "voice_audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("voice_id", ID, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String(80), nullable=False),
    Column("act", String(16), nullable=False),
    Column("reason", String(200), nullable=False),
    Index(None, "voice_id"),
)

recordings = Table(
    "recordings",
    metadata,
    Column("voice_id", ID, ForeignKey("voices.id", ondelete="CASCADE"), primary_key=True),
    Column("call_id", BigInteger, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("direction", String(20), nullable=False),
    Column("players", JSON, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("end_reason", String(12), nullable=False),
    Index(None, "call_id"),
)

recording_tracks = Table(
    "recording_tracks",
    metadata,
    Column("voice_id", ID, ForeignKey("voices.id", ondelete="CASCADE"), primary_key=True),
    Column("part", String(32), primary_key=True),
    Column("extension", String(6)),
    Column("trunk", String(32)),
    Column("number", LargeBinary, nullable=False),
    Index(None, "extension"),
)

recording_consents = Table(
    "recording_consents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("call_id", BigInteger, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("extension", String(6)),
    Column("trunk", String(32)),
    Column("at", UtcDateTime, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("notice", String(300), nullable=False),
    Column("state", String(8), nullable=False),
    Column("how", String(80), nullable=False),
    Index(None, "call_id"),
)

TRIGGERS: Final = (
    """CREATE TRIGGER voices_held_keep_their_key BEFORE UPDATE ON voices
    WHEN OLD.legal_hold AND (NEW.wrapped_key IS NULL OR NEW.state = 'deleted')
    BEGIN SELECT RAISE(ABORT, 'a voice under legal hold is not deleted'); END""",
    """CREATE TRIGGER voices_held_stay BEFORE DELETE ON voices WHEN OLD.legal_hold
    BEGIN SELECT RAISE(ABORT, 'a voice under legal hold is not deleted'); END""",
    """CREATE TRIGGER voices_deleted_stay_deleted BEFORE UPDATE ON voices
    WHEN OLD.state = 'deleted' AND (NEW.state != 'deleted' OR NEW.wrapped_key IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'a deleted voice does not come back'); END""",
    """CREATE TRIGGER voice_audit_is_not_changed BEFORE UPDATE ON voice_audit
    BEGIN SELECT RAISE(ABORT, 'what was done with a voice is not rewritten'); END""",
    """CREATE TRIGGER voice_audit_is_not_deleted BEFORE DELETE ON voice_audit
    BEGIN SELECT RAISE(ABORT, 'what was done with a voice is not rewritten'); END""",
    """CREATE TRIGGER voices_deleted_name_nobody AFTER UPDATE ON voices WHEN NEW.state = 'deleted'
    BEGIN DELETE FROM recording_tracks WHERE voice_id = NEW.id; END""",
    """CREATE TRIGGER recording_consents_are_not_changed BEFORE UPDATE ON recording_consents
    BEGIN SELECT RAISE(ABORT, 'what was consented to is not rewritten'); END""",
    """CREATE TRIGGER recording_consents_are_not_deleted BEFORE DELETE ON recording_consents
    BEGIN SELECT RAISE(ABORT, 'what was consented to is not rewritten'); END""",
)

for trigger in TRIGGERS:
    made = DDL(trigger)  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", made.execute_if(dialect="sqlite"))
