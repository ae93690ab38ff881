"""IP packets, one at a time: options, extension headers, and what the capture cut off (RFC 791, RFC 8200)."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple

HOP_BY_HOP: Final = 0
ICMP: Final = 1
IP_IN_IP: Final = 4
TCP: Final = 6
UDP: Final = 17
IPV6_IN_IP: Final = 41
ROUTING: Final = 43
FRAGMENT: Final = 44
GRE: Final = 47
ESP: Final = 50
AUTHENTICATION: Final = 51
ICMP_V6: Final = 58
DESTINATION_OPTIONS: Final = 60

_EXTENSIONS: Final = frozenset({HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, AUTHENTICATION, 135, 139, 140})
_MOST_EXTENSIONS: Final = 16


class IpPacket(NamedTuple):
    """One packet, or one fragment of it.

    `src` and `dst` are 4 or 16 octets. `payload` is what the capture holds of it, `missing` how many octets
    of it the capture lacks. `wire_bytes` is the length that its header says, of all fragments together when
    it was put together. `ip_id` is the identification of IPv4, 0 in IPv6.
    """

    src: bytes
    dst: bytes
    protocol: int
    payload: bytes
    missing: int
    dscp: int
    ttl: int
    ip_id: int
    wire_bytes: int
    offset: int = 0
    """Of a fragment in the whole, in octets."""
    more: bool = False
    """Another fragment follows."""
    identification: int = 0
    """What the fragments of one packet have in common."""
    fragments: int = 0
    """It came in; 0 where it was never in pieces."""

    @property
    def is_fragment(self) -> bool:
        """Whether this is a part of a packet."""
        return self.more or self.offset > 0


def read_ip(data: bytes, at: int) -> IpPacket | None:
    """The packet whose header begins at `at`; None where the header makes no sense or is cut."""
    if len(data) <= at:
        return None
    version = data[at] >> 4
    if version == 4:
        return _read_v4(data, at)
    return _read_v6(data, at) if version == 6 else None


def _read_v4(data: bytes, at: int) -> IpPacket | None:
    header = (data[at] & 0x0F) * 4
    if header < 20 or len(data) < at + header:
        return None
    # A length of 0 is left by network cards that cut packets themselves: all that is there counts.
    total = data[at + 2] << 8 | data[at + 3] or len(data) - at
    if total < header:
        return None
    payload = data[at + header : at + total]
    identification = data[at + 4] << 8 | data[at + 5]
    flags = data[at + 6] << 8 | data[at + 7]
    return IpPacket(
        data[at + 12 : at + 16],
        data[at + 16 : at + 20],
        data[at + 9],
        payload,
        total - header - len(payload),
        data[at + 1] >> 2,
        data[at + 8],
        identification,
        total,
        (flags & 0x1FFF) * 8,
        flags & 0x2000 != 0,
        identification,
    )


def _read_v6(data: bytes, at: int) -> IpPacket | None:
    if len(data) < at + 40:
        return None
    length = data[at + 4] << 8 | data[at + 5]
    payload = data[at + 40 : at + 40 + length] if length else data[at + 40 :]
    return beyond_extensions(
        IpPacket(
            data[at + 8 : at + 24],
            data[at + 24 : at + 40],
            data[at + 6],
            payload,
            max(0, length - len(payload)),
            (data[at] << 8 | data[at + 1]) >> 6 & 0x3F,
            data[at + 7],
            0,
            40 + (length or len(payload)),
        )
    )


def beyond_extensions(packet: IpPacket) -> IpPacket | None:
    """The same packet of IPv6 from its first header that is no extension; None where they make no sense.

    It ends at the header of a real fragment too: what follows is read when the packet is put together.
    """
    protocol, payload, at = packet.protocol, packet.payload, 0
    for _ in range(_MOST_EXTENSIONS):
        if protocol != FRAGMENT and protocol not in _EXTENSIONS:
            return packet._replace(protocol=protocol, payload=payload[at:]) if at else packet
        if len(payload) < at + 8:
            return None
        following = payload[at]
        if protocol == FRAGMENT:
            offset = payload[at + 2] << 8 | payload[at + 3]
            if offset & 0xFFF9:
                return packet._replace(
                    protocol=following,
                    payload=payload[at + 8 :],
                    offset=offset & 0xFFF8,
                    more=offset & 1 != 0,
                    identification=int.from_bytes(payload[at + 4 : at + 8], "big"),
                )
            # A fragment that is the whole (RFC 6946).
            at += 8
        elif protocol == AUTHENTICATION:
            at += (payload[at + 1] + 2) * 4
        else:
            at += (payload[at + 1] + 1) * 8
        protocol = following
    return None


@lru_cache(maxsize=65_536)
def address_text(address: bytes) -> str:
    """An address of 4 or 16 octets as people write it, IPv6 in its shortest form (RFC 5952)."""
    return str(ipaddress.ip_address(address))
