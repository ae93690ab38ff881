"""A score for what of a stream was played, by the E-model on the scale of its codec (ITU-T G.107)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.stream.measured import Mos, PayloadFormat
from ringback.quality import emodel
from ringback.quality.impairment import Impairment, impairment

Array = NDArray[np.float64]

NOTHING_EXPECTED: Final = "nothing was to be heard in this time"


def costs(codec: PayloadFormat, payload_bytes: int) -> Impairment:
    """What the codec of a stream costs, by its format and the usual size of its payloads."""
    return impairment(
        codec.name,
        clock_rate=codec.clock_rate,
        payload_bytes=payload_bytes,
        parameters=codec.parameters,
    )


def scores(codec: Impairment, expected: Array, failed: Array, mean_run: Array) -> list[Mos]:
    """Listening quality of stretches, by packets expected, packets lost or discarded, and their mean run.

    Delay has no part in it, since one capture does not show it. A stretch of which nothing got through has
    a score of 1, whatever the formula says of it.
    """
    if codec.ie is None or codec.bpl is None:
        return [_none(codec, codec.why_not)] * len(expected)
    share = failed / np.maximum(expected, 1)
    loss = emodel.effective_impairment(
        codec.scale, codec.ie, codec.bpl, 100 * share, emodel.burst_ratio(share, mean_run)
    )
    r = np.maximum(_clean(codec.scale) - loss, 0.0)
    r[share >= 1] = 0.0
    values = np.maximum(emodel.mos(codec.scale, r), 1.0)
    return [
        _mos(codec, float(value), float(rating)) if some else _none(codec, NOTHING_EXPECTED)
        for value, rating, some in zip(values, r, (expected > 0).tolist(), strict=True)
    ]


def conversational(codec: Impairment, r: float, delays_ms: Sequence[float]) -> float:
    """The score of a rating from `scores` when delay is felt, too: mouth to ear, its parts summed."""
    delay = float(sum(delays_ms)) + codec.look_ahead_ms
    lowered = r - _clean(codec.scale) + float(emodel.rate(codec.scale, delay_ms=delay).r)
    return max(float(emodel.mos(codec.scale, lowered)), 1.0)


@lru_cache(maxsize=3)
def _clean(scale: emodel.Scale) -> float:
    return float(emodel.rate(scale).r)


def _mos(codec: Impairment, value: float, r: float) -> Mos:
    return Mos(codec.scale, value, r, codec.ie, codec.bpl, codec.grounding, codec.source)


def _none(codec: Impairment, why_not: str) -> Mos:
    return Mos(codec.scale, None, None, codec.ie, codec.bpl, codec.grounding, codec.source, why_not)
