"""What happened in a call: early media, hold, changes of codec and address, transfers (RFC 3264, 3515)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ringback.diagnosis.signalling.call import Finding, Side
from ringback.diagnosis.signalling.exchange import (
    Exchange,
    address_of,
    agreed,
    audio_of,
    codec,
    codecs_of,
    has_t38,
    place,
)
from ringback.diagnosis.signalling.findings import Figures, finding
from ringback.diagnosis.signalling.formats import read_ptime_ms
from ringback.diagnosis.signalling.reading import Seen
from ringback.diagnosis.signalling.tracing import SECOND, Traced, Transaction
from ringback.sdp.section import read_direction

_SLOW_RINGING_S: Final = 8.0
_MOST_TRANSFERS: Final = 100
_SLOW_ACK_S: Final = 0.4
"""A late offer is answered by ACK only: until then the called side's first words go nowhere."""
_SIPFRAG: Final = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9]{2})")
_SIDES: Final = {"caller": "caller", "called": "called side"}


def course_findings(traced: Traced, nearest: list[Exchange], answer: Seen | None) -> Iterator[Finding]:
    """What is found between the first INVITE and the end; `nearest` are the exchanges of one hop."""
    yield from _set_up(traced, nearest, answer)
    yield from _refused_changes(traced)
    yield from _changes([exchange for exchange in nearest if exchange.accepted])
    yield from _fax(nearest)
    yield from _transfers(traced)


def _set_up(traced: Traced, nearest: list[Exchange], answer: Seen | None) -> Iterator[Finding]:
    begun = traced.initial
    if not begun:
        return
    start_ns = begun[0].began_ns
    told = [r for t in begun for r in t.provisional if r.status > 100]
    if told and (told[0].at_ns - start_ns) / SECOND > _SLOW_RINGING_S:
        seconds = round((told[0].at_ns - start_ns) / SECOND, 3)
        text = f"It took {seconds:.1f} s until it rang."
        yield finding("post-dial-delay", told[0].at_ns, text, seconds=seconds)
    early = next((r for r in told if r.sdp is not None), None)
    if early is not None:
        seconds = round((early.at_ns - start_ns) / SECOND, 3)
        text = f"Media before the answer was agreed on by {early.status}, {seconds:.1f} s after the INVITE."
        yield finding("early-media", early.at_ns, text, status=early.status, seconds=seconds)
    tags = {r.to_tag for t in begun for r in t.responses if 100 < r.status < 300 and r.to_tag}
    if len(tags) > 1:
        text = f"The call was forked: {len(tags)} called sides answered it."
        yield finding("several-early-dialogs", told[0].at_ns if told else start_ns, text, count=len(tags))
    last = begun[-1]
    if last.request is not None and last.request.sdp is None and last.request.method == "INVITE":
        yield from _late_offer(traced, last, nearest, answer)
    first = next((e for e in nearest if e.transaction is last), None)
    if first is not None and answer is not None and first.offer is not None and not first.answers:
        owes: Side = "called" if first.by == "caller" else "caller"
        text = f"The {_SIDES[owes]} never answered the offer."
        if traced.one_sided is None and not first.offer.packet.cut and not answer.packet.cut:
            yield finding("offer-unanswered", answer.at_ns, text, by=owes)


def _late_offer(
    traced: Traced, invite: Transaction, nearest: list[Exchange], answer: Seen | None
) -> Iterator[Finding]:
    offered = any(e.by == "called" and e.transaction is invite for e in nearest)
    if offered:
        text = "INVITE came without SDP: the called side made the offer."
        yield finding("late-offer", invite.began_ns, text)
    if answer is None or not offered:
        return
    acks = [t.began_ns for t in traced.of("ACK", hop=answer.hop) if t.began_ns >= answer.at_ns]
    wait_s = (min(acks) - answer.at_ns) / SECOND if acks else 0.0
    if wait_s > _SLOW_ACK_S:
        text = f"The answer's SDP came {wait_s:.1f} s after the call was picked up: first words can be lost."
        yield finding("clipping-risk", answer.at_ns, text, seconds=round(wait_s, 3))


def _refused_changes(traced: Traced) -> Iterator[Finding]:
    renewals = traced.renewals
    lowest: dict[tuple[int, Side], int] = {}
    for transaction in renewals:
        key = transaction.cseq, transaction.side
        lowest[key] = min(lowest.get(key, transaction.hop), transaction.hop)
    for transaction in renewals:
        final = transaction.final
        if final is None or final.status < 300 or final.status in (401, 407, 491):
            continue
        if transaction.hop != lowest[transaction.cseq, transaction.side]:
            continue
        by = transaction.side
        data: Figures = {"status": final.status}
        if has_t38(transaction.request):
            text = f"The {_SIDES[by]} asked for T.38; it was refused ({final.status})."
            yield finding("t38-refused", final.at_ns, text, by=by, **data)
            continue
        name = "re-INVITE" if transaction.method == "INVITE" else transaction.method
        if final.status == 481:
            text = f"The {_SIDES[by]} sent {name}; the other side knows no such call any more (481)."
            yield finding("dialog-unknown", final.at_ns, text, by=by, method=transaction.method, **data)
            continue
        text = f"{name} of the {_SIDES[by]} was refused ({final.status} {final.phrase})."
        yield finding("reinvite-refused", final.at_ns, text, by=by, method=transaction.method, **data)
    byes = traced.of("BYE")
    if len({t.side for t in byes}) > 1:
        # Both hung up at once: each finds the call gone.
        return
    for transaction in byes:
        final = transaction.final
        if final is not None and final.status == 481:
            text = f"BYE of the {_SIDES[transaction.side]}: the other side knows no such call any more (481)."
            data = {"status": 481, "method": "BYE"}
            yield finding("dialog-unknown", final.at_ns, text, by=transaction.side, **data)
            return


def _changes(accepted: list[Exchange]) -> Iterator[Finding]:
    """Hold, and changes of codec, packet time and address, from one exchange to the next."""
    held: dict[Side, int] = {}
    voice, ptime = "", 0.0
    places: dict[Side, str] = {}
    for exchange in accepted:
        yield from _hold(exchange, held)
        both = agreed(exchange)
        said = audio_of(exchange.answer)
        if said is None:
            continue
        if not codec(both) and exchange.offer is not None and codec(codecs_of(exchange.offer)):
            yield _nothing_in_common(exchange)
            continue
        now, by, at_ns = codec(both), exchange.by, exchange.agreed_ns
        if voice and now and now != voice:
            text = f"The {_SIDES[by]} changed the codec from {voice} to {now}."
            yield finding("codec-changed", at_ns, text, by=by, before=voice, after=now)
        voice = now or voice
        packet_ms = read_ptime_ms(*said)
        if ptime and packet_ms and packet_ms != ptime:
            text = f"The packet time changed from {ptime:g} to {packet_ms:g} ms."
            yield finding("ptime-changed", at_ns, text, by=by, before=ptime, after=packet_ms)
        ptime = packet_ms or ptime
        for seen in (exchange.offer, exchange.answer):
            yield from _moved(seen, places)


def _hold(exchange: Exchange, held: dict[Side, int]) -> Iterator[Finding]:
    found = audio_of(exchange.offer)
    if found is None or exchange.offer is None:
        return
    direction, by, at_ns = read_direction(*found), exchange.by, exchange.agreed_ns
    if direction in ("sendonly", "inactive"):
        if by not in held:
            held[by] = at_ns
            text = f"The {_SIDES[by]} put the other on hold ({direction})."
            yield finding("media-hold", at_ns, text, by=by, direction=direction)
    elif by in held:
        seconds = round((at_ns - held.pop(by)) / SECOND, 3)
        text = f"The {_SIDES[by]} ended the hold after {seconds:.1f} s."
        yield finding("media-resumed", at_ns, text, by=by, seconds=seconds)


def _nothing_in_common(exchange: Exchange) -> Finding:
    offered, answered = codecs_of(exchange.offer), codecs_of(exchange.answer)
    text = f"Offer and answer have no codec in common: {', '.join(offered)} against {', '.join(answered)}."
    status = exchange.answer.status if exchange.answer is not None else 0
    data = {"offered": " ".join(offered), "supported": " ".join(answered)}
    return finding("codec-mismatch", exchange.agreed_ns, text, status=status, warning="", **data)


def _moved(seen: Seen | None, places: dict[Side, str]) -> Iterator[Finding]:
    found = audio_of(seen)
    if seen is None or found is None:
        return
    session, media = found
    address = address_of(session, media)
    now, before = place(address, media.port), places.get(seen.side, "")
    if address == "0.0.0.0":  # noqa: S104  # compared, not bound: an old hold moves nothing
        return
    places[seen.side] = now
    if before and before != now:
        text = f"The {_SIDES[seen.side]} moved its media from {before} to {now}."
        yield finding("media-address-changed", seen.at_ns, text, by=seen.side, before=before, after=now)


def _fax(nearest: list[Exchange]) -> Iterator[Finding]:
    for exchange in nearest:
        if exchange.accepted and has_t38(exchange.offer) and has_t38(exchange.answer):
            text = f"The {_SIDES[exchange.by]} switched the call to fax (T.38)."
            yield finding("t38-switch", exchange.agreed_ns, text, by=exchange.by)


def _transfers(traced: Traced) -> Iterator[Finding]:
    lowest: dict[int, int] = {}
    for transaction in traced.of("REFER")[:_MOST_TRANSFERS]:
        lowest.setdefault(transaction.cseq, transaction.hop)
        final, by = transaction.final, transaction.side
        if transaction.hop != lowest[transaction.cseq] or (final and final.status in (401, 407)):
            continue
        told = _told(traced, transaction)
        refused = final.status if final is not None and final.status >= 300 else 0
        status = refused or told or (final.status if final is not None else 0)
        if refused or told >= 300:
            text = f"The {_SIDES[by]} asked for a transfer, which failed ({status})."
            yield finding("transfer-failed", transaction.began_ns, text, by=by, status=status)
        else:
            text = f"The {_SIDES[by]} transferred the call."
            yield finding("call-transferred", transaction.began_ns, text, by=by, status=status)


def _told(traced: Traced, refer: Transaction) -> int:
    """The last status that NOTIFY told who asked for the transfer (RFC 3515, 2.4.5)."""
    status = 0
    for notify in traced.of("NOTIFY", hop=refer.hop):
        if notify.request is not None and notify.side != refer.side and notify.began_ns >= refer.began_ns:
            match = _SIPFRAG.search(notify.request.body)
            status = int(match[1]) if match is not None else status
    return status
