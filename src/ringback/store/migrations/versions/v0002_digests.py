"""Which digests an extension's devices log in with (RFC 8760); until now all were asked for MD5."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; devices that are there keep what they know."""
    op.add_column("extensions", sa.Column("digest", sa.String(8), nullable=False, server_default="md5"))
