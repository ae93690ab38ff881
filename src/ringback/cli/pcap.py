"""SIP messages as a capture file for Wireshark and its like: pcap with raw IP packets around each message.

What came decrypted from TLS or a WebSocket is written as UDP, so that it is read as SIP whatever its port is;
SIP over TCP is written as TCP segments. Addresses, ports and times are those of the wire.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC_MICROSECONDS: Final = 0xA1B2C3D4
_LINK_RAW_IP: Final = 101
_LONGEST_PACKET: Final = 65_535
# Of a message in one packet, below what the length fields of IP and UDP can say.
_LONGEST_PAYLOAD: Final = 65_000
_UDP: Final = 17
_TCP: Final = 6
_PUSH_ACK: Final = 0x18

Address = tuple[str, int]
_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class CaptureFile:
    """A pcap file for its owner alone; each message is in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        """Begin the file in place of one of that name; pipes are written to. OSError when that fails."""
        if path.is_file() and not path.is_symlink():
            # Who has the old one open does not get to read this one.
            path.unlink()
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if stat.S_ISREG(os.fstat(number).st_mode):
            os.fchmod(number, 0o600)
        self._file: BinaryIO = os.fdopen(number, "wb", buffering=0)
        self._sequences: dict[tuple[Address, Address], int] = {}
        self._file.write(
            struct.pack("<IHHiIII", _MAGIC_MICROSECONDS, 2, 4, 0, 0, _LONGEST_PACKET, _LINK_RAW_IP)
        )

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, at: datetime, transport: str, source: Address, target: Address, data: bytes) -> None:
        """Add a message; of one by UDP at most 65,000 bytes."""
        packets = (
            self._segments(source, target, data)
            if transport == "tcp"
            else iter([_packet(_UDP, source, target, _datagram(source, target, data[:_LONGEST_PAYLOAD]))])
        )
        seconds, microseconds = int(at.timestamp()), at.microsecond
        for packet in packets:
            head = struct.pack("<IIII", seconds, microseconds, len(packet), len(packet))
            self._file.write(head + packet)

    def _segments(self, source: Address, target: Address, data: bytes) -> Iterator[bytes]:
        """The message as TCP segments that go on where those before ended, as if none had been lost."""
        there, back = (source, target), (target, source)
        for start in range(0, len(data), _LONGEST_PAYLOAD):
            part = data[start : start + _LONGEST_PAYLOAD]
            sequence = self._sequences.get(there, 1)
            self._sequences[there] = (sequence + len(part)) & 0xFFFFFFFF
            head = struct.pack(
                "!HHIIBBHHH",
                *(source[1], target[1], sequence, self._sequences.get(back, 1)),
                *(5 << 4, _PUSH_ACK, 65_535, 0, 0),
            )
            yield _packet(_TCP, source, target, head + part)


def _datagram(source: Address, target: Address, data: bytes) -> bytes:
    return struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data


def _packet(protocol: int, source: Address, target: Address, payload: bytes) -> bytes:
    """An IP packet around a datagram or segment, with its checksums."""
    sender, receiver = _ip(source[0]), _ip(target[0])
    if sender.version != receiver.version:
        # An address that is not known stands as zeros.
        receiver = type(sender)(0)
    pseudo = sender.packed + receiver.packed + struct.pack("!IBBBB", len(payload), 0, 0, 0, protocol)
    place = 6 if protocol == _UDP else 16
    # A UDP checksum of zero would mean that there is none.
    checksum = struct.pack("!H", _checksum(pseudo + payload) or 0xFFFF)
    payload = payload[:place] + checksum + payload[place + 2 :]
    if sender.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        return head + sender.packed + receiver.packed + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    addresses = sender.packed + receiver.packed
    return head[:10] + struct.pack("!H", _checksum(head + addresses)) + addresses + payload


def _ip(host: str) -> _IpAddress:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ipaddress.IPv4Address(0)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
