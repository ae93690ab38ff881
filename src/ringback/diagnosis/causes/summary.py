"""Verdicts in one or two plain sentences: what happened, how much of it, when, and why most likely."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.diagnosis.causes.absence import Absence
from ringback.diagnosis.causes.scene import Scene
from ringback.diagnosis.causes.trouble import Trouble, described, when
from ringback.diagnosis.causes.verdict import Cause, CauseName
from ringback.diagnosis.causes.words import clock, count, seconds

PLAIN: Mapping[CauseName, str] = {
    "congestion": "a queue on the way filled up and dropped what did not fit (congestion)",
    "qos-marking-missing-at-source": "the sender does not mark its voice, so it queues behind other traffic",
    "qos-rewritten-at-a-hop": "a router or switch on the way changes the priority mark of the voice",
    "jitter-with-a-small-buffer": "packets come too unevenly for a small jitter buffer",
    "route-flap": "the route through the network changed during the call",
    "constant-path-fault": "something on the way breaks packets at a steady rate, as bad cables do",
    "mtu-or-fragmentation": "packets were too large for a link on the way, or lost a fragment",
    "radio": "a radio link (Wi-Fi or mobile) held packets up and dropped some",
    "carrier-or-interconnect": "packets are lost on the carrier's side, beyond this capture",
    "local-side": "packets are lost on the local side, between the device and this capture",
    "one-way-media": "the media of one side is sent where it cannot arrive",
    "nat-timeout": "a NAT or firewall forgot the connection and let nothing in any more",
    "session-timer": "the call was ended by its session timer, which was not refreshed",
    "missing-ack-or-contact-fault": "the ACK or later requests did not arrive: the Contact leads nowhere",
    "renegotiation-or-transcoding": "the codec or address was changed during the call",
    "codec-mismatch": "the sides do not understand the same codecs",
    "latency-or-echo-risk": "it takes so long that people talk into each other",
    "endpoint-audio": "a device sends bad sound: the network brings it as it was sent",
    "clock-drift": "a sender's clock runs at another rate than it should",
    "measurement-artefact": "the figures mislead: the capture, not the call, is at fault",
}


def in_plain_words(
    scene: Scene, troubles: list[Trouble], absences: list[Absence], causes: tuple[Cause, ...]
) -> str:
    """What happened and the likeliest cause."""
    best = causes[0]
    sure = (
        "Almost certainly"
        if best.confidence > 0.9
        else "Most likely"
        if best.confidence > 0.6
        else "Possibly"
    )
    parts = [_what(scene, troubles, absences)]
    parts.append(f"{sure} {PLAIN[best.cause]}: {_clause(best.for_[0])}")
    if len(causes) > 1 and causes[1].confidence > 0.25 and best.confidence < 0.75:
        parts.append(f"It could also be that {PLAIN[causes[1].cause]}.")
    return " ".join(part for part in parts if part)


def not_enough(scene: Scene, troubles: list[Trouble], absences: list[Absence], refused: str) -> str:
    """What happened, and that its cause cannot be told."""
    return " ".join(part for part in (_what(scene, troubles, absences), refused) if part)


def fine(scene: Scene) -> str:
    """That nothing is wrong, with figures; or how a call ended that was never answered."""
    call = scene.evidence.call
    judged = [view for view in scene.streams if view.judged]
    if not judged:
        if call is not None and call.status is not None and call.status >= 300:
            return f"The call was not set up: it was answered with {call.status}. No media was due."
        return "The call has no media, and none was due."
    shown = "; ".join(described(view) for view in judged[:4])
    more = f"; and {count(len(judged) - 4, 'more stream')}" if len(judged) > 4 else ""
    return f"This call was good. {_capital(shown)}{more}."


def _what(scene: Scene, troubles: list[Trouble], absences: list[Absence]) -> str:
    if absences:
        absence = max(absences, key=lambda a: a.seconds)
        if absence.view is None:
            return f"No media of {absence.name} came in {seconds(absence.seconds)} of the call."
        return (
            f"Media of {absence.name} stopped at {clock(absence.since_ns)}, {seconds(absence.seconds)} "
            "before the end."
        )
    if troubles:
        worst = troubles[0]
        return f"{_capital(worst.text)}{f' {when(worst.view)}' if worst.view is not None else ''} (UTC)."
    call = scene.evidence.call
    if call is not None and call.outcome == "failed":
        return (
            f"The call failed{f' with {call.status}' if call.status else ''} at "
            f"{clock(call.ended_ns or call.start_ns)}."
        )
    return ""


def _clause(sentence: str) -> str:
    return (
        sentence[:1].lower() + sentence[1:]
        if sentence[:2] not in ("RT", "DS", "SD", "IC", "IN", "AC", "BY")
        else sentence
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
