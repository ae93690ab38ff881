"""Which change is told to be the best, and which streams are played again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.diagnosis.replayed import best, replayed, replayed_as_json, with_what_if, worst_stream
from ringback.diagnosis.stream.measured import Mos
from ringback.diagnosis.what_if import AS_IT_WAS, Change, Outcome, read_change
from tests.diagnosis import made


def outcome(name: str, value: float | None, talked: float, scale: str = "narrowband") -> Outcome:
    mos = replace(made.mos(value), scale=scale)  # type: ignore[arg-type]
    return Outcome(Change(name=name), 100, 1, 1, 0, 80.0, mos, None if value is None else talked, 80.0)


def test_the_best_of_a_scale_is_marked_and_scales_are_not_mixed() -> None:
    outcomes = [
        outcome("as it was", 3.5, 3.4),
        outcome("deep", 4.1, 3.0),
        outcome("shallow", 3.7, 3.65),
        outcome("opus", 4.4, 4.3, "wideband"),
        outcome("opus, fec", 4.45, 4.35, "wideband"),
    ]
    assert best(outcomes) == (frozenset({1}), frozenset({2}))
    outcomes.append(outcome("opus, more fec", 4.5, 4.4, "wideband"))
    assert best(outcomes) == (frozenset({1, 5}), frozenset({2, 5}))


def test_where_nothing_is_better_nothing_is_to_be_changed() -> None:
    assert best([outcome("as it was", 4.4, 4.3), outcome("deep", 4.45, 4.0)]) == (
        frozenset(),
        frozenset(),
    )
    assert best([outcome("as it was", 4.4, 4.3)]) == (frozenset(), frozenset())
    assert best([outcome("as it was", None, 0), outcome("other", None, 0)]) == (frozenset(), frozenset())
    assert best([]) == (frozenset(), frozenset())


def test_streams_of_the_worst_calls_are_played_again_as_they_were_first() -> None:
    diagnosis = with_what_if(made.diagnosis(), [read_change("buffer=200")])
    assert {key for _, key in diagnosis.what_if} == {stream.measured.key for stream in diagnosis.streams}
    before, after = diagnosis.what_if["", made.FORTH]
    assert [before.change.name, after.change.name] == [AS_IT_WAS, "buffer=200"]
    assert before.expected == after.expected == diagnosis.calls[0].streams[0].measured.expected
    first, second = replayed_as_json((before, after))
    assert first["not_played_percent"] == pytest.approx(100 * before.failed_share, abs=1e-4)
    assert second["delay_ms"] == pytest.approx(220, abs=0.5)
    assert isinstance(before.mos, Mos)


def test_the_worst_stream_is_the_one_least_heard() -> None:
    call = made.diagnosis().calls[0]
    worst = worst_stream(call)
    assert worst is not None
    assert worst.measured.key == made.FORTH
    assert worst_stream(replace(call, streams=())) is None


def test_a_stream_without_a_clock_is_left_out() -> None:
    stream = made.diagnosis().calls[0].streams[0]
    silent = replace(stream, measured=replace(stream.measured, ptime_ms=0.0))
    assert replayed(silent) == ()
