"""Transit, jitter, deltas and skew, by RFC 3550 and by Wireshark's rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream import timing
from ringback.diagnosis.stream.counting import count, usual_step
from ringback.diagnosis.stream.formats import complete
from ringback.diagnosis.stream.measured import PayloadFormat
from tests.diagnosis.stream.streams import packets

EVENTS = PayloadFormat("telephone-event", 8000, source="sdp")


def timed(made: Packets, formats: dict[int, PayloadFormat] | None = None) -> timing.Timing:
    known = complete(made, formats or {})
    return timing.time(made, count(made, usual_step(made)), timing.clocks(known))


def wireshark(made: Packets, formats: dict[int, PayloadFormat] | None = None) -> timing.WiresharkTiming:
    return timing.as_wireshark(made, complete(made, formats or {}))


def at(*late_ms: float) -> Any:
    return 20.0 * np.arange(len(late_ms)) + np.array(late_ms)


def test_transit_is_arrival_minus_time_stamp_from_the_smallest_on() -> None:
    of = timed(packets(range(4), arrived_ms=at(5, 0, 30, 5)))
    assert of.transit_ms == pytest.approx([5, 0, 30, 5])
    assert of.change_ms == pytest.approx([0, -5, 30, -25])


def test_jitter_is_that_of_rfc_3550() -> None:
    of = timed(packets(range(3), arrived_ms=at(0, 16, 0)))
    assert of.jitter_ms == pytest.approx([0, 1, 1 + (16 - 1) / 16])
    assert timing.summary(of.jitter_ms).max == pytest.approx(1.9375)
    assert timing.summary(of.jitter_ms).mean == pytest.approx((1 + 1.9375) / 2)


def test_jitter_of_one_packet_is_none() -> None:
    assert timing.summary(timed(packets([1])).jitter_ms).max == 0


def test_the_time_stamp_wraps() -> None:
    n = np.arange(100)
    of = timed(packets(n, timestamp=2**32 - 8000 + 160 * n))
    assert of.transit_ms == pytest.approx(np.zeros(100))
    assert not of.jumps.any()


def test_a_copy_does_not_halve_the_deltas() -> None:
    of = timed(packets([1, 1, 2, 2, 3, 3], arrived_ms=[0, 1, 20, 21, 40, 41]))
    assert of.rows.tolist() == [0, 2, 4]
    assert of.jitter_ms == pytest.approx([0, 0, 0])


def test_events_have_no_time_of_sending() -> None:
    kinds = [0, 0, 101, 101, 101, 0]
    made = packets(range(6), payload_type=kinds, timestamp=[0, 160, 320, 320, 320, 800])
    assert timed(made, {101: EVENTS}).rows.tolist() == [0, 1, 5]
    assert timed(made, {101: EVENTS}).jitter_ms.max() == 0


def test_a_time_stamp_that_jumps_is_no_delay() -> None:
    stamps = 160 * np.arange(200)
    stamps[100:] += 80_000
    of = timed(packets(range(200), timestamp=stamps))
    assert np.flatnonzero(of.jumps).tolist() == [100]
    assert of.transit_ms.max() == 0
    assert of.jitter_ms.max() == 0


def test_a_time_stamp_that_stands_still_through_a_pause_is_no_delay() -> None:
    waits = 20.0 * np.arange(200)
    waits[100:] += 5000
    of = timed(packets(range(200), arrived_ms=waits))
    assert np.flatnonzero(of.jumps).tolist() == [100]
    assert of.transit_ms.max() == 0


def test_a_queue_of_three_seconds_that_drains_at_once_is_delay() -> None:
    waits = 20.0 * np.arange(400)
    held = slice(100, 250)
    waits[held] = np.maximum(waits[held], waits[249] + 0.01 * np.arange(150))
    of = timed(packets(range(400), arrived_ms=waits))
    assert not of.jumps.any()
    assert of.transit_ms.max() == pytest.approx(2980, abs=1)


def test_clocks_of_two_codecs_are_not_compared() -> None:
    kinds = [0] * 50 + [96] * 50
    stamps = np.concatenate((160 * np.arange(50), 10**6 + 960 * np.arange(50)))
    made = packets(range(100), payload_type=kinds, timestamp=stamps)
    of = timed(made, {96: PayloadFormat("opus", 48_000, 2, source="sdp")})
    assert of.transit_ms.max() == 0
    assert of.jitter_ms.max() == 0


@pytest.mark.parametrize("ppm", [-300.0, -50.0, 0.0, 20.0, 300.0])
def test_skew(ppm: float) -> None:
    """A sender whose clock is faster sends its packets a little sooner than 20 ms apart."""
    random = np.random.default_rng(1)
    n = np.arange(3000)
    waits = 20.0 * n / (1 + ppm * 1e-6) + random.exponential(2.0, len(n))
    assert timing.skew_ppm(timed(packets(n, arrived_ms=waits))) == pytest.approx(ppm, abs=5)


def test_a_step_of_the_route_is_no_skew() -> None:
    random = np.random.default_rng(2)
    n = np.arange(3000)
    waits = 20.0 * n + random.exponential(2.0, len(n))
    waits[1500:] += 80
    assert timing.skew_ppm(timed(packets(n, arrived_ms=waits))) == pytest.approx(0, abs=10)


def test_time_stamps_of_another_rate_are_no_skew() -> None:
    """16 kHz under a payload type whose clock is 8 kHz."""
    assert timing.skew_ppm(timed(packets(range(3000), timestamp=320 * np.arange(3000)))) is None


def test_no_skew_of_a_short_stream_or_one_without_a_clock() -> None:
    assert timing.skew_ppm(timed(packets(range(1400)))) is None
    made = packets(range(3000), payload_type=96, timestamp=np.zeros(3000))
    assert timing.skew_ppm(timed(made)) is None


def test_wireshark_leaves_out_the_marker_and_comfort_noise_and_what_follows_it() -> None:
    marker = np.zeros(6, np.bool_)
    marker[2] = True
    waits = [0, 20, 100, 120, 200, 300]
    made = packets(range(6), arrived_ms=waits, payload_type=[0, 0, 0, 0, 13, 0], marker=marker)
    of = wireshark(made)
    assert of.max_delta_ms == pytest.approx(20)
    assert of.jitter.max == pytest.approx(60 / 16 * 15 / 16)


def test_wireshark_leaves_out_time_stamps_before_the_first() -> None:
    stamps = 160 * np.arange(6) + 8000
    stamps[3] = 0
    made = packets(range(6), arrived_ms=[0, 20, 40, 61, 80, 100], timestamp=stamps)
    # The fifth packet is measured against the third.
    assert wireshark(made).max_delta_ms == pytest.approx(40)
    assert wireshark(made).jitter.max == pytest.approx(0, abs=1e-9)


def test_wireshark_counts_copies() -> None:
    of = wireshark(packets([1, 1, 2], arrived_ms=[0, 1, 20]))
    assert of.mean_delta_ms == pytest.approx(10)
    assert of.max_delta_ms == pytest.approx(19)


def test_wireshark_knows_no_clock_of_a_type_that_sdp_does_not_name() -> None:
    made = packets(range(50), payload_type=96, timestamp=960 * np.arange(50), arrived_ms=at(*[0, 9] * 25))
    assert wireshark(made).jitter.max == 0
    named = {96: PayloadFormat("opus", 48_000, 2, source="sdp")}
    assert wireshark(made, named).jitter.max > 5
    assert timing.summary(timed(made).jitter_ms).max > 5


def test_wireshark_measures_after_an_event_from_the_audio_before_it() -> None:
    """The time stamp moves on by five packets, the time by one: 80 ms of change."""
    stamps = [0, 160, 320, 320, 320, 320, 1120, 1280]
    made = packets(range(8), payload_type=[0, 0, 101, 101, 101, 101, 0, 0], timestamp=stamps)
    of = wireshark(made, {101: EVENTS})
    assert of.jitter.max == pytest.approx(abs(20 - 120) / 16)


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.sampled_from([0, 1, 2])), max_size=50))
def test_the_compiled_loop_and_the_plain_one_agree(rows: list[tuple[float, int]]) -> None:
    change = np.array([row[0] for row in rows], np.float64)
    how = np.array([row[1] for row in rows], np.uint8)
    assert timing.smooth(change, how).tolist() == timing.smooth_plainly(change, how).tolist()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40), st.booleans()), min_size=1, max_size=60))
def test_wireshark_s_running_mean_packet_by_packet(rows: list[tuple[int, int, bool]]) -> None:
    waits = np.cumsum([float(row[0]) for row in rows])
    stamps = 400 + np.cumsum([4 * row[1] - 40 for row in rows])
    marker = [row[2] for row in rows]
    made = packets(range(len(rows)), arrived_ms=waits, timestamp=stamps, marker=marker)
    last, stamp, jitter, largest, mean, delta_mean = waits[0], stamps[0], 0.0, 0.0, 0.0, 0.0
    for i in range(1, len(rows)):
        if stamps[i] < stamps[0]:
            continue
        delta = waits[i] - last
        jitter = (15 * jitter + abs(delta - (stamps[i] - stamp) / 8)) / 16
        last, stamp = waits[i], stamps[i]
        if not marker[i]:
            largest = max(largest, jitter)
            mean = (mean * (i - 1) + jitter) / i
            delta_mean = (delta_mean * (i - 1) + delta) / i
    of = wireshark(made)
    assert of.jitter.max == pytest.approx(largest, abs=1e-4)
    assert of.jitter.mean == pytest.approx(mean, abs=1e-4)
    assert of.mean_delta_ms == pytest.approx(delta_mean, abs=1e-4)


ROWS = st.lists(
    st.tuples(
        st.integers(-(10**12), 10**12) | st.integers(0, 10**8),
        st.integers(0, 2**32 - 1) | st.integers(0, 5000),
        st.sampled_from([0, 8, 13, 19, 96, 101, 255]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@given(ROWS)
def test_compiled_loops_and_plain_code_agree_on_anything(
    rows: list[tuple[int, int, int, bool, bool]],
) -> None:
    times, stamps, kinds, marker, fresh = zip(*rows, strict=True)
    made = packets(range(len(rows)), timestamp=stamps, payload_type=kinds, marker=marker)
    made = replace(made, arrived_ns=np.array(times, np.int64))
    formats = {0: "static", 8: "static", 13: "static", 19: "static", 96: "sdp"}
    known = {number: PayloadFormat("x", 8000 if number < 96 else 48_000, source="sdp") for number in formats}
    table, kept_ = timing.clocks(known), np.array(fresh, np.bool_)
    counted = replace(count(made, 0), fresh=kept_)
    plainly = timing.changes_plainly(made, kept_, table)
    ours = timing.time(made, counted, table)
    assert ours.rows.tolist() == plainly[0].tolist()
    assert ours.arrived_ms == pytest.approx(plainly[1])
    if not ours.jumps.any():
        assert ours.change_ms == pytest.approx(plainly[2], abs=1e-6)
    wanted, got = timing.wireshark_plainly(made, table // 1000), timing.as_wireshark(made, known)
    for name in ("max_delta_ms", "mean_delta_ms"):
        assert getattr(got, name) == pytest.approx(getattr(wanted, name), abs=1e-6, rel=1e-9)
    assert (got.jitter.max, got.jitter.mean) == pytest.approx(
        (wanted.jitter.max, wanted.jitter.mean), abs=1e-6
    )
