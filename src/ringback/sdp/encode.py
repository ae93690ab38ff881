"""Writing a session description as bytes, in the order that RFC 8866 §5 demands."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.sdp.description import Attribute, Bandwidth, Connection, MediaDescription, SessionDescription


def encode_sdp(description: SessionDescription) -> bytes:
    """The description as UTF-8 text with CRLF line ends; line breaks inside a value raise ValueError."""
    lines = list(_session_lines(description))
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise ValueError("a value in a session description holds a line break")
    return ("\r\n".join(lines) + "\r\n").encode()


def _session_lines(description: SessionDescription) -> Iterator[str]:
    origin = description.origin
    yield "v=0"
    yield (
        f"o={origin.username} {origin.session_id} {origin.session_version}"
        f" IN {origin.address_type} {origin.address}"
    )
    yield f"s={description.name}"
    yield from _connection_lines(description.connection)
    yield from _bandwidth_lines(description.bandwidths)
    for start, stop in description.times:
        yield f"t={start} {stop}"
    yield from _attribute_lines(description.attributes)
    for media in description.media:
        yield from _media_lines(media)


def _media_lines(media: MediaDescription) -> Iterator[str]:
    port = f"{media.port}/{media.port_count}" if media.port_count != 1 else str(media.port)
    yield f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}"
    if media.title is not None:
        yield f"i={media.title}"
    yield from _connection_lines(media.connection)
    yield from _bandwidth_lines(media.bandwidths)
    yield from _attribute_lines(media.attributes)


def _connection_lines(connection: Connection | None) -> Iterator[str]:
    if connection is not None:
        scope = f"/{connection.scope}" if connection.scope else ""
        yield f"c=IN {connection.address_type} {connection.address}{scope}"


def _bandwidth_lines(bandwidths: tuple[Bandwidth, ...]) -> Iterator[str]:
    return (f"b={bandwidth.kind}:{bandwidth.value}" for bandwidth in bandwidths)


def _attribute_lines(attributes: tuple[Attribute, ...]) -> Iterator[str]:
    return (f"a={a.name}" if a.value is None else f"a={a.name}:{a.value}" for a in attributes)
