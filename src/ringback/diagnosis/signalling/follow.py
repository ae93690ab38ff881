"""SIP messages of a capture made into calls: when, how long, with what media, how they ended (RFC 3261)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ringback.diagnosis.capture.captured import Endpoints, Nanoseconds, SipPacket
from ringback.diagnosis.signalling.addressing import address_findings
from ringback.diagnosis.signalling.beside import other_dialogs
from ringback.diagnosis.signalling.call import CallRecord, Finding, LadderMessage, Outcome, Side, Signalling
from ringback.diagnosis.signalling.course import course_findings
from ringback.diagnosis.signalling.delivery import delivery_findings
from ringback.diagnosis.signalling.ending import Ending, ending_findings, ending_of
from ringback.diagnosis.signalling.exchange import Exchange, agreed, codecs_of, exchanges, media_offers
from ringback.diagnosis.signalling.expiry import agreed_timer, timer_findings
from ringback.diagnosis.signalling.failure import failure_findings
from ringback.diagnosis.signalling.reading import Seen, read
from ringback.diagnosis.signalling.tracing import Traced, Transaction, trace
from ringback.governance.private import Private
from ringback.governance.shown import fit_to_show
from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import KNOWN_METHODS, NameAddr, SipUri, TelUri

_OF_CALLS: Final = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "PRACK"})
_LABEL_DIGITS: Final = 12
_MOST_OF_ONE: Final = 20


def follow(packets: Sequence[SipPacket]) -> Signalling:
    """All of a capture's SIP: calls in the order in which they began, everything else counted.

    What breaks the grammar is counted, and stands in its call's ladder where a Call-ID can be read. A call
    is what has an INVITE, or what only a call has (BYE and the like), so that trimmed captures count too.
    """
    by_call: dict[str, list[Seen]] = {}
    malformed = 0
    for packet in packets:
        seen = read(packet)
        if seen is None:
            malformed += bool(packet.data.strip(b"\r\n\0 \t"))
            continue
        malformed += bool(seen.fault)
        by_call.setdefault(seen.call_id, []).append(seen)
    # Nothing holds together what has no Call-ID.
    lost = by_call.pop("", [])
    until_ns = max((packet.at_ns for packet in packets), default=0)
    records: list[CallRecord] = []
    beside: list[Traced] = [trace("", [seen], until_ns) for seen in lost]
    for call_id, messages in by_call.items():
        traced = trace(call_id, messages, until_ns)
        if any(seen.method in _OF_CALLS for seen in messages):
            records.append(_record(traced))
        else:
            beside.append(traced)
    records.sort(key=lambda record: record.start_ns)
    return Signalling(tuple(records), other_dialogs(beside, malformed))


def _record(traced: Traced) -> CallRecord:
    begun = traced.initial
    first = next((t.request for t in begun if t.request is not None), traced.messages[0])
    start_ns = begun[0].began_ns if begun else traced.messages[0].at_ns
    answer = _answer(traced, begun)
    final = begun[-1].final if begun else None
    ending = ending_of(traced, begun, answer)
    outcome = _outcome(traced, begun, answer, ending)
    found = exchanges(traced)
    nearest = _nearest(found)
    timer = agreed_timer(traced)
    begins = bool(begun) and begun[0].request is not None
    decided = answer or final
    findings = [
        *failure_findings(traced, begun, outcome, ending),
        *delivery_findings(traced, ending),
        *course_findings(traced, nearest, answer),
        *timer_findings(traced, ending),
        *address_findings(traced, found),
        *ending_findings(traced, ending, begins=begins),
    ]
    return CallRecord(
        call_id=Private(traced.call_id),
        label=hashlib.sha256(traced.call_id.encode("utf-8", "replace")).hexdigest()[:_LABEL_DIGITS],
        from_=Private(_who(first, "From")),
        to=Private(_who(first, "To")),
        caller=_caller(first),
        start_ns=start_ns,
        answered_ns=answer.at_ns if answer is not None else None,
        ended_ns=ending.at_ns,
        outcome=outcome,
        status=decided.status if decided is not None else None,
        reason=ending.reason or (decided.phrase if decided is not None else ""),
        setup_ms=_ms(start_ns, answer if begun else None),
        post_dial_ms=_ms(start_ns, _ringing(begun)),
        ended_by=ending.by,
        messages=tuple(_ladder_message(seen, traced) for seen in traced.messages),
        media=media_offers(found),
        offered=_offered(nearest),
        negotiated=tuple(dict.fromkeys(name for e in nearest if e.accepted for name in agreed(e))),
        retransmissions=_retransmissions(traced.messages),
        session_expires_s=timer.seconds if timer is not None else None,
        refresher=timer.refresher if timer is not None else None,
        user_agents=_user_agents(traced),
        findings=_limited(findings),
        complete=begins and ending.at_ns is not None,
    )


def _limited(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings in the order of time, of each code the first twenty."""
    kept: list[Finding] = []
    told: Counter[str] = Counter()
    for found in sorted(findings, key=lambda finding: finding.at_ns):
        told[found.code] += 1
        if told[found.code] <= _MOST_OF_ONE:
            kept.append(found)
    return tuple(kept)


def _caller(first: Seen) -> Endpoints:
    return first.endpoints if first.side == "caller" else first.endpoints.reverse


def _answer(traced: Traced, begun: list[Transaction]) -> Seen | None:
    """The 200 that made the call, where the caller sees it, else the first anywhere."""
    own = (t.final for t in begun)
    anywhere = (t.final for t in traced.of("INVITE") if not t.in_dialog)
    good = [final for final in (*own, *anywhere) if final is not None and final.status < 300]
    return good[0] if begun and good else None


def _outcome(traced: Traced, begun: list[Transaction], answer: Seen | None, ending: Ending) -> Outcome:
    if answer is not None:
        return "answered"
    if not begun:
        # Only who is in a call says BYE, changes it or acknowledges its answer.
        lasting = traced.of("BYE") or traced.of("ACK") or traced.renewals or traced.of("INVITE")
        return "answered" if lasting else "unknown"
    final = begun[-1].final
    if ending.cancelled:
        return "cancelled"
    if final is not None:
        return "redirected" if final.status < 400 else "failed"
    # An ACK of its own, a BYE of the called side: it was answered, and the capture has one way only.
    if any(t.request is not None and t.request.to_tag for t in traced.of("BYE")) or _acknowledged(traced):
        return "answered"
    return "ringing" if any(r.status > 100 for t in begun for r in t.provisional) else "unanswered"


def _acknowledged(traced: Traced) -> bool:
    """Whether an ACK with a branch of its own was seen, as only a 200 gets (RFC 3261, 13.2.2.4)."""
    branches = {t.request.branch for t in traced.of("INVITE") if t.request is not None}
    return any(t.request is not None and t.request.branch not in branches for t in traced.of("ACK"))


def _ringing(begun: list[Transaction]) -> Seen | None:
    told = (r for t in begun for r in t.provisional if r.status > 100)
    return next(told, None)


def _ms(start_ns: Nanoseconds, seen: Seen | None) -> float | None:
    return None if seen is None else (seen.at_ns - start_ns) / 1e6


def _nearest(found: list[Exchange]) -> list[Exchange]:
    """The exchanges of the hop next to the caller that has any."""
    lowest = min((exchange.hop for exchange in found), default=0)
    return [exchange for exchange in found if exchange.hop == lowest]


def _offered(nearest: list[Exchange]) -> tuple[str, ...]:
    """The codecs of the offer that began the call; without one, of the answer."""
    first = next((e for e in nearest if not e.in_dialog), nearest[0] if nearest else None)
    return codecs_of(first.offer or first.answer, switched_off=True) if first is not None else ()


def _who(seen: Seen, field: str) -> str:
    """The URI of From or To without parameters: `sip:5550100@example.com`; empty where it is unreadable."""
    try:
        uri = NameAddr.parse(seen.headers.get(field) or "").uri
    except SipSyntaxError:
        return ""
    if isinstance(uri, SipUri):
        user = f"{uri.username}@" if uri.user else ""
        return f"{uri.scheme}:{user}{uri.host}"
    return f"tel:{uri.number}" if isinstance(uri, TelUri) else str(uri)


def _retransmissions(messages: Sequence[Seen]) -> dict[str, int]:
    again = (seen for seen in messages if seen.repeat == "again")
    return dict(Counter(_known(seen) if seen.is_request else f"{seen.status // 100}xx" for seen in again))


def _known(seen: Seen) -> str:
    return seen.method if seen.method in KNOWN_METHODS else "other"


def _user_agents(traced: Traced) -> dict[Side, str]:
    """What each side says of itself, as near to it as the capture shows; proxies answer 100 for others."""
    agents: dict[Side, str] = {}
    for side in ("caller", "called"):
        spoken = [
            (seen.hop if side == "caller" else -seen.hop, seen.headers.get("User-Agent"), seen)
            for seen in traced.messages
            if seen.side == side and seen.status != 100
        ]
        told = [
            (hop, agent or seen.headers.get("Server"))
            for hop, agent, seen in spoken
            if agent or "Server" in seen.headers
        ]
        if told:
            agents[side] = fit_to_show(min(told, key=lambda pair: pair[0])[1] or "")
    return agents


def _ladder_message(seen: Seen, traced: Traced) -> LadderMessage:
    return LadderMessage(
        at_ns=seen.at_ns,
        endpoints=seen.endpoints,
        transport=seen.packet.transport,
        label=_label(seen),
        method=_known(seen),
        status=seen.status,
        cseq=seen.cseq,
        retransmission=seen.repeat == "again",
        has_sdp=seen.sdp is not None,
        packet=seen.packet,
        note=", ".join(_notes(seen, traced)),
    )


def _label(seen: Seen) -> str:
    if seen.status:
        return f"{seen.status} {seen.phrase}".strip()
    name = seen.method if seen.method in KNOWN_METHODS else "unknown method"
    return f"re-{name}" if name == "INVITE" and seen.to_tag else name


def _notes(seen: Seen, traced: Traced) -> list[str]:
    notes = []
    if seen.repeat == "twice":
        notes.append("the capture holds this packet twice")
    if seen.fault:
        notes.append(f"malformed: {seen.fault}")
    if seen.packet.cut:
        notes.append("cut")
    if seen.packet.fragments > 1:
        notes.append(f"in {seen.packet.fragments} fragments")
    if traced.hops > 1:
        notes.append(f"hop {seen.hop + 1}")
    return notes
