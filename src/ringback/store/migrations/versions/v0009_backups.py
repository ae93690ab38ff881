"""Backups: the folders that hold some, and what was done with them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TIME = sa.DateTime(timezone=True)
_TRIGGERS = (
    """CREATE TRIGGER backup_audit_is_not_changed BEFORE UPDATE ON backup_audit
    BEGIN SELECT RAISE(ABORT, 'what was done with backups is not rewritten'); END""",
    """CREATE TRIGGER backup_audit_is_not_deleted BEFORE DELETE ON backup_audit
    BEGIN SELECT RAISE(ABORT, 'what was done with backups is not rewritten'); END""",
)


def upgrade() -> None:
    """Create both tables, and the triggers that keep the second as it is."""
    op.create_table(
        "backup_folders",
        sa.Column("folder", sa.String(1000), nullable=False),
        sa.Column("added_at", _TIME, nullable=False),
        sa.Column("settled_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME),
        sa.PrimaryKeyConstraint("folder", name="pk_backup_folders"),
    )
    op.create_table(
        "backup_audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(80), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("what", sa.String(1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backup_audit"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(trigger)
