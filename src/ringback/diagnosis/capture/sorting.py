"""Sorts every frame that is no plain RTP: what it is wrapped in, and what it says, kind by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ringback.diagnosis.capture.captured import (
    Endpoints,
    Fragmentation,
    IcmpNotice,
    Nanoseconds,
    OtherFlow,
    RtcpPacket,
    SipPacket,
)
from ringback.diagnosis.capture.datagrams import kind_of
from ringback.diagnosis.capture.internet import UDP, IpPacket, address_text, read_ip
from ringback.diagnosis.capture.links import DAMAGED, UNKNOWN_LINK, find_ip


class MediaDatagram(NamedTuple):
    """A UDP payload that looks like RTP and came otherwise than in a plain frame of its own."""

    at_ns: Nanoseconds
    endpoints: Endpoints
    dscp: int
    ttl: int
    ip_id: int
    wire_bytes: int
    """Of its IP packet, headers and all fragments together."""
    payload: bytes
    missing: int
    """Octets of the payload that the capture left out; 0 for none."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What was in the frames of a capture beside RTP, in the order of time."""

    signalling: tuple[SipPacket, ...]
    control: tuple[RtcpPacket, ...]
    other: tuple[OtherFlow, ...]
    notices: tuple[IcmpNotice, ...]
    fragmentation: Fragmentation
    problems: tuple[tuple[str, int], ...]
    """What could not be read, in words, and in how many packets."""


class Sorter:
    """Takes frames one by one in the order of the capture; of one capture point, one after the other.

    Nothing in a frame raises. Memory is bounded, but for the SIP and RTCP that is kept whole.
    """

    def __init__(self) -> None:
        self._signalling: list[SipPacket] = []
        self._control: list[RtcpPacket] = []
        self._media: list[MediaDatagram] = []
        self._problems: Counter[str] = Counter()

    def frame(self, at_ns: Nanoseconds, link_type: int, data: bytes, original_bytes: int, frame: int) -> None:
        """Sort one frame: `data` as captured of `original_bytes`, and its number in its file, from 1."""
        start = find_ip(link_type, data)
        if start < 0:
            if start == UNKNOWN_LINK:
                self._problems[f"link type {link_type} is not read"] += 1
            elif start == DAMAGED:
                self._problems["frames that end within their link header"] += 1
            return
        packet = read_ip(data, start)
        if packet is None:
            self._problems["IP headers that are cut or make no sense"] += 1
        elif packet.protocol == UDP:
            self._datagram(at_ns, packet, frame)

    def reassembled(self) -> Sequence[MediaDatagram]:
        """What looks like RTP since the last time, in the order of the capture; it is forgotten here."""
        found, self._media = self._media, []
        return found

    def finish(self) -> Sorted:
        """All of it; no frame may come after."""
        return Sorted(
            tuple(sorted(self._signalling, key=lambda packet: packet.at_ns)),
            tuple(self._control),
            (),
            (),
            Fragmentation(),
            tuple(self._problems.items()),
        )

    def _datagram(self, at_ns: Nanoseconds, packet: IpPacket, frame: int) -> None:
        data = packet.payload
        if len(data) < 8:
            self._problems["UDP headers that are cut"] += 1
            return
        length = data[4] << 8 | data[5]
        payload = data[8:length] if length >= 8 else data[8:]
        missing = max(0, length - 8 - len(payload))
        sport, dport = data[0] << 8 | data[1], data[2] << 8 | data[3]
        endpoints = Endpoints(address_text(packet.src), sport, address_text(packet.dst), dport)
        kind = kind_of(payload, sport, dport, cut=missing > 0)
        if kind == "sip":
            self._signalling.append(
                SipPacket(at_ns, endpoints, "udp", payload, packet.dscp, frame, missing > 0, packet.fragments)
            )
        elif kind in ("rtcp", "srtcp"):
            self._control.append(RtcpPacket(at_ns, endpoints, payload, kind == "srtcp"))
        elif kind == "rtp":
            self._media.append(
                MediaDatagram(
                    at_ns,
                    endpoints,
                    packet.dscp,
                    packet.ttl,
                    packet.ip_id,
                    packet.wire_bytes,
                    payload,
                    missing,
                )
            )
