"""Counters and marks against losses: how strong, how sure, and silence where there is too little."""

from __future__ import annotations

import numpy as np

from ringback.diagnosis.causes.correlation import of_counter, of_marks, rank_correlation, ranks, timeline
from ringback.diagnosis.causes.judge import judge
from ringback.diagnosis.causes.verdict import Counter, Mark
from ringback.diagnosis.stream.measure import examine
from tests.diagnosis.causes.made import START_NS, back, call, chance, evidence, quiet, stream
from tests.diagnosis.stream.streams import KEY, packets

SECOND = 1_000_000_000


def busy_stream(share: float = 0.25, seconds: int = 120) -> tuple[object, list[float]]:
    """Losses in three stretches, and the drops a second that a switch counted (it only grows)."""
    lost, drops = np.zeros(seconds * 50, np.bool_), np.zeros(seconds)
    for begin in (20, 50, 90):
        lost[begin * 50 : (begin + 8) * 50] = chance(8, share, begin)
        drops[begin : begin + 8] = 300
    return stream(quiet(seconds), lost), list(np.cumsum(drops))


def test_ranks_are_shared_by_equal_values() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [2.5, 0.0, 2.5, 1.0]


def test_perfect_and_no_correlation() -> None:
    rising = np.arange(30.0)
    found = rank_correlation(rising, rising**3)
    assert found is not None
    assert found[0] > 0.999
    assert found[1] < 0.01
    noise = rank_correlation(np.random.default_rng(1).random(60), np.random.default_rng(2).random(60))
    assert noise is not None
    assert noise[1] > 0.05


def test_nothing_is_claimed_of_fewer_than_six_points_or_of_a_constant() -> None:
    assert rank_correlation(np.arange(5.0), np.arange(5.0)) is None
    assert rank_correlation(np.ones(50), np.arange(50.0)) is None


def test_neighbours_that_resemble_each_other_are_no_evidence() -> None:
    """Two slow waves of different lengths: 100 points, but only a handful of independent ones."""
    time = np.arange(100.0)
    found = rank_correlation(np.sin(time / 16), np.sin(time / 11 + 1))
    assert found is not None
    assert found[1] > 0.01


def test_a_counter_that_grows_with_the_losses_is_strong_evidence_of_congestion() -> None:
    made, drops = busy_stream()
    counter = Counter("drops of ge-0/0/1", [START_NS + (i + 1) * SECOND for i in range(120)], drops)
    loss = next(c for c in of_counter(counter, made.measured, made.series) if c.what == "loss")
    assert loss.strength == "strong"
    assert loss.p < 0.01
    assert 110 <= loss.n <= 120
    without = judge(evidence(made, back(120), record=call(120)))
    verdict = judge(evidence(made, back(120), record=call(120), counters=(counter,)))
    assert verdict.causes[0].cause == "congestion"
    assert verdict.causes[0].confidence > without.causes[0].confidence
    assert any(
        text.startswith("Loss rises with drops of ge-0/0/1: strong") for text in verdict.causes[0].for_
    )


def test_a_counter_that_has_nothing_to_do_with_it_is_no_evidence() -> None:
    made, _ = busy_stream()
    values = list(np.random.default_rng(5).random(120))
    counter = Counter("temperature", [START_NS + i * SECOND for i in range(120)], values)
    loss = next(c for c in of_counter(counter, made.measured, made.series) if c.what == "loss")
    assert loss.strength == "none"
    assert "do not go together" in loss.sentence


def test_a_mark_before_the_losses_is_found() -> None:
    lost = np.zeros(6000, np.bool_)
    lost[3000:4000] = chance(20, 0.1)
    made = stream(quiet(120), lost)
    mark = Mark(START_NS + 60 * SECOND, "backup started")
    (found,) = of_marks([mark], made.measured, made.series)
    assert found.strength in ("strong", "moderate")
    assert "after “backup started”" in found.sentence


def test_a_counter_of_another_day_says_nothing() -> None:
    made, drops = busy_stream()
    counter = Counter("drops", [START_NS - (9000 - i) * SECOND for i in range(120)], drops)
    assert of_counter(counter, made.measured, made.series) == ()


def test_a_clock_that_was_set_is_not_laid_out_second_by_second() -> None:
    arrived = 20.0 * np.arange(200)
    arrived[150:] += 200 * 365 * 86_400_000.0
    measured, series = examine(KEY, packets(np.arange(200), arrived_ms=arrived), {})
    began, shares, _ = timeline(measured, series, 1.0)
    assert len(began) == len(shares) == 4
    assert np.isfinite(shares).all()
