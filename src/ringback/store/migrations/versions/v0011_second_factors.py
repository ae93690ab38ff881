"""Second factors of logins."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "second_factors",
        sa.Column("login_id", sa.String(16), nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("last_step", sa.Integer, nullable=False),
        sa.Column("recovery", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("login_id", name="pk_second_factors"),
        sa.ForeignKeyConstraint(
            ["login_id"], ["logins.id"], name="fk_second_factors_login_id", ondelete="CASCADE"
        ),
    )
