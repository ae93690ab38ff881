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
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(trigger)
