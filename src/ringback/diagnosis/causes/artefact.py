"""Figures that look like a fault and are none: duplicates, holds, faxes, trimmed captures, mixed clocks."""

from __future__ import annotations

import numpy as np

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import SIDES, Scene, StreamView
from ringback.diagnosis.causes.words import clock, count, ms, percent, seconds

EARLY_MS = 30.0
_AS_CAPTURED = "Changes in the network would not help: the capture shows what did not happen."


def artefacts(scene: Scene) -> list[Case]:
    """Every artefact of a call's capture that can be seen."""
    cases = [_hold(scene), _fax(scene), _mixed_clocks(scene), _new_sources(scene)]
    for view in scene.streams:
        cases += [_duplicates(view), _trimmed(scene, view), _restart(view)]
    return [case for case in cases if case.for_]


def _case(step: str, *views: StreamView) -> Case:
    case = Case("measurement-artefact", "transport", prior=-1.0, streams=tuple(view.key for view in views))
    case.next_step = step
    case.useless.append(_AS_CAPTURED)
    return case


def _duplicates(view: StreamView) -> Case:
    case = _case(
        "Capture one port of the mirror, or one interface, and count distinct sequence numbers only.", view
    )
    # End packets of telephone-events are repeated on purpose (RFC 4733, 2.5.1.4), with numbers of their own.
    share = view.measured.duplicates / max(1, view.measured.unique)
    if share < 0.02 or view.measured.duplicates < 10:
        return case
    case.explains = "figures"
    case.clue(
        min(3.5, 1.8 + 4 * share),
        f"{count(view.measured.duplicates, 'packet')} of {view.name} came twice ({percent(share)}), so that "
        f"received less expected is {view.measured.received - view.measured.expected:+,}.",
    )
    if view.measured.kernel_duplicates > 0.8 * view.measured.duplicates:
        case.clue(
            1.5,
            f"{view.measured.kernel_duplicates:,} of them have the same IP identification: one packet was "
            "captured twice.",
        )
    elif view.measured.duplicates > 20:
        case.clue(
            -0.5,
            f"Only {view.measured.kernel_duplicates:,} of them have the same IP identification: the network "
            "may repeat them.",
        )
    if view.loss.share < 0.005:
        case.clue(0.7, f"Of distinct packets {percent(view.loss.share)} are missing: nobody hears a fault.")
    return case


def _trimmed(scene: Scene, view: StreamView) -> Case:
    case = _case(
        "Take the capture again without a filter or a limit, and look for drops that the capturing program "
        "reports.",
        view,
    )
    loss = view.loss
    if loss.lost < 5:
        return case
    if loss.timeless > 0.5 * loss.lost:
        case.clue(
            4.0,
            f"{loss.timeless:,} of {loss.lost:,} missing packets are in jumps of the sequence during which "
            "no time passed: they were never sent at that time, or were cut out.",
        )
    if loss.share > 0.5 and loss.blocks > 0.9 * loss.lost:
        case.clue(
            2.5,
            f"{percent(loss.share)} are missing, {percent(loss.blocks / loss.lost)} of them in blocks of 50 "
            "and more, with whole stretches between: packets were taken out of the capture.",
        )
    both, by_chance = _missing_together(scene, view)
    if both - by_chance > 0.6 * (1.0 - min(by_chance, 0.99)):
        case.clue(
            2.5,
            f"{percent(both)} of the missing packets of both directions lie at the same times "
            f"({percent(by_chance)} by chance): the capture itself paused.",
        )
    reported = view.reported
    if reported is not None and reported.lost_share is not None and reported.reports >= 2:
        if reported.lost_share < 0.3 * loss.share:
            case.clue(
                min(3.5, 0.2 * loss.lost),
                f"The receiver reports {percent(reported.lost_share)} lost, where the capture misses "
                f"{percent(loss.share)}.",
            )
        elif reported.lost_share > 0.7 * loss.share:
            case.clue(-3.0, f"The receiver reports {percent(reported.lost_share)} lost, as the capture does.")
    return case


def _missing_together(scene: Scene, view: StreamView) -> tuple[float, float]:
    """Share of a stream's lost packets at times at which the other direction misses some, and by chance."""
    other = scene.opposite(view)
    if other is None or other.loss.runs < 1 or view.loss.runs < 1:
        return 0.0, 0.0
    offset = (other.measured.began_ns - view.measured.began_ns) / 1e9
    slack = 1.5e-3 * (other.measured.ptime_ms or 20.0)
    last = other.loss.expected - 1
    begins = other.loss.times_s[other.loss.run_at] + offset - slack
    ends = (
        other.loss.times_s[np.minimum(other.loss.run_at + other.loss.run_length - 1, last)] + offset + slack
    )
    times = np.sort(view.loss.times_s[view.evidence.series.lost])
    # Begins and ends rise together: a time is in a run when the last run that began before has not ended.
    at = np.searchsorted(begins, times, side="right") - 1
    within = (at >= 0) & (times <= ends[np.maximum(at, 0)])
    return float(within.mean()), min(1.0, float((ends - begins).sum()) / max(view.seconds, 1.0))


def _new_sources(scene: Scene) -> Case:
    """A sender that goes on with another SSRC between the same ports: nothing was lost in between."""
    case = _case("Count each source by itself; the sender or a server before it began anew.")
    case.explains = "figures"
    views = sorted(scene.streams, key=lambda view: view.measured.began_ns)
    changes = []
    for earlier in (view for view in views if view.measured.unique >= 2):
        following = [v for v in views if v.key.endpoints == earlier.key.endpoints and v is not earlier]
        following = [v for v in following if v.measured.codec.name == earlier.measured.codec.name]
        after = [v for v in following if v.measured.began_ns > earlier.measured.began_ns]
        if after and abs(after[0].measured.began_ns - earlier.measured.ended_ns) < 2 * 10**9:
            changes.append((earlier, after[0]))
    if changes:
        first = changes[0][0]
        case.clue(
            3.4,
            f"{count(len(changes), 'time')} {first.name} went on with another source (SSRC) from one packet "
            f"to the next, first at {clock(changes[0][1].measured.began_ns)}: its numbers begin anew, and "
            "nothing is lost.",
        )
        case.streams = tuple(dict.fromkeys(view.key for change in changes for view in change))
    return case


def _restart(view: StreamView) -> Case:
    case = _case("Count each part of the stream by itself.", view)
    restarts = [p for p in view.measured.phases if p.reason == "restart"]
    jumps = [p for p in view.measured.phases if p.reason == "timestamp-jump"]
    if restarts:
        case.explains = "figures"
        case.clue(
            3.2,
            f"{view.name.capitalize()} began its count anew {count(len(restarts), 'time')}, first at "
            f"{clock(restarts[0].began_ns)}: the jump is no loss.",
        )
    elif jumps:
        case.explains = "figures"
        case.clue(
            1.5,
            f"The time stamps of {view.name} jumped {count(len(jumps), 'time')}, first at "
            f"{clock(jumps[0].began_ns)}.",
        )
    return case


def _hold(scene: Scene) -> Case:
    case = _case("Leave the time on hold out of the figures.")
    case.explains = "absence"
    if scene.talk is None or scene.evidence.call is None:
        return case
    for side in SIDES:
        holds = scene.holds(side, scene.talk)
        held_s = sum((hold.ended_ns - hold.began_ns) / 1e9 for hold in holds)
        sent = [view for view in scene.of(side) if view.measured.unique >= 2]
        silent_s = sum(min((view.silence_s(hold) for view in sent), default=0.0) for hold in holds)
        if held_s < 2 or silent_s < 0.6 * held_s:
            continue
        name = "the caller" if side == "caller" else "the called side"
        case.clue(
            4.0 if not case.for_ else 0.5,
            f"SDP kept {name} from sending for {seconds(held_s)} from {clock(holds[0].began_ns)} on, and it "
            f"sent nothing for {seconds(silent_s)} of it: the call was on hold, and no packet was due.",
        )
    return case


def _fax(scene: Scene) -> Case:
    case = _case("Judge the fax by its T.38 packets, and the call by the time before it.")
    flows = [flow for flow in scene.evidence.other if flow.kind == "t38"]
    switches = scene.found("t38-switch")
    if not flows and not switches:
        return case
    began_ns = min([f.began_ns for f in flows] + [f.at_ns for f in switches])
    packets = sum(flow.packets for flow in flows)
    case.explains = "absence"
    case.clue(
        3.5,
        f"The call became a fax at {clock(began_ns)} ({count(packets, 'packet')} of T.38), and its RTP "
        "paused: none was due.",
    )
    for view in scene.streams:
        lost = view.loss.times_s[view.evidence.series.lost] * 1e9 + view.measured.began_ns
        if len(lost) >= 50 and float(np.mean(lost > began_ns - int(5e9))) > 0.8:
            case.explains = "transport"
            case.clue(3.0, f"{count(len(lost), 'missing packet')} of {view.name} lie after that.")
            case.streams = (*case.streams, view.key)
    return case


def _mixed_clocks(scene: Scene) -> Case:
    case = _case("Take captures by one clock, or align them by --point before they are joined.")
    for view in scene.streams:
        if view.delay is not None and view.delay.backwards:
            case.clue(
                3.5,
                f"The capture's times run back in {count(view.delay.backwards, 'place')} of {view.name} "
                "while its sequence goes on: packets of two clocks are mixed.",
            )
            case.streams = (*case.streams, view.key)
    _clocks_of_reports(case, scene)
    call, talk = scene.evidence.call, scene.talk
    if call is not None and talk is not None and scene.streams:
        early = [view for view in scene.streams if view.measured.ended_ns < call.start_ns - int(2e9)]
        if early:
            case.clue(
                2.5,
                f"{early[0].name.capitalize()} ended "
                f"{seconds((call.start_ns - early[0].measured.ended_ns) / 1e9)} before the call's INVITE: "
                "their times are not of one clock.",
            )
    return case


def _clocks_of_reports(case: Case, scene: Scene) -> None:
    """An answer that comes before its question shows that both ways have clocks of their own."""
    for view in scene.streams:
        trip = view.reported.half_trip_ms if view.reported is not None else None
        if (
            view.reported is not None
            and trip is not None
            and trip < -EARLY_MS
            and len(view.reported.half_trips_ms) >= 2
        ):
            case.explains = "figures"
            case.clue(
                4.0,
                f"{count(len(view.reported.half_trips_ms), 'RTCP answer')} came {ms(-trip)} before the "
                "report that they answer (median): the two ways were captured by different clocks.",
            )
            case.streams = (*case.streams, view.key)
    early = early_answers(scene)
    if early:
        case.explains = "figures"
        case.clue(
            2.5,
            f"{count(len(early), 'SIP answer')} came before the request, by up to {ms(max(early))}: the two "
            "ways were captured by different clocks.",
        )


def early_answers(scene: Scene) -> list[float]:
    """By how many ms answers come before the first request that they can be about."""
    call = scene.evidence.call
    asked: dict[tuple[str, int, str], int] = {}
    for message in call.messages if call is not None else ():
        if not message.status or (message.status == 200 and message.method == "INVITE"):
            name = "200" if message.status else message.method
            key = name, message.cseq, message.endpoints.src
            asked[key] = min(asked.get(key, message.at_ns), message.at_ns)
    early = []
    for message in call.messages if call is not None else ():
        first = asked.get((message.method, message.cseq, message.endpoints.dst))
        if message.method == "ACK":
            # Of the 200 to the INVITE with the same number.
            first = asked.get(("200", message.cseq, message.endpoints.dst))
        elif not message.status:
            continue
        if first is not None and message.at_ns < first - int(EARLY_MS * 1e6):
            early.append((first - message.at_ns) / 1e6)
    return early
