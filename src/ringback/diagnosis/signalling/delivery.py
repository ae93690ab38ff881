"""Messages that did not arrive: what was sent again, what never got its answer (RFC 3261, 17; RFC 3262)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from ringback.diagnosis.signalling.call import Finding, Side
from ringback.diagnosis.signalling.ending import Ending
from ringback.diagnosis.signalling.findings import Figures, finding
from ringback.diagnosis.signalling.reading import Seen
from ringback.diagnosis.signalling.tracing import OTHER, SECOND, Traced, Transaction, rack_of
from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import KNOWN_METHODS, NameAddr, SipUri

_PATIENCE_NS: Final = 4 * SECOND
"""With what was sent once only, so long after it nothing comes any more."""
_SIDES: Final = {"caller": "caller", "called": "called side"}


def delivery_findings(traced: Traced, ending: Ending) -> Iterator[Finding]:
    """What is found of a call's requests and answers on their way. Of a capture of one direction nothing."""
    if traced.one_sided is not None:
        side = traced.one_sided
        text = f"Only messages of the {_SIDES[side]} are in the capture."
        yield finding("only-one-direction", traced.messages[0].at_ns, text, by=side)
        return
    yield from _invites(traced)
    yield from _acknowledgements(traced, ending)
    yield from _reliable(traced)
    reach = _Reach(traced)
    for transaction in traced.transactions:
        request = transaction.request
        own = transaction.method == "ACK" or (transaction.method == "INVITE" and not transaction.in_dialog)
        if request is not None and not own and _unanswered(traced, transaction):
            yield _lost(transaction, request, reach)
    twice = [seen for seen in traced.messages if seen.repeat == "twice"]
    if twice:
        text = f"The capture holds {len(twice)} messages twice, which nobody sent twice."
        yield finding("messages-seen-twice", twice[0].at_ns, text, count=len(twice))
    broken = [seen for seen in traced.messages if seen.fault and not seen.packet.cut]
    if broken:
        text = f"{len(broken)} messages break the grammar of SIP: {broken[0].fault}."
        yield finding("malformed-messages", broken[0].at_ns, text, count=len(broken), what=broken[0].fault)
    if traced.hops > 1:
        text = f"The call was captured at {traced.hops} hops."
        yield finding("several-hops", traced.messages[0].at_ns, text, count=traced.hops)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _unanswered(traced: Traced, transaction: Transaction) -> bool:
    """Whether a request was repeated, or long enough before the capture's end, and nothing came back."""
    if transaction.request is None or transaction.responses:
        return False
    return bool(transaction.repeats) or traced.until_ns - transaction.last_sent_ns > _PATIENCE_NS


def _invites(traced: Traced) -> Iterator[Finding]:
    for transaction in traced.of("INVITE"):
        request, repeats = transaction.request, len(transaction.repeats)
        if request is None or transaction.in_dialog:
            continue
        fragments, octets = request.packet.fragments, len(request.packet.data)
        seconds = round((transaction.last_sent_ns - request.at_ns) / SECOND, 3)
        if transaction.responses:
            if fragments > 1:
                text = f"The INVITE of {octets} octets went over UDP in {fragments} fragments."
                yield finding(
                    "large-invite-fragmented", request.at_ns, text, octets=octets, fragments=fragments
                )
            if repeats:
                text = f"INVITE was sent {_times(repeats + 1)} before an answer came."
                yield finding("invite-retransmitted", request.at_ns, text, count=repeats, seconds=seconds)
        elif not _unanswered(traced, transaction):
            continue
        elif fragments > 1:
            text = f"INVITE of {octets} octets in fragments, sent {_times(repeats + 1)}, got no answer."
            data: Figures = {"octets": octets, "fragments": fragments, "count": repeats}
            yield finding("fragmented-invite-unanswered", request.at_ns, text, **data)
        else:
            where = request.endpoints.dst
            text = f"INVITE was sent {_times(repeats + 1)} to {where} over {seconds:.1f} s; no answer came."
            data = {"count": repeats, "seconds": seconds, "octets": octets}
            yield finding("invite-unanswered", request.at_ns, text, **data, address=where)


def _acknowledgements(traced: Traced, ending: Ending) -> Iterator[Finding]:
    """200 to INVITE that was repeated, because its ACK was lost, went astray or was never sent."""
    for transaction in traced.of("INVITE"):
        final = transaction.final
        if final is None or final.status >= 300:
            continue
        repeats = [seen for seen in transaction.response_repeats if seen.status // 100 == 2]
        if not repeats:
            continue
        acks = [t for t in traced.numbered("ACK", transaction.cseq) if t.side == transaction.side]
        here = [t for t in acks if t.hop == transaction.hop]
        seconds = round((repeats[-1].at_ns - final.at_ns) / SECOND, 3)
        stray = next((t for t in acks if _went_astray(t, final)), None)
        came = min((t.began_ns for t in here), default=None)
        if stray is not None and repeats[-1].at_ns > stray.began_ns:
            yield _astray(final, stray, repeats)
        elif came is None:
            after_s = round((ending.at_ns - final.at_ns) / SECOND, 3) if ending.at_ns is not None else 0.0
            ended = f" The call ended {after_s:.1f} s after its answer." if after_s else ""
            text = f"200 was repeated {_times(len(repeats))} over {seconds:.1f} s, and no ACK came.{ended}"
            data: Figures = {"count": len(repeats), "seconds": seconds, "ended_after_s": after_s}
            yield finding("ack-missing", final.at_ns, text, **data)
        else:
            # ACK is on its way, but does not arrive where 200 is repeated from.
            after = [seen for seen in repeats if seen.at_ns > came]
            lasting = len(after) > 2
            text = f"200 was repeated {_times(len(repeats))} over {seconds:.1f} s" + (
                "; the ACK that was seen does not arrive." if lasting else " before its ACK came."
            )
            if lasting:
                after_s = round((ending.at_ns - final.at_ns) / SECOND, 3) if ending.at_ns is not None else 0.0
                data = {"count": len(repeats), "seconds": seconds, "ended_after_s": after_s}
                yield finding("ack-missing", final.at_ns, text, **data)
            else:
                yield finding("ack-late", final.at_ns, text, count=len(repeats), seconds=seconds)


def _went_astray(ack: Transaction, final: Seen) -> bool:
    """Whether an ACK left for another host than the 200 came from, which no Route or next hop explains."""
    request = ack.request
    if request is None or request.endpoints.src != final.endpoints.dst:
        return False
    return request.endpoints.dst != final.endpoints.src


def _astray(final: Seen, ack: Transaction, repeats: list[Seen]) -> Finding:
    contact, source = contact_host(final), final.endpoints.src
    sent_to = ack.request.endpoints.dst if ack.request is not None else ""
    text = (
        f"ACK went to {sent_to}, while 200 came from {source}: the Contact ({contact}) does not lead there. "
        f"200 was repeated {_times(len(repeats))}."
    )
    data: Figures = {"contact": contact, "source": source, "sent_to": sent_to}
    return finding("ack-to-wrong-address", final.at_ns, text, **data)


def contact_host(seen: Seen) -> str:
    """The host of a message's Contact, empty where there is none; IPv6 without brackets."""
    try:
        uri = NameAddr.parse(seen.headers.get("Contact") or "").uri
    except SipSyntaxError:
        return ""
    return uri.host.strip("[]").lower() if isinstance(uri, SipUri) else ""


def _reliable(traced: Traced) -> Iterator[Finding]:
    """Provisional answers that must be acknowledged and were not (RFC 3262, 3)."""
    for transaction in traced.of("INVITE"):
        reliable = [
            r for r in transaction.provisional if "RSeq" in r.headers and r.has_tag("Require", "100rel")
        ]
        if not reliable:
            continue
        repeats: dict[str | None, list[Seen]] = defaultdict(list)
        for seen in transaction.response_repeats:
            repeats[seen.headers.get("RSeq")].append(seen)
        acknowledged = {rack_of(t.request)[0] for t in traced.pracks(transaction) if t.request is not None}
        for response in reliable:
            rseq = response.headers.get("RSeq")
            again = repeats.get(rseq)
            if again and rseq not in acknowledged:
                seconds = round((again[-1].at_ns - response.at_ns) / SECOND, 3)
                text = f"{response.status} was repeated {_times(len(again))}; the PRACK it needs never came."
                data: Figures = {"status": response.status, "count": len(again), "seconds": seconds}
                yield finding("prack-missing", response.at_ns, text, **data)


class _Reach:
    """Where each side's messages came from, by who heard them, and the hosts of its Contacts."""

    def __init__(self, traced: Traced) -> None:
        self.sources: dict[tuple[Side, str], set[str]] = defaultdict(set)
        self.contacts: dict[Side, set[str]] = {"caller": set(), "called": set()}
        for seen in traced.messages:
            self.sources[seen.side, seen.endpoints.dst].add(seen.endpoints.src)
            self.contacts[seen.side].add(contact_host(seen))


def _lost(transaction: Transaction, request: Seen, reach: _Reach) -> Finding:
    """A request in the call that got no answer."""
    count, by, method = len(transaction.repeats), transaction.side, transaction.method
    known = method if method in KNOWN_METHODS else "other"
    target, other = request.endpoints.dst, reach.sources.get((OTHER[by], request.endpoints.src))
    seconds = round((transaction.last_sent_ns - request.at_ns) / SECOND, 3)
    told = f"{_label(method, request)} of the {_SIDES[by]} got no answer"
    if other and target not in other and target in reach.contacts[OTHER[by]]:
        source = min(other)
        text = f"{told}: it went to the Contact {target}, while that side speaks from {source}."
        return finding(
            "contact-unreachable", request.at_ns, text, by=by, contact=target, source=source, method=known
        )
    text = f"{told}; it was sent {_times(count + 1)}."
    if method == "BYE":
        return finding("bye-unanswered", request.at_ns, text, by=by, count=count)
    if method == "CANCEL":
        return finding("cancel-unanswered", request.at_ns, text, count=count)
    if method in ("INVITE", "UPDATE"):
        data: Figures = {"method": method, "count": count, "seconds": seconds}
        return finding("reinvite-unanswered", request.at_ns, text, by=by, **data)
    return finding("request-unanswered", request.at_ns, text, by=by, method=known, count=count)


def _label(method: str, request: Seen) -> str:
    if method not in KNOWN_METHODS:
        return "A request"
    return "re-INVITE" if method == "INVITE" and request.to_tag else method
