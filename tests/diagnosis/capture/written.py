"""Frames and capture files written octet by octet, for tests of what reads them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from typing import NamedTuple

BEGAN_NS = 1_700_000_000_000_000_000


class Record(NamedTuple):
    at_ns: int
    frame: bytes
    original: int = 0
    """0 for all of it."""


def rtp(
    sequence: int,
    payload: bytes = b"\xd5" * 160,
    *,
    timestamp: int | None = None,
    ssrc: int = 0x343FFA34,
    payload_type: int = 8,
    marker: bool = False,
    first: int = 0x80,
    between: bytes = b"",
) -> bytes:
    """A packet; `between` stands between header and payload: CSRC list and extension."""
    time = sequence * 160 if timestamp is None else timestamp
    head = struct.pack(
        "!BBHII", first, payload_type | marker << 7, sequence & 0xFFFF, time & 0xFFFFFFFF, ssrc
    )
    return head + between + payload


def udp(
    payload: bytes, src: str = "192.0.2.1", sport: int = 4000, dst: str = "192.0.2.2", dport: int = 5000
) -> bytes:
    """An IP packet of either version; TTL 61, DSCP 46, identification 4711."""
    datagram = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    source, target = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28 | 46 << 22, len(datagram), 17, 61)
        return head + source.packed + target.packed + datagram
    head = struct.pack("!BBHHHBBH", 0x45, 46 << 2, 20 + len(datagram), 4711, 0, 61, 17, 0)
    return head + source.packed + target.packed + datagram


def ethernet(packet: bytes, *tags: tuple[int, int]) -> bytes:
    """A frame, with VLAN tags of an EtherType and a number."""
    kind = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
    tagged = b"".join(struct.pack("!HH", *tag) for tag in tags)
    return bytes(12) + tagged + struct.pack("!H", kind) + packet


def call(packets: int, **options: int) -> list[Record]:
    """A stream of so many packets, 20 ms apart, on Ethernet."""
    return [Record(BEGAN_NS + i * 20_000_000, ethernet(udp(rtp(i + 1, **options)))) for i in range(packets)]


def pcap(
    records: Iterable[Record], *, order: str = "<", nanoseconds: bool = False, link: int = 1, magic: int = 0
) -> bytes:
    """A file of the classic format."""
    number = magic or (0xA1B23C4D if nanoseconds else 0xA1B2C3D4)
    parts = [struct.pack(f"{order}IHHiIII", number, 2, 4, 0, 0, 262144, link)]
    for at_ns, frame, original in records:
        fraction = at_ns % 1_000_000_000 // (1 if nanoseconds else 1000)
        numbers = (at_ns // 1_000_000_000, fraction, len(frame), original or len(frame))
        parts.append(struct.pack(f"{order}IIII", *numbers))
        if number == 0xA1B2CD34:
            parts.append(bytes(8))
        parts.append(frame)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A block of pcapng."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, snap_length: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, snap_length) + options, order)


def enhanced(record: Record, number: int = 0, per_second: int = 1_000_000, order: str = "<") -> bytes:
    ticks = record.at_ns * per_second // 1_000_000_000
    frame, original = record.frame, record.original or len(record.frame)
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), original)
    return block(6, head + frame, order)


def pcapng(records: Iterable[Record], *, order: str = "<", link: int = 1) -> bytes:
    """A file of the next generation's format: one section, one interface."""
    packets = b"".join(enhanced(record, order=order) for record in records)
    return section(order) + interface(link, order=order) + packets
