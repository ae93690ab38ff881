"""A session description as values: session, media sections, attributes (RFC 8866 §5)."""

from __future__ import annotations

from typing import Literal

import msgspec

AddressType = Literal["IP4", "IP6"]

_SECRET_ATTRIBUTES = frozenset({"crypto", "key-mgmt", "ice-pwd"})


class SdpError(msgspec.Struct, frozen=True):
    """Why a body is no session description: the line (from 1; 0: the whole), a text without its data."""

    line: int
    reason: str


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The o= line (RFC 8866 §5.2); the version grows with every changed description of one session."""

    username: str
    session_id: int
    session_version: int
    address_type: AddressType
    address: str


class Connection(msgspec.Struct, frozen=True, gc=False):
    """A c= line (RFC 8866 §5.7); `scope` is what follows the address' slash (TTL, number of addresses)."""

    address_type: AddressType
    address: str
    scope: str = ""


class Bandwidth(msgspec.Struct, frozen=True, gc=False):
    """A b= line (RFC 8866 §5.8): AS in kbit/s, TIAS in bit/s, others as they came."""

    kind: str
    value: str


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """An a= line: a name, and a value unless it is a flag. Keys are not shown when printed."""

    name: str
    value: str | None = None

    def __repr__(self) -> str:
        value = "[private]" if self.name in _SECRET_ATTRIBUTES else self.value
        return f"Attribute({self.name!r}, {value!r})"


class MediaDescription(msgspec.Struct, frozen=True, gc=False):
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

    def values(self, name: str) -> list[str]:
        """The values of every attribute with this name, in order; flags are left out."""
        return [a.value for a in self.attributes if a.name == name and a.value is not None]

    def value(self, name: str) -> str | None:
        """The value of the first attribute with this name."""
        return _value(self.attributes, name)

    def has(self, name: str) -> bool:
        """Whether there is an attribute or flag with this name."""
        return _has(self.attributes, name)


class SessionDescription(msgspec.Struct, frozen=True, gc=False):
    """A whole description; lines that mean nothing for a call (u=, e=, p=, r=, z=, k=) are not kept."""

    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    times: tuple[tuple[int, int], ...] = ((0, 0),)
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaDescription, ...] = ()

    def value(self, name: str) -> str | None:
        """The value of the first session-level attribute with this name."""
        return _value(self.attributes, name)

    def has(self, name: str) -> bool:
        """Whether there is a session-level attribute or flag with this name."""
        return _has(self.attributes, name)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The c= line that counts for a section: its own, or the session's (RFC 8866 §5.7)."""
        return media.connection or self.connection


def _value(attributes: tuple[Attribute, ...], name: str) -> str | None:
    for attribute in attributes:
        if attribute.name == name and attribute.value is not None:
            return attribute.value
    return None


def _has(attributes: tuple[Attribute, ...], name: str) -> bool:
    for attribute in attributes:  # noqa: SIM110 - asked dozens of times a call
        if attribute.name == name:
            return True
    return False
