"""Causes told by where things go wrong: beyond the capture on the carrier's side, or on the local one."""

from __future__ import annotations

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.marking import hops_of
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.trouble import reported_trouble, transport_troubles
from ringback.diagnosis.causes.words import count, is_private, percent


def carrier(scene: Scene, view: StreamView) -> Case:
    """What is wrong lies with the carrier or between networks."""
    case = Case("carrier-or-interconnect", "place", prior=-1.5, streams=(view.key,))
    _beyond(case, view, outside=True)
    _upstream(case, scene, view, outside=True)
    case.next_step = (
        "Give the carrier the times and these figures, with the capture, and ask for the "
        "same stream at its edge."
    )
    case.useless += ["Changes in the local network would not help: the packets are whole on this side of it."]
    return case


def local_side(scene: Scene, view: StreamView) -> Case:
    """What is wrong lies between the capture and the local device."""
    case = Case("local-side", "place", prior=-1.5, streams=(view.key,))
    _beyond(case, view, outside=False)
    _upstream(case, scene, view, outside=False)
    case.next_step = (
        "Capture at the device's own port: cable, switch port, Wi-Fi or the device itself is left."
    )
    case.useless += ["A complaint to the carrier would not help: its side is whole here."]
    return case


def _beyond(case: Case, view: StreamView, *, outside: bool) -> None:
    """Loss that the receiver reports and that had not happened here: it lies towards the receiver."""
    reported = view.reported
    if reported is None or reported.lost_share is None:
        case.missing.append("RTCP reports of the receiver: they would tell loss beyond this capture.")
        return
    beyond = reported_trouble(view)
    if is_private(view.key.dst) == outside:
        return
    if beyond is not None:
        where = "outside" if outside else "on the local side"
        case.clue(
            2.5 + min(1.5, reported.reports / 4),
            f"{count(reported.reports, 'report')} of the receiver ({where}, {view.key.dst}) tell "
            f"{percent(reported.lost_share)} lost of {view.name}; only {percent(view.loss.share)} of it "
            f"were missing here.",
        )
    elif view.loss.share > 0.005 and reported.lost_share < 1.5 * view.loss.share + 0.005:
        case.clue(
            -1.5,
            f"The receiver reports {percent(reported.lost_share)} lost, no more than the "
            f"{percent(view.loss.share)} missing here already.",
        )


def _upstream(case: Case, scene: Scene, view: StreamView, *, outside: bool) -> None:
    """Loss that had happened when the stream came by: it lies towards its sender."""
    if not transport_troubles(view) or is_private(view.key.src) == outside:
        return
    hops = hops_of(view)
    far = f", {count(hops, 'router')} away" if hops is not None else ""
    case.clue(
        1.8 if hops is not None and hops <= 1 else 0.2,
        f"{view.name.capitalize()} comes from {view.key.src}{far}, and {percent(view.loss.share)} of it were "
        f"missing when it came by here.",
    )
    other = scene.opposite(view)
    if other is not None and other.judged:
        if not transport_troubles(other):
            case.clue(0.7, f"{other.name.capitalize()} is whole here ({percent(other.loss.share)} lost).")
        else:
            case.clue(-0.7, f"{other.name.capitalize()} has losses as well ({percent(other.loss.share)}).")
