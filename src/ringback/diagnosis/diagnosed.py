"""What a diagnosis says of captures: calls with their verdicts, streams with their numbers, the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ringback.diagnosis.capture.captured import Capture, FileProblem, RtpStream, StreamKey
from ringback.diagnosis.causes.verdict import Counter, Mark, Verdict, Window
from ringback.diagnosis.many.places import Places
from ringback.diagnosis.many.summary import ManyCalls
from ringback.diagnosis.points.segments import Comparison
from ringback.diagnosis.signalling.call import CallRecord, Finding, OtherDialogs, Side
from ringback.diagnosis.stream.curves import curves
from ringback.diagnosis.stream.measured import Measured, Series
from ringback.diagnosis.what_if import Outcome

Standing = Literal["bad", "unclear", "artefact", "good"]
"""`bad`: a cause is named; `unclear`: something is wrong, or complained of, and the capture cannot tell why;
`artefact`: what looks wrong is the capture, not the call."""

WORST_FIRST: tuple[Standing, ...] = ("bad", "unclear", "artefact", "good")
NOWHERE = Places()
LIKELY = 0.5
"""The confidence from which on a cause is more than one of several."""


@dataclass(frozen=True, slots=True)
class DiagnosedStream:
    """One stream with its numbers; its packets stay where the capture has them until curves are asked for."""

    measured: Measured
    source: RtpStream
    call: str | None
    """The label of its call, None without signalling."""
    sent_by: Side | None
    expected_at: tuple[str, int] | None = None
    """Where SDP wanted it to go, if that is known."""
    point: str = ""

    def series(self) -> Series:
        """Its curves, computed anew each time: they are larger than all else."""
        return curves(self.source.packets(), self.measured.formats)


@dataclass(frozen=True, slots=True)
class DiagnosedCall:
    """One call; or streams between the same two addresses that no signalling explains (`record` None)."""

    record: CallRecord | None
    verdict: Verdict
    streams: tuple[DiagnosedStream, ...]

    @property
    def standing(self) -> Standing:
        """What the verdict comes to."""
        if self.verdict.causes:
            first = self.verdict.causes[0]
            if first.cause == "measurement-artefact":
                return "artefact"
            return "bad" if first.confidence >= LIKELY else "unclear"
        return "unclear" if self.verdict.refused else "good"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is remarkable about the signalling, and what the verdict adds to it."""
        known = self.record.findings if self.record is not None else ()
        return (*known, *(finding for finding in self.verdict.findings if finding not in known))

    @property
    def began_ns(self) -> int:
        """When it began, by its first message or packet."""
        if self.record is not None:
            return self.record.start_ns
        return min(stream.measured.began_ns for stream in self.streams)

    @property
    def lowest_mos(self) -> float | None:
        """The lowest of its streams, whatever their scales; None where none has a score."""
        scores = [s.measured.mos.value for s in self.streams if s.measured.mos.value is not None]
        return min(scores, default=None)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found: `calls` have signalling, `unsignalled` have none; both in the order of time."""

    captures: tuple[Capture, ...]
    calls: tuple[DiagnosedCall, ...]
    unsignalled: tuple[DiagnosedCall, ...]
    other: OtherDialogs
    complaint: Window | None = None
    counters: tuple[Counter, ...] = ()
    marks: tuple[Mark, ...] = ()
    comparison: Comparison | None = None
    """With several points: what lies between them."""
    places: Places = NOWHERE
    """What is known of addresses, to compare many calls by."""
    many: ManyCalls | None = None
    """What is said of all calls together."""
    what_if: Mapping[tuple[str, StreamKey], tuple[Outcome, ...]] = field(default_factory=dict)
    """What changes would have made of streams, by point and key; the first outcome is of no change."""

    @property
    def window(self) -> Window:
        """From the first to the last packet of all files; 0 to 0 where there is none."""
        return window_of(self.captures)

    @property
    def streams(self) -> Iterator[DiagnosedStream]:
        """All streams, each once, by when they began; two legs of one call may share one."""
        found = {
            (stream.point, stream.measured.key): stream
            for call in (*reversed(self.calls), *self.unsignalled)
            for stream in call.streams
        }
        return iter(sorted(found.values(), key=lambda one: (one.measured.began_ns, one.measured.key)))

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """What was wrong with the files."""
        return tuple(problem for capture in self.captures for problem in capture.problems)

    def worst_first(self) -> list[DiagnosedCall]:
        """All calls and streams without one: what needs attention first, then by score and by time."""

        def rank(call: DiagnosedCall) -> tuple[int, float, float, int]:
            confidence = call.verdict.causes[0].confidence if call.verdict.causes else 0.0
            mos = call.lowest_mos
            standing = WORST_FIRST.index(call.standing)
            return standing, -confidence, 5.0 if mos is None else mos, call.began_ns

        return sorted((*self.calls, *self.unsignalled), key=rank)


def window_of(captures: tuple[Capture, ...]) -> Window:
    """From the first to the last packet of these captures; 0 to 0 where there is none."""
    held = [capture for capture in captures if capture.packets]
    if not held:
        return Window(0, 0)
    return Window(min(capture.began_ns for capture in held), max(capture.ended_ns for capture in held))
