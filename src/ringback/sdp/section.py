"""What one media section says, read with its session: target, direction, packet time, profile (RFC 3264)."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from ringback.media.protocol import Direction
from ringback.sdp.description import MediaDescription, SessionDescription
from ringback.sdp.negotiated import WARNING_ADDRESS, WARNING_NETWORK_PROTOCOL, Local, Refusal

INVERTED: Final[dict[Direction, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
"""The peer's direction as it looks from our side (RFC 3264 §6.1)."""

PLAIN_PROFILES: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
SECURE_PROFILES: Final = frozenset({"RTP/SAVP", "RTP/SAVPF"})

_DIRECTIONS: Final[dict[str, Direction]] = {direction: direction for direction in INVERTED}
_SENDING: Final = ("sendrecv", "sendonly")
_RECEIVING: Final = ("sendrecv", "recvonly")
_RTCP: Final = re.compile(r"([0-9]{1,5})(?: |$)")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_LOWEST_PORT: Final = 1_024
_FRAME_MS: Final = 20
_LONGEST_PTIME_MS: Final = 60
Kind = Literal["none", "unspecified", "forbidden", "loopback", "host"]
_LONGEST_ADDRESS: Final = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a peer wants its media; ports are 0 when it wants none (0.0.0.0), RTCP's also with mux."""

    ip: str
    port: int
    rtcp_port: int


def read_target(
    session: SessionDescription, media: MediaDescription, local: Local, *, rtcp_mux: bool
) -> Target | Refusal:
    """The address that media for a section goes to, or why we would not send there.

    Somebody else's description must not aim our packets at multicast groups, broadcast addresses, our own
    loopback services or privileged ports.
    """
    connection = session.connection_of(media)
    if connection is None:
        return Refusal("no c= line", WARNING_ADDRESS)
    kind, address = _kind_of(connection.address)
    if kind == "none":
        return Refusal("the media address is no IP address", WARNING_ADDRESS)
    if kind == "unspecified":
        return Target(address, 0, 0)
    six = ":" in address
    if six is not local.ipv6 and (six or not local.also_at):
        return Refusal(f"only IPv{6 if local.ipv6 else 4} media", WARNING_NETWORK_PROTOCOL)
    if kind == "forbidden":
        return Refusal("media to that address is not allowed", WARNING_ADDRESS)
    if kind == "loopback" and not (local.loopback_peers or _kind_of(local.address)[0] == "loopback"):
        return Refusal("media to loopback is not allowed", WARNING_ADDRESS)
    if media.port < _LOWEST_PORT:
        return Refusal("media to a privileged port is not allowed", WARNING_ADDRESS)
    return Target(address, media.port, 0 if rtcp_mux else _rtcp_port(media))


def answering(session: SessionDescription, media: MediaDescription, local: Local) -> Local:
    """Our side as it answers a section: by our address of the family of that section's, if there is one."""
    connection = session.connection_of(media)
    if connection is None:
        return local
    kind, address = _kind_of(connection.address)
    if kind in ("none", "unspecified") or (":" in address) is local.ipv6:
        return local
    if local.other_address:
        return replace(local, address=local.other_address, other_address=local.address)
    return replace(local, address=local.also_at) if local.ipv6 and local.also_at else local


def read_direction(session: SessionDescription, media: MediaDescription) -> Direction:
    """The peer's direction, as stated or as the address says it.

    The address 0.0.0.0, or ::, takes receiving away, as hold was written before RFC 3264 (its §8.4).
    """
    direction = read_stated_direction(session, media)
    connection = session.connection_of(media)
    if connection is not None and _kind_of(connection.address)[0] == "unspecified":
        return join_direction(sends=direction in ("sendrecv", "sendonly"), receives=False)
    return direction


def read_stated_direction(session: SessionDescription, media: MediaDescription) -> Direction:
    """The direction of the section, else of the session, else sendrecv (RFC 8866 §6.7)."""
    for attributes in (media.attributes, session.attributes):
        for attribute in attributes:
            if attribute.value is None and attribute.name in _DIRECTIONS:
                return _DIRECTIONS[attribute.name]
    return "sendrecv"


def limit_direction(offered: Direction, wanted: Direction) -> Direction:
    """The most of `wanted` that `offered` leaves; both seen from the same side."""
    sends = offered in _SENDING and wanted in _SENDING
    receives = offered in _RECEIVING and wanted in _RECEIVING
    return join_direction(sends=sends, receives=receives)


def join_direction(*, sends: bool, receives: bool) -> Direction:
    """The direction of one who sends, receives, both or neither."""
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"


def read_ptime_ms(media: MediaDescription) -> int:
    """The packet time to send with: what the peer likes, in frames of 20 ms, up to 60 ms or maxptime."""
    wanted = _milliseconds(media.value("ptime")) or _FRAME_MS
    most = _milliseconds(media.value("maxptime")) or _LONGEST_PTIME_MS
    limited = min(wanted, most, _LONGEST_PTIME_MS)
    return max(_FRAME_MS, limited - limited % _FRAME_MS)


def profile(media: MediaDescription) -> Literal["plain", "secure"] | None:
    """Whether a section is RTP, RTP with SRTP profile, or neither (DTLS, see sdp.webrtc; ICE over TCP)."""
    name = media.protocol.upper()
    if name in PLAIN_PROFILES:
        return "plain"
    return "secure" if name in SECURE_PROFILES else None


def _rtcp_port(media: MediaDescription) -> int:
    """RTCP's port: as the rtcp attribute says (RFC 3605), else the next one; an address in it is not used."""
    stated = media.value("rtcp")
    match = _RTCP.match(stated) if stated is not None else None
    port = int(match[1]) if match else media.port + 1
    if not _LOWEST_PORT <= port <= 65_535:
        port = media.port + 1
    return port if port <= 65_535 else 0


def _milliseconds(text: str | None) -> int | None:
    match = _NUMBER.match(text) if text is not None else None
    return int(match[0]) if match else None


def _kind_of(text: str) -> tuple[Kind, str]:
    """What kind of address a text is, and the address in its usual form; longer texts are not remembered."""
    return _looked_up(text) if len(text) <= _LONGEST_ADDRESS else ("none", "")


@lru_cache(maxsize=4_096)
def _looked_up(text: str) -> tuple[Kind, str]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "none", ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "none", ""
        address = address.ipv4_mapped or address
    return _kind(address), str(address)


def _kind(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Kind:
    if address.is_unspecified:
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address.is_multicast:
        return "forbidden"
    if isinstance(address, ipaddress.IPv6Address):
        # Link-local ones mean nothing without an interface; IPv4-compatible ones nothing at all (RFC 4291).
        return "forbidden" if address.is_link_local or int(address) >> 32 == 0 else "host"
    none = address == _BROADCAST or address.is_reserved or int(address) >> 24 == 0
    return "forbidden" if none else "host"
