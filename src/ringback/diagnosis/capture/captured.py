"""What a capture holds, sorted by kind: RTP as columns a stream, everything else as single packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Nanoseconds = int
"""Of the capture's clock, since 1970 in UTC."""

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]


class Endpoints(NamedTuple):
    """Where a packet came from and where it went; addresses as text, IPv6 in its shortest form."""

    src: str
    sport: int
    dst: str
    dport: int

    @property
    def reverse(self) -> Endpoints:
        """The way back."""
        return Endpoints(self.dst, self.dport, self.src, self.sport)


class StreamKey(NamedTuple):
    """What makes an RTP stream one: its addresses and its source (RFC 3550, 3)."""

    src: str
    sport: int
    dst: str
    dport: int
    ssrc: int

    @property
    def endpoints(self) -> Endpoints:
        """Its addresses alone."""
        return Endpoints(*self[:4])


@dataclass(frozen=True, slots=True)
class Packets:
    """The RTP packets of one stream in the order of the capture, duplicates included, as arrays of n.

    `arrived_ns` is the capture's time stamp. `payload_bytes` is without header, extension and padding.
    `level_dbov` is the packet's mean level in dB below overload (0 and less; -127 digital silence; NaN
    where the payload was not decoded: another codec than G.711, encrypted, or cut). `clipped` counts
    samples at the two outermost codes of G.711. `ip_id` is the IPv4 identification, 0 in IPv6.
    `wire_bytes` is the IP packet's length.
    """

    arrived_ns: NDArray[np.int64]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    payload_bytes: NDArray[np.uint16]
    wire_bytes: NDArray[np.uint16]
    dscp: NDArray[np.uint8]
    ttl: NDArray[np.uint8]
    ip_id: NDArray[np.uint16]
    level_dbov: NDArray[np.float32]
    clipped: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.arrived_ns)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Packets:
        """Some of the packets."""
        return Packets(**{name: getattr(self, name)[rows] for name in self.__slots__})


class RtpStream(Protocol):
    """One stream of a capture, whose packets may lie on disk until they are asked for."""

    @property
    def key(self) -> StreamKey: ...  # noqa: D102

    @property
    def count(self) -> int:
        """Packets, duplicates included."""

    @property
    def began_ns(self) -> Nanoseconds: ...  # noqa: D102

    @property
    def ended_ns(self) -> Nanoseconds: ...  # noqa: D102

    def packets(self) -> Packets:
        """All of them."""


@dataclass(frozen=True, slots=True)
class SipPacket:
    """One SIP message as it was seen: a datagram, or what a stream or WebSocket carried.

    `data` is whole unless `cut` (the capture's snap length, or a gap in the stream). `dscp` is of its packet.
    `frame` is the number of the packet in its file that ended it, from 1.
    """

    at_ns: Nanoseconds
    endpoints: Endpoints
    transport: Transport
    data: bytes = field(repr=False)
    dscp: int = 0
    frame: int = 0
    cut: bool = False
    fragments: int = 0
    """IP fragments it came in; 0 or 1 for none."""


@dataclass(frozen=True, slots=True)
class RtcpPacket:
    """One compound RTCP datagram; `encrypted` where it can only be SRTCP (RFC 3711, 3.4)."""

    at_ns: Nanoseconds
    endpoints: Endpoints
    data: bytes = field(repr=False)
    encrypted: bool = False


OtherKind = Literal["stun", "turn", "dtls", "t38", "tls", "dns", "zrtp", "rtp-event", "unknown"]


@dataclass(frozen=True, slots=True)
class OtherFlow:
    """Packets of one kind between two addresses, one way, that are neither SIP, RTP nor RTCP."""

    kind: OtherKind
    endpoints: Endpoints
    transport: Literal["udp", "tcp"]
    packets: int
    octets: int
    began_ns: Nanoseconds
    ended_ns: Nanoseconds
    detail: str = ""
    """What is known beside, in words: `binding requests without an answer`."""


NoticeKind = Literal[
    "port-unreachable",
    "host-unreachable",
    "prohibited",
    "fragmentation-needed",
    "time-exceeded",
    "reassembly-exceeded",
]
"""`reassembly-exceeded`: a host waited in vain for a fragment."""


@dataclass(frozen=True, slots=True)
class IcmpNotice:
    """An ICMP error about a packet of ours: evidence of a closed port, a filter or a small MTU (RFC 792, RFC
    4443)."""

    at_ns: Nanoseconds
    kind: NoticeKind
    reporter: str
    about: Endpoints
    """The packet that it answers."""
    mtu: int = 0
    """Of the next hop in octets, where it says so."""


@dataclass(frozen=True, slots=True)
class Fragmentation:
    """IP fragments of the capture: datagrams that came whole, and those of which a part never came."""

    whole: int = 0
    broken: int = 0
    broken_flows: tuple[tuple[Nanoseconds, str, str], ...] = ()
    """When (first fragment seen), source and destination address of the broken ones, at most 1,000."""
    largest_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Where a file is damaged, cut or not understood, and what was done about it."""

    file: str
    """Its name without folders."""
    offset: int
    """In octets; -1 where no single place is meant."""
    problem: str
    packets_affected: int = 0


@dataclass(frozen=True, slots=True)
class Capture:
    """All that was read of one capture point: one file, or several that follow each other.

    Streams come in the order of their first packets; a stream is here when its packets look like RTP by
    their own statistics. What signalling alone makes RTP (a stream of 1 packet at an address that SDP
    named) is here too, with among `uncertain`: whoever knows the signalling decides.
    """

    point: str
    files: tuple[str, ...]
    packets: int
    octets: int
    began_ns: Nanoseconds
    ended_ns: Nanoseconds
    streams: tuple[RtpStream, ...]
    uncertain: frozenset[StreamKey]
    signalling: tuple[SipPacket, ...]
    control: tuple[RtcpPacket, ...]
    other: tuple[OtherFlow, ...]
    notices: tuple[IcmpNotice, ...]
    fragmentation: Fragmentation
    problems: tuple[FileProblem, ...]
    snap_length: int = 0
    """The smallest limit at which packets were cut, 0 when none was."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """An RtpStream in memory."""

    key: StreamKey
    stored: Packets

    @property
    def count(self) -> int:
        """Packets, duplicates included."""
        return len(self.stored)

    @property
    def began_ns(self) -> Nanoseconds:
        """When the first came."""
        return int(self.stored.arrived_ns[0])

    @property
    def ended_ns(self) -> Nanoseconds:
        """When the last came."""
        return int(self.stored.arrived_ns[-1])

    def packets(self) -> Packets:
        """All of them."""
        return self.stored
