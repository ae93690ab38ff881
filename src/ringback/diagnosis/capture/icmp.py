"""ICMP errors about other packets: what was refused, by whom, for which reason (RFC 792, RFC 4443)."""

from __future__ import annotations

from typing import Final

from ringback.diagnosis.capture.captured import Endpoints, IcmpNotice, Nanoseconds, NoticeKind
from ringback.diagnosis.capture.internet import ICMP, TCP, UDP, IpPacket, address_text, read_ip

_UNREACHABLE: Final[dict[int, NoticeKind]] = {
    0: "host-unreachable",
    1: "host-unreachable",
    2: "port-unreachable",
    3: "port-unreachable",
    4: "fragmentation-needed",
    5: "host-unreachable",
    6: "host-unreachable",
    7: "host-unreachable",
    8: "host-unreachable",
    9: "prohibited",
    10: "prohibited",
    11: "host-unreachable",
    12: "host-unreachable",
    13: "prohibited",
}
"""Codes of type 3 (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1)."""

_UNREACHABLE_V6: Final[dict[int, NoticeKind]] = {
    0: "host-unreachable",
    1: "prohibited",
    2: "host-unreachable",
    3: "host-unreachable",
    4: "port-unreachable",
    5: "prohibited",
    6: "prohibited",
}
"""Codes of type 1 (RFC 4443, 3.1)."""


def read_notice(at_ns: Nanoseconds, packet: IpPacket) -> IcmpNotice | None:
    """What an ICMP packet of either version says about another packet; None for pings and the like."""
    data = packet.payload
    if len(data) < 8:
        return None
    kind, mtu = _version_4(data) if packet.protocol == ICMP else _version_6(data)
    inner = read_ip(data, 8) if kind else None
    if kind is None or inner is None:
        return None
    ports = (0, 0)
    if inner.protocol in (UDP, TCP) and inner.offset == 0 and len(inner.payload) >= 4:
        head = inner.payload
        ports = head[0] << 8 | head[1], head[2] << 8 | head[3]
    about = Endpoints(address_text(inner.src), ports[0], address_text(inner.dst), ports[1])
    return IcmpNotice(at_ns, kind, address_text(packet.src), about, mtu)


def _version_4(data: bytes) -> tuple[NoticeKind | None, int]:
    if data[0] == 3:
        kind = _UNREACHABLE.get(data[1])
        return kind, data[6] << 8 | data[7] if kind == "fragmentation-needed" else 0
    if data[0] == 11:
        return ("reassembly-exceeded" if data[1] == 1 else "time-exceeded"), 0
    return None, 0


def _version_6(data: bytes) -> tuple[NoticeKind | None, int]:
    if data[0] == 1:
        return _UNREACHABLE_V6.get(data[1]), 0
    if data[0] == 2:
        return "fragmentation-needed", int.from_bytes(data[4:8], "big")
    if data[0] == 3:
        return ("reassembly-exceeded" if data[1] == 1 else "time-exceeded"), 0
    return None, 0
