"""A case for one cause: clues with their weights, and how cases for the same symptom are weighed together.

A clue's weight is how far it moves the odds, in nats (natural logarithm of a likelihood ratio): 0.7 doubles
them, 2.3 makes them tenfold. Cases that explain the same symptom of the same stream share its probability
with each other and with "something else", so that two equally good explanations are never both confident.
None comes first by its place in a list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ringback.diagnosis.capture.captured import StreamKey
from ringback.diagnosis.causes.verdict import Cause, CauseName

Symptom = Literal[
    "transport", "marking", "place", "absence", "ending", "failure", "sound", "delay", "figures"
]
"""What a cause explains: loss and jitter; how packets are marked; where it happens; media that does not come;
how a call ended; why it was not set up; what is heard; how long it takes; or figures that mislead."""

UNKNOWN = 0.0
"""The weight of "something else": a case needs more than nothing to be likelier than not."""
SURE, DEEPER = 0.8, 0.2
SHOWN = 0.12
"""Causes less likely than this are not worth their lines."""


@dataclass(slots=True)
class Case:
    """What is gathered for and against one cause. `prior` is where its odds begin, in nats."""

    cause: CauseName
    explains: Symptom
    prior: float = -1.5
    next_step: str = ""
    streams: tuple[StreamKey, ...] = ()
    for_: list[tuple[float, str]] = field(default_factory=list)
    against: list[tuple[float, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    useless: list[str] = field(default_factory=list)

    def clue(self, weight: float, text: str) -> None:
        """Add what speaks for (weight above 0) or against the cause."""
        (self.for_ if weight > 0 else self.against).append((weight, text))

    def rivals(self, other: Case) -> bool:
        """Whether both explain the same symptom of the same stream (a case without streams is of all)."""
        if self.explains != other.explains:
            return False
        return not self.streams or not other.streams or bool(set(self.streams) & set(other.streams))

    @property
    def score(self) -> float:
        """Log odds against "something else"."""
        return self.prior + sum(w for w, _ in self.for_) + sum(w for w, _ in self.against)


def weigh(cases: Iterable[Case], *, certain: float = 0.97) -> tuple[Cause, ...]:
    """Rank cases, the likeliest first; one cause is told once, by its best case and the streams of all."""
    told: dict[CauseName, tuple[float, float, Case]] = {}
    all_cases = [case for case in cases if case.for_]
    for case in all_cases:
        rivals = [c for c in all_cases if c.cause != case.cause and c.rivals(case)]
        best_of: dict[CauseName, float] = {}
        for rival in rivals:
            best_of[rival.cause] = max(best_of.get(rival.cause, -math.inf), rival.score)
        confidence = min(certain, _share(case.score, list(best_of.values())))
        known = told.get(case.cause)
        if known is None or confidence > known[0]:
            told[case.cause] = (confidence, case.score, case)
    # A mark that is surely missing tells why a queue hits voice, and reports tell of what is out of sight:
    # both say more than the shape of what is left to be seen.
    ranked = sorted(
        told.values(),
        key=lambda entry: (
            -round(
                entry[0] + (DEEPER if entry[2].explains in ("marking", "place") and entry[0] > SURE else 0.0),
                3,
            ),
            -entry[1],
        ),
    )
    return tuple(_cause(case, confidence, all_cases) for confidence, _, case in ranked if confidence >= SHOWN)


def _share(score: float, rivals: Sequence[float]) -> float:
    highest = max([score, UNKNOWN, *rivals])
    mine = math.exp(score - highest)
    return mine / (mine + math.exp(UNKNOWN - highest) + sum(math.exp(r - highest) for r in rivals))


def _cause(case: Case, confidence: float, cases: Sequence[Case]) -> Cause:
    of_same = [c for c in cases if c.cause == case.cause and c.score > UNKNOWN]
    streams = dict.fromkeys(key for c in [case, *of_same] for key in c.streams)
    return Cause(
        cause=case.cause,
        confidence=round(confidence, 2),
        for_=tuple(text for _, text in sorted(case.for_, key=lambda clue: -clue[0])),
        against=tuple(text for _, text in sorted(case.against, key=lambda clue: clue[0])),
        missing=tuple(case.missing),
        next_step=case.next_step,
        useless=tuple(case.useless),
        streams=tuple(streams),
    )
