"""Link layers, one frame at a time: where in a frame the IP packet begins (pcap's LINKTYPE list)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.diagnosis.capture import wireless
from ringback.diagnosis.capture.ethertypes import (
    DAMAGED,
    ENCRYPTED,
    NO_IP,
    UNKNOWN_LINK,
    after_ethertype,
    after_ppp,
    at_ip,
    ethernet,
)

__all__ = ["DAMAGED", "ENCRYPTED", "NO_IP", "UNKNOWN_LINK", "find_ip"]

_FAMILIES: Final = frozenset({2, 10, 23, 24, 28, 30})
"""AF_INET and the numbers that systems give AF_INET6."""
_NFLOG_PAYLOAD: Final = 9


def find_ip(link_type: int, data: bytes) -> int:
    """Where the IPv4 or IPv6 header begins in a frame, or NO_IP, DAMAGED, UNKNOWN_LINK or ENCRYPTED."""
    reader = _READERS.get(link_type)
    return UNKNOWN_LINK if reader is None else reader(data)


def _raw(data: bytes) -> int:
    return at_ip(data, 0)


def _linux_cooked(data: bytes) -> int:
    return DAMAGED if len(data) < 16 else after_ethertype(data[14] << 8 | data[15], data, 16)


def _linux_cooked_2(data: bytes) -> int:
    return DAMAGED if len(data) < 20 else after_ethertype(data[0] << 8 | data[1], data, 20)


def _loopback(data: bytes) -> int:
    """A family of four octets, in the byte order of whatever machine wrote it."""
    if len(data) < 4:
        return DAMAGED
    return at_ip(data, 4) if data[0] in _FAMILIES or data[3] in _FAMILIES else NO_IP


def _ppp(data: bytes) -> int:
    return after_ppp(data, 2 if data[:2] == b"\xff\x03" else 0)


def _cisco_hdlc(data: bytes) -> int:
    return DAMAGED if len(data) < 4 else after_ethertype(data[2] << 8 | data[3], data, 4)


def _pppoe(data: bytes) -> int:
    return after_ppp(data, 6)


def _nflog(data: bytes) -> int:
    """Linux's netfilter log: a family, then fields of which one is the packet, in the writer's byte order."""
    at = 4
    while at + 4 <= len(data):
        size, kind = data[at] | data[at + 1] << 8, data[at + 2] | data[at + 3] << 8
        if kind & 0x7FFF == _NFLOG_PAYLOAD:
            return at_ip(data, at + 4)
        at += max(4, size + 3 & ~3)
    return DAMAGED


_READERS: Final[dict[int, Callable[[bytes], int]]] = {
    0: _loopback,
    1: ethernet,
    9: _ppp,
    12: _raw,
    14: _raw,
    50: _ppp,
    51: _pppoe,
    101: _raw,
    104: _cisco_hdlc,
    105: wireless.bare,
    108: _loopback,
    113: _linux_cooked,
    119: wireless.prism,
    127: wireless.radiotap,
    163: wireless.prism,
    228: _raw,
    229: _raw,
    239: _nflog,
    276: _linux_cooked_2,
}
