"""A session description as values: session, media sections, attributes (RFC 8866 §5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

AddressType = Literal["IP4", "IP6"]

_SECRET_ATTRIBUTES = frozenset({"crypto", "key-mgmt", "ice-pwd"})


@dataclass(frozen=True, slots=True)
class SdpError:
    """Why a body is no session description: the line (from 1; 0: the whole), a text without its data."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line (RFC 8866 §5.2); the version grows with every changed description of one session."""

    username: str
    session_id: int
    session_version: int
    address_type: AddressType
    address: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A c= line (RFC 8866 §5.7); `scope` is what follows the address' slash (TTL, number of addresses)."""

    address_type: AddressType
    address: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A b= line (RFC 8866 §5.8): AS in kbit/s, TIAS in bit/s, others as they came."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """An a= line: a name, and a value unless it is a flag. Keys are not shown when printed."""

    name: str
    value: str | None = None

    def __repr__(self) -> str:
        value = "[private]" if self.name in _SECRET_ATTRIBUTES else self.value
        return f"Attribute({self.name!r}, {value!r})"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One m= section (RFC 8866 §5.14); port 0 means it is disabled (RFC 3264 §5.1, §6)."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    title: str | None = None
    connection: Connection | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    attributes: tuple[Attribute, ...] = ()

    def values(self, name: str) -> Iterator[str]:
        """The values of every attribute with this name, in order; flags are left out."""
        return _values(self.attributes, name)

    def value(self, name: str) -> str | None:
        """The value of the first attribute with this name."""
        return next(self.values(name), None)

    def has(self, name: str) -> bool:
        """Whether there is an attribute or flag with this name."""
        return any(attribute.name == name for attribute in self.attributes)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description; lines that mean nothing for a call (u=, e=, p=, r=, z=, k=) are not kept."""

    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    times: tuple[tuple[int, int], ...] = ((0, 0),)
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaDescription, ...] = field(default=())

    def value(self, name: str) -> str | None:
        """The value of the first session-level attribute with this name."""
        return next(_values(self.attributes, name), None)

    def has(self, name: str) -> bool:
        """Whether there is a session-level attribute or flag with this name."""
        return any(attribute.name == name for attribute in self.attributes)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The c= line that counts for a section: its own, or the session's (RFC 8866 §5.7)."""
        return media.connection or self.connection


def _values(attributes: tuple[Attribute, ...], name: str) -> Iterator[str]:
    return (a.value for a in attributes if a.name == name and a.value is not None)
