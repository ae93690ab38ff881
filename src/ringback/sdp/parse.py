"""Reading a session description from a peer: bounded, tolerant where RFC 8866 is, never raising."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from ringback.sdp.description import (
    AddressType,
    Attribute,
    Bandwidth,
    Connection,
    MediaDescription,
    Origin,
    SdpError,
    SessionDescription,
)

MAX_BYTES: Final = 65_536
MAX_LINES: Final = 2_000
MAX_MEDIA: Final = 32
MAX_FORMATS: Final = 128

_ADDRESS_TYPES: Final[dict[str, AddressType]] = {"IP4": "IP4", "IP6": "IP6"}

_MEDIA = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`{|}~-]+) +([0-9]{1,5})(?:/([0-9]{1,5}))? +([^ ]+) +(.+)")
_CONNECTION = re.compile(r"IN +(IP[46]) +([^ /]+)(?:/([0-9]{1,5}(?:/[0-9]{1,5})?))? *", re.IGNORECASE)
_ORIGIN = re.compile(r"(.*[^ ]) +([0-9]{1,40}) +([0-9]{1,40}) +IN +(IP[46]) +([^ ]+) *", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([^: ]+) *(?::(.*))?", re.DOTALL)
_BANDWIDTH = re.compile(r"([^: ]+):([^ ]+) *")
_TIME = re.compile(r"([0-9]{1,20}) +([0-9]{1,20}) *")


def parse_sdp(body: bytes) -> SessionDescription | SdpError:
    """Read a body of type application/sdp.

    Lines may end in LF alone; unknown and unordered lines are passed over; a missing s= or t= is forgiven.
    What has no v=0 and o= at its head, no sense in a line that matters, or more than the bounds above,
    is an SdpError.
    """
    if len(body) > MAX_BYTES:
        return SdpError(0, f"longer than {MAX_BYTES} bytes")
    text = body.decode("utf-8", "replace")
    lines = text.split("\n", MAX_LINES + 1)
    if len(lines) > MAX_LINES:
        return SdpError(0, f"more than {MAX_LINES} lines")
    reader = _Reader()
    for number, raw in enumerate(lines, 1):
        line = raw[:-1] if raw.endswith("\r") else raw
        reason = reader.read(line, number)
        if reason is not None:
            return SdpError(number, reason)
    return reader.finish()


class _Section(msgspec.Struct):
    """One m= section while it is read."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int
    title: str | None = None
    connection: Connection | None = None
    bandwidths: list[Bandwidth] = msgspec.field(default_factory=list)
    attributes: list[Attribute] = msgspec.field(default_factory=list)

    def finish(self) -> MediaDescription:
        return MediaDescription(
            kind=self.kind,
            port=self.port,
            protocol=self.protocol,
            formats=self.formats,
            port_count=self.port_count,
            title=self.title,
            connection=self.connection,
            bandwidths=tuple(self.bandwidths),
            attributes=tuple(self.attributes),
        )


class _Reader(msgspec.Struct):
    """Takes lines one by one; each handler returns a reason to give up, or None."""

    version: bool = False
    origin: Origin | None = None
    name: str | None = None
    connection: Connection | None = None
    times: list[tuple[int, int]] = msgspec.field(default_factory=list)
    bandwidths: list[Bandwidth] = msgspec.field(default_factory=list)
    attributes: list[Attribute] = msgspec.field(default_factory=list)
    sections: list[_Section] = msgspec.field(default_factory=list)

    def read(self, line: str, number: int) -> str | None:
        if not self.version:
            self.version = line.rstrip(" ") == "v=0"
            return None if self.version else "does not begin with v=0"
        if not line.strip(" "):
            return None
        if "\r" in line or "\0" in line:
            return "a control character"
        kind = line[0]
        if line[1:2] != "=" or not "a" <= kind <= "z":
            return "not of the form type=value"
        if self.origin is None and kind != "o":
            return f"line {number} is not o="
        handler = _HANDLERS.get(kind)
        return handler(self, line[2:]) if handler else None

    def finish(self) -> SessionDescription | SdpError:
        if self.origin is None:
            return SdpError(0, "no o= line" if self.version else "empty")
        return SessionDescription(
            origin=self.origin,
            name=self.name or "-",
            connection=self.connection,
            bandwidths=tuple(self.bandwidths),
            times=tuple(self.times) or ((0, 0),),
            attributes=tuple(self.attributes),
            media=tuple([section.finish() for section in self.sections]),
        )

    def read_origin(self, value: str) -> str | None:
        match = _ORIGIN.fullmatch(value)
        if match is None:
            return "o= is malformed"
        if self.origin is not None:
            return "a second o= line"
        self.origin = Origin(
            username=match[1],
            session_id=int(match[2]),
            session_version=int(match[3]),
            address_type=_ADDRESS_TYPES[match[4].upper()],
            address=match[5],
        )
        return None

    def read_name(self, value: str) -> str | None:
        if not self.sections and self.name is None:
            self.name = value
        return None

    def read_title(self, value: str) -> str | None:
        if self.sections:
            self.sections[-1].title = value
        return None

    def read_connection(self, value: str) -> str | None:
        match = _CONNECTION.fullmatch(value)
        if match is None:
            return "c= is malformed"
        target = self.sections[-1] if self.sections else self
        if target.connection is None:
            target.connection = Connection(_ADDRESS_TYPES[match[1].upper()], match[2], match[3] or "")
        return None

    def read_bandwidth(self, value: str) -> str | None:
        match = _BANDWIDTH.fullmatch(value)
        if match is not None:
            (self.sections[-1] if self.sections else self).bandwidths.append(Bandwidth(match[1], match[2]))
        return None

    def read_time(self, value: str) -> str | None:
        match = _TIME.fullmatch(value)
        if match is None:
            return "t= is malformed"
        self.times.append((int(match[1]), int(match[2])))
        return None

    def read_attribute(self, value: str) -> str | None:
        match = _ATTRIBUTE.fullmatch(value)
        if match is not None:
            target = self.sections[-1] if self.sections else self
            target.attributes.append(Attribute(match[1], None if match[2] is None else match[2].strip(" ")))
        return None

    def read_media(self, value: str) -> str | None:
        match = _MEDIA.fullmatch(value)
        if match is None:
            return "m= is malformed"
        port, count, formats = int(match[2]), int(match[3] or 1), tuple(match[5].split())
        if port > 65_535 or not 1 <= count <= 65_535:
            return "m= has an impossible port"
        if not formats or len(formats) > MAX_FORMATS:
            return "m= has no or too many formats"
        if len(self.sections) == MAX_MEDIA:
            return f"more than {MAX_MEDIA} media sections"
        self.sections.append(_Section(match[1].lower(), port, match[4], formats, count))
        return None


_HANDLERS: Final[dict[str, Callable[[_Reader, str], str | None]]] = {
    "o": _Reader.read_origin,
    "s": _Reader.read_name,
    "i": _Reader.read_title,
    "c": _Reader.read_connection,
    "b": _Reader.read_bandwidth,
    "t": _Reader.read_time,
    "a": _Reader.read_attribute,
    "m": _Reader.read_media,
}
