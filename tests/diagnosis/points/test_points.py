"""One stream seen in several places: matched, put in order, set to one clock, and each segment's doings
counted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, StoredStream, StreamKey
from ringback.diagnosis.points.clocks import Crossing, align
from ringback.diagnosis.points.segments import Comparison, compare

BEGAN_NS = 1_790_000_000_000_000_000
KEY = StreamKey("192.0.2.10", 4000, "198.51.100.20", 5000, 0xABCD)
BACK = StreamKey("198.51.100.20", 5000, "192.0.2.10", 4000, 0x1234)


def sent(
    count: int = 1500, seed: int = 1, *, began_ns: int = BEGAN_NS, dscp: int = 46, ttl: int = 64
) -> Packets:
    """A stream as its sender's network sees it: 20 ms apart, speech of changing level."""
    chance = np.random.default_rng(seed)
    numbers = np.arange(count)
    return Packets(
        arrived_ns=(began_ns + numbers * 20_000_000 + chance.integers(0, 200_000, count)).astype(np.int64),
        sequence=((65_000 + numbers) % 65_536).astype(np.uint16),
        timestamp=(7_000 + numbers * 160).astype(np.uint32),
        payload_type=np.zeros(count, np.uint8),
        marker=np.zeros(count, np.bool_),
        payload_bytes=np.full(count, 160, np.uint16),
        wire_bytes=np.full(count, 200, np.uint16),
        dscp=np.full(count, dscp, np.uint8),
        ttl=np.full(count, ttl, np.uint8),
        ip_id=numbers.astype(np.uint16),
        level_dbov=chance.uniform(-45, -15, count).astype(np.float32),
        clipped=np.zeros(count, np.uint16),
    )


def carried(
    packets: Packets,
    delay_ms: NDArray[np.float64] | float,
    *,
    lost: list[int] | None = None,
    hops: int = 0,
    dscp: int | None = None,
    ahead_ns: int = 0,
    drift_ppm: float = 0.0,
) -> Packets:
    """The packets as they come out of a segment, by the clock of the next point."""
    delays = np.broadcast_to(np.asarray(delay_ms, np.float64), len(packets))
    at = packets.arrived_ns + (delays * 1e6).astype(np.int64)
    shown = at + ahead_ns + ((at - BEGAN_NS) * (drift_ppm / 1e6)).astype(np.int64)
    out = Packets(
        **{
            **{name: getattr(packets, name) for name in Packets.__slots__},
            "arrived_ns": shown,
            "ttl": packets.ttl - np.uint8(hops),
            "dscp": packets.dscp if dscp is None else np.full(len(packets), dscp, np.uint8),
        }
    )
    kept = np.setdiff1d(np.arange(len(packets)), lost or [])
    return out.take(kept[np.argsort(at[kept], kind="stable")])


def seen(**points: list[tuple[StreamKey, Packets]]) -> Comparison:
    return compare(
        [(name, [StoredStream(key, packets) for key, packets in streams]) for name, streams in points.items()]
    )


def test_the_segment_that_loses_is_named() -> None:
    there = sent()
    middle = carried(there, 5.0, hops=1)
    here = carried(middle, 9.0, hops=3, lost=[100, 101, 102, 700])
    found = seen(phone=[(KEY, there)], office=[(KEY, middle)], carrier=[(KEY, here)])
    (path,) = found.paths
    assert [point for point, _ in path.sights] == ["phone", "office", "carrier"]
    assert path.order_known_by == "ttl"
    quiet, losing = path.segments
    assert (quiet.sent, quiet.lost, losing.sent, losing.lost) == (1500, 0, 1500, 4)
    assert path.worst is losing
    assert (quiet.hops, losing.hops) == (1, 3)
    assert losing.lost_at_ns.tolist() == middle.arrived_ns[[100, 101, 102, 700]].tolist()
    assert "4 of 1,500 packets (0.3 %) were lost between office and carrier." in losing.words()


def test_the_way_is_told_by_ttl_whatever_order_the_points_are_given_in() -> None:
    there = sent()
    here = carried(there, 5.0, hops=2, lost=[3])
    (path,) = seen(carrier=[(KEY, here)], phone=[(KEY, there)]).paths
    assert [point for point, _ in path.sights] == ["phone", "carrier"]
    assert path.segments[0].lost == 1


def test_without_ttl_losses_tell_the_way() -> None:
    there = sent(ttl=0)
    here = carried(there, 5.0, lost=[300, 301])
    (path,) = seen(carrier=[(KEY, here)], phone=[(KEY, there)]).paths
    assert (path.order_known_by, [point for point, _ in path.sights]) == ("loss", ["phone", "carrier"])
    assert path.segments[0].lost == 2


def test_the_hop_that_washes_the_mark_is_named() -> None:
    there = sent()
    (path,) = seen(phone=[(KEY, there)], carrier=[(KEY, carried(there, 4.0, hops=1, dscp=0))]).paths
    assert path.segments[0].dscp == {(46, 0): 1500}
    assert path.segments[0].remarked == 1500
    assert "DSCP 46 became 0 in 1,500 packets between phone and carrier." in path.segments[0].words()


def test_a_translated_address_is_the_same_stream() -> None:
    there = sent()
    outside = KEY._replace(src="203.0.113.9", sport=41_000)
    (path,) = seen(inside=[(KEY, there)], outside=[(outside, carried(there, 1.0, hops=1))]).paths
    assert path.segments[0].addresses_changed
    assert not path.segments[0].numbers_changed


def test_a_relay_that_numbers_anew_is_found_by_the_sound() -> None:
    there = sent()
    relayed = carried(there, 2.0, lost=[10, 400])
    anew = Packets(
        **{
            **{name: getattr(relayed, name) for name in Packets.__slots__},
            "sequence": relayed.sequence + np.uint16(17_000),
            "timestamp": relayed.timestamp + np.uint32(99_999),
        }
    )
    other = KEY._replace(src="203.0.113.9", ssrc=0x9999)
    (path,) = seen(inside=[(KEY, there)], outside=[(other, anew)]).paths
    assert path.segments[0].numbers_changed
    assert (path.segments[0].sent, path.segments[0].lost) == (1500, 2)


def test_other_speech_is_another_stream() -> None:
    found = seen(inside=[(KEY, sent(seed=1))], outside=[(KEY._replace(ssrc=0x77), sent(seed=2))])
    assert not found.paths
    assert len(found.alone) == 2


def test_two_calls_with_one_ssrc_are_not_mixed_up() -> None:
    one, other = sent(seed=1), sent(seed=2, began_ns=BEGAN_NS + 90_000_000_000)
    other = Packets(
        **{
            **{name: getattr(other, name) for name in Packets.__slots__},
            "timestamp": other.timestamp + np.uint32(5_000_000),
        }
    )
    second = KEY._replace(sport=4002)
    found = seen(
        inside=[(KEY, one), (second, other)],
        outside=[(KEY, carried(one, 3.0, hops=1)), (second, carried(other, 3.0, hops=1, lost=[5, 6]))],
    )
    assert sorted(path.segments[0].lost for path in found.paths) == [0, 2]


@pytest.mark.parametrize("ahead_ns", [0, 3_600_000_000_000 // 2, -7_123_456_789])
@pytest.mark.parametrize("drift_ppm", [0.0, 40.0, -150.0])
def test_clocks_are_set_by_both_ways(ahead_ns: int, drift_ppm: float) -> None:
    chance = np.random.default_rng(5)
    there, back_there = sent(6_000), sent(6_000, seed=3)
    queue = chance.exponential(4.0, 6_000)
    here = carried(there, 12.0 + queue, hops=4, ahead_ns=ahead_ns, drift_ppm=drift_ppm)
    # The other way begins at the second point, whose clock shows its own time.
    back_out = carried(back_there, 0.0, ahead_ns=ahead_ns, drift_ppm=drift_ppm)
    back_in = carried(back_there, 12.0 + chance.exponential(1.0, 6_000), hops=4)
    found = seen(near=[(KEY, there), (BACK, back_in)], far=[(KEY, here), (BACK, back_out)])
    (clock,) = found.clocks
    assert (clock.first, clock.second) == ("near", "far")
    assert clock.uncertain_ns is not None
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=8)
    assert clock.ahead_ns == pytest.approx(ahead_ns, abs=1_500_000)
    assert clock.uncertain_ns == pytest.approx(12_000_000, abs=1_500_000)
    forward = next(path.segments[0] for path in found.paths if path.sights[0][0] == "near")
    assert forward.delay.least == pytest.approx(12.0, abs=1.5)
    # What the queue added, not what the clocks did.
    assert forward.delay.above_least[1] == pytest.approx(float(np.percentile(queue, 95)), abs=2)


def test_one_way_alone_tells_no_time_on_the_way() -> None:
    there = sent()
    (path,) = seen(near=[(KEY, there)], far=[(KEY, carried(there, 30.0, hops=2, ahead_ns=10**9))]).paths
    assert path.segments[0].delay.least is None
    assert path.segments[0].delay.above_least[3] < 1


def test_what_only_one_capture_covers_is_not_lost() -> None:
    there = sent()
    here = carried(there, 5.0, hops=1).take(slice(200, 900))
    (path,) = seen(near=[(KEY, there)], far=[(KEY, here)]).paths
    assert (path.segments[0].sent, path.segments[0].lost) == (700, 0)


def test_doubled_and_overtaking_packets_are_told() -> None:
    there = sent()
    delays = np.full(1500, 5.0)
    delays[[50, 60]] = 30.0
    here = carried(there, delays, hops=1)
    doubled = here.take(np.sort(np.concatenate([np.arange(1500), [7, 8, 9]])))
    (path,) = seen(near=[(KEY, there)], far=[(KEY, doubled)]).paths
    assert path.segments[0].duplicated == 3
    assert path.segments[0].reordered == 2
    assert path.segments[0].lost == 0


def test_points_that_share_nothing_have_no_clock() -> None:
    assert align("a", "b", []) is None
    empty = np.zeros(0, np.int64)
    assert align("a", "b", [Crossing.of(empty, empty, True)]) is None
    assert compare([]).paths == ()
    assert compare([("a", []), ("b", [])]).clocks == ()


def test_a_stream_of_one_packet_bears_it() -> None:
    one = sent(1)
    (path,) = seen(a=[(KEY, one)], b=[(KEY, carried(one, 1.0, hops=1))]).paths
    assert path.segments[0].sent == 1


def test_a_relay_is_put_in_order_by_its_addresses_whatever_its_ttl() -> None:
    there = sent(ttl=61)
    relay = KEY._replace(src=KEY.dst, sport=6000, dst="203.0.113.50", dport=7000)
    anew = carried(there, 4.0, lost=[70, 71])
    fresh = Packets(
        **{
            **{name: getattr(anew, name) for name in Packets.__slots__},
            "ttl": np.full(len(anew), 64, np.uint8),
        }
    )
    (path,) = seen(beyond=[(relay, fresh)], before=[(KEY, there)]).paths
    assert (path.order_known_by, [point for point, _ in path.sights]) == ("addresses", ["before", "beyond"])
    assert (path.segments[0].lost, path.segments[0].hops) == (2, None)


def test_many_streams_of_one_source_number_are_told_apart() -> None:
    # Devices that number all their streams alike, behind a translator that hides who is who.
    streams = [sent(300, seed=seed, began_ns=BEGAN_NS + seed * 1_000) for seed in range(30)]
    inside, outside = [], []
    for seed, packets in enumerate(streams):
        own = Packets(
            **{
                **{name: getattr(packets, name) for name in Packets.__slots__},
                "timestamp": packets.timestamp + np.uint32(1_000_003 * seed),
            }
        )
        inside.append((KEY._replace(sport=4000 + 2 * seed), own))
        outside.append((KEY._replace(src="203.0.113.9", sport=9000 - 2 * seed), carried(own, 3.0, hops=1)))
    found = seen(inside=inside, outside=outside)
    assert not found.alone
    assert {(path.sights[0][1].sport - 4000, 9000 - path.sights[1][1].sport) for path in found.paths} == {
        (2 * seed, 2 * seed) for seed in range(30)
    }


def test_many_relayed_streams_are_found_by_their_sound() -> None:
    inside, outside = [], []
    for seed in range(40):
        there = sent(400, seed=seed, began_ns=BEGAN_NS + seed * 10**9)
        relayed = carried(there, 2.0, lost=[seed + 1])
        anew = Packets(
            **{
                **{name: getattr(relayed, name) for name in Packets.__slots__},
                "sequence": relayed.sequence + np.uint16(991 * seed),
                "timestamp": relayed.timestamp + np.uint32(7_919 * (seed + 1)),
            }
        )
        inside.append((KEY._replace(ssrc=1 + seed), there))
        outside.append((KEY._replace(src="203.0.113.9", ssrc=1_000 + seed), anew))
    paths = seen(inside=inside, outside=outside).paths
    assert {(path.sights[0][1].ssrc, path.sights[1][1].ssrc) for path in paths} == {
        (1 + seed, 1_000 + seed) for seed in range(40)
    }
    assert all(path.segments[0].numbers_changed for path in paths)


def test_two_points_that_nothing_tells_apart_stay_as_given() -> None:
    there = sent(ttl=0)
    (path,) = seen(second=[(KEY, there)], first=[(KEY, carried(there, 1.0))]).paths
    assert (path.order_known_by, [point for point, _ in path.sights]) == ("given", ["second", "first"])
    (clock,) = seen(second=[(KEY, there)], first=[(KEY, carried(there, 1.0))]).clocks
    assert clock.words() == (
        "How far the clocks of second and first are apart cannot be told: all packets that both saw went one "
        "way, or nobody knows which. Only changes of the delay are known."
    )


def test_clocks_are_told_in_words() -> None:
    at = np.arange(0, 60, 5) * 10**9 + BEGAN_NS
    forth = Crossing.of(at, at + 512_000_000, True)
    back = Crossing.of(at, at + 488_000_000, False)
    found = align("near", "far", [forth, back])
    assert found is not None
    assert found.words() == (
        "The clock of far is 500.0 ms ahead of that of near, give or take 12.0 ms (half of there and back)."
    )
