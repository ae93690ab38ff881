"""Causes of media that does not come, or stops: one-way media (RFC 3264, RFC 4787) and NATs that forget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import SIDES, Scene, StreamView
from ringback.diagnosis.causes.trouble import SILENT_S
from ringback.diagnosis.causes.verdict import Window
from ringback.diagnosis.causes.words import clock, count, is_private, seconds
from ringback.diagnosis.signalling.call import Side

NAT_TIMEOUTS_S = (20, 30, 60, 120, 180, 300)
"""After which NATs in use forget a UDP binding; RFC 4787 asks for 120 at least, with 300 as default."""
STOPPED_S = 5.0


@dataclass(frozen=True, slots=True)
class Absence:
    """A side that should have sent and did not: from the start, or from some time on."""

    side: Side
    view: StreamView | None
    """What it sent before; None for nothing."""
    since_ns: Nanoseconds
    seconds: float
    other: StreamView | None

    @property
    def name(self) -> str:
        """Whose media is meant."""
        return "the caller" if self.side == "caller" else "the called side"


def absences(scene: Scene) -> list[Absence]:
    """Sides that sent nothing, or stopped, while they should have gone on; holds are taken out."""
    if scene.talk is None:
        return _without_signalling(scene)
    talk, found = scene.talk, []
    if not any(view.judged for view in scene.streams):
        # A capture without media says nothing about who sent some.
        return []
    for side in SIDES:
        mine = [view for view in scene.of(side) if view.measured.unique >= 5]
        theirs = [view for view in scene.streams if view.side not in (None, side) and view.judged]
        other = max(theirs, key=lambda view: view.measured.received, default=None)
        if other is None and not mine:
            continue
        last = max((view for view in mine), key=lambda view: view.measured.ended_ns, default=None)
        since = max(talk.began_ns, last.measured.ended_ns) if last else talk.began_ns
        if since >= talk.ended_ns or _is_fax(scene, since):
            continue
        gap = Window(since, talk.ended_ns)
        missing_s = (gap.ended_ns - gap.began_ns) / 1e9 - scene.held_s(side, gap)
        if missing_s >= (STOPPED_S if last else SILENT_S):
            found.append(Absence(side, last, since, missing_s, other))
    return found


def _without_signalling(scene: Scene) -> list[Absence]:
    found = []
    for view in scene.streams:
        other = scene.opposite(view)
        if other is None or not view.judged:
            continue
        missing_s = (other.measured.ended_ns - view.measured.ended_ns) / 1e9
        if missing_s >= STOPPED_S:
            side: Side = view.side or "caller"
            found.append(Absence(side, view, view.measured.ended_ns, missing_s, other))
    return found


def _is_fax(scene: Scene, since: Nanoseconds) -> bool:
    return any(flow.kind == "t38" and flow.ended_ns > since for flow in scene.evidence.other)


def one_way(scene: Scene, absence: Absence) -> Case:
    """Media of one side never reaches the other, because it is sent elsewhere or let in nowhere."""
    case = Case("one-way-media", "absence", prior=-1.0, streams=(absence.other.key,) if absence.other else ())
    if absence.view is not None:
        case.clue(-2.5, f"Media of {absence.name} came for {seconds(absence.view.seconds)} and then stopped.")
    else:
        other = absence.other
        beside = f", while {count(other.measured.received, 'packet')} came the other way" if other else ""
        case.clue(
            1.3,
            f"Not one packet of {absence.name} came in {seconds(absence.seconds)} of the answered "
            f"call{beside}.",
        )
    _addresses(case, scene, absence)
    _notices(case, scene)
    if not case.missing:
        case.missing.append(f"A capture at {absence.name}: whether it sends at all, and where to.")
    case.next_step = (
        f"Compare the address and port in the SDP that {absence.name} was given with where its packets go; "
        f"set the public address (or turn the router's SIP ALG off)."
    )
    case.useless += [
        "More bandwidth or QoS would not help: no packet comes at all.",
        "Another codec would not help.",
    ]
    return case


def _addresses(case: Case, scene: Scene, absence: Absence) -> None:
    """What SDP said of where the missing media should go, against what is seen."""
    found = scene.found("sdp-address-private", "sdp-address-unusable")
    for finding in found[:2]:
        case.clue(2.5, finding.text)
    for finding in scene.found("alg-rewrite")[:2]:
        case.clue(2.0, finding.text)
    for view in scene.streams:
        aim = view.evidence.expected_at
        if aim is not None and view.judged and aim != (view.key.dst, view.key.dport):
            case.clue(
                1.5,
                f"{view.name.capitalize()} goes to {view.key.dst}:{view.key.dport}, where SDP wanted "
                f"{aim[0]}:{aim[1]}.",
            )
        offer = _offer_of(scene, view)
        if offer is not None and view.judged and offer != view.key.src:
            case.clue(0.8, f"{view.name.capitalize()} comes from {view.key.src}, its SDP names {offer}.")
    call = scene.evidence.call
    if call is None or found:
        return
    told = [o for o in call.media if o.by != absence.side and o.accepted and o.kind == "audio"]
    for offer_ in told[-1:]:
        if is_private(offer_.address) and not is_private(
            call.caller.dst if offer_.by == "called" else call.caller.src
        ):
            case.clue(
                2.0,
                f"{absence.name.capitalize()} was told to send to {offer_.address}:{offer_.port}, a "
                f"private address.",
            )


def _offer_of(scene: Scene, view: StreamView) -> str | None:
    """The address that a stream's sender gave as its own."""
    call = scene.evidence.call
    if call is None or view.side is None:
        return None
    own = [o for o in call.media if o.by == view.side and o.accepted and o.kind == "audio"]
    return own[-1].address if own else None


def _notices(case: Case, scene: Scene) -> None:
    closed = [
        n for n in scene.evidence.notices if n.kind in ("port-unreachable", "host-unreachable", "prohibited")
    ]
    about = {n.about for n in closed} & {view.key.endpoints for view in scene.streams}
    if about:
        hits = [n for n in closed if n.about in about]
        first = hits[0]
        what = {"port-unreachable": "nobody listens there", "prohibited": "a filter forbids it"}.get(
            first.kind, "the host is not reached"
        )
        case.clue(
            3.0,
            f"{count(len(hits), 'ICMP error')} from {first.reporter} answered the media to "
            f"{first.about.dst}:{first.about.dport}: {what}.",
        )


def nat_timeout(scene: Scene, absence: Absence) -> Case:
    """A NAT or firewall forgets the binding of a stream, after which nothing gets in any more."""
    case = Case("nat-timeout", "absence", prior=-1.5, streams=(absence.view.key,) if absence.view else ())
    if absence.view is None:
        case.clue(
            -2.0,
            f"Media of {absence.name} never came in {seconds(absence.seconds)}, so that no binding was "
            f"forgotten.",
        )
        return case
    goes_on = absence.other is not None and absence.other.measured.ended_ns > absence.since_ns + int(3e9)
    case.clue(
        1.3 + (0.5 if goes_on else 0.0),
        f"Media of {absence.name} stopped at {clock(absence.since_ns)}, {seconds(absence.seconds)} before "
        f"the end, "
        f"{'while the other way went on, ' if goes_on else ''}without a message that would say so.",
    )
    quiet = _quiet_before(absence)
    if quiet is not None:
        near = min(NAT_TIMEOUTS_S, key=lambda s: abs(quiet - s))
        fits = abs(quiet - near) <= max(3.0, 0.06 * near)
        case.clue(
            1.8 if fits else 0.8 if quiet >= 15 else 0.1,
            f"Nothing had gone the other way for {seconds(quiet)} by then"
            f"{f', near the {near} s after which NATs forget' if fits else ''}.",
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
    case.next_step = (
        "Let the side behind the NAT send at least every 15 s (RTP keep-alive, no silence "
        "suppression), or raise the NAT's UDP timeout."
    )
    case.useless += [
        "QoS would not help: nothing comes through at all.",
        "A bigger jitter buffer would not help.",
    ]
    return case


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
