"""What each part of a made network does to packets, against the physics that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.testing.captures.hops import (
    BitErrors,
    Bottleneck,
    CrossTraffic,
    Detour,
    Line,
    Policer,
    Radio,
    Remark,
    Stalls,
    Traffic,
    Wander,
)

SECONDS = 60


def stream(dscp: int = 46) -> Traffic:
    count = SECONDS * 50
    return Traffic(
        at=np.arange(count) * 0.02,
        size=np.full(count, 200),
        dscp=np.full(count, dscp, np.uint8),
        ttl=np.full(count, 64, np.uint8),
        row=np.arange(count),
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def delays(before: Traffic, after: Traffic) -> np.ndarray:
    return after.at - before.at[after.row]


def full_queue(*, prioritised: bool) -> Bottleneck:
    cross = CrossTraffic(busy=[(10, 50)], rest=0.3, surge=0.9, growth_per_s=0.3)
    return Bottleneck(10e6, 0.15, cross, SECONDS, prioritised=prioritised)


def test_a_queue_delays_more_and_more_before_it_drops(rng: np.random.Generator) -> None:
    sent = stream()
    came = full_queue(prioritised=False)(sent, rng)
    waited = delays(sent, came)
    lost = np.setdiff1d(sent.row, came.row)
    assert len(lost) >= 10
    for row in lost:
        # Whoever came just before a drop found the queue nearly full.
        before = waited[np.searchsorted(came.row, row) - 1]
        assert before > 0.1
    assert waited.max() < 0.16
    quiet = waited[came.at < 10]
    assert quiet.max() < 0.02
    assert (np.diff(came.at) >= 0).all()


def test_marked_packets_do_not_wait_where_marks_are_known(rng: np.random.Generator) -> None:
    sent = stream()
    came = full_queue(prioritised=True)(sent, rng)
    assert len(came) == len(sent)
    assert delays(sent, came).max() < 0.003


def test_a_policer_drops_and_delays_nothing(rng: np.random.Generator) -> None:
    sent = stream()
    came = Policer([(20, 40)], 0.2, 0.04, SECONDS)(sent, rng)
    assert (delays(sent, came) == 0).all()
    lost = np.setdiff1d(sent.row, came.row) * 0.02
    assert 20 <= lost.min() <= lost.max() <= 40


def test_a_radio_repeats_and_everybody_waits(rng: np.random.Generator) -> None:
    sent = stream()
    radio = Radio(fade_every_s=4, fade_s=0.4, fail=0.85, roams=[(30.0, 30.5)])
    came = radio(sent, rng)
    waited = delays(sent, came)
    assert 3 <= len(sent) - len(came) < 300
    assert radio.repeated > 100
    # A spike is over at once: what waited comes in a clump, packets less than 5 ms apart.
    assert (np.diff(came.at) < 0.005).sum() > 20
    assert (np.diff(came.at) >= 0).all()
    assert waited.max() >= 0.45
    roaming = (came.at > 30.0) & (came.at < 30.5)
    assert not roaming.any()


def test_bit_errors_take_their_share_and_larger_packets_sooner(rng: np.random.Generator) -> None:
    small, sent = BitErrors(0.05), stream()
    assert len(sent) - len(small(sent, rng)) == pytest.approx(0.05 * len(sent), rel=0.3)
    large = Traffic(sent.at, sent.size * 4, sent.dscp, sent.ttl, sent.row)
    assert len(large) - len(small(large, rng)) == pytest.approx(0.185 * len(sent), rel=0.2)


@pytest.mark.parametrize("hop", [Wander(0.02), Wander(0.004, period_s=0.1), Line(0.02, 0.0003, 3)])
def test_delay_that_varies_loses_nothing_and_keeps_the_order(
    hop: Wander | Line, rng: np.random.Generator
) -> None:
    came = hop(stream(), rng)
    assert (came.row == np.arange(len(came))).all()
    assert (np.diff(came.at) >= 0).all()


def test_another_route_is_longer_in_time_and_in_routers(rng: np.random.Generator) -> None:
    sent = stream()
    came = Detour([(20.0, 40.0)], 0.05, 2, 0.1)(sent, rng)
    waited = delays(sent, came)
    away = (sent.at[came.row] >= 20) & (sent.at[came.row] < 40)
    assert waited[away] == pytest.approx(0.05)
    assert waited[~away] == pytest.approx(0)
    assert set(came.ttl[away].tolist()) == {62}
    assert set(came.ttl[~away].tolist()) == {64}
    # On the way back new packets overtake old ones, unless those met no route.
    lost = np.setdiff1d(sent.row, came.row) * 0.02
    assert 2 <= len(lost) <= 20


def test_a_stall_ends_in_a_burst(rng: np.random.Generator) -> None:
    sent = stream()
    came = Stalls([(10.0, 10.19), (20.0, 20.2)])(sent, rng)
    assert len(came) == len(sent)
    burst = came.at[(came.at >= 10.19) & (came.at < 10.193)]
    assert len(burst) == 10
    kept = Stalls([(10.0, 10.2)], keeps=2)(sent, rng)
    assert np.setdiff1d(sent.row, kept.row).tolist() == list(range(500, 508))


def test_marks_are_rewritten_by_the_table_alone(rng: np.random.Generator) -> None:
    came = Remark({46: 6}, since_s=30)(stream(), rng)
    assert set(came.dscp[came.at < 30].tolist()) == {46}
    assert set(came.dscp[came.at >= 30].tolist()) == {6}
    assert set(Remark({46: 6})(stream(26), rng).dscp.tolist()) == {26}
