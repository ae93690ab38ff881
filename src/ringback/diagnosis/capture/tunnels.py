"""Packets within packets: where the inner one begins (RFC 2784, RFC 2890, RFC 7348, 3GPP TS 29.281)."""

from __future__ import annotations

from typing import Final

from ringback.diagnosis.capture.ethertypes import DAMAGED, NO_IP, after_ethertype, ethernet

MOST_NESTED: Final = 4

_VXLAN_PORTS: Final = frozenset({4789, 8472})
_GENEVE_PORT: Final = 6081
_GTP_PORT: Final = 2152
TUNNEL_PORTS: Final = _VXLAN_PORTS | {_GENEVE_PORT, _GTP_PORT}
"""To which tunnels over UDP send."""

_BRIDGED: Final = 0x6558
_ERSPAN: Final = 0x88BE
_ERSPAN_3: Final = 0x22EB
_GRE_CHECKSUM, _GRE_ROUTING, _GRE_KEY, _GRE_SEQUENCE = 0x80, 0x40, 0x20, 0x10
_GTP_DATA: Final = 255
_MOST_GTP_EXTENSIONS: Final = 8


def in_gre(data: bytes) -> int:
    """Where IP begins in the payload of protocol 47, also within Ethernet in it; NO_IP or DAMAGED else."""
    if len(data) < 4:
        return DAMAGED
    flags, protocol = data[0], data[2] << 8 | data[3]
    if data[1] & 7 or flags & _GRE_ROUTING:
        # PPTP's version 1 carries compressed PPP; source routes are long gone.
        return NO_IP
    at = 4 + 4 * sum(flags & bit != 0 for bit in (_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE))
    if protocol == _BRIDGED:
        return ethernet(data, at)
    if protocol == _ERSPAN:
        # Type I has no sequence number and no header of its own.
        return ethernet(data, at + 8 if flags & _GRE_SEQUENCE else at)
    if protocol == _ERSPAN_3:
        if len(data) < at + 12:
            return DAMAGED
        return ethernet(data, at + (20 if data[at + 11] & 1 else 12))
    return after_ethertype(protocol, data, at)


def in_udp(dport: int, data: bytes) -> int:
    """Where IP begins in the payload of UDP to a port of TUNNEL_PORTS; NO_IP where it is no tunnel at all."""
    if dport == _GTP_PORT:
        return _in_gtp(data)
    if dport == _GENEVE_PORT:
        return _in_geneve(data)
    if len(data) < 8 or data[0] != 0x08 or data[1:4] != b"\0\0\0" or data[7]:
        return NO_IP
    return ethernet(data, 8)


def _in_geneve(data: bytes) -> int:
    """RFC 8926: options, then what an EtherType says."""
    if len(data) < 8 or data[0] >> 6 or data[7]:
        return NO_IP
    at, protocol = 8 + 4 * (data[0] & 0x3F), data[2] << 8 | data[3]
    return ethernet(data, at) if protocol == _BRIDGED else after_ethertype(protocol, data, at)


def _in_gtp(data: bytes) -> int:
    """A user's packet of GTP version 1 (TS 29.281, 5.1)."""
    if len(data) < 8 or data[0] >> 4 != 3 or data[1] != _GTP_DATA:
        return NO_IP
    at = 8
    if data[0] & 7:
        at = 12
        following = data[11] if data[0] & 4 and len(data) >= 12 else 0
        for _ in range(_MOST_GTP_EXTENSIONS):
            if not following:
                break
            length = 4 * data[at] if at < len(data) else 0
            if not length or len(data) < at + length:
                return DAMAGED
            at += length
            following = data[at - 1]
    if len(data) <= at:
        return DAMAGED
    return at if data[at] >> 4 in (4, 6) else NO_IP
