"""Mailboxes and their messages."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables of mailboxes."""
    op.create_table(
        "mailboxes",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("extension", sa.String(6), nullable=False),
        sa.Column("extension_id", sa.String(16), nullable=False),
        sa.Column("person_id", sa.String(16)),
        sa.Column("pin", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_mailboxes"),
    )
    op.create_index("ix_mailboxes_extension", "mailboxes", ["extension"])
    op.create_table(
        "mailbox_greetings",
        sa.Column("mailbox_id", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("voice_id", sa.String(16), nullable=False),
        sa.Column("rate", sa.Integer, nullable=False),
        sa.Column("length_ms", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "kind", name="pk_mailbox_greetings"),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_mailbox_greetings_mailbox_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "mailbox_messages",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("mailbox_id", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("caller", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rate", sa.Integer, nullable=False),
        sa.Column("length_ms", sa.Integer, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_mailbox_messages"),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_mailbox_messages_mailbox_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_mailbox_messages_mailbox_id", "mailbox_messages", ["mailbox_id"])
