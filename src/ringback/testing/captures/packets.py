"""IPv4, UDP, RTP and ICMP packets as octets, RTP a whole stream at a time (RFC 791, 768, 3550, 792)."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RTP_OVERHEAD = 20 + 8 + 12
_RTP_PACKET = np.dtype(
    [
        ("version_ihl", "u1"),
        ("tos", "u1"),
        ("length", ">u2"),
        ("id", ">u2"),
        ("flags", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("src", ">u4"),
        ("dst", ">u4"),
        ("sport", ">u2"),
        ("dport", ">u2"),
        ("udp_length", ">u2"),
        ("udp_checksum", ">u2"),
        ("v", "u1"),
        ("marker_type", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
    ]
)
_IP = struct.Struct("!BBHHHBBHII")
_UDP = struct.Struct("!HHHH")
UDP, ICMP = 17, 1
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


class Route(NamedTuple):
    """From where to where a packet goes, as its headers say."""

    src: str
    sport: int
    dst: str
    dport: int

    @property
    def reverse(self) -> Route:
        """The way back."""
        return Route(self.dst, self.dport, self.src, self.sport)


def number(address: str) -> int:
    """An IPv4 address as 32 bits."""
    return int(ipaddress.IPv4Address(address))


def _fold(sums: NDArray[np.uint64]) -> NDArray[np.uint16]:
    sums = (sums & 0xFFFF) + (sums >> 16)
    sums = (sums & 0xFFFF) + (sums >> 16)
    return (~sums & 0xFFFF).astype(np.uint16)


def _word_sums(octets: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The sum of the 16-bit words of each row, in the machine's own order (RFC 1071: it does not matter)."""
    even = octets.shape[1] // 2 * 2
    sums = np.ascontiguousarray(octets[:, :even]).view("<u2").sum(axis=1, dtype=np.uint64)
    if even < octets.shape[1]:
        sums += octets[:, -1]
    return np.asarray(sums, np.uint64)


def rtp_packets(
    route: Route,
    *,
    dscp: NDArray[np.uint8],
    ttl: NDArray[np.uint8],
    ip_id: NDArray[np.uint16],
    dont_fragment: bool,
    marker: NDArray[np.bool_],
    payload_type: NDArray[np.uint8],
    sequence: NDArray[np.uint16],
    timestamp: NDArray[np.uint32],
    ssrc: NDArray[np.uint32],
    payload: NDArray[np.uint8],
) -> list[bytes]:
    """IP packets of n RTP packets with payloads uint8[n, m] of one size."""
    count, size = payload.shape
    head = np.zeros(count, _RTP_PACKET)
    head["version_ihl"], head["protocol"], head["v"] = 0x45, UDP, 0x80
    head["tos"], head["ttl"], head["id"] = dscp << 2, ttl, ip_id
    head["flags"] = DONT_FRAGMENT if dont_fragment else 0
    head["length"], head["udp_length"] = RTP_OVERHEAD + size, 20 + size
    head["src"], head["dst"] = number(route.src), number(route.dst)
    head["sport"], head["dport"] = route.sport, route.dport
    head["marker_type"] = payload_type | marker.astype(np.uint8) << 7
    head["sequence"], head["timestamp"], head["ssrc"] = sequence, timestamp, ssrc
    octets = np.empty((count, RTP_OVERHEAD + size), np.uint8)
    octets[:, :RTP_OVERHEAD] = head.view(np.uint8).reshape(count, RTP_OVERHEAD)
    octets[:, RTP_OVERHEAD:] = payload
    octets[:, 10:12] = _fold(_word_sums(octets[:, :20])).view(np.uint8).reshape(count, 2)
    pseudo = int.from_bytes(struct.pack("!HH", UDP, 20 + size)[:2], "little")
    pseudo += int.from_bytes(struct.pack("!H", 20 + size), "little")
    sums = _word_sums(octets[:, 12:]) + np.uint64(pseudo)
    checksum = _fold(sums)
    octets[:, 26:28] = (
        np.where(checksum == 0, 0xFFFF, checksum).astype("<u2").view(np.uint8).reshape(count, 2)
    )
    data, step = octets.tobytes(), RTP_OVERHEAD + size
    return [data[at : at + step] for at in range(0, len(data), step)]


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    row = np.frombuffer(data, np.uint8).reshape(1, -1)
    return int.from_bytes(int(_fold(_word_sums(row))[0]).to_bytes(2, "little"), "big")


def ip_packet(
    src: str, dst: str, protocol: int, body: bytes, *, dscp: int, ttl: int, ip_id: int, flags: int = 0
) -> bytes:
    """An IPv4 packet; `flags` with the fragment's offset in their lower 13 bits."""
    fields = (0x45, dscp << 2, 20 + len(body), ip_id & 0xFFFF, flags, ttl, protocol)
    head = _IP.pack(*fields, 0, number(src), number(dst))
    return _IP.pack(*fields, checksum(head), number(src), number(dst)) + body


def udp_packet(route: Route, payload: bytes, *, dscp: int, ttl: int, ip_id: int, flags: int = 0) -> bytes:
    """A datagram in one IPv4 packet, however long."""
    length = 8 + len(payload)
    pseudo = struct.pack("!IIHH", number(route.src), number(route.dst), UDP, length)
    bare = _UDP.pack(route.sport, route.dport, length, 0) + payload
    total = checksum(pseudo + bare) or 0xFFFF
    body = _UDP.pack(route.sport, route.dport, length, total) + payload
    return ip_packet(route.src, route.dst, UDP, body, dscp=dscp, ttl=ttl, ip_id=ip_id, flags=flags)


def fragments(packet: bytes, mtu: int) -> list[bytes]:
    """What a router with a smaller MTU makes of a packet; itself where it fits (RFC 791, 3.2)."""
    if len(packet) <= mtu:
        return [packet]
    head = _IP.unpack_from(packet)
    step = (mtu - 20) // 8 * 8
    body = packet[20:]
    pieces = []
    for at in range(0, len(body), step):
        piece = body[at : at + step]
        flags = at // 8 | (MORE_FRAGMENTS if at + step < len(body) else 0)
        fields = (head[0], head[1], 20 + len(piece), head[3], flags, head[5], head[6])
        bare = _IP.pack(*fields, 0, *head[8:])
        pieces.append(_IP.pack(*fields, checksum(bare), *head[8:]) + piece)
    return pieces


def icmp_error(
    reporter: str, about: bytes, *, kind: int = 3, code: int = 3, mtu: int = 0, ttl: int = 64, ip_id: int = 0
) -> bytes:
    """An ICMP error about a packet, to its source, with the packet's first octets (RFC 792; RFC 1191)."""
    to = str(ipaddress.IPv4Address(about[12:16]))
    rest = struct.pack("!HH", 0, mtu) + about[: 20 + 8]
    bare = struct.pack("!BBH", kind, code, 0) + rest
    body = struct.pack("!BBH", kind, code, checksum(bare)) + rest
    return ip_packet(reporter, to, ICMP, body, dscp=48, ttl=ttl, ip_id=ip_id)
