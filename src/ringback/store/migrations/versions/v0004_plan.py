"""The plan of calls, people in detail, who holds an extension when, devices."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables; who holds an extension now has held it since it was made."""
    _people()
    _devices()
    _plan()
    op.execute(
        "INSERT INTO holdings (id, extension_id, person_id, first_day) "
        "SELECT id, id, person_id, substr(created_at, 1, 10) FROM extensions WHERE person_id IS NOT NULL"
    )


def _people() -> None:
    op.add_column("people", sa.Column("role", sa.String(32), nullable=False, server_default="standard"))
    op.add_column("people", sa.Column("e_mail", sa.String(200), nullable=False, server_default=""))
    op.add_column("people", sa.Column("site", sa.String(80), nullable=False, server_default=""))
    op.create_table(
        "holdings",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("extension_id", sa.String(16), nullable=False),
        sa.Column("person_id", sa.String(16), nullable=False),
        sa.Column("first_day", sa.String(10), nullable=False),
        sa.Column("last_day", sa.String(10)),
        sa.PrimaryKeyConstraint("id", name="pk_holdings"),
        sa.ForeignKeyConstraint(
            ["extension_id"], ["extensions.id"], name="fk_holdings_extension_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name="fk_holdings_person_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_holdings_extension_id", "holdings", ["extension_id"])
    op.create_index("ix_holdings_person_id", "holdings", ["person_id"])
    op.create_table(
        "reassignments",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("extension_id", sa.String(16), nullable=False),
        sa.Column("number", sa.String(6), nullable=False),
        sa.Column("from_person", sa.String(16)),
        sa.Column("to_person", sa.String(16)),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reassignments"),
    )


def _devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("extension", sa.String(6), nullable=False),
        sa.Column("username", sa.String(32), nullable=False),
        sa.Column("ha1_md5", sa.LargeBinary, nullable=False),
        sa.Column("ha1_sha256", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(8), nullable=False),
        sa.Column("model", sa.String(40), nullable=False),
        sa.Column("mac", sa.String(12)),
        sa.Column("location", sa.String(32), nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("name", name="uq_devices_name"),
        sa.UniqueConstraint("username", name="uq_devices_username"),
        sa.UniqueConstraint("mac", name="uq_devices_mac"),
        sa.ForeignKeyConstraint(
            ["extension"], ["extensions.number"], name="fk_devices_extension", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_devices_extension", "devices", ["extension"])


def _plan() -> None:
    op.create_table(
        "plan_values",
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_plan_values"),
    )
    op.create_table(
        "plan_history",
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.JSON),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(80), nullable=False),
        sa.Column("undoes", sa.Integer),
        sa.PrimaryKeyConstraint("revision", name="pk_plan_history"),
    )
    op.create_index("ix_plan_history_kind_name_revision", "plan_history", ["kind", "name", "revision"])
