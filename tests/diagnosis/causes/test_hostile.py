"""Whatever a capture holds, a verdict comes, its confidences are shares, and nothing private is in it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture.captured import RtcpPacket
from ringback.diagnosis.causes.judge import judge
from ringback.diagnosis.causes.verdict import Counter, Window
from tests.diagnosis.causes.made import CALLED, CALLER, START_NS, call, evidence, stream


@st.composite
def streams(draw: st.DrawFn, key: object, side: object) -> object:
    count = draw(st.integers(2, 400))
    seed = draw(st.integers(0, 1000))
    random = np.random.default_rng(seed)
    delay = 20 + random.exponential(draw(st.sampled_from([0.0, 0.1, 30.0, 5000.0])), count)
    lost = random.random(count) < draw(st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]))
    made = stream(
        delay,
        lost,
        key=key,  # type: ignore[arg-type]
        side=draw(st.sampled_from([side, None])),  # type: ignore[arg-type]
        ptime_ms=draw(st.sampled_from([0.125, 10.0, 20.0, 200.0])),
        ttl=draw(st.sampled_from([{}, {64: 9}, {1: 1, 255: 3}])),
        dscp=draw(st.sampled_from([{}, {0: 9}, {46: 5, 6: 5}])),
        sound=None,
        skew_ppm=draw(st.sampled_from([None, 0.0, 1e6])),
    )
    if draw(st.booleans()):
        made.series.transit_ms[:] = np.nan
    return made


@settings(max_examples=60, deadline=None)
@given(
    streams(CALLER, "caller"),
    streams(CALLED, "called"),
    st.binary(max_size=80),
    st.sampled_from(
        [None, call(1.0), call(3600.0), call(5.0, answered_ns=None, outcome="failed", status=503)]
    ),
    st.one_of(st.none(), st.integers(-100, 4000)),
)
def test_a_verdict_always_comes(
    one: object, two: object, octets: bytes, record: object, complaint: int | None
) -> None:
    window = (
        None
        if complaint is None
        else Window(START_NS + complaint * 10**9, START_NS + (complaint + 5) * 10**9)
    )
    counter = Counter("drops", [START_NS + i * 10**9 for i in range(9)], [float("nan"), *range(8)])
    control = (RtcpPacket(START_NS, CALLER.endpoints, octets),)
    verdict = judge(
        evidence(
            one,  # type: ignore[arg-type]
            two,  # type: ignore[arg-type]
            record=record,  # type: ignore[arg-type]
            complaint=window,
            control=control,
            counters=(counter,),
        )
    )
    assert verdict.summary
    assert "5555550100" not in str(verdict)
    for cause in verdict.causes:
        assert 0.0 < cause.confidence <= 0.97
        assert cause.for_
        assert cause.next_step
