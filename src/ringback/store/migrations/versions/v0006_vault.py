"""Recordings and the keys of stored voices."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TRIGGERS = (
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


def upgrade() -> None:
    """Create the tables of voices, and the triggers that hold them."""
    op.create_table(
        "voices",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("extension", sa.String(6)),
        sa.Column("person_id", sa.String(16)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("octets", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.String(16)),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("keep_until", sa.DateTime(timezone=True)),
        sa.Column("legal_hold", sa.Boolean, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_voices"),
    )
    op.create_index("ix_voices_extension", "voices", ["extension"])
    op.create_index("ix_voices_keep_until", "voices", ["keep_until"])
    op.create_index("ix_voices_created_at", "voices", ["created_at"])
    op.create_table(
        "voice_audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("voice_id", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(80), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_voice_audit"),
    )
    op.create_index("ix_voice_audit_voice_id", "voice_audit", ["voice_id"])
    _create_recordings()
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(trigger)


def _create_recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("voice_id", sa.String(16), nullable=False),
        sa.Column("call_id", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("direction", sa.String(20), nullable=False),
        sa.Column("players", sa.JSON, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("end_reason", sa.String(12), nullable=False),
        sa.PrimaryKeyConstraint("voice_id", name="pk_recordings"),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voices.id"], ondelete="CASCADE", name="fk_recordings_voice_id"
        ),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"])
    op.create_table(
        "recording_tracks",
        sa.Column("voice_id", sa.String(16), nullable=False),
        sa.Column("part", sa.String(32), nullable=False),
        sa.Column("extension", sa.String(6)),
        sa.Column("trunk", sa.String(32)),
        sa.Column("number", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("voice_id", "part", name="pk_recording_tracks"),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voices.id"], ondelete="CASCADE", name="fk_recording_tracks_voice_id"
        ),
    )
    op.create_index("ix_recording_tracks_extension", "recording_tracks", ["extension"])
    op.create_table(
        "recording_consents",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("call_id", sa.BigInteger, nullable=False),
        sa.Column("leg", sa.Integer, nullable=False),
        sa.Column("extension", sa.String(6)),
        sa.Column("trunk", sa.String(32)),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("notice", sa.String(300), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("how", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recording_consents"),
    )
    op.create_index("ix_recording_consents_call_id", "recording_consents", ["call_id"])
