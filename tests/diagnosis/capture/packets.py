"""Builds the packets that these tests sort, octet by octet, without checksums."""

from __future__ import annotations

import ipaddress
import struct

SECOND = 1_000_000_000
ETHERNET = 1
A, B = "192.0.2.1", "198.51.100.2"
A6, B6 = "2001:db8::1", "2001:db8::2"

SYN, ACK, RST, FIN = 0x02, 0x10, 0x04, 0x01


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def udp(payload: bytes, sport: int = 5060, dport: int = 5062, *, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", sport, dport, length or 8 + len(payload), 0) + payload


def tcp(
    payload: bytes, seq: int = 1, sport: int = 5060, dport: int = 5062, *, flags: int = ACK, ack: int = 0
) -> bytes:
    return (
        struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack, 5 << 4, flags, 65_535, 0, 0) + payload
    )


def ipv4(
    payload: bytes,
    protocol: int = 17,
    src: str = A,
    dst: str = B,
    *,
    dscp: int = 0,
    ttl: int = 64,
    identification: int = 0,
    offset: int = 0,
    more: bool = False,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    header = 20 + len(options)
    fragment = offset // 8 | (0x2000 if more else 0)
    return (
        struct.pack(
            "!BBHHHBBH",
            0x40 | header // 4,
            dscp << 2,
            header + len(payload) if total is None else total,
            identification,
            fragment,
            ttl,
            protocol,
            0,
        )
        + packed(src)
        + packed(dst)
        + options
        + payload
    )


def ipv6(payload: bytes, following: int = 17, src: str = A6, dst: str = B6, *, dscp: int = 0) -> bytes:
    head = struct.pack("!IHBB", 6 << 28 | dscp << 22, len(payload), following, 64)
    return head + packed(src) + packed(dst) + payload


def fragment_v6(payload: bytes, following: int, offset: int, more: bool, identification: int) -> bytes:
    """A fragment header and its part."""
    return struct.pack("!BBHI", following, 0, offset | more, identification) + payload


def ethernet(packet: bytes, *tags: int) -> bytes:
    """A frame around IP; `tags` are the EtherTypes of VLAN tags, the outer first."""
    kind = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
    types = [*tags, kind]
    inner = b"".join(struct.pack("!HH", 100 + i, after) for i, after in enumerate(types[1:]))
    return bytes(12) + struct.pack("!H", types[0]) + inner + packet


def split_v4(datagram: bytes, size: int, identification: int = 7, **fields: object) -> list[bytes]:
    """The fragments of a packet's payload, of `size` octets each."""
    return [
        ipv4(
            datagram[at : at + size],
            offset=at,
            more=at + size < len(datagram),
            identification=identification,
            **fields,  # type: ignore[arg-type]
        )
        for at in range(0, len(datagram), size)
    ]


def invite(number: int = 1, body: bytes = b"", *extra: str) -> bytes:
    """A request with a Content-Length; `number` tells it from others."""
    lines = [
        "INVITE sip:bob@example.com SIP/2.0",
        f"Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK{number}",
        "From: <sip:alice@example.com>;tag=a",
        "To: <sip:bob@example.com>",
        f"Call-ID: call-{number}",
        "CSeq: 1 INVITE",
        *extra,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def ok(number: int = 1, body: bytes = b"") -> bytes:
    """Its answer."""
    return invite(number, body).replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK", 1)


def rtp(sequence: int = 1, payload: bytes = b"\xd5" * 160, ssrc: int = 0x1234) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, sequence, 160 * sequence, ssrc) + payload


def stun(kind: int, transaction: bytes, attributes: bytes = b"") -> bytes:
    return struct.pack("!HHI", kind, len(attributes), 0x2112A442) + transaction.ljust(12, b"\0") + attributes
