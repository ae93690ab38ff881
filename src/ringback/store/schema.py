"""The tables of a new database. A test compares them with what `migrations/` builds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    TypeDecorator,
)

ID = String(16)
SHA256 = LargeBinary(32)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, on SQLite too, which by itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, convert the others to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

people = Table(
    "people",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("role", String(32), nullable=False, server_default="standard"),
    Column("e_mail", String(200), nullable=False, server_default=""),
    Column("site", String(80), nullable=False, server_default=""),
)

extensions = Table(
    "extensions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("number", String(6), nullable=False, unique=True),
    Column("display_name", String(80), nullable=False),
    Column("ha1_md5", LargeBinary, nullable=False),
    Column("ha1_sha256", LargeBinary, nullable=False),
    Column("person_id", ID, ForeignKey("people.id", ondelete="SET NULL"), index=True),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("digest", String(8), nullable=False, server_default="md5"),
)

holdings = Table(
    "holdings",
    metadata,
    Column("id", ID, primary_key=True),
    Column("extension_id", ID, ForeignKey("extensions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("person_id", ID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("first_day", String(10), nullable=False),
    Column("last_day", String(10)),
)

reassignments = Table(
    "reassignments",
    metadata,
    Column("id", ID, primary_key=True),
    Column("extension_id", ID, nullable=False),
    Column("number", String(6), nullable=False),
    Column("from_person", ID),
    Column("to_person", ID),
    Column("at", UtcDateTime, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column(
        "extension",
        String(6),
        ForeignKey("extensions.number", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("username", String(32), nullable=False, unique=True),
    Column("ha1_md5", LargeBinary, nullable=False),
    Column("ha1_sha256", LargeBinary, nullable=False),
    Column("digest", String(8), nullable=False),
    Column("model", String(40), nullable=False),
    Column("mac", String(12), unique=True),
    Column("location", String(32), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

plan_values = Table(
    "plan_values",
    metadata,
    Column("kind", String(24), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(80), nullable=False),
)

plan_history = Table(
    "plan_history",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("name", String(32), nullable=False),
    # NULL: it was deleted.
    Column("value", JSON(none_as_null=True)),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(80), nullable=False),
    Column("undoes", Integer),
    Index(None, "kind", "name", "revision"),
)

account_history = Table(
    "account_history",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("name", String(32), nullable=False),
    # NULL: it was not there.
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    # The rows that a deletion took away.
    Column("kept", JSON(none_as_null=True)),
    Column("changed_at", UtcDateTime, nullable=False, index=True),
    Column("changed_by", String(80), nullable=False),
    Column("undoes", Integer),
    Index(None, "kind", "name", "revision"),
)

device_sightings = Table(
    "device_sightings",
    metadata,
    Column("device_id", ID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("user_agent", String(120), nullable=False),
    Column("address", String(45), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

meetings = Table(
    "meetings",
    metadata,
    Column("id", ID, primary_key=True),
    Column("number", String(9), nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("admission", String(16), nullable=False),
    Column("guest_pin", LargeBinary, nullable=False),
    Column("host_pin", LargeBinary, nullable=False),
    Column("link_token", LargeBinary, nullable=False),
    Column("host_link_token", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("sha256", SHA256, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
)

logins = Table(
    "logins",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("person_id", ID, ForeignKey("people.id", ondelete="CASCADE"), unique=True),
    Column("password_hash", String(255)),
    Column("created_at", UtcDateTime, nullable=False),
)

login_links = Table(
    "login_links",
    metadata,
    Column("id", ID, primary_key=True),
    Column("login_id", ID, ForeignKey("logins.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sha256", SHA256, nullable=False, unique=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("login_id", ID, ForeignKey("logins.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sha256", SHA256, nullable=False, unique=True),
    Column("browser", String(80), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

registrations = Table(
    "registrations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("number", String(15), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "number"),
)

trunks = Table(
    "trunks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("password", LargeBinary),
    Column("details", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

toll_usage = Table(
    "toll_usage",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("account", String(40), primary_key=True),
    Column("call_class", String(32), primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("seconds", Integer, nullable=False),
)

call_records = Table(
    "call_records",
    metadata,
    # On SQLite only an INTEGER is the row's own number, which every index ends with: they are all in order
    # of time.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("direction", String(8), nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("rang_ms", Integer),
    Column("answered_ms", Integer),
    Column("ended_ms", BigInteger),
    Column("dialled", BigInteger),
    Column("called", BigInteger),
    Column("ended_by", String(6)),
    Column("cause", SmallInteger, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("mos", Float),
    Column("quality", String(6)),
    Column("emergency", Boolean, nullable=False),
    Column("recorded", Boolean, nullable=False),
    Index(None, "direction"),
    Index(None, "dialled"),
    Index(None, "called"),
    Index(None, "cause"),
    Index(None, "outcome"),
    Index(None, "quality"),
    Index(None, "emergency"),
    Index(None, "recorded"),
)

# Apart, so that what is looked through in a search is small.
call_details = Table(
    "call_details",
    metadata,
    Column("call", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)

call_legs = Table(
    "call_legs",
    metadata,
    Column("call", BigInteger, primary_key=True, autoincrement=False),
    Column("leg", SmallInteger, primary_key=True, autoincrement=False),
    Column("party", BigInteger),
    Column("trunk", String(32)),
    Column("incoming", Boolean, nullable=False),
    Column("device", String(8), nullable=False),
    Column("transport", String(8), nullable=False),
    Column("family", String(4), nullable=False),
    Column("began_ms", Integer, nullable=False),
    Column("answered_ms", Integer),
    Column("ended_ms", BigInteger),
    Column("ended_by", String(8), nullable=False),
    Column("status", SmallInteger),
    Column("codec", String(16), nullable=False),
    Column("encryption", String(4), nullable=False),
    Column("received", BigInteger),
    Column("expected", BigInteger),
    Column("jitter_ms", Float),
    Column("round_trip_ms", Float),
    Column("mos", Float),
    Column("remote_mos", Float),
    Index(None, "party", "call"),
    Index(None, "trunk", "call"),
    sqlite_with_rowid=False,
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("value", JSON, nullable=False),
)
