"""Labelled captures of each cause, mild to severe, and pairs that look alike: the right cause, rarely wrong.

`python -m bench causes` has fifty of each; these are some of them, with seeds that nothing was tuned on.
"""

from __future__ import annotations

from collections import Counter

import pytest

from bench.causes import Outcome, of_label
from ringback.testing.captures.lookalikes import PAIRS
from ringback.testing.captures.make import LABELS

SEEDS = range(2000, 2006)
PAIR_SEEDS = range(2000, 2003)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_right_cause_comes_first_and_wrong_ones_are_not_sure() -> None:
    outcomes: Counter[Outcome] = Counter()
    wrong: list[str] = []
    for label in (*LABELS, *PAIRS):
        results = list(of_label(label, PAIR_SEEDS if label in PAIRS else SEEDS))
        right = sum(result.outcome == "right" for result in results)
        wrong += [result.line for result in results if result.outcome != "right"]
        outcomes.update(result.outcome for result in results)
        assert right >= 0.66 * len(results), "\n".join(wrong)
    total = sum(outcomes.values())
    assert total == 6 * (len(LABELS) + len(PAIRS))
    assert outcomes["right"] >= 0.95 * total, "\n".join(wrong)
    assert outcomes["wrong and confident"] <= 0.01 * total, "\n".join(wrong)
