"""Which streams of two capture points are one: by source and numbers, or by the sound that they carry.

Address translation changes addresses and leaves the RTP header (RFC 3022); a media relay may change the
source and the numbers too, and leaves the payload. Who decodes and encodes anew makes another stream, which
is not matched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, RtpStream, StreamKey

FEWEST_SHARED: Final = 3
"""Packets that two streams must have in common to be one."""
WINDOW: Final = 6
"""Levels in a row that make a fingerprint: some 120 ms of sound."""
MOST_TRIED: Final = 12
"""Of more streams that may be one, those that have the most in common are looked at."""
PRINTS: Final = 128
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
"""Spreads numbers that follow each other (Knuth, The Art of Computer Programming, 6.4)."""
QUIET_DBOV: Final = -60.0
"""Silence sounds the same everywhere: it is no fingerprint."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A stream at a point; its packets stay where the capture has them."""

    point: str
    stream: RtpStream


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One stream as one point saw it, in memory."""

    point: str
    key: StreamKey
    packets: Packets

    @classmethod
    def of(cls, place: Place) -> Sight:
        """Read its packets."""
        return cls(place.point, place.stream.key, place.stream.packets())


@dataclass(frozen=True, slots=True)
class Pair:
    """Rows of two sights that are the same packet: `first[i]` of one is `second[i]` of the other.

    `by` is how they were found to be one; with `sound`, numbers were rewritten between the points.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    by: str


def match(places: Sequence[Place]) -> Iterator[tuple[Place, ...]]:
    """Places of one stream together, each point at most once; who no other point shares is alone.

    The packets of one source (SSRC) are in memory at a time, of sources in one place only none but those
    that sound is compared of.
    """
    points = {place.point for place in places}
    waiting: list[tuple[Place, ...]] = []
    for same in _by_source(places):
        for group in _grouped(same):
            if {place.point for place in group} == points:
                yield group
            else:
                waiting.append(group)
    yield from _joined_by_sound(waiting)


def pair(first: Sight, second: Sight) -> Pair | None:
    """The packets that two sights share, None when they are not one stream."""
    if first.key.ssrc == second.key.ssrc:
        shared = _shared(_identity(first.packets), _identity(second.packets))
        if shared is not None:
            return Pair(*shared, "numbers")
    return _pair_by_sound(first.packets, second.packets)


def first_copies(packets: Packets) -> NDArray[np.bool_]:
    """Which packets are the first with their number and time stamp."""
    first = np.zeros(len(packets), np.bool_)
    first[np.unique(_identity(packets), return_index=True)[1]] = True
    return first


def _by_source(places: Sequence[Place]) -> Iterable[list[Place]]:
    found: dict[int, list[Place]] = defaultdict(list)
    for place in sorted(places, key=lambda place: place.stream.began_ns):
        if place.stream.count:
            found[place.stream.key.ssrc].append(place)
    return found.values()


def _grouped(same: list[Place]) -> Iterator[tuple[Place, ...]]:
    """Split the sights of one SSRC into streams: two calls may have chosen the same."""
    if len({place.point for place in same}) < 2:
        yield from ((place,) for place in same)
        return
    numbers = [_identity(place.stream.packets()) for place in same]
    near = _likely([_prints(one) for one in numbers]) if len(same) > MOST_TRIED else None
    left = list(range(len(same)))
    while left:
        group = [left.pop(0)]
        for other in list(left) if near is None else [at for at in near[group[0]] if at in left]:
            if any(same[other].point == same[member].point for member in group):
                continue
            if _shared(numbers[group[0]], numbers[other]) is not None:
                group.append(other)
                left.remove(other)
        yield tuple(same[member] for member in group)


def _likely(prints: Sequence[NDArray[np.uint64]]) -> list[list[int]]:
    """For each stream which others share the most of its prints, MOST_TRIED at most."""
    values = np.concatenate(prints)
    owners = np.repeat(np.arange(len(prints)), [len(one) for one in prints])
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]
    pairs: list[NDArray[np.int64]] = []
    # Each with the next few of the same hash: what more than that share (music on hold) tells nobody apart.
    for apart in range(1, MOST_TRIED + 1):
        same = np.flatnonzero(values[apart:] == values[:-apart])
        pairs.append(owners[same].astype(np.int64) * len(prints) + owners[same + apart])
    found: list[list[int]] = [[] for _ in prints]
    codes, counts = np.unique(np.concatenate(pairs), return_counts=True)
    for code in codes[np.argsort(-counts, kind="stable")].tolist():
        one, other = divmod(code, len(prints))
        for here, there in ((one, other), (other, one)):
            if len(found[here]) < MOST_TRIED and here != there:
                found[here].append(there)
    return found


def _prints(content: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The smallest hashes of what a stream holds: of two with the same content they are the same (Broder,
    1997)."""
    return np.unique(content.astype(np.uint64) * _GOLDEN)[:PRINTS]


def _identity(packets: Packets) -> NDArray[np.int64]:
    """Sequence number, time stamp and payload type as one number: what no router changes."""
    return (
        packets.timestamp.astype(np.int64) << 24
        | packets.sequence.astype(np.int64) << 8
        | packets.payload_type.astype(np.int64)
    )


def _shared(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Rows of what both have (the first time that it came), in the order of `first`; None for too few."""
    _, rows, others = np.intersect1d(first, second, return_indices=True)
    if len(rows) < min(FEWEST_SHARED, len(first), len(second)) or not len(rows):
        return None
    order = np.argsort(rows, kind="stable")
    return rows[order], others[order]


def _joined_by_sound(groups: list[tuple[Place, ...]]) -> Iterator[tuple[Place, ...]]:
    """Join streams of different sources whose sound is the same."""
    groups.sort(key=lambda group: group[0].stream.began_ns)
    near: list[list[int]] = [[] for _ in groups]
    if len({frozenset(place.point for place in group) for group in groups}) > 1:
        near = _likely([_prints(_fingerprints(group[0].stream.packets())[1]) for group in groups])
    left = dict.fromkeys(range(len(groups)))
    for one, group in enumerate(groups):
        if one not in left:
            continue
        del left[one]
        whole = group
        for other in near[one]:
            if other in left and _is_same_sound(whole, groups[other]):
                whole += groups[other]
                del left[other]
        yield whole


def _is_same_sound(group: tuple[Place, ...], other: tuple[Place, ...]) -> bool:
    if not {place.point for place in group}.isdisjoint(place.point for place in other):
        return False
    first, second = group[0].stream, other[0].stream
    return _overlap(first, second) and _pair_by_sound(first.packets(), second.packets()) is not None


def _overlap(first: RtpStream, second: RtpStream) -> bool:
    """Whether two streams may be of one time, clocks being wrong by up to an hour."""
    slack = 3_600_000_000_000
    return first.began_ns - slack < second.ended_ns and second.began_ns - slack < first.ended_ns


def _pair_by_sound(first: Packets, second: Packets) -> Pair | None:
    """Packets that carry the same sound: runs of WINDOW levels that are equal and occur once in each."""
    rows, prints = _fingerprints(first)
    others, other_prints = _fingerprints(second)
    if not len(prints) or not len(other_prints):
        return None
    _, at, other_at = np.intersect1d(prints, other_prints, return_indices=True)
    if len(at) < FEWEST_SHARED:
        return None
    steps = second.sequence[others[other_at]].astype(np.int64) - first.sequence[rows[at]].astype(np.int64)
    steps &= 0xFFFF
    values, counts = np.unique(steps, return_counts=True)
    if counts.max() < FEWEST_SHARED or counts.max() < 0.5 * len(steps):
        return None
    shifted = (first.sequence.astype(np.int64) + int(values[counts.argmax()])) & 0xFFFF
    tied = _by_order(shifted, second)
    return None if tied is None else Pair(*tied, "sound")


def _by_order(
    shifted: NDArray[np.int64], second: Packets
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Pair by sequence numbers alone, each counted on where it wraps."""
    return _shared(_unwrapped(shifted), _unwrapped(second.sequence.astype(np.int64), int(shifted[0])))


def _unwrapped(numbers: NDArray[np.int64], near: int | None = None) -> NDArray[np.int64]:
    """16-bit numbers as a count; the first within half a turn of `near`."""
    steps = (np.diff(numbers) + 0x8000 & 0xFFFF) - 0x8000
    begin = int(numbers[0])
    if near is not None:
        begin = near + ((begin - near + 0x8000) & 0xFFFF) - 0x8000
    return begin + np.concatenate([[0], np.cumsum(steps)])


def _fingerprints(packets: Packets) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Where each fingerprint begins and its number, of those that occur once."""
    level = packets.level_dbov
    if len(level) < WINDOW or not np.isfinite(level).any():
        return np.zeros(0, np.intp), np.zeros(0, np.int64)
    # Hundredths of a decibel, each place with a factor of its own (odd, so that none is lost in 64 bits).
    steps = np.where(np.isfinite(level), np.round(100 * level), 1).astype(np.int64)
    loud = np.isfinite(level) & (level > QUIET_DBOV)
    windows = np.lib.stride_tricks.sliding_window_view(steps, WINDOW)
    factors = np.array([6_364_136_223_846_793_005 * (2 * place + 1) for place in range(WINDOW)], dtype=object)
    hashed = (windows * (factors % (1 << 62)).astype(np.int64)).sum(axis=1)
    usable = np.lib.stride_tricks.sliding_window_view(loud, WINDOW).all(axis=1)
    rows = np.flatnonzero(usable)
    values, index, counts = np.unique(hashed[rows], return_index=True, return_counts=True)
    once = counts == 1
    return rows[index[once]], values[once]
