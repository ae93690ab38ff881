"""The plan of calls, people in detail, who holds an extension when, devices."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing yet."""
