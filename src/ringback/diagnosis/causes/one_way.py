"""The cause of media that never reaches the other side: sent elsewhere, or let in nowhere (RFC 3264)."""

from __future__ import annotations

from ringback.diagnosis.causes.absence import Absence
from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.words import count, is_private, seconds

AT_ONCE_S = 5.0
"""A closed port answers from the first packets on; one that a NAT forgot does not."""
UNREACHED = ("port-unreachable", "host-unreachable", "prohibited")
NEXT_STEP = (
    "Compare the address and port in the SDP with where the packets go and where they come from; set the "
    "public address, or turn the router's SIP ALG off."
)
USELESS = (
    "More bandwidth or QoS would not help: no packet arrives at all.",
    "Another codec would not help.",
)


def absent(scene: Scene, absence: Absence) -> Case:
    """Media of one side that is not here at all."""
    case = Case("one-way-media", "absence", prior=-1.0, streams=(absence.other.key,) if absence.other else ())
    if absence.view is not None:
        case.clue(-2.5, f"Media of {absence.name} came for {seconds(absence.view.seconds)} and then stopped.")
    else:
        other = absence.other
        beside = f", while {count(other.measured.received, 'packet')} came the other way" if other else ""
        case.clue(
            2.2,
            f"Not one packet of {absence.name} came in {seconds(absence.seconds)} of the answered "
            f"call{beside}.",
        )
        said = _says_it_sent(scene, absence)
        if said:
            case.clue(
                1.5, f"Its RTCP says that it sent {count(said, 'packet')}: they were stopped on the way."
            )
    for finding in scene.found("sdp-address-private", "sdp-address-unusable", "alg-rewrite")[:3]:
        case.clue(2.0, finding.text)
    if absence.other is not None:
        for weight, text in astray(scene, absence.other):
            case.clue(weight, text)
    case.missing.append(f"A capture at {absence.name}: whether it sends at all, and where to.")
    return _finished(case)


def misdirected(scene: Scene, view: StreamView) -> Case:
    """Media that is here, and goes where nobody takes it."""
    case = Case("one-way-media", "absence", prior=-2.0, streams=(view.key,))
    for weight, text in astray(scene, view):
        case.clue(weight, text)
    if case.for_:
        for finding in scene.found("sdp-address-unusable", "alg-rewrite")[:2]:
            case.clue(1.5, finding.text)
        case.missing.append(f"A capture beside {view.key.dst}: whether {view.name} comes there.")
    return _finished(case)


def astray(scene: Scene, view: StreamView) -> list[tuple[float, str]]:
    """What says that a stream goes where it is not received."""
    if not view.judged:
        return []
    return [
        *_refused(scene, view),
        *_to_private(scene, view),
        *_other_port(scene, view),
        *_unheard(scene, view),
    ]


def _refused(scene: Scene, view: StreamView) -> list[tuple[float, str]]:
    hits = [n for n in scene.evidence.notices if n.kind in UNREACHED and n.about == view.key.endpoints]
    if not hits:
        return []
    first = hits[0]
    what = {"port-unreachable": "nobody listens there", "prohibited": "a filter forbids it"}.get(
        first.kind, "the host is not reached"
    )
    after_s = (first.at_ns - view.measured.began_ns) / 1e9
    # A device that is slow to open its port, or quick to close it, is asked once or twice in vain.
    lasting = len(hits) >= 3 and (hits[-1].at_ns - first.at_ns) / 1e9 > 1.0
    text = (
        f"{count(len(hits), 'ICMP error')} from {first.reporter} answered {view.name} to "
        f"{view.key.dst}:{view.key.dport}, the first after {seconds(max(0.0, after_s))}: {what}."
    )
    if after_s > AT_ONCE_S:
        return [(-1.0 if lasting else -0.2, text)]
    return [(4.5 if lasting else 1.0, text)]


def _to_private(scene: Scene, view: StreamView) -> list[tuple[float, str]]:
    call = scene.evidence.call
    if call is None or view.side is None or not is_private(view.key.dst):
        return []
    told = [o for o in call.media if o.by != view.side and o.address == view.key.dst and o.port]
    outside = [o for o in told if o.signalled_from and not is_private(o.signalled_from)]
    if not outside:
        return []
    return [
        (
            4.0,
            f"{view.name.capitalize()} goes to {view.key.dst}:{view.key.dport}, a private address from the "
            f"SDP of a host that signals from {outside[0].signalled_from}.",
        )
    ]


def _other_port(scene: Scene, view: StreamView) -> list[tuple[float, str]]:
    other = scene.opposite(view)
    if (
        other is None
        or not other.judged
        or other.key.src != view.key.dst
        or other.key.sport == view.key.dport
    ):
        return []
    if any(
        o is not view and o.key.dport == other.key.sport and o.key.dst == view.key.dst for o in scene.streams
    ):
        return []
    return [
        (
            1.2,
            f"{view.name.capitalize()} goes to port {view.key.dport} of {view.key.dst}, whose own media "
            f"comes from port {other.key.sport}.",
        )
    ]


def _unheard(scene: Scene, view: StreamView) -> list[tuple[float, str]]:
    other = scene.opposite(view)
    if other is None or view.seconds < 10:
        return []
    reports = scene.reports.sent.get(other.key.ssrc, 0)
    if reports < 2 or (other.key.ssrc, view.key.ssrc) in scene.reports.mentions:
        return []
    return [
        (
            2.2,
            f"{count(reports, 'RTCP report')} of its receiver never mention {view.name}, of which "
            f"{count(view.measured.received, 'packet')} went by here.",
        )
    ]


def _says_it_sent(scene: Scene, absence: Absence) -> int:
    """Packets that the absent side's sender reports count."""
    here = {view.key.ssrc for view in scene.streams}
    host = absence.other.key.dst if absence.other is not None else ""
    source = absence.other.key.src if absence.other is not None else ""
    return max(
        (
            sent
            for ssrc, (src, sent) in scene.reports.counted.items()
            if ssrc not in here and src == host and src != source
        ),
        default=0,
    )


def _finished(case: Case) -> Case:
    case.next_step = NEXT_STEP
    case.useless += USELESS
    return case
