"""What each segment between two capture points did to a stream: lost, held up, put out of order, marked
anew."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, RtpStream, StreamKey
from ringback.diagnosis.points.clocks import ClockOffset, Crossing, align
from ringback.diagnosis.points.matching import Pair, Sight, first_copies, match, pair

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
    """`ttl`, `loss`, `time` or `given`: what told which point comes first."""

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
    sights: list[Sight]
    pairs: dict[tuple[int, int], Pair]
    known_by: str


def compare(points: Sequence[tuple[str, Sequence[RtpStream]]]) -> Comparison:
    """Match the streams of the points, set their clocks against each other, and look at each segment.

    `points` are names with streams, in the order that they were given in, which decides where nothing else
    does.
    """
    sights = [Sight(name, stream.key, stream.packets()) for name, streams in points for stream in streams]
    ways, alone = [], []
    for group in match(sights):
        if len(group) == 1:
            alone.append((group[0].point, group[0].key))
        else:
            ways.append(_ordered(group, [name for name, _ in points]))
    clocks = _clocks(ways, [name for name, _ in points])
    paths = tuple(_path(way, clocks) for way in ways)
    return Comparison(paths, tuple(clocks.values()), tuple(alone))


def _ordered(group: list[Sight], names: list[str]) -> _Way:
    """The sights in the order in which packets passed them."""
    group = sorted(group, key=lambda sight: names.index(sight.point))
    ttl = [int(np.median(sight.packets.ttl)) if len(sight.packets) else 0 for sight in group]
    known_by = "given"
    if all(ttl) and len(set(ttl)) == len(ttl):
        group = [sight for _, sight in sorted(zip(ttl, group, strict=True), key=lambda one: -one[0])]
        known_by = "ttl"
    elif len(group) == 2:
        both = pair(*group)
        if both is not None:
            missing = [
                len(_missing(group[0], both.first, EDGE_NS)),
                len(_missing(group[1], both.second, EDGE_NS)),
            ]
            if missing[0] != missing[1]:
                known_by = "loss"
                if missing[1] > missing[0]:
                    # What only the second saw was lost before it came to the first.
                    group.reverse()
    pairs = {}
    for one, other in pairwise(range(len(group))):
        found = pair(group[one], group[other])
        if found is not None:
            pairs[one, other] = found
    return _Way(group, pairs, known_by)


def _missing(sight: Sight, rows: NDArray[np.intp], edge_ns: int = 0) -> NDArray[np.intp]:
    """Packets at times that both captures cover which the other point did not see; copies are not counted."""
    at = sight.packets.arrived_ns
    missing = first_copies(sight.packets)
    missing[rows] = False
    missing &= (at >= at[rows].min() + edge_ns) & (at <= at[rows].max() - edge_ns)
    return np.flatnonzero(missing)


def _clocks(ways: list[_Way], names: list[str]) -> dict[tuple[str, str], ClockOffset]:
    """The offset of each pair of points that share streams, in the order of `names`."""
    crossings: dict[tuple[str, str], list[Crossing]] = defaultdict(list)
    for way in ways:
        for (one, other), both in way.pairs.items():
            source, target = way.sights[one], way.sights[other]
            at = source.packets.arrived_ns[both.first], target.packets.arrived_ns[both.second]
            known = None if way.known_by == "given" else True
            if names.index(source.point) <= names.index(target.point):
                crossings[source.point, target.point].append(Crossing(*at, known))
            else:
                crossings[target.point, source.point].append(Crossing(*at[::-1], False))
    found = {}
    for (first, second), shared in crossings.items():
        offset = align(first, second, shared)
        if offset is not None:
            found[first, second] = offset
    return found


def _path(way: _Way, clocks: Mapping[tuple[str, str], ClockOffset]) -> Path:
    segments = tuple(
        _segment(way.sights[one], way.sights[other], both, clocks) for (one, other), both in way.pairs.items()
    )
    return Path(tuple((sight.point, sight.key) for sight in way.sights), segments, way.known_by)


def _segment(
    source: Sight, target: Sight, both: Pair, clocks: Mapping[tuple[str, str], ClockOffset]
) -> Segment:
    packets, after = source.packets, target.packets
    sent_at, came_at = packets.arrived_ns[both.first], after.arrived_ns[both.second]
    lost_at = packets.arrived_ns[_missing(source, both.first)]
    before_dscp, after_dscp = packets.dscp[both.first], after.dscp[both.second]
    dscp = Counter(zip(before_dscp.tolist(), after_dscp.tolist(), strict=True))
    hops = None
    if packets.ttl.any() and after.ttl.any():
        hops = int(np.median(packets.ttl[both.first].astype(np.int64) - after.ttl[both.second]))
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
        dscp=dict(dscp),
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
