"""Logins of people beside those of administrators, and sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ID = sa.String(16)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Administrators become logins with a role; their links and passwords stay."""
    op.create_table(
        "logins",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("person_id", _ID),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        sa.UniqueConstraint("name", name="uq_logins_name"),
        sa.UniqueConstraint("person_id", name="uq_logins_person_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_logins_person_id", ondelete="CASCADE"),
    )
    for table in ("login_links", "sessions"):
        more = (
            [sa.Column("expires_at", _TIME, nullable=False)]
            if table == "login_links"
            else [
                sa.Column("browser", sa.String(80), nullable=False),
                sa.Column("created_at", _TIME, nullable=False),
                sa.Column("seen_at", _TIME, nullable=False),
            ]
        )
        op.create_table(
            table,
            sa.Column("id", _ID, nullable=False),
            sa.Column("login_id", _ID, nullable=False),
            sa.Column("sha256", sa.LargeBinary(32), nullable=False),
            *more,
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.UniqueConstraint("sha256", name=f"uq_{table}_sha256"),
            sa.ForeignKeyConstraint(
                ["login_id"], ["logins.id"], name=f"fk_{table}_login_id", ondelete="CASCADE"
            ),
        )
        op.create_index(f"ix_{table}_login_id", table, ["login_id"])
    op.execute(
        "INSERT INTO logins (id, name, role, password_hash, created_at) "
        "SELECT id, name, 'admin', password_hash, created_at FROM administrators"
    )
    op.execute(
        "INSERT INTO login_links (id, login_id, sha256, expires_at) "
        "SELECT id, administrator_id, sha256, expires_at FROM one_time_links"
    )
    op.drop_table("one_time_links")
    op.drop_table("administrators")
