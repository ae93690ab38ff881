"""Causes in how packets are marked (RFC 2474, RFC 4594): not at the source, or a hop takes it away."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import Scene, StreamView, usual
from ringback.diagnosis.causes.transport import queue_odds
from ringback.diagnosis.causes.trouble import jitter_beyond, reported_trouble, transport_troubles
from ringback.diagnosis.causes.words import count, ms, percent, routers

EXPEDITED = 46
"""EF, for voice (RFC 3246)."""
VOICE = frozenset({EXPEDITED, 44, 40, 34, 32})
"""What is queued as voice or close to it: EF, VOICE-ADMIT, CS5, AF41, CS4."""
LEFTOVERS: Mapping[int, str] = {
    6: "46 without its three bits of IP precedence",
}
"""What hops leave of 46 that set or clear the old precedence bits only."""


def suffers_from_queues(view: StreamView) -> tuple[float, str]:
    """How much a stream shows what priority would spare it: a weight, and a sentence or nothing."""
    shape = view.delay
    beyond = jitter_beyond(view) or reported_trouble(view)
    if beyond is not None:
        return 0.8, f"Beyond this point it suffers: {beyond.text}."
    if shape is None:
        return 0.0, ""
    before = shape.before_loss
    odds = queue_odds(view)
    if odds > 0.5:
        return min(1.5, 0.5 + 0.3 * odds), (
            f"The delay rose by {ms(before.rise_ms)} before {before.rose} of "
            f"{count(before.bursts, 'loss burst')}: it stands in a queue with other traffic."
        )
    stands = shape.smooth > 0.6 and before.by_chance > 0.05 and shape.holds < 3 and not shape.in_turns
    if (shape.ramps >= 2 and shape.ramps > shape.holds) or (stands and not shape.steps):
        return 0.8, (
            f"{count(shape.ramps, 'time')} the delay grew like a queue, to {ms(shape.largest_ms)} at most; "
            f"{percent(view.late_share)} of the packets came later than 50 ms."
        )
    if transport_troubles(view):
        return -2.5, "What the stream suffers from is no queue: the delay does not grow and fall like one."
    return 0.0, ""


def hints_beyond(view: StreamView) -> bool:
    """Whether the receiver reports anything worse than what is seen here, however little."""
    reported, jitter = view.reported, view.reported_jitter_ms
    if reported is None or not view.judged:
        return False
    return reported.lost > view.loss.lost or (jitter or 0.0) > max(1.0, 2.0 * view.measured.jitter_ms.mean)


def missing_at_source(scene: Scene, view: StreamView) -> Case:
    """The sender does not mark its voice, so that queues treat it like everything else."""
    case = Case("qos-marking-missing-at-source", "marking", prior=-2.5, streams=(view.key,))
    mark, total = usual(view.measured.dscp), max(1, sum(view.measured.dscp.values()))
    if mark is None or mark in VOICE:
        return case
    share = view.measured.dscp[mark] / total
    if share < 0.95 or mark in LEFTOVERS:
        case.clue(
            -2.0,
            f"{percent(share)} of its packets have DSCP {mark}, the others another: it was changed on the "
            "way.",
        )
    else:
        case.clue(
            0.6,
            f"All {count(total, 'packet')} of {view.name} have DSCP {mark}, where voice should have "
            f"{EXPEDITED}.",
        )
    _suffering(case, view)
    _never_set(case, scene, view)
    case.next_step = (
        f"Set DSCP {EXPEDITED} for RTP in the device or the system that sends this stream, and capture "
        "again beside it."
    )
    case.useless += ["Trusting DSCP in the switches alone would not help: there is no mark to trust."]
    return case


def _suffering(case: Case, view: StreamView) -> None:
    """Whether the stream suffers from what a mark would spare it."""
    weight, text = suffers_from_queues(view)
    if weight:
        case.clue(weight, text)
    elif hints_beyond(view) and view.reported is not None:
        case.clue(
            0.6,
            f"Its receiver reports {count(view.reported.lost, 'packet')} lost and "
            f"{ms(view.reported_jitter_ms or 0.0)} of jitter, here were {view.loss.lost:,} and "
            f"{ms(view.measured.jitter_ms.mean)}.",
        )
    elif view.loss.runs >= 3:
        case.clue(
            -2.0,
            f"The delay did not grow before the {view.loss.runs} runs of lost packets: no queue that a mark "
            "would pass.",
        )
    else:
        case.clue(
            -1.0,
            f"The delay stayed within {ms(view.delay.p99_ms) if view.delay else 'an unknown range'} (99 %).",
        )


def _never_set(case: Case, scene: Scene, view: StreamView) -> None:
    """Whether the mark was never there, by the way up to here and by what else has one."""
    hops = view.hops
    if hops is not None and hops <= 1:
        case.clue(
            1.5,
            f"The TTL of {usual(view.measured.ttl)} says that {routers(hops)} "
            f"{'lies' if hops < 2 else 'lie'} between the sender and here: it left the sender so.",
        )
    elif hops is not None:
        case.missing.append(
            f"A capture at the sender: {routers(hops)} on the way could have changed the mark."
        )
    other = scene.opposite(view)
    if other is not None and usual(other.measured.dscp) in VOICE:
        case.clue(
            2.0,
            f"{other.name.capitalize()} has DSCP {usual(other.measured.dscp)} at the same place, and lost "
            f"{percent(other.loss.share)}.",
        )
    if other is not None and other.judged and usual(other.measured.dscp) not in VOICE:
        case.clue(
            -0.8,
            f"{other.name.capitalize()} has DSCP {usual(other.measured.dscp)}, too: nobody marks voice here.",
        )
    signals = _signalling_mark(scene, view)
    if signals == 0:
        case.clue(
            -1.5,
            "SIP from the same side has DSCP 0 as well: marks may be set to nothing there, or be taken on "
            "the way.",
        )
    elif signals:
        case.clue(
            1.5,
            f"SIP from the same side has DSCP {signals}: marks from there arrive, this one was never set.",
        )


def rewritten(scene: Scene, view: StreamView) -> Case:
    """A hop changes or clears the mark."""
    case = Case("qos-rewritten-at-a-hop", "marking", prior=-2.5, streams=(view.key,))
    marks = {mark: n for mark, n in view.measured.dscp.items() if n >= max(5, 0.01 * view.measured.received)}
    for twin in scene.streams:
        if twin.key.ssrc != view.key.ssrc or twin is view or twin.evidence.point == view.evidence.point:
            continue
        here, there = usual(view.measured.dscp), usual(twin.measured.dscp)
        if here != there:
            case.clue(
                4.5,
                f"The same stream has DSCP {there} at {twin.evidence.point} and {here} at "
                f"{view.evidence.point}.",
            )
            break
    if len(marks) > 1:
        told = " and ".join(f"{mark} on {n:,}" for mark, n in sorted(marks.items(), key=lambda m: -m[1])[:3])
        case.clue(4.5, f"The mark of {view.name} changed within the stream: DSCP {told} packets.")
    mark = usual(view.measured.dscp)
    if mark is not None and mark in LEFTOVERS:
        other = scene.opposite(view)
        whole = other is not None and usual(other.measured.dscp) in VOICE
        case.clue(
            4.5 if whole else 3.5, f"DSCP {mark} is {LEFTOVERS[mark]}: nothing marks voice so on purpose."
        )
    if mark is not None and mark not in VOICE and len(marks) == 1 and mark not in LEFTOVERS:
        _washed(case, scene, view, mark)
    for text in (scene.evidence.segments or {}).get(view.key, ()):
        if "DSCP" in text:
            case.clue(4.0, text)
    if case.for_:
        weight, text = suffers_from_queues(view)
        if weight:
            case.clue(weight, text)
        case.missing.append("A capture on either side of each hop, until the mark is seen to change.")
    case.next_step = (
        "Capture before and after each router or switch, and let the one between which the mark changes "
        "trust or set DSCP 46."
    )
    case.useless += ["Marking in the phone again would not help: the mark does not survive the way."]
    return case


def _washed(case: Case, scene: Scene, view: StreamView, mark: int) -> None:
    """Whether a stream without a mark may have had one, by its way and by what else comes from there."""
    hops = view.hops
    other = scene.opposite(view)
    if hops is None:
        return
    if hops < 2:
        case.clue(
            -2.5,
            f"The TTL of {usual(view.measured.ttl)} says that {routers(hops)} "
            f"{'lies' if hops < 2 else 'lie'} between the sender and here.",
        )
        return
    if other is not None and usual(other.measured.dscp) in VOICE:
        case.clue(
            1.2,
            f"{other.name.capitalize()} has DSCP {usual(other.measured.dscp)} here, while this one comes "
            f"over {routers(hops)} with {mark}.",
        )
    if _signalling_mark(scene, view) == 0:
        case.clue(0.7, f"SIP from there has lost its mark, too, over {routers(hops)}.")


def _signalling_mark(scene: Scene, view: StreamView) -> int | None:
    """The mark of SIP messages from the stream's host or side, None where there are none."""
    call = scene.evidence.call
    if call is None:
        return None
    marks: dict[int, int] = {}
    of_side = call.caller.src if view.side == "caller" else call.caller.dst if view.side == "called" else ""
    for message in call.messages:
        if message.endpoints.src in (view.key.src, of_side):
            marks[message.packet.dscp] = marks.get(message.packet.dscp, 0) + 1
    return usual(marks)
