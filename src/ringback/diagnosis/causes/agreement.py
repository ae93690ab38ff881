"""Causes in what the sides agreed on: endings, codecs, changes, sizes (RFC 3261, 3264, 4028, 8900)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.words import clock, count, listed, percent, seconds
from ringback.diagnosis.signalling.call import Finding

ACK_WAIT_S = 32.0
"""64 times T1: how long 200 is repeated for an ACK (RFC 3261, 13.3.1.4)."""
_BESIDE_AUDIO = frozenset({"telephone-event", "cn", "red"})


def _talked_s(scene: Scene) -> float | None:
    call = scene.evidence.call
    if call is None or call.answered_ns is None or call.ended_ns is None:
        return None
    return (call.ended_ns - call.answered_ns) / 1e9


def _tell(case: Case, findings: tuple[Finding, ...], weight: float) -> None:
    """Findings as clues: the first with the full weight, others with a third of it."""
    for number, finding in enumerate(findings[:3]):
        case.clue(
            weight if number == 0 else weight / 3, f"{finding.text.rstrip('.')} ({clock(finding.at_ns)})."
        )


def session_timer(scene: Scene) -> Case:
    """The call ended because its session was not refreshed in time (RFC 4028)."""
    case = Case("session-timer", "ending", prior=-2.0)
    call = scene.evidence.call
    if call is None:
        return case
    _tell(case, scene.found("session-timer-expired"), 4.0)
    _tell(case, scene.found("session-refresh-failed"), 3.0)
    _tell(case, scene.found("session-refresh-missing"), 2.0)
    talked = _talked_s(scene)
    if call.session_expires_s and talked is not None:
        # RFC 4028, 10: who does not get a refresh ends the call a third or 32 s before the interval is over.
        due = float(call.session_expires_s)
        early = due - min(32.0, due / 3)
        if min(abs(talked - due), abs(talked - early)) <= max(2.0, 0.02 * due):
            case.clue(
                1.5,
                f"The call ended {seconds(talked)} after its answer; Session-Expires was "
                f"{call.session_expires_s} s.",
            )
        elif case.for_:
            case.clue(
                -0.5,
                f"The call ended {seconds(talked)} after its answer, and Session-Expires was "
                f"{call.session_expires_s} s.",
            )
        else:
            case.clue(
                -1.0,
                f"The call ended {seconds(talked)} after its answer, not at Session-Expires "
                f"({call.session_expires_s} s).",
            )
    case.next_step = (
        "Let the side that has to refresh be reached and answered (re-INVITE or UPDATE), or raise "
        "Session-Expires above the longest call."
    )
    case.useless += ["A better line would not help: the call is ended by a timer, not by its media."]
    return case


def missing_ack(scene: Scene) -> Case:
    """ACK or later requests do not arrive, since the Contact leads nowhere."""
    case = Case("missing-ack-or-contact-fault", "ending", prior=-2.0)
    _tell(case, scene.found("ack-missing"), 4.0)
    fragments = scene.evidence.fragmentation
    if fragmented_answer(scene) is not None or (fragments.broken and not scene.found("ack-to-wrong-address")):
        case.clue(
            -4.0,
            f"The 200 is so large that it goes in fragments, {fragments.broken} of which never came whole.",
        )
    _tell(case, scene.found("ack-to-wrong-address", "contact-unreachable"), 3.0)
    _tell(case, scene.found("contact-differs-from-source"), 1.0)
    _tell(case, scene.found("bye-unanswered", "request-unanswered", "dialog-unknown"), 0.7)
    call, talked = scene.evidence.call, _talked_s(scene)
    if call is not None and talked is not None and case.for_ and abs(talked - ACK_WAIT_S) < 3.0:
        case.clue(1.5, f"The call ended {seconds(talked)} after its answer: 64 T1 is {ACK_WAIT_S:.0f} s.")
    case.missing.append("A capture at the side that should get the requests: whether they arrive there.")
    case.next_step = (
        "Compare Contact and Record-Route of the 200 with the address it came from; set the external "
        "address, or let the proxy stay in the route."
    )
    case.useless += ["A longer session timer would not help: the call was never confirmed."]
    return case


def renegotiation(scene: Scene) -> Case:
    """The session was changed in the call, or is decoded and coded again on the way, and sounds worse."""
    case = Case("renegotiation-or-transcoding", "transport", prior=-2.0)
    changes = scene.found("codec-changed", "ptime-changed", "media-address-changed")
    _tell(case, scene.found("codec-changed"), 1.6)
    _tell(case, scene.found("ptime-changed", "media-address-changed"), 0.8)
    _tell(case, scene.found("reinvite-refused", "request-collision", "offer-unanswered"), 1.2)
    for view in scene.streams:
        for change in changes[:5]:
            near = _gap_near(view, change.at_ns)
            if near >= 0.15:
                case.clue(
                    1.6,
                    f"{view.name.capitalize()} paused for {seconds(near)} within 2 s of the change at "
                    f"{clock(change.at_ns)}.",
                )
                break
        if not changes:
            _changed_silently(case, view)
        heavy = view.loss.runs >= 4 and _loss_near(view, [c.at_ns for c in changes])
        if heavy:
            case.clue(
                min(2.0, 2.5 * heavy),
                f"{percent(heavy)} of the losses of {view.name} lie within 2 s of a change.",
            )
        elif changes and view.loss.runs >= 4:
            case.clue(
                -1.5, f"The {view.loss.runs} runs of lost packets of {view.name} do not lie near a change."
            )
    case.next_step = (
        "Let both sides agree on one codec that the whole way knows, and forbid re-INVITEs that change it."
    )
    case.useless += ["More bandwidth would not help: the change itself is what is heard."]
    return case


def _changed_silently(case: Case, view: StreamView) -> None:
    """A sender or a gateway that goes on in another codec without a word of it in the signalling."""
    formats = view.measured.formats
    spoken = [
        phase
        for phase in view.measured.phases
        if phase.payload_type in formats and formats[phase.payload_type].name not in _BESIDE_AUDIO
    ]
    types = [later for one, later in pairwise(spoken) if later.payload_type != one.payload_type]
    if not types:
        return
    names = sorted({formats[phase.payload_type].name for phase in types})
    case.clue(
        2.6,
        f"{view.name.capitalize()} changed its codec {count(len(types), 'time')} without signalling (to "
        f"{listed(names)}), first at {clock(types[0].began_ns)}.",
    )
    gap = max(_gap_near(view, phase.began_ns) for phase in types[:20])
    if gap >= 0.15:
        case.clue(1.6, f"{view.name.capitalize()} paused for {seconds(gap)} at a change.")


def _gap_near(view: StreamView, at_ns: int) -> float:
    """The longest time without packets that touches the 2 s around a moment."""
    arrived = np.sort(view.evidence.series.arrived_ns[~view.evidence.series.lost])
    low, high = np.searchsorted(arrived, (at_ns - 2 * 10**9, at_ns + 2 * 10**9))
    near = arrived[max(0, int(low) - 1) : int(high) + 1]
    return float(np.diff(near).max(initial=0)) / 1e9


def _loss_near(view: StreamView, changes: list[int]) -> float:
    if not changes:
        return 0.0
    at = [view.at_ns(float(view.loss.times_s[i])) for i in view.loss.run_at]
    return sum(any(abs(t - c) < 2e9 for c in changes) for t in at) / len(at)


def codec_mismatch(scene: Scene) -> Case:
    """The sides have no codec in common, or one sends what the other did not accept."""
    case = Case("codec-mismatch", "failure", prior=-2.0)
    _tell(case, scene.found("codec-mismatch"), 4.5)
    _tell(case, scene.found("media-protocol-mismatch"), 3.5)
    call = scene.evidence.call
    for view in scene.streams if call is not None else ():
        wrong, total = _not_accepted(scene, view)
        if total >= 20 and sum(wrong.values()) > 0.3 * total:
            case.explains = "sound"
            kinds = listed([_called(view, number) for number in sorted(wrong)])
            case.clue(
                4.0,
                f"{view.name.capitalize()} has {sum(wrong.values()):,} of {total:,} packets of payload type "
                f"{kinds}, which the other side did not accept.",
            )
            case.streams = (*case.streams, view.key)
    for view in scene.streams:
        _clock_rate(case, view)
    if call is not None and call.offered and not call.negotiated and call.outcome == "failed" and case.for_:
        case.clue(
            0.5,
            f"{count(len(call.offered), 'codec')} were offered ({listed(list(call.offered[:6]))}), none was "
            "agreed on.",
        )
    case.next_step = (
        "Let both sides offer one codec in common (G.711 at least), in the order that both accept."
    )
    case.useless += [
        "A better line would not help: what arrives cannot be decoded, or the call is refused before any "
        "media."
    ]
    return case


def _clock_rate(case: Case, view: StreamView) -> None:
    """Whether time stamps run at another rate than the format's: it is played too fast, too slow, or not."""
    measured, series = view.measured, view.evidence.series
    if not view.judged or not measured.ptime_ms or not measured.codec.clock_rate or view.loss.share > 0.2:
        return
    arrived = series.arrived_ns[~series.lost]
    waits = np.diff(arrived)[np.diff(np.flatnonzero(~series.lost)) == 1] / 1e6
    # Pauses are of silence or of a hold; time stamps of both go on.
    waits = waits[(waits >= 0) & (waits < 6 * measured.ptime_ms)]
    if len(waits) < 100:
        return
    apart_ms = float(waits.mean())
    ratio = measured.ptime_ms / max(apart_ms, 0.1)
    if 0.75 < ratio < 1.35:
        return
    case.explains = "sound"
    case.clue(
        4.0,
        f"The time stamps of {view.name} tell {measured.ptime_ms:.0f} ms a packet at the "
        f"{measured.codec.clock_rate:,} Hz of {measured.codec.name}, its packets come every {apart_ms:.1f} "
        "ms.",
    )
    case.streams = (*case.streams, view.key)


def _called(view: StreamView, number: int) -> str:
    known = view.measured.formats.get(number)
    return f"{number} ({known.name})" if known else str(number)


def _not_accepted(scene: Scene, view: StreamView) -> tuple[dict[int, int], int]:
    """Packets by payload types that no accepted description of the receiver holds, and all packets."""
    call = scene.evidence.call
    accepted: set[int] = set()
    known = False
    for offer in call.media if call else ():
        if view.side is not None and offer.by != view.side and offer.kind == "audio" and offer.accepted:
            accepted |= set(offer.formats) | set(offer.order)
            known = True
    counts = view.measured.payload_types
    # Comfort noise of type 13 is sent by many without having been agreed on (RFC 3389).
    wrong = {t: n for t, n in counts.items() if t not in accepted and t != 13} if known else {}
    return wrong, sum(counts.values())


def fragmentation(scene: Scene) -> Case:
    """Packets larger than a link takes are dropped, or lose a fragment (RFC 791, RFC 1191, RFC 8900)."""
    case = Case("mtu-or-fragmentation", "transport", prior=-2.0)
    evidence, fragments = scene.evidence, scene.evidence.fragmentation
    hosts = {(view.key.src, view.key.dst): view for view in scene.streams}
    call_hosts = {m.endpoints.src for m in evidence.call.messages} if evidence.call else set()
    broken = [b for b in fragments.broken_flows if (b[1], b[2]) in hosts or {b[1], b[2]} & call_hosts]
    if broken or (fragments.broken and not fragments.broken_flows):
        number = len(broken) or fragments.broken
        case.clue(
            2.5 + min(1.5, number / 10),
            f"{count(number, 'datagram')} came without one of their fragments; {fragments.whole:,} came "
            f"whole (the largest {fragments.largest_bytes:,} octets).",
        )
        case.streams = tuple(
            dict.fromkeys(hosts[pair].key for b in broken if (pair := (b[1], b[2])) in hosts)
        )
    elif fragments.whole:
        case.clue(0.2, f"{count(fragments.whole, 'datagram')} came in fragments, and whole.")
    notices = [n for n in evidence.notices if n.kind == "fragmentation-needed"]
    if notices:
        mtu = min((n.mtu for n in notices if n.mtu), default=0)
        case.clue(
            4.0,
            f"{count(len(notices), 'ICMP message')} from {notices[0].reporter} say that a packet is too "
            f"large{f' for a link of {mtu} octets' if mtu else ''}.",
        )
    _tell(case, scene.found("fragmented-invite-unanswered"), 4.0)
    lost_answer = fragmented_answer(scene)
    if lost_answer is not None:
        case.clue(4.5, lost_answer)
    _tell(case, scene.found("message-too-large"), 3.0)
    _tell(case, scene.found("large-invite-fragmented"), 1.0)
    unanswered = scene.found("invite-unanswered")
    if unanswered and _octets(unanswered[0]) > 1300:
        case.clue(
            2.5,
            f"INVITE has {_octets(unanswered[0]):,} octets, more than RFC 3261 (18.1.1) lets over UDP, and "
            "was never answered.",
        )
    for view in scene.streams:
        _sizes(case, view)
    if case.for_ and max(c[0] for c in case.for_) >= 2.0:
        case.explains = "transport" if scene.streams and not unanswered else "failure"
    case.next_step = (
        "Find the smallest MTU on the way (ping with DF set), let ICMP type 3 code 4 through, and keep "
        "packets below it: SIP over TCP, fewer codecs in the offer, a shorter ptime."
    )
    case.useless += ["QoS and more bandwidth would not help: size decides which packets are lost."]
    return case


def fragmented_answer(scene: Scene) -> str | None:
    """A 200 that goes in fragments again and again and is never acknowledged, in a sentence."""
    call = scene.evidence.call
    if call is None or not scene.found("ack-missing"):
        return None
    answers = [m for m in call.messages if m.method == "INVITE" and m.status == 200]
    large = [m for m in answers if m.packet.fragments > 1 or m.packet.cut]
    if len(large) < 2:
        return None
    octets = max(len(m.packet.data) for m in large)
    return (
        f"200 was sent {count(len(large), 'time')} in fragments ({octets:,} octets seen) and never "
        "acknowledged, while smaller messages pass."
    )


def _octets(finding: Finding) -> int:
    value = (finding.data or {}).get("octets", 0)
    return int(value) if isinstance(value, int | float) else 0


def _sizes(case: Case, view: StreamView) -> None:
    """Whether a stream has packets that a link may find too large at all."""
    series = view.evidence.series
    there = ~series.lost
    sizes = series.payload_bytes[there]
    if len(sizes) < 50 or view.loss.runs < 4:
        return
    large = int(sizes.max())
    if large < 1200 and case.for_:
        if not case.streams:
            case.clue(
                -1.0, f"The packets of {view.name} have at most {large + 40} octets, which every link takes."
            )
        return
    if large >= 1200:
        case.clue(0.8, f"Packets of {view.name} have up to {large + 40:,} octets, near the MTU of Ethernet.")
