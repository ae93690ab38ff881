"""What was changed of people, extensions, devices and trunks; and which devices were seen."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables of both."""
    op.create_table(
        "account_history",
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.Column("kept", sa.JSON),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("changed_by", sa.String(80), nullable=False),
        sa.Column("undoes", sa.Integer),
        sa.PrimaryKeyConstraint("revision", name="pk_account_history"),
    )
    op.create_index("ix_account_history_changed_at", "account_history", ["changed_at"])
    op.create_index("ix_account_history_kind_name_revision", "account_history", ["kind", "name", "revision"])
    op.create_table(
        "device_sightings",
        sa.Column("device_id", sa.String(16), nullable=False),
        sa.Column("user_agent", sa.String(120), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_sightings"),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name="fk_device_sightings_device_id", ondelete="CASCADE"
        ),
    )
