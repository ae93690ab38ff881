"""Reading a session description from a peer: bounded, tolerant where RFC 8866 is, never raising."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
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

_USUAL_CHARACTERS: Final = 2_000
"""Longer descriptions are not worth the memory that remembering them takes."""

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
    return _parse_usual(text) or _parse_lines(text)


def _parse_lines(text: str) -> SessionDescription | SdpError:
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


def _parse_usual(text: str) -> SessionDescription | None:
    """A description whose lines but o= and m= came before, as those of one kind of phone do; None for any
    other, and for one with keys, which are not remembered."""
    # Of two carriage returns the second would be taken for the end of a part's last line.
    if "\r\r" in text:
        return None
    if len(text) > _USUAL_CHARACTERS or "a=crypto:" in text or "a=ice-pwd:" in text or "a=key-mgmt:" in text:
        return None
    session, *sections = text.split("\r\nm=")
    version, _, rest = session.partition("\r\no=")
    line, _, rest = rest.partition("\r\n")
    match = _ORIGIN.fullmatch(line)
    part = _usual_part(rest, False)
    if version != "v=0" or match is None or not line.isprintable() or part is None:
        return None
    media: list[MediaDescription] = []
    for section in sections:
        line, _, rest = section.partition("\r\n")
        begun = _begin_section(line)
        own = _usual_part(rest, True)
        if isinstance(begun, str) or not line.isprintable() or own is None or len(media) == MAX_MEDIA:
            return None
        kind, port, protocol, formats, count = begun
        media.append(
            MediaDescription(
                kind,
                port,
                protocol,
                formats,
                count,
                own.title,
                own.connection,
                own.bandwidths,
                own.attributes,
            )
        )
    return SessionDescription(
        _read_origin(match),
        part.name or "-",
        part.connection,
        part.bandwidths,
        part.times,
        part.attributes,
        tuple(media),
    )


class _Part(msgspec.Struct, frozen=True):
    """The lines of a session below o=, or of a section below m=."""

    name: str | None
    title: str | None
    connection: Connection | None
    bandwidths: tuple[Bandwidth, ...]
    times: tuple[tuple[int, int], ...]
    attributes: tuple[Attribute, ...]


@lru_cache(maxsize=512)
def _usual_part(text: str, in_section: bool) -> _Part | None:
    """None for what is not to be read apart from the rest, or not at all."""
    sections = [_Section("", 0, "", (), 1)] if in_section else []
    reader = _Reader(version=True, origin=_NO_ORIGIN, sections=list(sections))
    for raw in text.split("\n"):
        if reader.read(raw.removesuffix("\r"), 0) is not None:
            return None
    if len(reader.sections) != len(sections) or (in_section and reader.times):
        return None
    part = sections[0] if in_section else reader
    return _Part(
        name=reader.name,
        title=sections[0].title if in_section else None,
        connection=part.connection,
        bandwidths=tuple(part.bandwidths),
        times=tuple(reader.times) or ((0, 0),),
        attributes=tuple(part.attributes),
    )


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
        self.origin = _read_origin(match)
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
        begun = _begin_section(value)
        if isinstance(begun, str):
            return begun
        if len(self.sections) == MAX_MEDIA:
            return f"more than {MAX_MEDIA} media sections"
        self.sections.append(_Section(*begun))
        return None


def _read_origin(match: re.Match[str]) -> Origin:
    username, session_id, version, address_type, address = match.groups()
    kind = _ADDRESS_TYPES[address_type.upper()]
    return Origin(username, int(session_id), int(version), kind, address)


_NO_ORIGIN: Final = Origin("-", 0, 0, "IP4", "0.0.0.0")  # noqa: S104  # compared, not bound


def _begin_section(value: str) -> tuple[str, int, str, tuple[str, ...], int] | str:
    """Kind, port, protocol, formats and number of ports of an m= line; in words what is wrong with it."""
    match = _MEDIA.fullmatch(value)
    if match is None:
        return "m= is malformed"
    kind, port_text, count_text, protocol, formats_text = match.groups()
    port, count, formats = int(port_text), int(count_text or 1), tuple(formats_text.split())
    if port > 65_535 or not 1 <= count <= 65_535:
        return "m= has an impossible port"
    if not formats or len(formats) > MAX_FORMATS:
        return "m= has no or too many formats"
    return kind.lower(), port, protocol, formats, count


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
