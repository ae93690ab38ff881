"""The schema's history: one Alembic revision a file in `versions/`, for databases made by older versions.

A new database is made from the newest schema at once, so a revision may not put in rows that one needs.
"""

HEAD = "0011"
"""The newest revision; known here so that a start need not load Alembic."""

KNOWN = frozenset({"0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011"})
"""All revisions, the newest included."""
