"""Writing a session description as bytes, in the order that RFC 8866 §5 demands."""

from __future__ import annotations

from ringback.sdp.description import Attribute, Bandwidth, Connection, MediaDescription, SessionDescription


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
    lines += _connection_lines(description.connection)
    lines += _bandwidth_lines(description.bandwidths)
    lines += [f"t={start} {stop}" for start, stop in description.times]
    lines += _attribute_lines(description.attributes)
    for media in description.media:
        lines += _media_lines(media)
    return lines


def _media_lines(media: MediaDescription) -> list[str]:
    port = f"{media.port}/{media.port_count}" if media.port_count != 1 else str(media.port)
    return [
        f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}",
        *([f"i={media.title}"] if media.title is not None else []),
        *_connection_lines(media.connection),
        *_bandwidth_lines(media.bandwidths),
        *_attribute_lines(media.attributes),
    ]


def _connection_lines(connection: Connection | None) -> list[str]:
    if connection is None:
        return []
    scope = f"/{connection.scope}" if connection.scope else ""
    return [f"c=IN {connection.address_type} {connection.address}{scope}"]


def _bandwidth_lines(bandwidths: tuple[Bandwidth, ...]) -> list[str]:
    return [f"b={bandwidth.kind}:{bandwidth.value}" for bandwidth in bandwidths]


def _attribute_lines(attributes: tuple[Attribute, ...]) -> list[str]:
    return [f"a={a.name}" if a.value is None else f"a={a.name}:{a.value}" for a in attributes]
