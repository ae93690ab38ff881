"""The first schema: people, extensions, meetings, tokens, administrators, registrations, settings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.String(16)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "people",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
    )
    op.create_table(
        "extensions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("number", sa.String(6), nullable=False),
        sa.Column("display_name", sa.String(80), nullable=False),
        sa.Column("ha1_md5", sa.LargeBinary, nullable=False),
        sa.Column("ha1_sha256", sa.LargeBinary, nullable=False),
        sa.Column("person_id", _ID),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_extensions"),
        sa.UniqueConstraint("number", name="uq_extensions_number"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name="fk_extensions_person_id", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_extensions_person_id", "extensions", ["person_id"])
    op.create_table(
        "meetings",
        sa.Column("id", _ID, nullable=False),
        sa.Column("number", sa.String(9), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("admission", sa.String(16), nullable=False),
        sa.Column("guest_pin", sa.LargeBinary, nullable=False),
        sa.Column("host_pin", sa.LargeBinary, nullable=False),
        sa.Column("link_token", sa.LargeBinary, nullable=False),
        sa.Column("host_link_token", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_meetings"),
        sa.UniqueConstraint("number", name="uq_meetings_number"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("sha256", name="uq_tokens_sha256"),
    )
    op.create_table(
        "administrators",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_administrators"),
        sa.UniqueConstraint("name", name="uq_administrators_name"),
    )
    op.create_table(
        "one_time_links",
        sa.Column("id", _ID, nullable=False),
        sa.Column("administrator_id", _ID, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_links"),
        sa.UniqueConstraint("sha256", name="uq_one_time_links_sha256"),
        sa.ForeignKeyConstraint(
            ["administrator_id"],
            ["administrators.id"],
            name="fk_one_time_links_administrator_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_one_time_links_administrator_id", "one_time_links", ["administrator_id"])
    op.create_table(
        "registrations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("number", sa.String(15), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registrations"),
    )
    op.create_index("ix_registrations_number", "registrations", ["number"])
    op.create_table(
        "settings",
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_settings"),
    )
