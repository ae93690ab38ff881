"""Writing a session description as bytes, in the order that RFC 8866 §5 demands."""

from __future__ import annotations

from ringback.sdp.description import Attribute, Bandwidth, Connection, SessionDescription


def encode_sdp(description: SessionDescription) -> bytes:
    """The description as UTF-8 text with CRLF line ends; line breaks inside a value raise ValueError."""
    lines = _session_lines(description)
    text = "\r\n".join(lines) + "\r\n"
    if "\0" in text or not text.count("\r") == text.count("\n") == len(lines):
        raise ValueError("a value in a session description holds a line break")
    return text.encode()


def _session_lines(description: SessionDescription) -> list[str]:
    origin = description.origin
    lines = [
        "v=0",
        f"o={origin.username} {origin.session_id} {origin.session_version}"
        f" IN {origin.address_type} {origin.address}",
        f"s={description.name}",
    ]
    _add_part(lines, description.connection, description.bandwidths)
    lines += [f"t={start} {stop}" for start, stop in description.times]
    _add_attributes(lines, description.attributes)
    for media in description.media:
        port = media.port if media.port_count == 1 else f"{media.port}/{media.port_count}"
        lines.append(f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}")
        if media.title is not None:
            lines.append(f"i={media.title}")
        _add_part(lines, media.connection, media.bandwidths)
        _add_attributes(lines, media.attributes)
    return lines


def _add_part(lines: list[str], connection: Connection | None, bandwidths: tuple[Bandwidth, ...]) -> None:
    if connection is not None:
        scope = f"/{connection.scope}" if connection.scope else ""
        lines.append(f"c=IN {connection.address_type} {connection.address}{scope}")
    for bandwidth in bandwidths:
        lines.append(f"b={bandwidth.kind}:{bandwidth.value}")


def _add_attributes(lines: list[str], attributes: tuple[Attribute, ...]) -> None:
    for attribute in attributes:
        value = attribute.value
        lines.append(f"a={attribute.name}" if value is None else f"a={attribute.name}:{value}")
