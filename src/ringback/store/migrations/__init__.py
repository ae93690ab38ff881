"""The schema's history: one Alembic revision a file in `versions/`, run when the store opens."""

HEAD = "0001"
"""The newest revision; known here so that a start need not load Alembic."""

KNOWN = frozenset({"0001"})
"""All revisions, the newest included."""
