"""RTCP: reports, descriptions and goodbyes read and written; extended reports are in rtcp_xr (RFC 3550 6)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ringback.rtp.rtcp_xr import (
    DelaySinceReference,
    ExtendedReport,
    MalformedError,
    ReferenceTime,
    encode_body,
    parse_blocks,
)

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203
EXTENDED_REPORT = 207

MAX_BLOCKS = 31
_CNAME = 1
_VERSION = 2

_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_SENDER = struct.Struct("!BBHIQIII")
_RECEIVER = struct.Struct("!BBHI")

NTP_EPOCH_OFFSET_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver got of one source (RFC 3550, 6.4.1).

    `fraction_lost` is in 1/256 since the report before, `jitter` in RTP units; `last_sr` is the middle of the
    NTP time of the last sender report, and `delay_since_last_sr` what passed since, in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int = 0
    cumulative_lost: int = 0
    extended_highest_sequence: int = 0
    jitter: int = 0
    last_sr: int = 0
    delay_since_last_sr: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a source sent until `ntp_time` (64 bit, see `ntp_time`), and what it received."""

    ssrc: int
    ntp_time: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a participant that sends nothing received."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Canonical names by SSRC; one that says no name is left out."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Sources that end."""

    ssrcs: tuple[int, ...]
    reason: str = ""


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | ExtendedReport
OwnPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | ReferenceTime | DelaySinceReference
"""What we write."""


@dataclass(frozen=True, slots=True)
class Compound:
    """The packets of one datagram that could be read, in order, and what was wrong with the others."""

    packets: tuple[RtcpPacket, ...] = ()
    findings: tuple[str, ...] = ()


def parse(data: bytes) -> Compound:
    """Read a datagram of RTCP, compound or reduced-size (RFC 5506), whatever it contains; it never raises.

    Packets of other types are passed over. A packet that is wrong in itself is left out; where the lengths
    cannot be right, reading ends.
    """
    packets: list[RtcpPacket] = []
    findings: list[str] = []
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            findings.append("octets after the last packet")
            break
        first, packet_type, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != _VERSION:
            findings.append("not of version 2")
            break
        if end > len(data):
            findings.append("a packet longer than the datagram")
            break
        body = data[at + 4 : end]
        at = end
        try:
            packets.extend(_parse_packet(packet_type, first, body, is_last=at == len(data)))
        except MalformedError as error:
            findings.append(str(error))
    return Compound(tuple(packets), tuple(findings))


def _parse_packet(packet_type: int, first: int, body: bytes, *, is_last: bool) -> Iterator[RtcpPacket]:
    if first & 0x20:
        # Only the last packet of a compound may have padding, in whole words (RFC 3550, 6.4.1).
        if not is_last or not body or body[-1] % 4 or not 0 < body[-1] <= len(body):
            raise MalformedError("wrong padding")
        body = body[: -body[-1]]
    parser = _PARSERS.get(packet_type)
    return parser(body, first & 0x1F) if parser else iter(())


def _parse_sender_report(body: bytes, count: int) -> Iterator[RtcpPacket]:
    info_end = 4 + _SENDER_INFO.size
    if len(body) < info_end:
        raise MalformedError("a sender report too short")
    ntp, timestamp, packets, octets = _SENDER_INFO.unpack_from(body, 4)
    blocks = _parse_blocks(body[info_end:], count)
    yield SenderReport(_word(body, 0), ntp, timestamp, packets, octets, blocks)


def _parse_receiver_report(body: bytes, count: int) -> Iterator[RtcpPacket]:
    if len(body) < 4:
        raise MalformedError("a receiver report too short")
    yield ReceiverReport(_word(body, 0), _parse_blocks(body[4:], count))


def _parse_blocks(body: bytes, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < count * _BLOCK.size:
        raise MalformedError("fewer report blocks than counted")
    blocks = []
    for i in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, i * _BLOCK.size)
        lost = loss & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_source_description(body: bytes, count: int) -> Iterator[RtcpPacket]:
    cnames: list[tuple[int, str]] = []
    at = 0
    for _ in range(count):
        if at + 4 > len(body):
            raise MalformedError("fewer chunks of description than counted")
        ssrc = _word(body, at)
        at += 4
        while at < len(body) and body[at]:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise MalformedError("a description longer than its packet")
            if body[at] == _CNAME:
                cnames.append((ssrc, body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")))
            at += 2 + body[at + 1]
        # The null that ends a chunk fills it up to whole words.
        at += 4 - at % 4
    yield SourceDescription(tuple(cnames))


def _parse_goodbye(body: bytes, count: int) -> Iterator[RtcpPacket]:
    if len(body) < 4 * count:
        raise MalformedError("fewer sources in a goodbye than counted")
    rest = body[4 * count :]
    reason = rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""
    yield Goodbye(tuple(_word(body, 4 * i) for i in range(count)), reason)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


_PARSERS: dict[int, Callable[[bytes, int], Iterator[RtcpPacket]]] = {
    SENDER_REPORT: _parse_sender_report,
    RECEIVER_REPORT: _parse_receiver_report,
    SOURCE_DESCRIPTION: _parse_source_description,
    GOODBYE: _parse_goodbye,
    EXTENDED_REPORT: parse_blocks,
}


def encode(*packets: OwnPacket) -> bytes:
    """One datagram of these packets; a compound begins with a report and has a CNAME (RFC 3550, 6.1).

    More than 31 blocks, names or sources in one packet are a ValueError. Numbers are taken modulo their size,
    but losses go to the end of theirs.
    """
    return b"".join(_encode_packet(packet) for packet in packets)


SenderInfo = tuple[int, int, int, int]
"""NTP time in 64 bits, RTP timestamp, packets and octets sent (RFC 3550, 6.4.1)."""
Received = tuple[int, int, int, int, int, int, int]
"""The fields of a ReportBlock, in its order."""


def name_chunk(cname: str) -> bytes:
    """What `report` takes for a name."""
    item = bytes([_CNAME]) + _text(cname)
    return item + bytes(4 - len(item) % 4)


def report(ssrc: int, info: SenderInfo | None, block: Received | None, name: bytes) -> bytes:
    """The usual compound, quickly: a report of who sends (with `info`) or does not, with one block or none,
    and our name, as `name_chunk` gave it. The same octets as of `encode`."""
    count = 0 if block is None else 1
    own = ssrc & 0xFFFFFFFF
    if info is None:
        head = _RECEIVER.pack(0x80 | count, RECEIVER_REPORT, 1 + 6 * count, own)
    else:
        ntp, timestamp, packets, octets = info
        numbers = ntp & 0xFFFFFFFFFFFFFFFF, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
        head = _SENDER.pack(0x80 | count, SENDER_REPORT, 6 + 6 * count, own, *numbers)
    if block is not None:
        of, fraction, lost, highest, jitter, last, delayed = block
        lost = min(max(lost, -0x800000), 0x7FFFFF) & 0xFFFFFF
        head += _BLOCK.pack(
            of,
            min(fraction, 255) << 24 | lost,
            highest & 0xFFFFFFFF,
            jitter & 0xFFFFFFFF,
            last & 0xFFFFFFFF,
            delayed & 0xFFFFFFFF,
        )
    return head + _RECEIVER.pack(0x81, SOURCE_DESCRIPTION, 1 + len(name) // 4, own) + name


def _encode_packet(packet: OwnPacket) -> bytes:
    match packet:
        case SenderReport():
            info = _SENDER_INFO.pack(
                packet.ntp_time & 0xFFFFFFFFFFFFFFFF,
                packet.rtp_timestamp & 0xFFFFFFFF,
                packet.packet_count & 0xFFFFFFFF,
                packet.octet_count & 0xFFFFFFFF,
            )
            body = packet.ssrc.to_bytes(4, "big") + info + _encode_blocks(packet.blocks)
            return _framed(SENDER_REPORT, len(packet.blocks), body)
        case ReceiverReport():
            body = packet.ssrc.to_bytes(4, "big") + _encode_blocks(packet.blocks)
            return _framed(RECEIVER_REPORT, len(packet.blocks), body)
        case SourceDescription():
            body = b"".join(_encode_chunk(ssrc, cname) for ssrc, cname in packet.cnames)
            return _framed(SOURCE_DESCRIPTION, len(packet.cnames), body)
        case Goodbye():
            body = b"".join(ssrc.to_bytes(4, "big") for ssrc in packet.ssrcs)
            if packet.reason:
                reason = _text(packet.reason)
                body += reason + bytes(-len(reason) % 4)
            return _framed(GOODBYE, len(packet.ssrcs), body)
        case ReferenceTime() | DelaySinceReference():
            return _framed(EXTENDED_REPORT, 0, encode_body(packet))


def _encode_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            min(block.fraction_lost, 255) << 24
            | min(max(block.cumulative_lost, -0x800000), 0x7FFFFF) & 0xFFFFFF,
            block.extended_highest_sequence & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_sr & 0xFFFFFFFF,
            block.delay_since_last_sr & 0xFFFFFFFF,
        )
        for block in blocks
    )


def _encode_chunk(ssrc: int, cname: str) -> bytes:
    item = bytes([_CNAME]) + _text(cname)
    return ssrc.to_bytes(4, "big") + item + bytes(4 - len(item) % 4)


def _text(text: str) -> bytes:
    """Text after its length, cut to what a length octet can say."""
    encoded = text.encode()[:255]
    return bytes([len(encoded)]) + encoded


def _framed(packet_type: int, count: int, body: bytes) -> bytes:
    if count > MAX_BLOCKS:
        raise ValueError(f"an RTCP packet holds at most {MAX_BLOCKS} parts, not {count}")
    return _HEADER.pack(_VERSION << 6 | count, packet_type, len(body) // 4) + body


def ntp_time(unix_seconds: float) -> int:
    """A wall-clock time as 64 bit of NTP: seconds since 1900 and, in the lower half, parts of 2**-32 s."""
    whole, part = divmod(unix_seconds, 1)
    return (int(whole) + NTP_EPOCH_OFFSET_S) << 32 & 0xFFFFFFFF00000000 | int(part * 0x100000000)


def unix_time(ntp: int) -> float:
    """Seconds since 1970 of 64 bit of NTP; times before 1968 are taken for those after 2036 (RFC 4330, 3)."""
    era = 0 if ntp >> 63 else 1 << 32
    return (ntp >> 32) + era - NTP_EPOCH_OFFSET_S + (ntp & 0xFFFFFFFF) / 0x100000000


def middle(ntp: int) -> int:
    """The middle 32 of 64 bit of NTP: seconds modulo 65536 and parts of 1/65536 s, as in a report block."""
    return ntp >> 16 & 0xFFFFFFFF


def delay(seconds: float) -> int:
    """A delay in the unit of a report block, 1/65536 s, at most what fits."""
    return min(max(int(seconds * 65536), 0), 0xFFFFFFFF)


def round_trip_s(block: ReportBlock | DelaySinceReference, arrival_ntp: int) -> float | None:
    """Seconds to the peer and back, from a block about us that came at `arrival_ntp` (RFC 3550, 6.4.1; RFC
    3611, 4.5).

    None while the peer has had no sender report or reference time of ours, and where its block cannot be
    true.
    """
    if isinstance(block, ReportBlock):
        sent, waited = block.last_sr, block.delay_since_last_sr
    else:
        sent, waited = block.last_reference, block.delay
    if sent == 0:
        return None
    units = (middle(arrival_ntp) - sent - waited) & 0xFFFFFFFF
    # Clocks that differ in rate make a short way come out just below nothing.
    if units > 0xFFFFFFFF - _CLOCK_SLACK:
        return 0.0
    return units / 65536 if units < _MAX_ROUND_TRIP else None


_CLOCK_SLACK = 65536 // 50
_MAX_ROUND_TRIP = 65536 * 60
