"""Figures that look like a fault and are none: duplicates, holds, faxes, trimmed captures, mixed clocks."""

from __future__ import annotations

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import SIDES, Scene, StreamView
from ringback.diagnosis.causes.words import clock, count, percent, seconds

_AS_CAPTURED = "Changes in the network would not help: the capture shows what did not happen."


def artefacts(scene: Scene) -> list[Case]:
    """Every artefact of a call's capture that can be seen."""
    cases = [_hold(scene), _fax(scene), _mixed_clocks(scene)]
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
        f"{count(view.measured.duplicates, 'packet')} of {view.name} came twice ({percent(share)}), so "
        f"that received less "
        f"expected is {view.measured.received - view.measured.expected:+,}.",
    )
    if view.measured.kernel_duplicates > 0.8 * view.measured.duplicates:
        case.clue(
            1.5,
            f"{view.measured.kernel_duplicates:,} of them have the same IP identification: one packet was "
            f"captured twice.",
        )
    elif view.measured.duplicates > 20:
        case.clue(
            -0.5,
            f"Only {view.measured.kernel_duplicates:,} of them have the same IP identification: the "
            f"network may repeat them.",
        )
    if view.loss.share < 0.005:
        case.clue(0.7, f"Of distinct packets {percent(view.loss.share)} are missing: nobody hears a fault.")
    return case


def _trimmed(scene: Scene, view: StreamView) -> Case:
    case = _case(
        "Take the capture again without a filter or a limit, and look for drops that the capturing "
        "program reports.",
        view,
    )
    loss = view.loss
    if loss.lost < 20:
        return case
    if loss.timeless > 0.5 * loss.lost:
        case.clue(
            4.0,
            f"{loss.timeless:,} of {loss.lost:,} missing packets are in jumps of the sequence during "
            f"which no time "
            f"passed: they were never sent at that time, or were cut out.",
        )
    if loss.share > 0.5 and loss.blocks > 0.9 * loss.lost:
        case.clue(
            2.5,
            f"{percent(loss.share)} are missing, {percent(loss.blocks / loss.lost)} of them in blocks of "
            f"50 and more, with "
            f"whole stretches between: packets were taken out of the capture.",
        )
    both = _missing_together(scene, view)
    if both > 0.6 and loss.blocks > 0.5 * loss.lost:
        case.clue(
            2.5,
            f"{percent(both)} of the missing packets of both directions lie at the same times: the "
            f"capture itself "
            f"paused.",
        )
    reported = view.reported
    if reported is not None and reported.lost_share is not None and loss.share > 0.02:
        if reported.lost_share < 0.3 * loss.share:
            case.clue(
                2.5,
                f"The receiver reports {percent(reported.lost_share)} lost, where the capture misses "
                f"{percent(loss.share)}.",
            )
        elif reported.lost_share > 0.7 * loss.share:
            case.clue(-3.0, f"The receiver reports {percent(reported.lost_share)} lost, as the capture does.")
    return case


def _missing_together(scene: Scene, view: StreamView) -> float:
    """Share of a stream's lost packets at times at which the other direction misses packets, too."""
    other = scene.opposite(view)
    if other is None or not other.loss.runs or not view.loss.runs:
        return 0.0
    offset = (other.measured.began_ns - view.measured.began_ns) / 1e9
    spans = [
        (
            float(other.loss.times_s[a]) + offset - 0.05,
            float(other.loss.times_s[min(a + n, other.loss.expected - 1)]) + offset + 0.05,
        )
        for a, n in zip(other.loss.run_at, other.loss.run_length, strict=True)
        if n >= 10
    ]
    if not spans:
        return 0.0
    times = view.loss.times_s[view.evidence.series.lost]
    within = sum(((times >= a) & (times <= b)).sum() for a, b in spans[:2000])
    return float(within) / len(times)


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
        held_s = scene.held_s(side, scene.talk)
        if held_s < 2:
            continue
        name = "the caller" if side == "caller" else "the called side"
        whole_s = (scene.talk.ended_ns - scene.talk.began_ns) / 1e9
        sent = sum(view.seconds for view in scene.of(side))
        if sent < whole_s - 0.5 * held_s:
            case.clue(
                4.0,
                f"SDP kept {name} from sending for {seconds(held_s)} of {seconds(whole_s)}: the call was "
                f"on hold, and no "
                f"packet was due.",
            )
    return case


def _fax(scene: Scene) -> Case:
    case = _case("Judge the fax by its T.38 packets, and the call by the time before it.")
    flows = [flow for flow in scene.evidence.other if flow.kind == "t38"]
    if flows:
        packets = sum(flow.packets for flow in flows)
        case.explains = "absence"
        case.clue(
            3.5,
            f"{count(packets, 'packet')} of T.38 from {clock(min(f.began_ns for f in flows))} on: the "
            f"call became a fax, "
            f"and its RTP paused.",
        )
    return case


def _mixed_clocks(scene: Scene) -> Case:
    case = _case("Take captures by one clock, or align them by --point before they are joined.")
    for view in scene.streams:
        if view.delay is not None and view.delay.backwards:
            case.clue(
                3.5,
                f"The capture's times run back in {count(view.delay.backwards, 'place')} of {view.name} "
                f"while its sequence "
                f"goes on: packets of two clocks are mixed.",
            )
            case.streams = (*case.streams, view.key)
    call, talk = scene.evidence.call, scene.talk
    if call is not None and talk is not None and scene.streams:
        early = [view for view in scene.streams if view.measured.ended_ns < call.start_ns - int(2e9)]
        if early:
            case.clue(
                2.5,
                f"{early[0].name.capitalize()} ended "
                f"{seconds((call.start_ns - early[0].measured.ended_ns) / 1e9)} before the "
                f"call's INVITE: their times are not of one clock.",
            )
    return case
