"""What if, for the streams of a diagnosis: which are played again, which change is best, and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from ringback.diagnosis.capture.captured import StreamKey
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis
from ringback.diagnosis.shown import finite
from ringback.diagnosis.what_if import (
    AS_IT_WAS,
    Change,
    Outcome,
    WhatIfError,
    play_again,
    standard_changes,
)

MOST_CALLS: Final = 20
"""So many of the worst calls are played again: each change takes as long as measuring the stream did."""

BETTER: Final = 0.1
"""Of MOS: less is no reason to change anything."""


def with_what_if(diagnosis: Diagnosis, changes: Sequence[Change] = ()) -> Diagnosis:
    """The diagnosis with each stream of its worst calls played again, with `changes` or the standard ones."""
    found: dict[tuple[str, StreamKey], tuple[Outcome, ...]] = {}
    for call in diagnosis.worst_first()[:MOST_CALLS]:
        for stream in call.streams:
            name = (stream.point, stream.measured.key)
            outcomes = () if name in found else replayed(stream, changes)
            if outcomes:
                found[name] = outcomes
    return replace(diagnosis, what_if=found)


def replayed(stream: DiagnosedStream, changes: Sequence[Change] = ()) -> tuple[Outcome, ...]:
    """A stream as it was and with each change; nothing for one that cannot be played again."""
    chosen = (Change(name=AS_IT_WAS), *(changes or standard_changes(stream.measured)))
    try:
        return tuple(play_again(stream.measured, stream.series(), chosen))
    except WhatIfError:
        return ()


def worst_stream(call: DiagnosedCall) -> DiagnosedStream | None:
    """The stream of a call of which most was not heard; None for a call without any."""

    def unheard(stream: DiagnosedStream) -> float:
        found = stream.measured
        return (found.lost + found.discarded.fixed_50) / max(found.expected, 1)

    return max(call.streams, key=unheard, default=None)


def best(outcomes: Sequence[Outcome]) -> tuple[frozenset[int], frozenset[int]]:
    """Which outcomes have the best score of listening, and of conversation, on each scale for itself.

    It must be better by BETTER than the first of the scale (as it was, or the plain codec), else there is
    none. Of equals the one with less delay counts.
    """
    by_scale: dict[str, list[int]] = defaultdict(list)
    for place, outcome in enumerate(outcomes):
        if outcome.mos.value is not None:
            by_scale[outcome.mos.scale].append(place)
    listening: set[int] = set()
    conversing: set[int] = set()
    for places in by_scale.values():
        heard = {place: outcomes[place].mos.value or 0.0 for place in places}
        talked = {place: outcomes[place].conversational or 0.0 for place in places}
        for scores, chosen in ((heard, listening), (talked, conversing)):
            top = max(places, key=lambda at: (round(scores[at], 2), -outcomes[at].delay_ms))
            if round(scores[top] - scores[places[0]], 2) >= BETTER:
                chosen.add(top)
    return frozenset(listening), frozenset(conversing)


def replayed_as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """What stands under `what_if` of a stream."""
    return list(_as_json(outcomes))


def _as_json(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    listening, conversing = best(outcomes)
    for place, outcome in enumerate(outcomes):
        yield {
            "change": outcome.change.name,
            "expected": outcome.expected,
            "lost": outcome.lost,
            "discarded": outcome.discarded,
            "recovered": outcome.recovered,
            "not_played_percent": finite(100 * outcome.failed_share),
            "delay_ms": finite(outcome.delay_ms),
            "mos": {
                "scale": outcome.mos.scale,
                "value": finite(outcome.mos.value),
                "conversational": finite(outcome.conversational),
                "grounding": outcome.mos.grounding,
            },
            "kbit_s": finite(outcome.kbit_s),
            "best_listening": place in listening,
            "best_conversational": place in conversing,
        }
