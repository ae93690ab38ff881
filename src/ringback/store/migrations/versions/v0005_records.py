"""Call records: a row a call, a row a leg, and what is sealed of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables with their indexes."""
    op.create_table(
        "call_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("outcome", sa.String(12), nullable=False),
        sa.Column("rang_ms", sa.Integer),
        sa.Column("answered_ms", sa.Integer),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("dialled", sa.BigInteger),
        sa.Column("called", sa.BigInteger),
        sa.Column("ended_by", sa.String(6)),
        sa.Column("cause", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("mos", sa.Float),
        sa.Column("quality", sa.String(6)),
        sa.Column("emergency", sa.Boolean, nullable=False),
        sa.Column("recorded", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call_records"),
    )
    for column in ("direction", "dialled", "called", "cause", "outcome", "quality", "emergency", "recorded"):
        op.create_index(f"ix_call_records_{column}", "call_records", [column])
    op.create_table(
        "call_details",
        sa.Column("call", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("call", name="pk_call_details"),
    )
    op.create_table(
        "call_legs",
        sa.Column("call", sa.BigInteger, nullable=False),
        sa.Column("leg", sa.SmallInteger, nullable=False),
        sa.Column("party", sa.BigInteger),
        sa.Column("trunk", sa.String(32)),
        sa.Column("incoming", sa.Boolean, nullable=False),
        sa.Column("device", sa.String(8), nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        sa.Column("family", sa.String(4), nullable=False),
        sa.Column("began_ms", sa.Integer, nullable=False),
        sa.Column("answered_ms", sa.Integer),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("ended_by", sa.String(8), nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("codec", sa.String(16), nullable=False),
        sa.Column("encryption", sa.String(4), nullable=False),
        sa.Column("received", sa.BigInteger),
        sa.Column("expected", sa.BigInteger),
        sa.Column("jitter_ms", sa.Float),
        sa.Column("round_trip_ms", sa.Float),
        sa.Column("mos", sa.Float),
        sa.Column("remote_mos", sa.Float),
        sa.PrimaryKeyConstraint("call", "leg", name="pk_call_legs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_call_legs_party_call", "call_legs", ["party", "call"])
    op.create_index("ix_call_legs_trunk_call", "call_legs", ["trunk", "call"])
