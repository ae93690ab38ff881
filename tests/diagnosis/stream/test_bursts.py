"""Bursts by the definition of RFC 3611, 4.7.2, and by the counters of its appendix A.2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.stream.bursts import GMIN, Runs, appendix, bursts, merge
from tests.diagnosis.stream import plain

GOLDEN = Path(__file__).parents[4] / "shared" / "data" / "emodel-golden.json"


def runs(flags: str) -> Runs:
    failed = np.array([i for i, flag in enumerate(flags) if flag == "L"], np.int64)
    return merge(failed, np.ones(len(failed), np.int64), len(flags))


def golden() -> list[dict[str, Any]]:
    return list(json.loads(GOLDEN.read_text())["burst"]) if GOLDEN.exists() else []


@pytest.mark.skipif(not GOLDEN.exists(), reason="the sequences are not beside the checkout")
@pytest.mark.parametrize("case", golden(), ids=lambda case: str(case["seq"])[:20])
def test_sequences_worked_by_hand(case: dict[str, Any]) -> None:
    ours, wanted = bursts(runs(case["seq"]), case["gmin"]), case["by_definition_4_7_2"]
    assert ours.bursts == wanted["bursts"]
    assert ours.burst_density == pytest.approx(wanted["burst_density"], abs=5e-5)
    assert ours.gap_density == pytest.approx(wanted["gap_density"], abs=5e-5)
    assert ours.mean_burst * case["ptime_ms"] == pytest.approx(wanted["burst_ms"])
    assert ours.mean_gap * case["ptime_ms"] == pytest.approx(wanted["gap_ms"])
    beside, counters = appendix(runs(case["seq"]), case["gmin"]), case["by_A2_sample_code"]
    assert list(beside[:6]) == counters["c"]
    assert beside.burst_density == pytest.approx(counters["burst_density"], abs=5e-5)
    assert beside.gap_density == pytest.approx(counters["gap_density"], abs=5e-5)


def test_the_appendix_calls_an_isolated_loss_a_burst() -> None:
    flags = "R" * 100 + "L" + "R" * 100
    assert bursts(runs(flags)) == (0, 0.0, 0.0, 1 / 201, 201.0)
    assert appendix(runs(flags)).burst_density == 1.0


def test_sixteen_that_got_through_end_a_burst_and_fifteen_do_not() -> None:
    assert bursts(runs("L" + "R" * (GMIN - 1) + "L")).bursts == 1
    assert bursts(runs("L" + "R" * GMIN + "L")).bursts == 0


def test_pieces_that_touch_are_one_run() -> None:
    merged = merge(np.array([10, 4, 6]), np.array([2, 2, 3]), 20)
    assert (merged.start.tolist(), merged.length.tolist(), merged.packets) == ([4, 10], [5, 2], 7)


@given(st.text("RL", min_size=1, max_size=120), st.sampled_from([2, 4, 16]))
def test_agrees_with_the_definition_slot_by_slot(flags: str, gmin: int) -> None:
    assert bursts(runs(flags), gmin)._asdict() == pytest.approx(plain.definition(flags, gmin))


@given(st.text("RL", min_size=1, max_size=120), st.sampled_from([2, 4, 16]))
def test_agrees_with_the_sample_code_packet_by_packet(flags: str, gmin: int) -> None:
    assert list(appendix(runs(flags), gmin)[:6]) == plain.appendix(flags, gmin)
