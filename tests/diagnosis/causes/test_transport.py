"""Loss and jitter on the way: the right cause first, with the figures that show it, and its double behind."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ringback.diagnosis.causes.judge import judge
from ringback.diagnosis.causes.verdict import Cause, Evidence, Verdict, Window
from tests.diagnosis.causes.made import (
    START_NS,
    back,
    call,
    chance,
    evidence,
    queue,
    quiet,
    retries,
    stream,
)

SECONDS = 60.0


def of_first(delay: object, lost: object = None, **others: object) -> Evidence:
    return evidence(stream(delay, lost, **others), back(SECONDS), record=call(SECONDS))  # type: ignore[arg-type]


def named(verdict: Verdict, name: str) -> Cause:
    return next(cause for cause in verdict.causes if cause.cause == name)


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_a_queue_is_told_from_a_radio_link_by_the_ramp_before_its_losses(seed: int) -> None:
    verdict = judge(of_first(*queue(SECONDS, seed)))
    assert verdict.causes[0].cause == "congestion"
    assert verdict.causes[0].confidence > 0.8
    assert all(cause.cause != "radio" or cause.confidence < 0.2 for cause in verdict.causes)
    sentence = next(text for text in verdict.causes[0].for_ if "before" in text)
    found = re.fullmatch(
        r"The delay rose by (\d+) ms in the ([\d.]+) s before (\d+) of (\d+) loss bursts; it was up .*",
        sentence,
    )
    assert found
    assert 80 <= int(found[1]) <= 92
    assert 0.6 <= float(found[2]) <= 1.7
    assert found[3] == found[4]


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_a_radio_link_is_told_from_a_queue_by_packets_held_and_let_go_together(seed: int) -> None:
    verdict = judge(of_first(*retries(SECONDS, seed)))
    assert verdict.causes[0].cause == "radio"
    assert verdict.causes[0].confidence > 0.8
    assert all(cause.cause != "congestion" or cause.confidence < 0.2 for cause in verdict.causes)
    assert any("held up for" in text for text in verdict.causes[0].for_)
    assert any("bandwidth would not help" in text for text in verdict.causes[0].useless)


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_even_independent_loss_without_delay_is_a_fault_of_the_path(seed: int) -> None:
    verdict = judge(of_first(quiet(SECONDS, seed), chance(SECONDS, 0.02, seed)))
    assert verdict.causes[0].cause == "constant-path-fault"
    assert verdict.causes[0].confidence > 0.7
    assert any("QoS would not help" in text for text in verdict.causes[0].useless)


def test_losses_in_heaps_without_delay_are_no_fault_of_the_path() -> None:
    lost = np.zeros(3000, np.bool_)
    for begin in (500, 1400, 2300):
        lost[begin : begin + 250] = chance(5, 0.2, begin)
    verdict = judge(of_first(quiet(SECONDS), lost))
    assert verdict.causes[0].cause == "congestion"
    assert any("policer" in text for text in verdict.causes[0].for_)


def test_a_floor_that_steps_and_stays_is_a_route_and_no_clock() -> None:
    delay, lost = quiet(SECONDS), np.zeros(3000, np.bool_)
    delay[1500:] += 40
    lost[1495:1505] = True
    verdict = judge(of_first(delay, lost, ttl={62: 1500, 60: 1490}, skew_ppm=-900.0))
    assert verdict.causes[0].cause == "route-flap"
    assert verdict.causes[0].confidence > 0.9
    assert "+40 ms at 14:13:50" in verdict.causes[0].for_[0]
    assert all(cause.cause != "clock-drift" for cause in verdict.causes)


@pytest.mark.parametrize("phase", range(10))
def test_a_route_that_changes_under_a_sender_with_an_uneven_clock(phase: int) -> None:
    """A phone that sends every 20.4 ms and catches up every tenth packet, as baresip does."""
    packet = np.arange(550)
    delay = quiet(11.0) + 0.4 * ((packet + phase) % 10) + 60.0 * ((packet + 100) // 150 % 2)
    verdict = judge(evidence(stream(delay), back(11.0), record=call(11.0)))
    assert verdict.causes[0].cause == "route-flap", verdict
    assert "-60 ms at 14:13:24, +60 ms at 14:13:27" in verdict.causes[0].for_[0]


def test_a_floor_that_moves_evenly_is_a_clock_and_no_route() -> None:
    delay = quiet(200) + np.arange(10_000) * 20 * 400e-6
    drifting = stream(delay, skew_ppm=-400.0)
    verdict = judge(evidence(drifting, back(200), record=call(200)))
    assert verdict.causes[0].cause == "clock-drift"
    assert "400 ppm slow: a packet too few every 50 s" in verdict.causes[0].for_[0]
    assert all(cause.cause != "route-flap" for cause in verdict.causes)


def test_packets_that_are_late_are_not_called_lost() -> None:
    delay = quiet(SECONDS) + np.random.default_rng(3).gamma(1, 25, 3000)
    verdict = judge(of_first(delay))
    first = verdict.causes[0]
    assert first.cause == "jitter-with-a-small-buffer"
    assert first.confidence > 0.8
    assert any("Of all packets 0 % were lost on the way" in text for text in first.for_)
    assert "jitter buffer" in first.next_step
    assert all(cause.cause not in ("congestion", "radio") for cause in verdict.causes)


def test_the_losses_of_a_path_are_not_blamed_on_the_buffer() -> None:
    verdict = judge(of_first(quiet(SECONDS), chance(SECONDS, 0.05)))
    assert all(cause.cause != "jitter-with-a-small-buffer" for cause in verdict.causes)


def test_a_good_call_is_said_to_be_good_with_figures() -> None:
    verdict = judge(of_first(quiet(SECONDS)))
    assert verdict.causes == ()
    assert verdict.refused is None
    assert verdict.summary.startswith(
        "This call was good. The caller's stream: MOS 4.4 (narrowband), 0 packets"
    )


def test_loss_elsewhere_does_not_explain_a_complaint() -> None:
    delay, lost = quiet(SECONDS), np.zeros(3000, np.bool_)
    lost[2500:2600] = chance(2, 0.3)
    complaint = Window(START_NS + 10_000_000_000, START_NS + 20_000_000_000)
    verdict = judge(evidence(stream(delay, lost), back(SECONDS), record=call(SECONDS), complaint=complaint))
    assert verdict.causes == ()
    assert verdict.refused is not None
    assert verdict.refused.startswith("From 14:13:30 to 14:13:40 (UTC) no packets were lost")
    assert "lie from 14:14:10 to 14:14:1" in verdict.refused
    assert "Loss does not explain this complaint" in verdict.refused


def test_loss_within_the_window_of_a_complaint_is_judged() -> None:
    delay, lost = queue(SECONDS, 1001)
    complaint = Window(START_NS + 4_000_000_000, START_NS + 20_000_000_000)
    verdict = judge(evidence(stream(delay, lost), back(SECONDS), record=call(SECONDS), complaint=complaint))
    assert verdict.refused is None
    assert verdict.causes[0].cause == "congestion"


def test_a_complaint_of_a_time_outside_of_the_capture_is_refused() -> None:
    complaint = Window(START_NS + 600_000_000_000, START_NS + 610_000_000_000)
    verdict = judge(evidence(stream(quiet(SECONDS)), record=call(SECONDS), complaint=complaint))
    assert verdict.refused is not None
    assert "it cannot show what was heard then" in verdict.refused


def test_a_handful_of_packets_is_refused() -> None:
    verdict = judge(evidence(stream(quiet(0.4)), record=call(SECONDS)))
    assert verdict.refused is not None
    assert "20 packets of media, too few" in verdict.refused


def test_every_sentence_for_and_against_has_figures() -> None:
    verdicts = [
        judge(of_first(*queue(SECONDS, 1003))),
        judge(of_first(*retries(SECONDS, 1003))),
        judge(of_first(quiet(SECONDS), chance(SECONDS, 0.03))),
    ]
    for verdict in verdicts:
        for cause in verdict.causes:
            for text in (*cause.for_, *cause.against):
                assert re.search(r"\d|never|without any delay|No packets", text), text
            assert cause.next_step
            assert 0.0 < cause.confidence <= 0.97


def test_with_several_points_the_losing_segment_is_named() -> None:
    lossy = stream(quiet(SECONDS), chance(SECONDS, 0.03))
    said = (
        "60 of 3,000 packets (2.0 %) were lost between office and carrier.",
        "DSCP 46 became 0 in 2 packets.",
    )
    alone = judge(evidence(lossy, back(SECONDS), record=call(SECONDS)))
    between = judge(evidence(lossy, back(SECONDS), record=call(SECONDS), segments={lossy.measured.key: said}))
    first = between.causes[0]
    assert first.cause == alone.causes[0].cause == "constant-path-fault"
    assert said[0] in first.for_
    assert said[1] not in first.for_
    assert first.confidence == alone.causes[0].confidence
