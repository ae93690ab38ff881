"""Sorts every frame that is no plain RTP: what it is wrapped in, and what it says, kind by kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ringback.diagnosis.capture.captured import (
    Endpoints,
    Fragmentation,
    IcmpNotice,
    Nanoseconds,
    OtherFlow,
    OtherKind,
    RtcpPacket,
    SipPacket,
)
from ringback.diagnosis.capture.connections import Connections
from ringback.diagnosis.capture.datagrams import is_sip, kind_of
from ringback.diagnosis.capture.flows import FlowKey, Flows, endpoints_of, reverse_key
from ringback.diagnosis.capture.fragments import Fragments
from ringback.diagnosis.capture.handshakes import HandshakeFacts
from ringback.diagnosis.capture.icmp import read_notice
from ringback.diagnosis.capture.internet import (
    ESP,
    GRE,
    ICMP,
    ICMP_V6,
    IP_IN_IP,
    IPV6_IN_IP,
    TCP,
    UDP,
    IpPacket,
    read_ip,
)
from ringback.diagnosis.capture.links import DAMAGED, ENCRYPTED, UNKNOWN_LINK, find_ip
from ringback.diagnosis.capture.reassembly import Seen
from ringback.diagnosis.capture.stun import StunFacts, carried
from ringback.diagnosis.capture.tunnels import MOST_NESTED, TUNNEL_PORTS, in_gre, in_udp

MOST_SIGNALLING_BYTES: Final = 256 << 20
MOST_CONTROL: Final = 400_000
MOST_NOTICES: Final = 100_000
_ETHERNET: Final = 1
_PLAIN_IPV4: Final = b"\x08\0\x45"
"""EtherType and first octet of IPv4 without options, in a frame without tags."""
_MOST_FAX_PORTS: Final = 10_000
_STREAM_HEADERS: Final = 40
"""Of IPv4 and TCP: what a datagram within a stream is counted with."""
_FAX: Final = re.compile(rb"\nm=image ([0-9]{1,5}) udptl", re.IGNORECASE)
_CONNECTION: Final = re.compile(rb"\nc=IN IP[46] ([0-9A-Fa-f.:]{2,45})")


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


class _Carriage(NamedTuple):
    """What a payload came in."""

    at_ns: Nanoseconds
    frame: int
    dscp: int
    ttl: int
    ip_id: int
    wire_bytes: int
    fragments: int
    transport: Literal["udp", "tcp"]


class Sorter:
    """Takes frames one by one in the order of the capture; of one capture point, one after the other.

    Nothing in a frame raises. Memory is bounded whatever comes: `Sorted.problems` says what was left out.
    """

    def __init__(self) -> None:
        self._signalling: list[SipPacket] = []
        self._signalling_bytes = 0
        self._control: list[RtcpPacket] = []
        self._media: list[MediaDatagram] = []
        self._notices: list[IcmpNotice] = []
        self._problems: Counter[str] = Counter()
        self._fax_ports: set[tuple[str, int]] = set()
        self._flows = Flows()
        self._fragments = Fragments()
        self._connections = Connections(self._flows, self._sip_of_stream, self._datagram_of_stream)

    def frame(self, at_ns: Nanoseconds, link_type: int, data: bytes, original_bytes: int, frame: int) -> None:
        """Sort one frame: `data` as captured of `original_bytes`, and its number in its file, from 1."""
        if link_type == _ETHERNET and data[12:15] == _PLAIN_IPV4 and self._passes_over(data, at_ns):
            return
        start = find_ip(link_type, data)
        if start >= 0:
            self._ip(data, start, at_ns, frame, 0)
        elif start == UNKNOWN_LINK:
            self._problems[f"frames of link type {link_type}, which is not read"] += 1
        elif start == DAMAGED:
            self._problems["frames that end within their link header"] += 1
        elif start == ENCRYPTED:
            self._problems["frames of wireless LAN that are encrypted"] += 1

    def _passes_over(self, data: bytes, at_ns: Nanoseconds) -> bool:
        """Count, without reading it, what is by far the most frequent: TCP that is nothing to us."""
        if len(data) < 54 or data[23] != TCP or data[20] & 0x3F or data[21]:
            return False
        octets = (data[16] << 8 | data[17]) - 20 - (data[46] >> 2 & 0x3C)
        return octets >= 0 and self._connections.passes_over(data[26:38], data[47], octets, at_ns)

    def reassembled(self) -> Sequence[MediaDatagram]:
        """What looks like RTP since the last time, in the order of the capture; it is forgotten here."""
        found, self._media = self._media, []
        return found

    def finish(self) -> Sorted:
        """All of it; no frame may come after, but `reassembled` may have something left."""
        self._fragments.finish()
        self._take_broken()
        self._connections.finish()
        self._problems.update(self._connections.problems)
        fragmentation = self._fragments.counted()
        other = self._flows.finish(self._fax_ports)
        for problem, packets in (
            ("fragmented packets given up because too many were waiting", self._fragments.given_up_for_room),
            ("packets in flows too small and too many to be told one by one", self._flows.dropped_packets),
        ):
            self._problems[problem] += packets
        return Sorted(
            tuple(sorted(self._signalling, key=lambda packet: packet.at_ns)),
            tuple(self._control),
            other,
            tuple(self._notices),
            fragmentation,
            tuple((problem, packets) for problem, packets in self._problems.items() if packets),
        )

    def _ip(self, data: bytes, start: int, at_ns: Nanoseconds, frame: int, depth: int) -> None:
        packet = read_ip(data, start)
        if packet is None:
            self._problems["IP headers that are cut or make no sense"] += 1
        elif packet.is_fragment:
            whole = self._fragments.add(at_ns, frame, packet)
            self._take_broken()
            if whole is not None:
                self._transport(whole, at_ns, frame, depth)
        else:
            self._transport(packet, at_ns, frame, depth)

    def _take_broken(self) -> None:
        """Tell what is left of SIP messages; no other packet got anywhere either."""
        for at_ns, frame, packet in self._fragments.take_broken():
            if packet.protocol == UDP and len(packet.payload) > 8 and is_sip(packet.payload[8:]):
                self._datagram(packet, at_ns, frame, 0)

    def _transport(self, packet: IpPacket, at_ns: Nanoseconds, frame: int, depth: int) -> None:
        protocol = packet.protocol
        if protocol == TCP:
            self._connections.segment(packet, at_ns, frame)
        elif protocol == UDP:
            self._datagram(packet, at_ns, frame, depth)
        elif protocol in (ICMP, ICMP_V6):
            notice = read_notice(at_ns, packet)
            if notice is not None and len(self._notices) < MOST_NOTICES:
                self._notices.append(notice)
        elif protocol in (IP_IN_IP, IPV6_IN_IP):
            self._within(packet.payload, 0, at_ns, frame, depth)
        elif protocol == GRE:
            self._within(packet.payload, in_gre(packet.payload), at_ns, frame, depth)
        elif protocol == ESP:
            self._problems["packets encrypted by IPsec"] += 1

    def _within(self, data: bytes, start: int, at_ns: Nanoseconds, frame: int, depth: int) -> None:
        """Go on with a packet that another one carries."""
        if start == DAMAGED:
            self._problems["packets cut within the header of a tunnel"] += 1
        elif start >= 0 and depth >= MOST_NESTED:
            self._problems["packets in too many tunnels"] += 1
        elif start >= 0:
            self._ip(data, start, at_ns, frame, depth + 1)

    def _datagram(self, packet: IpPacket, at_ns: Nanoseconds, frame: int, depth: int) -> None:
        data = packet.payload
        if len(data) < 8:
            self._problems["UDP headers that are cut"] += 1
            return
        length = data[4] << 8 | data[5]
        payload = data[8:length] if length >= 8 else data[8:]
        missing = max(0, length - 8 - len(payload))
        dport = data[2] << 8 | data[3]
        if dport in TUNNEL_PORTS and (start := in_udp(dport, payload)) >= 0:
            self._within(payload, start, at_ns, frame, depth)
            return
        key = packet.src + packet.dst + data[:4]
        carriage = _Carriage(
            at_ns,
            frame,
            packet.dscp,
            packet.ttl,
            packet.ip_id,
            packet.wire_bytes,
            packet.fragments,
            "udp",
        )
        self._payload(key, payload, missing, carriage)

    def _sip_of_stream(
        self, transport: Literal["tcp", "ws"], key: FlowKey, data: bytes, seen: Seen, cut: bool
    ) -> None:
        self._sip(SipPacket(seen.at_ns, endpoints_of(key), transport, data, seen.dscp, seen.frame, cut))

    def _datagram_of_stream(self, key: FlowKey, data: bytes, seen: Seen) -> None:
        length = len(data) + _STREAM_HEADERS
        self._payload(key, data, 0, _Carriage(seen.at_ns, seen.frame, seen.dscp, 0, 0, length, 0, "tcp"))

    def _payload(
        self, key: FlowKey, payload: bytes, missing: int, carriage: _Carriage, *, relayed: bool = False
    ) -> None:
        """Sort a datagram's payload, and what TURN carries in it; `relayed` when that is this."""
        at_ns, transport = carriage.at_ns, carriage.transport
        sport, dport = key[-4] << 8 | key[-3], key[-2] << 8 | key[-1]
        kind = kind_of(payload, sport, dport, cut=missing > 0)
        octets = len(payload) + missing
        match kind:
            case "rtp":
                self._keep_media(key, payload, missing, carriage)
            case "sip":
                data, endpoints = payload.lstrip(b"\r\n"), endpoints_of(key)
                _, frame, dscp, *_, fragments, _ = carriage
                self._sip(SipPacket(at_ns, endpoints, transport, data, dscp, frame, missing > 0, fragments))
            case "rtcp" | "srtcp":
                self._keep_control(RtcpPacket(at_ns, endpoints_of(key), payload, kind == "srtcp"))
            case "stun":
                self._note_stun(kind, key, payload, octets, carriage)
            case "turn":
                inner = carried(payload)
                if inner and not self._is_turn(key, inner, transport):
                    self._flows.note("unknown", transport, key, at_ns, octets)
                    return
                self._note_stun(kind, key, payload, octets, carriage)
                if inner and not relayed:
                    self._payload(key, inner, missing, carriage, relayed=True)
            case "dtls":
                self._note_dtls(key, payload, octets, carriage)
            case "unknown" if self._is_dtls_1_3(key, payload, transport):
                self._note_dtls(key, payload, octets, carriage)
            case "unknown" | "t38" | "dns" | "zrtp":
                self._flows.note(kind, transport, key, at_ns, octets)
            case "keepalive":
                pass

    def _keep_media(self, key: FlowKey, payload: bytes, missing: int, carriage: _Carriage) -> None:
        at_ns, _, dscp, ttl, ip_id, wire_bytes, *_ = carriage
        self._media.append(
            MediaDatagram(
                at_ns, endpoints_of(key), dscp, ttl, ip_id, min(wire_bytes, 65_535), payload, missing
            )
        )

    def _keep_control(self, packet: RtcpPacket) -> None:
        if len(self._control) < MOST_CONTROL:
            self._control.append(packet)
        else:
            self._problems["RTCP packets beyond those that are kept"] += 1

    def _note_dtls(self, key: FlowKey, payload: bytes, octets: int, carriage: _Carriage) -> None:
        flow = self._flows.note("dtls", carriage.transport, key, carriage.at_ns, octets)
        if flow.facts is None:
            flow.facts = HandshakeFacts()
        if isinstance(flow.facts, HandshakeFacts):
            flow.facts.note_datagram(payload)

    def _note_stun(
        self, kind: Literal["stun", "turn"], key: FlowKey, payload: bytes, octets: int, carriage: _Carriage
    ) -> None:
        transport = carriage.transport
        flow = self._flows.note(kind, transport, key, carriage.at_ns, octets)
        back = self._flows.find(kind, transport, reverse_key(key))
        if flow.facts is None:
            flow.facts = StunFacts()
        if isinstance(flow.facts, StunFacts):
            other_side = back.facts if back is not None else None
            flow.facts.note(payload, other_side if isinstance(other_side, StunFacts) else None)

    def _is_turn(self, key: FlowKey, inner: bytes, transport: Literal["udp", "tcp"]) -> bool:
        """Whether what looks like channel data is some: others have numbers at the same place, too."""
        return kind_of(inner, 0, 0) != "unknown" or self._has_spoken("turn", key, transport)

    def _is_dtls_1_3(self, key: FlowKey, payload: bytes, transport: Literal["udp", "tcp"]) -> bool:
        """Whether it begins as a ciphertext does (RFC 9147, 4), between two that have spoken DTLS before."""
        return bool(payload) and payload[0] & 0xE0 == 0x20 and self._has_spoken("dtls", key, transport)

    def _has_spoken(self, kind: OtherKind, key: FlowKey, transport: Literal["udp", "tcp"]) -> bool:
        """Whether there was a packet of that kind between the two."""
        return any(self._flows.find(kind, transport, way) for way in (key, reverse_key(key)))

    def _sip(self, packet: SipPacket) -> None:
        if self._signalling_bytes > MOST_SIGNALLING_BYTES:
            self._problems["SIP messages beyond those that are kept"] += 1
            return
        self._signalling_bytes += len(packet.data)
        self._signalling.append(packet)
        if b"m=image" in packet.data and len(self._fax_ports) < _MOST_FAX_PORTS:
            # Several sections may each have an address: any of them will do.
            ports = [int(port) for port in _FAX.findall(packet.data)]
            hosts = [host.decode() for host in _CONNECTION.findall(packet.data)]
            self._fax_ports |= {(host, port) for host in hosts[:4] for port in ports[:4]}
