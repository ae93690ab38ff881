"""The verdict on one call: gather the cases for all causes, weigh them, say it plainly, or refuse."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.diagnosis.causes import absence as absent
from ringback.diagnosis.causes import agreement, artefact, endpoint, marking, nat, one_way, place, transport
from ringback.diagnosis.causes.case import Case, weigh
from ringback.diagnosis.causes.complaint import look_in
from ringback.diagnosis.causes.correlation import of_counter, of_marks
from ringback.diagnosis.causes.scene import Scene, StreamView, scene_of
from ringback.diagnosis.causes.summary import fine, in_plain_words, not_enough
from ringback.diagnosis.causes.trouble import (
    Trouble,
    jitter_beyond,
    reported_trouble,
    transport_troubles,
    troubles_of,
)
from ringback.diagnosis.causes.verdict import Cause, Evidence, Verdict
from ringback.diagnosis.causes.words import count, seconds

LEAST_CONFIDENCE = 0.35
"""A likeliest cause below this is no answer: the verdict is a refusal that tells what would settle it."""
LEAST_SECONDS = 2.0


def judge(evidence: Evidence) -> Verdict:
    """Say why a call was bad, with evidence for and against each cause, or why that cannot be said.

    It never raises for what a capture holds. Confidence is calibrated: of causes given with 0.9, nine of ten
    are right on the labelled captures of ringback.testing.captures (see docs/diagnosis.md).
    """
    scene = scene_of(evidence)
    absences = absent.absences(scene)
    troubles = troubles_of(scene)
    cases = [case for case in _cases(scene, absences) if case.for_]
    _lay_counters_over(scene, cases)
    _name_segments(scene, cases)
    causes = weigh(cases)
    findings = evidence.call.findings if evidence.call else ()
    if evidence.complaint is not None:
        seen = look_in(scene, evidence.complaint, absences, cases)
        if seen.refusal is not None:
            kept = tuple(c for c in causes if c.cause in seen.still)
            return Verdict(seen.summary, kept, seen.refusal, findings)
    refused = _refusal(scene, troubles, absences, causes)
    if causes and refused is None:
        return Verdict(in_plain_words(scene, troubles, absences, causes), causes, None, findings)
    if refused is not None:
        return Verdict(not_enough(scene, troubles, absences, refused), causes, refused, findings)
    return Verdict(fine(scene), (), None, findings)


def _cases(scene: Scene, absences: list[absent.Absence]) -> Iterator[Case]:
    for view in scene.streams:
        yield from _of_stream(scene, view)
    for absence in absences:
        yield one_way.absent(scene, absence)
        yield nat.stopped(scene, absence)
    yield nat.unanswered(scene)
    yield agreement.session_timer(scene)
    yield agreement.missing_ack(scene)
    yield agreement.codec_mismatch(scene)
    yield agreement.fragmentation(scene)
    renegotiated = agreement.renegotiation(scene)
    if any(transport_troubles(view) for view in scene.streams) or renegotiated.score > 1.0:
        yield renegotiated
    yield endpoint.latency(scene)
    yield from artefact.artefacts(scene)


def _of_stream(scene: Scene, view: StreamView) -> Iterator[Case]:
    if not view.judged:
        return
    yield one_way.misdirected(scene, view)
    yield nat.moved(scene, view)
    yield nat.shut_out(scene, view)
    yield endpoint.sound(scene, view)
    yield endpoint.clock_drift(scene, view)
    changed = marking.rewritten(scene, view)
    suffering = bool(transport_troubles(view)) and not scene.was_so_before(view)
    beyond = reported_trouble(view) is not None or jitter_beyond(view) is not None
    if suffering or any(weight >= 3 for weight, _ in changed.for_):
        yield changed
    if suffering or beyond or marking.hints_beyond(view):
        yield marking.missing_at_source(scene, view)
    if suffering:
        yield transport.congestion(view)
        yield transport.radio(view)
        yield transport.constant_path_fault(view)
        yield transport.route_flap(view)
        yield transport.small_buffer(view)
    if suffering or beyond:
        yield place.carrier(scene, view)
        yield place.local_side(scene, view)


def _name_segments(scene: Scene, cases: list[Case]) -> None:
    """With several capture points: where packets were lost, which makes no cause likelier than another."""
    for case in cases:
        if case.explains in ("transport", "place"):
            for key in case.streams:
                said = (scene.evidence.segments or {}).get(key, ())
                case.for_ += [(0.0, text) for text in said if "lost between" in text]


def _lay_counters_over(scene: Scene, cases: list[Case]) -> None:
    """A counter that rises with the losses of a stream speaks for its congestion."""
    evidence = scene.evidence
    for case in cases:
        if case.cause != "congestion":
            continue
        for view in scene.streams:
            if view.key not in case.streams:
                continue
            found = [
                c
                for counter in evidence.counters
                for c in of_counter(counter, view.measured, view.evidence.series)
            ]
            found += of_marks(evidence.marks, view.measured, view.evidence.series)
            for correlation in found:
                if correlation.what != "loss":
                    continue
                weight = {"strong": 2.0, "moderate": 1.2, "weak": 0.4, "none": 0.0}[correlation.strength]
                if weight and correlation.coefficient > 0:
                    case.clue(weight, correlation.sentence)
                elif not weight and correlation.n >= 20:
                    case.clue(-0.3, correlation.sentence)


def _refusal(
    scene: Scene, troubles: list[Trouble], absences: list[absent.Absence], causes: tuple[Cause, ...]
) -> str | None:
    call, judged = scene.evidence.call, [view for view in scene.streams if view.judged]
    best = causes[0].confidence if causes else 0.0
    if best >= LEAST_CONFIDENCE:
        return None
    if not judged:
        if call is None or call.outcome in ("answered", "unknown") or scene.streams:
            packets = sum(view.measured.received for view in scene.streams)
            return f"The capture holds {count(packets, 'packet')} of media, too few to say anything by."
        return None
    longest = max(view.seconds for view in judged)
    if longest < LEAST_SECONDS and not causes:
        return f"The capture holds {seconds(longest)} of media, too short to say anything by."
    if troubles or absences:
        missing = list(dict.fromkeys(text for cause in causes[:3] for text in cause.missing))
        settle = f" What would settle it: {' '.join(missing[:3])}" if missing else ""
        return f"No explanation is likely enough (the best has {best:.2f}).{settle}"
    return None
