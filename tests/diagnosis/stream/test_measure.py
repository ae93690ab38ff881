"""All numbers of one stream, and what they make of streams that go wrong."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.stream.curves import curves
from ringback.diagnosis.stream.measure import examine, measure
from ringback.diagnosis.stream.measured import Late, Measured, PayloadFormat
from tests.diagnosis.stream.streams import BEGAN_NS, KEY, kept, on_time, packets

OPUS = PayloadFormat("opus", 48_000, 2, source="sdp")
EVENTS = PayloadFormat("telephone-event", 8000, source="sdp")


def measured(numbers: Any, formats: dict[int, PayloadFormat] | None = None, **columns: Any) -> Measured:
    return measure(KEY, packets(numbers, **columns), formats or {})


def test_a_clean_stream() -> None:
    of = measured(range(1500), dscp=46, ttl=63)
    assert (of.expected, of.received, of.unique, of.lost) == (1500, 1500, 1500, 0)
    assert of.codec == PayloadFormat("pcmu", 8000, source="static")
    assert (of.ptime_ms, of.dscp, of.ttl) == (20.0, {46: 1500}, {63: 1500})
    assert (of.max_delta_ms, of.mean_delta_ms) == (20.0, 20.0)
    assert (of.jitter_ms.max, of.wireshark_jitter_ms.max) == (0.0, 0.0)
    assert of.mos.value == pytest.approx(4.4094, abs=1e-4)
    assert (of.mos.scale, of.mos.grounding) == ("narrowband", "published")
    assert of.late == Late(0, 0, 0)
    assert (of.bursts.count, of.bursts.gap_ms, of.bursts.runs) == (0, 30_000.0, {})
    assert [phase.reason for phase in of.phases] == ["start"]
    assert [interval.seconds for interval in of.intervals] == pytest.approx([10.0, 10.0, 9.98])
    assert of.skew_ppm is None
    assert not of.silence_suppressed


def test_loss_costs_what_the_model_says() -> None:
    """2 % lost one by one of G.711 with concealment."""
    numbers = kept(5000, set(range(25, 5000, 50)))
    of = measured(numbers, arrived_ms=on_time(numbers))
    assert (of.expected, of.lost, of.bursts.runs) == (5000, 100, {1: 100})
    assert of.mos.value == pytest.approx(4.235, abs=1e-3)
    assert sum(interval.lost for interval in of.intervals) == 100
    assert of.intervals[0].lost == 10
    assert of.intervals[0].mos.value == pytest.approx(of.mos.value)


def test_loss_in_bursts_costs_more_than_the_same_alone() -> None:
    numbers = kept(5000, {i for start in range(100, 5000, 500) for i in range(start, start + 10)})
    of = measured(numbers, arrived_ms=on_time(numbers))
    assert (of.lost, of.bursts.count, of.bursts.burst_density) == (100, 10, 1.0)
    assert (of.bursts.burst_ms, of.bursts.longest_lost) == (200.0, 10)
    assert of.mos.value is not None
    assert of.mos.value < 4.225


def test_an_outage_is_an_interval_with_a_score_of_1() -> None:
    numbers = kept(3000, set(range(490, 1510)))
    of = measured(numbers, arrived_ms=on_time(numbers))
    assert [interval.lost for interval in of.intervals[:4]] == [10, 500, 500, 10]
    assert [interval.expected for interval in of.intervals[:4]] == [500, 500, 500, 500]
    assert of.intervals[1].mos.value == 1.0
    assert of.intervals[1].longest_lost == 500
    assert of.bursts.longest_lost == 1020


def test_late_packets_are_not_lost_but_score_as_if_they_were() -> None:
    late = np.zeros(5000)
    late[100::700] = 700
    arrived = 20.0 * np.arange(5000) + late
    order = np.argsort(arrived, kind="stable")
    of = measured(np.arange(5000)[order], arrived_ms=arrived[order])
    assert (of.lost, of.reordered) == (0, 7)
    assert of.late.fixed_50 == of.late.fixed_200 == of.late.adaptive == 7
    assert of.mos.value is not None
    assert of.mos.value < 4.409


def test_jitter_that_a_small_buffer_does_not_bear() -> None:
    random = np.random.default_rng(4)
    arrived = 20.0 * np.arange(3000) + random.choice([0.0, 80.0], 3000, p=[0.9, 0.1])
    arrived[0] = 0
    order = np.argsort(arrived, kind="stable")
    of = measured(order, arrived_ms=arrived[order])
    assert of.late.fixed_50 > 200
    assert of.late.fixed_200 == 0
    assert of.late.adaptive == 1
    assert of.discarded == of.late


def test_hold_is_no_loss_and_no_interval() -> None:
    """Forty seconds of nothing, whether the time stamps went on or stood still."""
    arrived = 20.0 * np.arange(1000)
    arrived[500:] += 40_000
    for stamps in (8 * arrived, 160.0 * np.arange(1000)):
        of = measured(range(1000), arrived_ms=arrived, timestamp=stamps.astype(np.int64))
        assert (of.expected, of.lost, of.late) == (1000, 0, Late(0, 0, 0))
        assert [phase.reason for phase in of.phases] == ["start", "pause"]
        assert of.jitter_ms.max < 1
        assert of.mos.value == pytest.approx(4.409, abs=1e-3)
        assert [interval.expected for interval in of.intervals] == [500, 500]
        assert of.intervals[1].began_ns == BEGAN_NS + 50 * 10**9


def test_a_restart_is_a_phase_and_no_loss() -> None:
    numbers = [*range(500), *range(40_000, 40_500)]
    stamps = [*(160 * np.arange(500)), *(77_777_777 + 160 * np.arange(500))]
    of = measured(numbers, timestamp=stamps)
    assert (of.expected, of.lost, of.late) == (1000, 0, Late(0, 0, 0))
    assert [(phase.reason, phase.first_sequence) for phase in of.phases] == [
        ("start", 0),
        ("restart", 40_000),
    ]


def test_another_codec_is_a_phase_and_events_are_none() -> None:
    kinds = [0] * 100 + [101] * 5 + [0] * 100 + [9] * 100
    of = measured(range(305), {101: EVENTS}, payload_type=kinds)
    assert [(phase.reason, phase.payload_type) for phase in of.phases] == [("start", 0), ("payload-type", 9)]
    assert (of.codec.name, of.event_packets, of.payload_types) == ("pcmu", 5, {0: 200, 9: 100, 101: 5})


def test_silence_that_is_not_sent() -> None:
    n = np.arange(400)
    stamps = 160 * n + 16_000 * (n // 50)
    of = measured(n, timestamp=stamps, arrived_ms=stamps / 8)
    assert of.silence_suppressed
    assert of.lost == 0
    assert [phase.reason for phase in of.phases] == ["start", *["pause"] * 7]
    assert measured([1, 2, 3], payload_type=[0, 13, 0]).silence_suppressed
    made = packets(range(10), payload_type=96, timestamp=960 * np.arange(10), payload_bytes=[80] * 9 + [1])
    assert measure(KEY, made, {96: OPUS}).silence_suppressed


def test_a_codec_without_values_has_no_score_and_says_why() -> None:
    ilbc = {97: PayloadFormat("ilbc", 8000, source="sdp")}
    of = measured(range(100), ilbc, payload_type=97)
    assert (of.mos.value, of.mos.grounding) == (None, "none")
    assert "ilbc" in of.mos.why_not
    assert of.intervals[0].mos.value is None


def test_opus_has_a_score_of_its_own_scale_that_is_a_guess() -> None:
    of = measured(range(100), {96: OPUS}, payload_type=96, timestamp=960 * np.arange(100), payload_bytes=80)
    assert (of.mos.scale, of.mos.grounding, of.ptime_ms) == ("wideband", "provisional", 20.0)


def test_what_is_heard() -> None:
    levels = np.full(100, -20.0)
    levels[50:] = -60.0
    levels[90:] = -127.0
    of = measured(range(100), level_dbov=levels, clipped=[16] * 50 + [0] * 50)
    assert of.sound is not None
    assert of.sound.level_dbov == pytest.approx(-20, abs=1e-3)
    assert of.sound.peak_packet_dbov == -20
    assert of.sound.silent_share == pytest.approx(0.5)
    assert of.sound.digital_silence_share == pytest.approx(0.1)
    assert of.sound.clipped_share == pytest.approx(0.05)
    assert of.intervals[0].level_dbov == pytest.approx(-20, abs=1e-3)
    assert of.intervals[0].silent_share == pytest.approx(0.5)
    assert of.intervals[0].clipped_share == pytest.approx(0.05)


def test_all_silent_and_not_heard_at_all() -> None:
    silent = measured(range(50), level_dbov=-127.0).sound
    assert silent is not None
    assert (silent.level_dbov, silent.silent_share, silent.digital_silence_share) == (-127.0, 1.0, 1.0)
    assert measured(range(50)).sound is None


def test_one_packet() -> None:
    of = measured([9])
    assert (of.expected, of.lost, of.ptime_ms, of.max_delta_ms) == (1, 0, 0.0, 0.0)
    assert len(of.intervals) == 1


def test_copies_alone() -> None:
    of = measured([5] * 20, arrived_ms=np.zeros(20), ip_id=7)
    assert (of.expected, of.received, of.duplicates, of.kernel_duplicates) == (1, 20, 19, 19)


def test_a_capture_whose_clock_was_set_back() -> None:
    arrived = 20.0 * np.arange(1000)
    arrived[500:] -= 3_600_000
    of = measured(range(1000), arrived_ms=arrived)
    assert (of.expected, of.lost, of.late.fixed_50) == (1000, 0, 0)
    assert [phase.reason for phase in of.phases] == ["start", "timestamp-jump"]
    assert of.jitter_ms.max < 1


def test_numbers_made_up_to_fill_memory() -> None:
    """Each is 2,999 ahead: millions are missing, and nothing is allocated for them."""
    made = packets(2999 * np.arange(5000), timestamp=np.zeros(5000))
    of = measure(KEY, made, {})
    assert (of.unique, of.lost) == (5000, 4999 * 2998)
    assert len(curves(made, {}).lost) <= 4_010_000


def test_a_curve_has_a_slot_for_every_packet() -> None:
    made = packets([10, 12, 11, 15], arrived_ms=[0, 40, 45, 103], payload_bytes=[160, 160, 159, 160])
    of = curves(made, {})
    assert of.lost.tolist() == [False, False, False, True, True, False]
    assert of.arrived_ns.tolist() == [
        *(BEGAN_NS + np.array([0, 45, 40]) * 10**6),
        0,
        0,
        BEGAN_NS + 103 * 10**6,
    ]
    assert of.transit_ms[[0, 1, 2, 5]] == pytest.approx([0, 25, 0, 3])
    assert np.isnan(of.transit_ms[3:5]).all()
    assert of.payload_bytes.tolist() == [160, 159, 160, 0, 0, 160]


ANYTHING = st.tuples(
    st.integers(0, 65_535) | st.integers(0, 30),
    st.integers(0, 2**32 - 1) | st.integers(0, 5000),
    st.floats(-1e9, 1e9) | st.floats(0, 2000),
    st.sampled_from([0, 8, 13, 18, 96, 101, 127]),
    st.integers(0, 1500) | st.just(0),
    st.sampled_from([np.nan, -127.0, -20.0]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ANYTHING, min_size=1, max_size=60), st.sampled_from([-8000, 0, 1, 500, 48_000, 2**31]))
def test_it_bears_anything(rows: list[Any], clock: int) -> None:
    numbers, stamps, arrived, kinds, sizes, levels = zip(*rows, strict=True)
    made = packets(
        numbers,
        timestamp=stamps,
        arrived_ms=arrived,
        payload_type=kinds,
        payload_bytes=sizes,
        level_dbov=levels,
        ip_id=0,
    )
    formats = {96: PayloadFormat("made-up", clock, source="sdp"), 101: EVENTS}
    of, series = examine(KEY, made, formats)
    assert len(series.lost) == of.expected
    assert of.received == len(rows) == of.unique + of.duplicates + of.strays
    assert of.lost >= 0
    assert sum(interval.lost for interval in of.intervals) == of.lost
    assert sum(interval.unique for interval in of.intervals) == of.unique
    assert sum(interval.duplicates for interval in of.intervals) == of.duplicates
    assert sum(interval.reordered for interval in of.intervals) == of.reordered
    assert sum(interval.late.adaptive for interval in of.intervals) == of.late.adaptive
    assert of.discarded.fixed_50 >= of.late.fixed_50
    assert_finite(of)


def assert_finite(value: Any) -> None:
    """No number in a result is infinite or undefined: JSON has no word for it."""
    if is_dataclass(value):
        for each in fields(value):
            assert_finite(getattr(value, each.name))
    elif isinstance(value, tuple):
        for item in value:
            assert_finite(item)
    elif isinstance(value, float):
        assert math.isfinite(value), value
