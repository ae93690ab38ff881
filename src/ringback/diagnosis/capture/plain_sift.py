"""The columnar pass over captured frames in plain NumPy, to the same results as the compiled one."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.records import Batch, Octets
from ringback.diagnosis.capture.rows import (
    COUNT,
    FLOW,
    KEY_BYTES,
    NOTHING,
    ROW,
    RTP,
    SORT,
    SQUARES,
    clipped,
    power,
)

Longs = NDArray[np.int64]
Mask = NDArray[np.bool_]

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_ARP: Final = 0x0806
_TAGS: Final = (0x8100, 0x88A8, 0x9100)
_MOST_TAGS: Final = 4
_STUN_COOKIE: Final = 0x2112A442
_CHUNK: Final = 1 << 12
_RAW: Final = (12, 14, 101, 228, 229)
_FAMILY: Final = (0, 108)
_PPP: Final = (9, 50)


class Reader:
    """Octets and numbers at many places at once; beyond the end of the data it reads anything."""

    def __init__(self, data: Octets) -> None:
        self._data = data if len(data) else np.zeros(1, np.uint8)

    def octet(self, at: Longs) -> Longs:
        """One octet at each place."""
        return self._data.take(at, mode="clip").astype(np.int64)

    def two(self, at: Longs) -> Longs:
        """A number of two octets at each place."""
        return self.octet(at) << 8 | self.octet(at + 1)

    def four(self, at: Longs) -> Longs:
        """A number of four octets at each place."""
        return self.two(at) << 16 | self.two(at + 2)

    def many(self, at: Longs, octets: int) -> Octets:
        """So many octets from each place on, as rows."""
        return self._data.take(at[:, None] + np.arange(octets), mode="clip")


def sift(
    batch: Batch, ports: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.void], Octets, Octets, NDArray[np.uint16]]:
    """The columns of `sift.Sifted`; `ports` are the rules of ports as there."""
    read = Reader(batch.data)
    way = np.full(len(batch.offset), SORT, np.uint8)
    ip_at, kind = _find_ip(batch, read)
    way[kind == _ARP] = NOTHING
    ends = batch.offset + batch.captured
    udp, room, rows, family = _find_udp(batch, read, ip_at, kind, ends)

    picked = np.flatnonzero(udp >= 0)
    udp, room, rows, family = udp[picked], room[picked], rows[picked], family[picked]
    length = read.two(udp + 4)
    fits = (length >= 8) & (length <= room)
    picked, udp, rows, family, length = picked[fits], udp[fits], rows[fits], family[fits], length[fits]
    there = np.minimum(ends[picked] - udp, length)
    rule = ports[read.two(udp)] | ports[read.two(udp + 2)]
    found, inner = _kinds(read, udp + 8, there - 8, length - 8, rows)
    found = np.where(rule & 1 != 0, SORT, np.where(rule & 2 != 0, COUNT, found)).astype(np.uint8)
    way[picked] = found

    keys = _keys(read, ip_at[picked], family, udp)
    streams, counted = found == RTP, (found == FLOW) | (found == COUNT)
    keys[streams, 36:] = read.many((udp + 16 + inner)[streams], 4)
    octets = (length[counted] - 8).astype(np.uint16)
    return way, rows[streams], keys[streams], keys[counted], octets


def _find_ip(batch: Batch, read: Reader) -> tuple[Longs, Longs]:
    """Where what follows the link header begins, -1 if nowhere, and its EtherType, 0 if it has none."""
    start, size, link = batch.offset, batch.captured.astype(np.int64), batch.link
    at, kind = np.full(len(start), -1, np.int64), np.zeros(len(start), np.int64)

    def take(rows: Mask, header: int, ethertype: Longs) -> None:
        at[rows] = start[rows] + header
        kind[rows] = ethertype[rows]

    take((link == 1) & (size >= 14), 14, read.two(start + 12))
    take((link == 113) & (size >= 16), 16, read.two(start + 14))
    take((link == 276) & (size >= 20), 20, read.two(start))
    protocol = read.two(start + 2)
    ppp = np.where(protocol == 0x21, _IPV4, np.where(protocol == 0x57, _IPV6, 0))
    take(np.isin(link, _PPP) & (size >= 4) & (read.two(start) == 0xFF03), 4, ppp)
    family = np.isin(link, _FAMILY)
    version = read.octet(start + np.where(family, 4, 0)) >> 4
    ethertype = np.where(version == 4, _IPV4, np.where(version == 6, _IPV6, 0))
    take(family & (size >= 5), 4, ethertype)
    take(np.isin(link, _RAW) & (size >= 1), 0, ethertype)
    for _ in range(_MOST_TAGS):
        tagged = np.flatnonzero((at >= 0) & np.isin(kind, _TAGS) & (start + size >= at + 4))
        kind[tagged] = read.two(at[tagged] + 2)
        at[tagged] += 4
    return at, kind


def _find_udp(
    batch: Batch, read: Reader, ip_at: Longs, kind: Longs, ends: Longs
) -> tuple[Longs, Longs, NDArray[np.void], NDArray[np.bool_]]:
    """Where the UDP header begins in each frame, -1 if it has none to be read here; how many octets there are
    from there on by what IP says; rows with what else IP says; and whether it is IPv6."""
    left = ends - ip_at
    six = (ip_at >= 0) & (kind == _IPV6) & (left >= 48)
    four = (ip_at >= 0) & (kind == _IPV4) & (left >= 28)
    version = read.octet(ip_at) >> 4
    four &= (version == 4) & (read.octet(ip_at + 9) == 17) & (read.two(ip_at + 6) & 0x3FFF == 0)
    six &= (version == 6) & (read.octet(ip_at + 6) == 17)
    header = np.where(four, 4 * (read.octet(ip_at) & 15), 40)
    four &= header >= 20
    total = read.two(ip_at + 2)
    frame_left = np.minimum(batch.original.astype(np.int64) - (ip_at - batch.offset), 65535)
    total = np.where(total == 0, frame_left & 0xFFFFFFFF, total)
    room = np.where(six, read.two(ip_at + 4), total - header)
    wire = np.where(six, np.minimum(room + 40, 65535), total)
    traffic_class = np.where(six, read.two(ip_at) >> 4 & 0xFF, read.octet(ip_at + 1))
    good = (four | six) & (left >= header + 8) & (room >= 8)
    rows = np.zeros(len(ip_at), ROW)
    rows["arrived_ns"] = batch.at_ns
    rows["wire_bytes"] = wire & 0xFFFF
    rows["dscp"] = traffic_class >> 2
    rows["ttl"] = read.octet(ip_at + np.where(six, 7, 8))
    rows["ip_id"] = np.where(six, 0, read.two(ip_at + 4))
    return np.where(good, ip_at + header, -1), room, rows, six


def _kinds(
    read: Reader, at: Longs, there: Longs, length: Longs, rows: NDArray[np.void]
) -> tuple[NDArray[np.uint8], Longs]:
    """What payloads are, of which `there` of `length` octets are captured, and how many octets stand before
    their RTP; the rows of those that are RTP are filled."""
    first, second = read.octet(at), read.octet(at + 1)
    found = np.full(len(at), FLOW, np.uint8)
    enough = there >= 4
    rtcp = (second >= 192) & (second <= 223)
    real_time = enough & (first >> 6 == 2)
    found[real_time & rtcp] = SORT
    text = enough & ~real_time & _is_token(first) & _is_token(second) & _is_token(read.octet(at + 2))
    stun = enough & (first < 4) & (there >= 8) & (read.four(at + 4) == _STUN_COOKIE)
    dtls = enough & (first >= 20) & (first <= 26) & (second == 0xFE)
    found[text | stun | dtls] = SORT
    size = read.two(at + 2)
    channel = enough & ~text & (first >> 4 == 4) & (there >= 16) & (4 + size <= length)
    found[channel] = SORT
    before = np.where(channel, 4, 0)
    # In a channel there is RTP or something else to be looked at; elsewhere what is no RTP is a flow.
    maybe = np.flatnonzero((real_time & ~rtcp) | (channel & (read.octet(at + 4) >> 6 == 2) & (size >= 4)))
    start = at[maybe] + before[maybe]
    whole = np.where(channel[maybe], size[maybe], length[maybe])
    held = np.minimum(there[maybe] - before[maybe], whole)
    some = rows[maybe]
    good = rtp(read, start, held, whole, some)
    rows[maybe[good]] = some[good]
    found[maybe[good]] = RTP
    return found, before


def _is_token(octet: Longs) -> Mask:
    return (octet > 32) & (octet < 127)


def rtp(read: Reader, at: Longs, there: Longs, length: Longs, rows: NDArray[np.void]) -> Mask:
    """Which packets, of which `there` of `length` octets are captured, are RTP; `rows` take what they say."""
    first, second = read.octet(at), read.octet(at + 1)
    kind = second & 127
    good = (
        (there >= 12)
        & (first >> 6 == 2)
        & ~((second >= 192) & (second <= 223))
        & ~((kind >= 72) & (kind <= 76))
    )
    start = 12 + 4 * (first & 15)
    extended = (first & 16 != 0) & (start + 4 <= there)
    start += np.where(extended, 4 + 4 * read.two(at + start + 2), 0)
    padding = np.where((first & 32 != 0) & (there == length), read.octet(at + length - 1), -1)
    good &= padding != 0
    end = length - np.maximum(padding, 0)
    good &= start <= end
    rows["timestamp"] = read.four(at + 4)
    rows["sequence"] = read.two(at + 2)
    rows["payload_bytes"] = np.where(good, end - start, 0)
    rows["payload_type"] = kind
    rows["marker"] = second > 127
    rows["power"] = np.nan
    rows["clipped"] = 0
    loud = np.flatnonzero(good & ((kind == 0) | (kind == 8)) & (start < end) & (end <= there))
    _measure(read, (at + start)[loud], (end - start)[loud], kind[loud] == 8, loud, rows)
    return np.asarray(good, np.bool_)


def _measure(
    read: Reader, at: Longs, samples: Longs, alaw: Mask, places: NDArray[np.intp], rows: NDArray[np.void]
) -> None:
    """Power and clipping of G.711 payloads, those of one length at once."""
    for size in np.unique(samples):
        same = np.flatnonzero(samples == size)
        for begin in range(0, len(same), _CHUNK):
            some = same[begin : begin + _CHUNK]
            codes = read.many(at[some], int(size)).astype(np.int64) + np.where(alaw[some], 256, 0)[:, None]
            sums = SQUARES[codes].sum(axis=1, dtype=np.uint64)
            rows["power"][places[some]] = power(sums, samples[some])
            rows["clipped"][places[some]] = clipped(sums)


def _keys(read: Reader, ip_at: Longs, six: Mask, udp: Longs) -> Octets:
    """The addresses and ports of datagrams as keys without an SSRC."""
    keys = np.zeros((len(udp), KEY_BYTES), np.uint8)
    keys[six, :32] = read.many(ip_at[six] + 8, 32)
    four = ~six
    keys[four, 10:12] = keys[four, 26:28] = 255
    keys[four, 12:16] = read.many(ip_at[four] + 12, 4)
    keys[four, 28:32] = read.many(ip_at[four] + 16, 4)
    keys[:, 32:36] = read.many(udp, 4)
    return keys
