"""The E-model against values computed from the Recommendations' equations, kept beside the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.quality import emodel

GOLDEN = Path(__file__).parents[3] / "shared" / "data" / "emodel-golden.json"
SCALES: tuple[emodel.Scale, ...] = ("narrowband", "wideband", "fullband")
TIGHT = {"abs": 1e-9}


@pytest.fixture(scope="module")
def golden() -> Any:
    if not GOLDEN.exists():
        pytest.skip("the values of the E-model are not beside the checkout")
    return json.loads(GOLDEN.read_text())


def test_a_connection_of_defaults(golden: Any) -> None:
    plain = emodel.rate("narrowband")
    assert emodel.noise() == pytest.approx(golden["defaults"]["No"], **TIGHT)
    assert plain.ro == pytest.approx(golden["defaults"]["Ro"], **TIGHT)
    assert plain.is_ == pytest.approx(golden["defaults"]["Is"], **TIGHT)
    assert plain.r == pytest.approx(golden["defaults"]["R"], **TIGHT)


def test_delay_and_its_echo(golden: Any) -> None:
    rows = golden["delay"]
    rated = emodel.rate("narrowband", delay_ms=np.array([row["Ta_ms"] for row in rows], float))
    for name, ours in (("Idte", rated.idte), ("Idle", rated.idle), ("Idd", rated.idd), ("R", rated.r)):
        assert ours == pytest.approx([row[name] for row in rows], **TIGHT), name
    assert rated.mos == pytest.approx([row["MOS"] for row in rows], **TIGHT)


def test_loss_and_its_bursts(golden: Any) -> None:
    rows = golden["loss"]
    ie, bpl, loss, bursts = (
        np.array([row[name] for row in rows], float) for name in ("Ie", "Bpl", "Ppl", "BurstR")
    )
    rated = emodel.rate("narrowband", ie=ie, bpl=bpl, loss_percent=loss, burst_ratio=bursts)
    for name, ours in (("Ieeff", rated.ie_eff), ("R", rated.r), ("MOS", rated.mos)):
        assert ours == pytest.approx([row[name] for row in rows], **TIGHT), name


def test_wideband_has_its_own_scale() -> None:
    rated = emodel.rate("wideband", delay_ms=50.0)
    assert rated.r == pytest.approx(128.255, abs=1e-3)
    assert rated.mos == pytest.approx(4.4956, abs=1e-3)
    # AMR-WB at 12.65 kbit/s heard with both ears, 2 % lost.
    lossy = 129 - emodel.effective_impairment("wideband", 20.0, 4.3, 2.0)
    assert emodel.mos("wideband", lossy) == pytest.approx(3.406, abs=1e-3)
    assert emodel.rate("wideband", delay_ms=200.0).idd == pytest.approx(
        1.29 * emodel.rate("narrowband", delay_ms=200.0).idd
    )


def test_fullband_has_its_own_scale_and_ceiling() -> None:
    assert emodel.rate("fullband").r == 148
    assert emodel.rate("fullband").mos == 4.5
    # 10 of 132 - 0, not of 95, at a loss as large as Bpl.
    assert emodel.rate("fullband", bpl=10.0, loss_percent=10.0, burst_ratio=1.0).ie_eff == 66
    assert emodel.rate("wideband", bpl=10.0, loss_percent=10.0, burst_ratio=1.0).ie_eff == 47.5


def test_a_wideband_rating_read_on_the_wrong_scale_would_be_far_off() -> None:
    assert emodel.rate("wideband").r - emodel.rate("narrowband").r == pytest.approx(35.6, abs=0.1)


def test_a_lively_side_tone_and_a_dull_one() -> None:
    """The branches of Idte that no default reaches (G.107 7-23, 7-24)."""
    loud = emodel.talker_echo(emodel.Surroundings(stmr=8.0), 100.0)
    plain = emodel.talker_echo(emodel.Surroundings(stmr=9.0), 100.0)
    dull = emodel.talker_echo(emodel.Surroundings(stmr=21.0), 100.0)
    assert loud < plain < dull


def test_who_is_less_sensitive_to_delay() -> None:
    """Classes of G.107, table 1: default, low and very low sensitivity."""
    classes = [
        emodel.Surroundings(delay_sensitivity=st_, least_delay_ms=mt)
        for st_, mt in ((1.0, 100.0), (0.55, 120.0), (0.4, 150.0))
    ]
    usual, low, lowest = (float(emodel.absolute_delay(300.0, each)) for each in classes)
    assert usual == pytest.approx(14.7607, abs=1e-4)
    assert usual > low > lowest > 0


@pytest.mark.parametrize(
    ("loss", "run", "ratio"), [(0.02, 1 / 0.98, 1.0), (0.02, 4.0, 3.92), (0.1, 1.0, 1.0), (1.0, 500.0, 1.0)]
)
def test_burst_ratio(loss: float, run: float, ratio: float) -> None:
    assert emodel.burst_ratio(loss, run) == pytest.approx(ratio)


@given(st.sampled_from(SCALES), st.floats(6.6, 100))
def test_a_score_leads_back_to_its_rating(scale: emodel.Scale, base: float) -> None:
    r = base * emodel.STRETCH[scale]
    assert emodel.rating_of(scale, emodel.mos(scale, r)) == pytest.approx(r, abs=1e-6)


@given(st.sampled_from(SCALES), st.floats(0, 60), st.floats(1, 50), st.floats(0, 99), st.floats(1, 8))
def test_more_loss_is_never_better(
    scale: emodel.Scale, ie: float, bpl: float, loss: float, bursts: float
) -> None:
    less, more = (emodel.effective_impairment(scale, ie, bpl, x, bursts) for x in (loss, min(loss + 1, 100)))
    assert ie <= less <= more


@given(st.floats(0, 2000), st.floats(0, 2000))
def test_more_delay_is_never_better(one: float, other: float) -> None:
    near, far = sorted((one, other))
    assert emodel.absolute_delay(near) <= emodel.absolute_delay(far) + 1e-9
