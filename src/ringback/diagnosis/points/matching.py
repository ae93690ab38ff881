"""Which streams of two capture points are one: by source and numbers, or by the sound that they carry.

Address translation changes addresses and leaves the RTP header (RFC 3022); a media relay may change the
source and the numbers too, and leaves the payload. Who decodes and encodes anew makes another stream, which
is not matched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, StreamKey

FEWEST_SHARED: Final = 3
"""Packets that two streams must have in common to be one."""
WINDOW: Final = 6
"""Levels in a row that make a fingerprint: some 120 ms of sound."""
QUIET_DBOV: Final = -60.0
"""Silence sounds the same everywhere: it is no fingerprint."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One stream as one point saw it."""

    point: str
    key: StreamKey
    packets: Packets


@dataclass(frozen=True, slots=True)
class Pair:
    """Rows of two sights that are the same packet: `first[i]` of one is `second[i]` of the other.

    `by` is how they were found to be one; with `sound`, numbers were rewritten between the points.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    by: str


def match(sights: Sequence[Sight]) -> list[list[Sight]]:
    """Sights of one stream together, each point at most once, in the order of their first packets.

    A sight that no other point shares is alone in its list.
    """
    groups: list[list[Sight]] = []
    by_source: Mapping[int, list[Sight]] = _by(sights)
    for same in by_source.values():
        groups += _grouped(same)
    groups.sort(key=lambda group: int(group[0].packets.arrived_ns[0]))
    return _joined_by_sound(groups)


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


def _by(sights: Sequence[Sight]) -> Mapping[int, list[Sight]]:
    found: dict[int, list[Sight]] = defaultdict(list)
    for sight in sights:
        if len(sight.packets):
            found[sight.key.ssrc].append(sight)
    return found


def _grouped(sights: list[Sight]) -> Iterator[list[Sight]]:
    """Split the sights of one SSRC into streams: two calls may have chosen the same."""
    left = sorted(sights, key=lambda sight: int(sight.packets.arrived_ns[0]))
    while left:
        group = [left.pop(0)]
        identity = _identity(group[0].packets)
        for other in list(left):
            if any(other.point == member.point for member in group):
                continue
            if _shared(identity, _identity(other.packets)) is not None:
                group.append(other)
                left.remove(other)
        yield group


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


def _joined_by_sound(groups: list[list[Sight]]) -> list[list[Sight]]:
    """Join streams of different sources whose sound is the same."""
    joined: list[list[Sight]] = []
    for group in groups:
        for earlier in joined:
            points = {sight.point for sight in earlier}
            if (
                points.isdisjoint(sight.point for sight in group)
                and _overlap(earlier[0], group[0])
                and (_pair_by_sound(earlier[0].packets, group[0].packets) is not None)
            ):
                earlier.extend(group)
                break
        else:
            joined.append(group)
    return joined


def _overlap(first: Sight, second: Sight) -> bool:
    """Whether two sights may be of one time, clocks being wrong by up to an hour."""
    slack = 3_600_000_000_000
    return bool(
        first.packets.arrived_ns[0] - slack < second.packets.arrived_ns[-1]
        and second.packets.arrived_ns[0] - slack < first.packets.arrived_ns[-1]
    )


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
