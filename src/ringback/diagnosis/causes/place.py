"""Causes told by where things go wrong: beyond the capture on the carrier's side, or on the local one."""

from __future__ import annotations

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.transport import lost_together_odds
from ringback.diagnosis.causes.trouble import jitter_beyond, reported_trouble, transport_troubles
from ringback.diagnosis.causes.words import count, is_private, ms, percent, routers

NEAR_HOPS = 1
"""A host this close is in the same site as the capture."""


def is_far(scene: Scene, host: str) -> bool:
    """Whether a host is in another site than the capture: by TTL, else by its address."""
    hops = scene.distance(host)
    return hops > NEAR_HOPS if hops is not None else not is_private(host)


def carrier(scene: Scene, view: StreamView) -> Case:
    """What is wrong lies with the carrier or between networks."""
    case = Case("carrier-or-interconnect", "place", prior=-1.5, streams=(view.key,))
    _beyond(case, scene, view, far=True)
    if is_far(scene, view.key.src):
        _upstream(case, scene, view)
    case.next_step = (
        "Give the carrier the times and these figures, with the capture, and ask for the same stream at "
        "its edge."
    )
    case.useless += ["Changes in the local network would not help: the packets are whole on this side of it."]
    return case


def local_side(scene: Scene, view: StreamView) -> Case:
    """What is wrong lies between the capture and the local device, or in that device."""
    case = Case("local-side", "place", prior=-1.5, streams=(view.key,))
    _beyond(case, scene, view, far=False)
    if not is_far(scene, view.key.src):
        _sent_so(case, scene, view)
    case.next_step = (
        "Capture at the device's own port: cable, switch port, Wi-Fi or the device itself is left."
    )
    case.useless += ["A complaint to the carrier would not help: it gets the packets as they are here."]
    return case


def _beyond(case: Case, scene: Scene, view: StreamView, *, far: bool) -> None:
    """Loss and jitter that the receiver reports and that were not yet here: they lie towards the receiver."""
    reported = view.reported
    if reported is None or reported.lost_share is None:
        case.missing.append("RTCP reports of the receiver: they would tell loss beyond this capture.")
        return
    if is_far(scene, view.key.dst) != far:
        return
    lost, jitter = reported_trouble(view), jitter_beyond(view)
    _shape_from_there(case, scene, view)
    ports = {v.key.sport for v in scene.at_home if v.key.src == view.key.dst and v.key.dst == view.key.src}
    if lost is not None and len(ports) > 1:
        case.clue(
            -3.5,
            f"Its receiver came back from another port ({len(ports)} in all): a NAT let nothing in "
            "meanwhile.",
        )
    where = f"{scene.distance(view.key.dst)} routers away" if scene.distance(view.key.dst) else view.key.dst
    if lost is not None:
        case.clue(
            2.3 + min(1.7, reported.lost / 15),
            f"{count(reported.reports, 'report')} of the receiver ({where}) tell "
            f"{percent(reported.lost_share)} lost of {view.name}; only {percent(view.loss.share)} of it "
            "were missing here.",
        )
        other = scene.opposite(view)
        if other is not None and other.loss.share > 0.005 and is_far(scene, other.key.src) == far:
            case.clue(
                0.8,
                f"{other.name.capitalize()}, from there, had lost {percent(other.loss.share)} when it came "
                "by.",
            )
    if jitter is not None:
        case.clue(0.8 if lost is not None else 2.2, f"{jitter.text[:1].upper()}{jitter.text[1:]}.")
    if lost is None and view.loss.share > 0.005 and reported.lost_share < 1.5 * view.loss.share + 0.005:
        case.clue(
            -1.5,
            f"The receiver reports {percent(reported.lost_share)} lost, no more than the "
            f"{percent(view.loss.share)} missing here already.",
        )


def _shape_from_there(case: Case, scene: Scene, view: StreamView) -> None:
    """What comes from the place that reports may show what is wrong there better than a place does."""
    other = scene.opposite(view)
    if other is None or other.delay is None or not other.judged:
        return
    if other.delay.holds and not other.delay.in_turns and lost_together_odds(other) > 0:
        case.clue(
            -3.5 if other.delay.holds >= 3 else -1.5,
            f"{other.name.capitalize()}, from there, was held up and let go "
            f"{count(other.delay.holds, 'time')}: that is a radio link, whoever runs it.",
        )


def _upstream(case: Case, scene: Scene, view: StreamView) -> None:
    """Loss that had happened when the stream came by: it lies towards its sender."""
    if not transport_troubles(view):
        return
    if not case.for_:
        # Nothing but that it comes from afar: one explanation of what is seen among others.
        case.explains = "transport"
    hops = f", {routers(view.hops)} away" if view.hops is not None else ""
    case.clue(
        0.2,
        f"{view.name.capitalize()} comes from {view.key.src}{hops}, and {percent(view.loss.share)} of it "
        "were missing when it came by here.",
    )
    other = scene.opposite(view)
    if other is not None and other.judged:
        if not transport_troubles(other):
            case.clue(0.5, f"{other.name.capitalize()} is whole here ({percent(other.loss.share)} lost).")
        else:
            case.clue(-0.5, f"{other.name.capitalize()} has losses as well ({percent(other.loss.share)}).")


def _sent_so(case: Case, scene: Scene, view: StreamView) -> None:
    """Trouble of a stream whose sender is next to the capture: it was sent so, or spoilt in the same room."""
    if not transport_troubles(view):
        return
    case.explains = "transport"
    shape, hops = view.delay, view.hops
    between = f"{routers(hops)} between" if hops is not None else "the same network for"
    case.clue(
        2.2 if hops == 0 else 0.8,
        f"With {between} its sender and the capture, {view.name} misses {percent(view.loss.share)} already "
        f"and is delayed by up to {ms(shape.largest_ms) if shape else 'an unknown time'}.",
    )
    if shape is None:
        return
    if (shape.holds >= 3 and shape.unlike < 2.2) or shape.in_turns:
        case.clue(
            2.2 if shape.in_turns and hops == 0 else 1.5,
            f"{count(shape.holds, 'time')} it paused and then sent what had gathered; "
            f"{percent(shape.together)} of its packets come right after another.",
        )
    if shape.steps:
        case.clue(
            -2.5,
            f"The floor of the delay stepped {count(len(shape.steps), 'time')}: that is a way, not a device.",
        )
    elif shape.ramps >= 3 and shape.ramps > shape.holds:
        case.clue(
            -1.0, f"{count(shape.ramps, 'time')} the delay grew like a queue, which devices seldom have."
        )
    if lost_together_odds(view) > 0.5 and view.loss.single_share > 0.5:
        case.clue(
            -2.0,
            f"{count(view.loss.lost, 'packet')} were lost among those that were held up: a radio gives up "
            "on some, a device that stalls does not.",
        )
    other = scene.opposite(view)
    if other is not None and other.judged and not transport_troubles(other):
        far = f", from {other.hops} routers away" if other.hops else ""
        case.clue(0.6, f"{other.name.capitalize()}{far}, is even at the same place.")
    if other is not None and other.reported_jitter_ms is not None:
        if other.reported_jitter_ms < 5 and reported_trouble(other) is None:
            case.clue(
                0.8,
                f"What the same device receives is whole: it reports {ms(other.reported_jitter_ms)} of "
                "jitter at most.",
            )
        elif jitter_beyond(other) is not None:
            case.clue(
                -1.5,
                f"What goes to it is spoilt as well: it reports {ms(other.reported_jitter_ms)} of jitter.",
            )
