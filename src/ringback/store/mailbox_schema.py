"""The tables of mailboxes: whose they are, their greetings, their messages. What was said is in the vault."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from ringback.store.schema import ID, UtcDateTime, metadata

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("extension", String(6), nullable=False),
    Column("extension_id", ID, nullable=False),
    Column("person_id", ID),
    Column("pin", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("archived_at", UtcDateTime),
    Index(None, "extension"),
)

mailbox_greetings = Table(
    "mailbox_greetings",
    metadata,
    Column("mailbox_id", ID, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("voice_id", ID, nullable=False),
    Column("rate", Integer, nullable=False),
    Column("length_ms", Integer, nullable=False),
)

mailbox_messages = Table(
    "mailbox_messages",
    metadata,
    # That of the voice, too.
    Column("id", ID, primary_key=True),
    Column("mailbox_id", ID, ForeignKey("mailboxes.id", ondelete="CASCADE"), nullable=False),
    Column("state", String(8), nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("caller", LargeBinary, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("rate", Integer, nullable=False),
    Column("length_ms", Integer, nullable=False),
    Column("deleted_at", UtcDateTime),
    Index(None, "mailbox_id"),
)
