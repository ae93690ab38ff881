"""How often the diagnosis names the right cause: labelled captures, diagnosed from their files."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ringback.diagnosis.causes.verdict import Verdict, Window
from ringback.diagnosis.diagnosed import DiagnosedCall, Diagnosis
from ringback.diagnosis.from_files import diagnose
from ringback.testing.captures.labelled import LabelledCapture
from ringback.testing.captures.lookalikes import PAIRS, make_pair
from ringback.testing.captures.make import LABELS, make

CONFIDENT = 0.8
FINE, REFUSE = "none", "refuse"
Outcome = Literal["right", "second", "refused", "wrong", "wrong and confident"]
OUTCOMES: tuple[Outcome, ...] = ("right", "second", "refused", "wrong", "wrong and confident")


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled capture and what the diagnosis made of it."""

    capture: LabelledCapture
    verdict: Verdict
    outcome: Outcome

    @property
    def line(self) -> str:
        """For who looks at the wrong ones."""
        named = ", ".join(f"{cause.cause} {cause.confidence:.2f}" for cause in self.verdict.causes[:3])
        made = self.capture
        return (
            f"{made.label} {made.seed} ({made.severity:.2f}; {made.description}): {self.outcome}: "
            f"{named or self.verdict.refused or 'nothing'}"
        )


def judged(capture: LabelledCapture) -> Judged:
    """Diagnose the files of a capture as a user would, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.pcap" for number, name in enumerate(capture.points)}
        for name, path in files.items():
            path.write_bytes(capture.points[name])
        several = len(files) > 1
        diagnosis = diagnose(
            [] if several else list(files.values()),
            points={name: [path] for name, path in files.items()} if several else None,
            complaint=Window(*capture.complaint) if capture.complaint else None,
        )
    call = main_call(capture, diagnosis)
    verdict = call.verdict if call is not None else Verdict("", (), "No call is in the capture.")
    return Judged(capture, verdict, outcome_of(capture, verdict))


def main_call(capture: LabelledCapture, diagnosis: Diagnosis) -> DiagnosedCall | None:
    """The call that was made bad, among what else is in the capture: the one with its streams."""
    made = {stream.ssrc for stream in capture.streams}
    calls = (*diagnosis.calls, *diagnosis.unsignalled)
    return max(calls, key=lambda call: len({s.measured.key.ssrc for s in call.streams} & made), default=None)


def outcome_of(capture: LabelledCapture, verdict: Verdict) -> Outcome:
    """Right, or how wrong."""
    names = [cause.cause for cause in verdict.causes]
    if capture.label == REFUSE and verdict.refused is not None:
        return "right"
    if capture.label == FINE and not names and verdict.refused is None:
        return "right"
    if verdict.refused is not None:
        return "refused"
    if names and names[0] in capture.acceptable:
        return "right"
    if names and verdict.causes[0].confidence > CONFIDENT:
        return "wrong and confident"
    return "second" if len(names) > 1 and names[1] in capture.acceptable else "wrong"


def of_label(label: str, seeds: Iterable[int]) -> Iterator[Judged]:
    """Every capture of a label, or of a pair that looks alike."""
    for seed in seeds:
        if label in PAIRS:
            yield from map(judged, make_pair(label, seed))
        else:
            yield judged(make(label, seed))


def table(counts: dict[str, Counter[Outcome]]) -> Iterator[str]:
    """The counts as lines, with their sum."""
    width = max(map(len, counts))
    yield f"{'':{width}}  " + "  ".join(f"{outcome:>9}" for outcome in OUTCOMES)
    total: Counter[Outcome] = Counter()
    for label, counted in counts.items():
        total += counted
        yield f"{label:{width}}  " + "  ".join(
            f"{counted[outcome]:>{max(9, len(outcome))}}" for outcome in OUTCOMES
        )
    number = max(1, sum(total.values()))
    shares = "  ".join(f"{total[outcome] / number:>{max(9, len(outcome))}.1%}" for outcome in OUTCOMES)
    yield f"{f'all {number}':{width}}  {shares}"


def measure(seeds: Iterable[int] = range(1000, 1050), *, show: bool = False) -> Iterator[str]:
    """Each cause, good calls, refusals and pairs that look alike, 50 times each; about six minutes."""
    seeds = list(seeds)
    counts: dict[str, Counter[Outcome]] = {}
    for label in (*LABELS, *PAIRS):
        counts[label] = Counter()
        for result in of_label(label, seeds):
            counts[label][result.outcome] += 1
            if show and result.outcome != "right":
                yield result.line
    yield f"seeds {seeds[0]} to {seeds[-1]}"
    yield from table(counts)
