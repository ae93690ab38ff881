"""The cause of media or signalling that is let in no more: a NAT forgot the way (RFC 4787, 4.3)."""

from __future__ import annotations

import numpy as np

from ringback.diagnosis.causes.absence import Absence
from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.one_way import UNREACHED
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.words import clock, count, seconds

NAT_TIMEOUTS_S = (20, 30, 40, 60, 120, 180, 300)
"""After which NATs in use forget a UDP binding; RFC 4787 asks for 120 at least, with 300 as default."""
QUIET_S, SHUT_OUT_S = 15.0, 3.0
NEXT_STEP = (
    "Let the side behind the NAT send at least every 15 s (RTP keep-alive, no silence suppression; OPTIONS "
    "for its signalling), or raise the NAT's UDP timeout."
)
USELESS = ("QoS would not help: nothing comes through at all.", "A bigger jitter buffer would not help.")


def stopped(scene: Scene, absence: Absence) -> Case:
    """Media that stopped although its sender went on, as far as anybody said."""
    case = Case("nat-timeout", "absence", prior=-1.5, streams=(absence.view.key,) if absence.view else ())
    if absence.view is None:
        case.clue(
            -2.0,
            f"Media of {absence.name} never came in {seconds(absence.seconds)}, so that no binding was "
            "forgotten.",
        )
        return case
    goes_on = absence.other is not None and absence.other.measured.ended_ns > absence.since_ns + int(3e9)
    case.clue(
        1.3 + (0.5 if goes_on else 0.0),
        f"Media of {absence.name} stopped at {clock(absence.since_ns)}, {seconds(absence.seconds)} before "
        f"the end, {'while the other way went on, ' if goes_on else ''}without a message that would say so.",
    )
    quiet = _quiet_before(absence)
    if quiet is not None:
        near = min(NAT_TIMEOUTS_S, key=lambda s: abs(quiet - s))
        fits = abs(quiet - near) <= max(3.0, 0.06 * near)
        case.clue(
            1.8 if fits else 0.8 if quiet >= 15 else 0.1,
            f"Nothing had gone the other way for {seconds(quiet)} by "
            f"then{f', near the {near} s after which NATs forget' if fits else ''}.",
        )
    else:
        lasted = absence.view.seconds
        near = min(NAT_TIMEOUTS_S, key=lambda s: abs(lasted - s))
        if abs(lasted - near) <= 0.05 * near:
            case.clue(1.2, f"It had come for {seconds(lasted)}, near the {near} s after which NATs forget.")
    closed = [n for n in scene.evidence.notices if n.at_ns >= absence.since_ns]
    if closed:
        case.clue(
            0.8,
            f"{count(len(closed), 'ICMP error')} came after it stopped, the first at "
            f"{clock(closed[0].at_ns)}.",
        )
    unanswered = scene.found(
        "bye-unanswered", "reinvite-unanswered", "request-unanswered", "ended-by-media-timeout"
    )
    for finding in unanswered[:2]:
        case.clue(1.0, finding.text)
    call = scene.evidence.call
    if call is not None and call.ended_by is not None and absence.seconds < 3:
        case.clue(-1.5, f"The call was ended {seconds(absence.seconds)} later.")
    case.missing.append(
        f"A capture at {absence.name}: whether it went on sending, and the NAT's table and timeouts."
    )
    return _finished(case)


def shut_out(scene: Scene, view: StreamView) -> Case:
    """A stream that was not let in after the other way had been silent, until that spoke again."""
    case = Case("nat-timeout", "transport", prior=-1.5, streams=(view.key,))
    other = scene.opposite(view)
    if other is None:
        return case
    arrived = np.sort(other.evidence.series.arrived_ns[~other.evidence.series.lost])
    long_runs = view.loss.run_length * (view.measured.ptime_ms or 20.0) >= 1000.0 * SHUT_OUT_S
    for at, length in zip(view.loss.run_at[long_runs], view.loss.run_length[long_runs], strict=True):
        began_ns = view.at_ns(float(view.loss.times_s[at]))
        ended_ns = view.at_ns(float(view.loss.times_s[at + length - 1]))
        next_at = int(np.searchsorted(arrived, began_ns))
        if not 0 < next_at < len(arrived):
            continue
        quiet_s = (began_ns - int(arrived[next_at - 1])) / 1e9
        spoke_s = (ended_ns - int(arrived[next_at])) / 1e9
        if quiet_s < QUIET_S or not -0.5 < spoke_s < 2.0:
            continue
        case.clue(
            5.0 if not case.for_ else 0.5,
            f"Nothing of {view.name} was let in for {seconds((ended_ns - began_ns) / 1e9)} from "
            f"{clock(began_ns)} on, after nothing had gone the other way for {seconds(quiet_s)}, and until "
            "it spoke again.",
        )
    return _finished(case)


def moved(scene: Scene, view: StreamView) -> Case:
    """A stream that came back from another port after a silence: the old binding was gone."""
    case = Case("nat-timeout", "absence", prior=-1.5, streams=(view.key,))
    for later in scene.streams:
        quiet = (later.measured.began_ns - view.measured.ended_ns) / 1e9
        same = later is not view and later.key.ssrc == view.key.ssrc and later.key.dst == view.key.dst
        if not same or later.key[:2] == view.key[:2] or quiet < QUIET_S:
            continue
        case.clue(
            3.0,
            f"After {seconds(quiet)} without a packet {view.name} came back from port {later.key.sport} "
            f"instead of {view.key.sport}: the NAT had forgotten it.",
        )
        old = scene.opposite(view)
        if old is not None and old.measured.ended_ns > later.measured.began_ns:
            case.clue(
                1.0,
                f"{old.name.capitalize()} went on to the old port {old.key.dport} until "
                f"{clock(old.measured.ended_ns)}.",
            )
        closed = [
            n
            for n in scene.evidence.notices
            if n.kind in UNREACHED and n.at_ns > view.measured.ended_ns + int(QUIET_S * 1e9)
        ]
        if closed:
            case.clue(
                1.0,
                f"{count(len(closed), 'ICMP error')} answered it from {clock(closed[0].at_ns)} on, and none "
                "before.",
            )
    return _finished(case)


def unanswered(scene: Scene) -> Case:
    """Signalling that reaches a side no more, whose media goes on as if nothing had happened."""
    case = Case("nat-timeout", "ending", prior=-2.0)
    for finding in scene.found("bye-unanswered", "reinvite-unanswered", "request-unanswered"):
        if finding.code != "bye-unanswered" and scene.found(
            "session-refresh-failed", "session-timer-expired"
        ):
            continue
        by = (finding.data or {}).get("by")
        deaf = [v for v in scene.streams if v.side not in (None, by) and v.judged]
        on_s = max(((v.measured.ended_ns - finding.at_ns) / 1e9 for v in deaf), default=0.0)
        case.clue(1.5, finding.text)
        if on_s > 5.0 and finding.code == "bye-unanswered":
            case.clue(2.2, f"The other side knew nothing of it: its media went on for {seconds(on_s)}.")
        since = _signalled_before(scene, finding.at_ns)
        if since is not None and since >= 25.0:
            case.clue(1.0, f"Nothing had been signalled for {seconds(since)} before.")
        break
    return _finished(case)


def _signalled_before(scene: Scene, at_ns: int) -> float | None:
    call = scene.evidence.call
    before = [m.at_ns for m in call.messages if m.at_ns < at_ns - 10**9] if call else []
    return (at_ns - max(before)) / 1e9 if before else None


def _quiet_before(absence: Absence) -> float | None:
    """How long the other side had sent nothing when media stopped; None if it sent, or nothing is known."""
    other = absence.other
    if other is None or absence.view is None:
        return None
    arrived = np.sort(other.evidence.series.arrived_ns[~other.evidence.series.lost])
    before = arrived[arrived <= absence.since_ns]
    if not len(before):
        return float((absence.since_ns - absence.view.measured.began_ns) / 1e9)
    quiet = float((absence.since_ns - int(before[-1])) / 1e9)
    return quiet if quiet >= 5.0 else None


def _finished(case: Case) -> Case:
    case.next_step = NEXT_STEP
    case.useless += USELESS
    return case
