"""What each segment between two capture points did to a stream: lost, held up, put out of order, marked
anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, RtpStream, StreamKey
from ringback.diagnosis.points.clocks import ClockOffset, Crossing, align
from ringback.diagnosis.points.matching import Pair, Place, Sight, first_copies, match, pair

EDGE_NS: Final = 200_000_000
"""At the ends of what both captures cover, a missing packet may just have been too early or too late for
one."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Time on the way in ms. `least` is None where the clocks could not be set against each other both ways.

    `above_least` are percentiles (50, 95, 99, 100) of what came on top of the quickest packet's time.
    """

    least: float | None
    uncertain: float | None
    above_least: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Segment:
    """From one point to the next: what went in while both captured, and what came out.

    `lost_at_ns` are the first point's times of what never came; `dscp` maps (before, after) to packets;
    `hops` is how much the TTL fell, None in a capture that does not show it. `addresses_changed` and
    `numbers_changed` tell a translator and a relay.
    """

    source: str
    target: str
    sent: int
    lost: int
    lost_at_ns: NDArray[np.int64]
    duplicated: int
    reordered: int
    delay: Delay
    dscp: Mapping[tuple[int, int], int]
    hops: int | None
    addresses_changed: bool
    numbers_changed: bool
    first_key: StreamKey
    second_key: StreamKey

    @property
    def loss(self) -> float:
        """Share of what went in, 0 to 1."""
        return self.lost / self.sent if self.sent else 0.0

    @property
    def remarked(self) -> int:
        """Packets whose DSCP was changed."""
        return sum(count for (before, after), count in self.dscp.items() if before != after)

    def words(self) -> tuple[str, ...]:
        """What it did, in sentences with figures."""
        where = f"between {self.source} and {self.target}"
        said = [
            f"{self.lost:,} of {self.sent:,} packets ({100 * self.loss:.1f} %) were lost {where}."
            if self.lost
            else f"None of {self.sent:,} packets was lost {where}."
        ]
        p95 = self.delay.above_least[1]
        said.append(f"95 % of packets took at most {p95:.1f} ms longer than the quickest {where}.")
        for (before, after), count in sorted(self.dscp.items()):
            if before != after:
                said.append(f"DSCP {before} became {after} in {count:,} packets {where}.")
        if self.reordered:
            said.append(f"{self.reordered:,} packets were put out of order {where}.")
        if self.duplicated:
            said.append(f"{self.duplicated:,} packets were doubled {where}.")
        return tuple(said)


@dataclass(frozen=True, slots=True)
class Path:
    """One stream through the points that saw it, in the order of its way, with the segments between them."""

    sights: tuple[tuple[str, StreamKey], ...]
    segments: tuple[Segment, ...]
    order_known_by: str
    """`addresses`, `ttl`, `loss` or `given`: what told which point comes first."""

    @property
    def worst(self) -> Segment | None:
        """The segment that lost most, None when none lost anything."""
        losing = [segment for segment in self.segments if segment.lost]
        return max(losing, key=lambda segment: segment.loss, default=None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All streams of several points, and how the clocks of the points lie."""

    paths: tuple[Path, ...]
    clocks: tuple[ClockOffset, ...]
    alone: tuple[tuple[str, StreamKey], ...]
    """Streams that one point saw only."""

    def segments_of(self) -> dict[StreamKey, tuple[str, ...]]:
        """What is said of each stream's segments, under each of the keys that the points saw it by."""
        said: dict[StreamKey, tuple[str, ...]] = {}
        for path in self.paths:
            words = tuple(sentence for segment in path.segments for sentence in segment.words())
            said.update({key: words for _, key in path.sights})
        return said


@dataclass(frozen=True, slots=True)
class _Way:
    """The places of one stream in the order of its way, and what told that."""

    places: tuple[Place, ...]
    known_by: str


def compare(points: Sequence[tuple[str, Sequence[RtpStream]]]) -> Comparison:
    """Match the streams of the points, set their clocks against each other, and look at each segment.

    `points` are names with streams, in the order that they were given in, which decides where nothing else
    does. The packets of one stream are in memory at a time: they are read twice, since the clocks must be
    known before delays are.
    """
    names = [name for name, _ in points]
    ways, alone = [], []
    crossings: dict[tuple[str, str], list[Crossing]] = defaultdict(list)
    for group in match([Place(name, stream) for name, streams in points for stream in streams]):
        if len(group) == 1:
            alone.append(group[0])
        else:
            ways.append(_way(group, names, crossings))
    clocks = {}
    for (first, second), shared in crossings.items():
        offset = align(first, second, shared)
        if offset is not None:
            clocks[first, second] = offset
    ways.sort(key=lambda way: way.places[0].stream.began_ns)
    alone.sort(key=lambda place: place.stream.began_ns)
    return Comparison(
        tuple(_path(way, clocks) for way in ways),
        tuple(clocks.values()),
        tuple((place.point, place.stream.key) for place in alone),
    )


def _way(group: Sequence[Place], names: list[str], crossings: dict[tuple[str, str], list[Crossing]]) -> _Way:
    """The order in which packets passed the places; what they tell of the clocks joins `crossings`."""
    given = sorted(group, key=lambda place: names.index(place.point))
    sights = {place.point: (Sight.of(place), place) for place in given}
    in_order = cmp_to_key(_order)
    ordered: list[Sight] = sorted((sight for sight, _ in sights.values()), key=in_order)
    reasons = [_before(one, other)[1] for one, other in pairwise(ordered)]
    pairs = [pair(one, other) for one, other in pairwise(ordered)]
    if reasons == [""] and pairs[0] is not None:
        turned, reasons = _by_loss(ordered, pairs[0])
        if turned:
            ordered.reverse()
            pairs = [Pair(pairs[0].second, pairs[0].first, pairs[0].by)]
    for (source, target), both, reason in zip(pairwise(ordered), pairs, reasons, strict=True):
        if both is None:
            continue
        at = source.packets.arrived_ns[both.first], target.packets.arrived_ns[both.second]
        if names.index(source.point) <= names.index(target.point):
            crossings[source.point, target.point].append(Crossing.of(*at, True if reason else None))
        else:
            # Against the order given goes only what is known to go so.
            crossings[target.point, source.point].append(Crossing.of(*at[::-1], False))
    known_by = next((reason for reason in ("addresses", "ttl", "loss") if reason in reasons), "given")
    return _Way(tuple(sights[sight.point][1] for sight in ordered), known_by)


def _by_loss(ordered: Sequence[Sight], both: Pair) -> tuple[bool, list[str]]:
    """Whether two sights are to be turned, and if that is known: what only one saw was lost behind it."""
    first, second = (
        len(_missing(sight, rows, EDGE_NS))
        for sight, rows in zip(ordered, (both.first, both.second), strict=True)
    )
    return second > first, ["loss" if first != second else ""]


def _order(one: Sight, other: Sight) -> int:
    return _before(one, other)[0]


def _before(one: Sight, other: Sight) -> tuple[int, str]:
    """Which of two comes first (below 0: `one`), and what tells it; 0 where nothing does."""
    if one.key.dst == other.key.src and other.key.dst != one.key.src:
        return -1, "addresses"
    if other.key.dst == one.key.src and one.key.dst != other.key.src:
        return 1, "addresses"
    # Where both ends differ a relay lies between, which sends with a TTL of its own.
    if one.key.src == other.key.src or one.key.dst == other.key.dst:
        here, there = (int(np.median(sight.packets.ttl)) for sight in (one, other))
        if here and there and here != there:
            return there - here, "ttl"
    return 0, ""


def _missing(sight: Sight, rows: NDArray[np.intp], edge_ns: int = 0) -> NDArray[np.intp]:
    """Packets at times that both captures cover which the other point did not see; copies are not counted."""
    at = sight.packets.arrived_ns
    missing = first_copies(sight.packets)
    missing[rows] = False
    missing &= (at >= at[rows].min() + edge_ns) & (at <= at[rows].max() - edge_ns)
    return np.flatnonzero(missing)


def _path(way: _Way, clocks: Mapping[tuple[str, str], ClockOffset]) -> Path:
    segments = []
    for one, other in pairwise(way.places):
        source, target = Sight.of(one), Sight.of(other)
        both = pair(source, target)
        if both is not None:
            segments.append(_segment(source, target, both, clocks))
    sights = tuple((place.point, place.stream.key) for place in way.places)
    return Path(sights, tuple(segments), way.known_by)


def _segment(
    source: Sight, target: Sight, both: Pair, clocks: Mapping[tuple[str, str], ClockOffset]
) -> Segment:
    packets, after = source.packets, target.packets
    sent_at, came_at = packets.arrived_ns[both.first], after.arrived_ns[both.second]
    lost_at = packets.arrived_ns[_missing(source, both.first)]
    marks = packets.dscp[both.first].astype(np.int64) << 8 | after.dscp[both.second]
    codes, counts = np.unique(marks, return_counts=True)
    dscp = {divmod(code, 256): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}
    hops = None
    if packets.ttl.any() and after.ttl.any():
        fell = int(np.median(packets.ttl[both.first].astype(np.int64) - after.ttl[both.second]))
        # A relay sends with a TTL of its own.
        relayed = source.key.src != target.key.src and source.key.dst != target.key.dst
        hops = fell if fell >= 0 and not relayed else None
    offset = clocks.get((source.point, target.point))
    back = clocks.get((target.point, source.point))
    if offset is not None:
        took = offset.on_first(came_at) - sent_at
    elif back is not None:
        took = came_at - back.on_first(sent_at)
        offset = back
    else:
        took = came_at - sent_at
    # In the order of sending, a packet that came before one sent earlier was overtaken by none, but overtook.
    order = np.argsort(both.first, kind="stable")
    came_in_order = both.second[order]
    reordered = int((came_in_order < np.maximum.accumulate(came_in_order)).sum())
    return Segment(
        source=source.point,
        target=target.point,
        sent=len(both.first) + len(lost_at),
        lost=len(lost_at),
        lost_at_ns=lost_at,
        duplicated=max(_doubled(after) - _doubled(packets), 0),
        reordered=reordered,
        delay=_delay(took, offset),
        dscp=dscp,
        hops=hops,
        addresses_changed=source.key.endpoints != target.key.endpoints,
        numbers_changed=both.by == "sound",
        first_key=source.key,
        second_key=target.key,
    )


def _doubled(packets: Packets) -> int:
    return len(packets) - int(first_copies(packets).sum())


def _delay(took_ns: NDArray[np.int64], offset: ClockOffset | None) -> Delay:
    took = took_ns / 1e6
    above = np.percentile(took - took.min(), (50, 95, 99, 100))
    if offset is None or offset.uncertain_ns is None:
        return Delay(None, None, (above[0], above[1], above[2], above[3]))
    return Delay(float(took.min()), offset.uncertain_ns / 1e6, (above[0], above[1], above[2], above[3]))
