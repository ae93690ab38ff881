"""What receivers' buffers would have thrown away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.stream.buffers import (
    ADAPTIVE,
    EARLY,
    FIXED_50,
    FIXED_200,
    LATE,
    Buffer,
    Played,
    play,
    play_plainly,
)
from tests.diagnosis.stream import plain

BUFFERS = (FIXED_50, FIXED_200, ADAPTIVE, Buffer(10, 30, 20, 3))


def run(transit: list[float], buffer: Buffer, restarts: list[int] | None = None) -> Played:
    x = np.array(transit, np.float64)
    anew = np.zeros(len(x), np.bool_)
    anew[restarts or []] = True
    return play(x, 20.0 * np.arange(len(x)) + x, anew, buffer)


def late(transit: list[float], buffer: Buffer) -> int:
    return int(run(transit, buffer).late.sum())


def test_a_fixed_buffer_bears_its_depth_and_no_more() -> None:
    assert late([0, 50, 0], FIXED_50) == 0
    assert late([0, 50.1, 0], FIXED_50) == 1
    assert late([0, 50.1, 0], FIXED_200) == 0
    assert late([0, 200.1, 0], FIXED_200) == 1


def test_a_packet_that_overtook_one_by_20_ms_disturbs_nobody() -> None:
    for buffer in (FIXED_50, FIXED_200, ADAPTIVE):
        assert late([0, 0, 20, -20, 0, 0], buffer) == 0


def test_a_route_that_grows_longer_costs_a_moment_and_not_the_rest_of_the_call() -> None:
    """70 ms more from one packet on: a buffer of 50 ms begins anew after 100 ms without anything in time."""
    assert late([0.0] * 100 + [70.0] * 500, FIXED_50) == 6
    assert late([0.0] * 100 + [70.0] * 500, FIXED_200) == 0
    assert late([0.0] * 100 + [70.0] * 500, ADAPTIVE) == 1


def test_a_jump_beyond_the_resync_time_costs_one_packet() -> None:
    assert late([0.0] * 10 + [151.0] * 100, FIXED_50) == 1
    assert late([0.0] * 10 + [149.0] * 100, FIXED_50) == 6


def test_a_first_packet_that_was_held_up_makes_the_others_too_early() -> None:
    """They would wait longer than the buffer has room for: one is lost when it begins anew."""
    played = run([300.0] + [0.0] * 50, FIXED_50)
    assert played.result.tolist() == [0, EARLY] + [0] * 49
    assert not played.late.any()


def test_an_adaptive_buffer_learns_from_one_late_packet_for_ten_seconds() -> None:
    spikes = [0.0] * 1400
    spikes[100] = spikes[200] = spikes[599] = 120.0
    spikes[1200] = 120.0
    played = run(spikes, ADAPTIVE)
    assert np.flatnonzero(played.result == LATE).tolist() == [100, 1200]


def test_an_adaptive_buffer_goes_no_deeper_than_half_a_second() -> None:
    spikes = [0.0] * 300
    spikes[100] = spikes[150] = 510.0
    assert late(spikes, ADAPTIVE) == 2
    spikes[100] = spikes[150] = 490.0
    assert late(spikes, ADAPTIVE) == 1


def test_a_buffer_begins_anew_where_the_stream_does() -> None:
    steps = [0.0] * 20 + [90.0] * 20
    assert int(run(steps, FIXED_50, restarts=[20]).late.sum()) == 0


def test_how_deep_it_was() -> None:
    assert run([0.0] * 10, FIXED_200).depth_ms == 200
    assert run([0.0] * 10, ADAPTIVE).depth_ms == 60
    assert run([], ADAPTIVE).depth_ms == 60


@given(st.lists(st.floats(-99, 149), min_size=1, max_size=60))
def test_a_fixed_buffer_agrees_with_the_plain_rule(transit: list[float]) -> None:
    transit = [0.0, *transit]
    wide = Buffer(50, 1e9, 1e9)
    assert run(transit, wide).result.tolist() == plain.fixed(transit, 50)


@settings(max_examples=200)
@given(st.lists(st.floats(0, 300), min_size=1, max_size=60), st.integers(1, 8))
def test_an_adaptive_buffer_agrees_with_the_plain_rule(transit: list[float], window: int) -> None:
    buffer = Buffer(20, 200, 1e9, window)
    assert run(transit, buffer).result.tolist() == plain.adaptive(transit, 20, 200, window)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6) | st.floats(-100, 200), st.floats(-1e6, 1e6), st.booleans()),
        max_size=60,
    ),
    st.sampled_from(BUFFERS),
)
def test_the_compiled_loop_and_the_plain_one_agree_on_anything(
    rows: list[tuple[float, float, bool]], buffer: Buffer
) -> None:
    transit, arrived = (np.array([row[i] for row in rows], np.float64) for i in (0, 1))
    anew = np.array([row[2] for row in rows], np.bool_)
    ours, plainly = play(transit, arrived, anew, buffer), play_plainly(transit, arrived, anew, buffer)
    assert ours.result.tolist() == plainly.result.tolist()
    assert ours.depth_ms == pytest.approx(plainly.depth_ms)
