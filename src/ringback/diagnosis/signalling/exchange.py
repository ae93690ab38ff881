"""Offers and answers of a call: who wanted media where and how, what was agreed (RFC 3264, RFC 6337)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.signalling.call import MediaOffer, Side
from ringback.diagnosis.signalling.formats import NOT_AUDIO, names, read_formats, read_ptime_ms
from ringback.diagnosis.signalling.reading import Seen
from ringback.diagnosis.signalling.tracing import OTHER, Traced, Transaction, rack_of
from ringback.sdp.description import MediaDescription, SessionDescription
from ringback.sdp.section import read_direction

_RTCP: Final = re.compile(r"([0-9]{1,5})(?:[ \t]|$)")


@dataclass(slots=True, eq=False)
class Exchange:
    """One offer at one hop with its answer; several answers come from several called sides, or early.

    `offer` is None where the capture holds only the answer. `by` made the offer. `answer` is the last.
    """

    transaction: Transaction
    by: Side
    offer: Seen | None
    answers: list[Seen] = field(default_factory=list)
    accepted: bool = False

    @property
    def answer(self) -> Seen | None:
        """The one that counts."""
        return self.answers[-1] if self.answers else None

    @property
    def hop(self) -> int:
        """Where it was seen."""
        return self.transaction.hop

    @property
    def in_dialog(self) -> bool:
        """Whether it changes a session that there was before."""
        return self.transaction.in_dialog or self.transaction.method in ("UPDATE", "PRACK")

    @property
    def agreed_ns(self) -> Nanoseconds:
        """When both knew: the answer's time, without one the offer's."""
        told = self.answer or self.offer
        return told.at_ns if told is not None else self.transaction.began_ns


def exchanges(traced: Traced) -> list[Exchange]:
    """All of a call's offers, in the order in which they were made, each hop's for itself."""
    found = [exchange for t in traced.transactions for exchange in _of_transaction(traced, t)]
    return sorted(found, key=lambda e: (e.offer or e.answers[0]).at_ns)


def _of_transaction(traced: Traced, transaction: Transaction) -> Iterator[Exchange]:
    request, final = transaction.request, transaction.final
    told = [r for r in transaction.responses if 100 < r.status < 300 and r.sdp is not None]
    if transaction.method == "INVITE" and request is not None and request.sdp is None:
        yield from _delayed(traced, transaction, told)
    elif transaction.method in ("INVITE", "UPDATE") or (
        transaction.method == "PRACK" and not _answers_provisional(traced, transaction)
    ):
        offer = request if request is not None and request.sdp is not None else None
        if offer is None and not told:
            return
        exchange = Exchange(transaction, transaction.side, offer, told)
        good = final is not None and final.status < 300
        exchange.accepted = bool(told) and (good or not exchange.in_dialog)
        yield exchange


def _delayed(traced: Traced, transaction: Transaction, told: list[Seen]) -> Iterator[Exchange]:
    """INVITE without SDP: the offer comes back, and ACK or PRACK brings the answer."""
    if not told:
        return
    pracks = _described(traced.pracks(transaction))
    acks = _described([t for t in traced.numbered("ACK", transaction.cseq) if t.hop == transaction.hop])
    # Without a PRACK what came in a provisional answer was only a view of the offer in the 200.
    offer = told[0] if pracks else told[-1]
    answers = pracks[:1] or [ack for ack in acks if ack.side == transaction.side]
    yield Exchange(transaction, OTHER[transaction.side], offer, answers, bool(answers))


def _described(transactions: list[Transaction]) -> list[Seen]:
    return [t.request for t in transactions if t.request is not None and t.request.sdp is not None]


def _answers_provisional(traced: Traced, prack: Transaction) -> bool:
    """Whether the SDP in a PRACK is an answer, its INVITE having brought no offer."""
    if prack.request is None:
        return False
    invites = traced.numbered("INVITE", rack_of(prack.request)[1])
    requests = [t.request for t in invites if t.hop == prack.hop and t.request is not None]
    return any(request.sdp is None for request in requests)


def media_offers(found: list[Exchange]) -> tuple[MediaOffer, ...]:
    """The sections of all exchanges in the order of time, those that another hop only repeats left out.

    A try that was challenged counts by the next one alone.
    """
    offers: list[MediaOffer] = []
    known: set[tuple[object, ...]] = set()
    for exchange in sorted(found, key=lambda e: e.hop):
        final = exchange.transaction.final
        if final is not None and final.status in (401, 407):
            continue
        for seen in (exchange.offer, *exchange.answers):
            if seen is None:
                continue
            for offer in _sections(exchange, seen):
                what = (exchange.transaction.method, exchange.transaction.cseq, offer.by, offer.answers)
                key = (*what, offer.kind, offer.address, offer.port, offer.order, offer.direction)
                if key not in known:
                    known.add(key)
                    offers.append(offer)
    return tuple(sorted(offers, key=lambda offer: offer.at_ns))


def _sections(exchange: Exchange, seen: Seen) -> Iterator[MediaOffer]:
    session = seen.sdp
    if session is None:
        return
    is_answer = seen is not exchange.offer
    other = (exchange.offer if is_answer else exchange.answer) or seen
    others = other.sdp.media if other.sdp is not None else ()
    for at, media in enumerate(session.media):
        partner = others[at] if at < len(others) else None
        formats = read_formats(session, media)
        yield MediaOffer(
            at_ns=seen.at_ns,
            by=seen.side,
            kind=media.kind,
            address=address_of(session, media),
            port=media.port,
            rtcp_port=_rtcp_port(media, partner),
            signalled_from=seen.endpoints.src,
            direction=read_direction(session, media),
            formats=formats,
            order=tuple(formats),
            ptime_ms=read_ptime_ms(session, media),
            protocol=media.protocol,
            answers=is_answer,
            accepted=exchange.accepted and bool(media.port and partner is not None and partner.port),
            in_dialog=exchange.in_dialog,
            hop=exchange.hop,
        )


def address_of(session: SessionDescription, media: MediaDescription) -> str:
    """The address of the c= line that counts for a section, empty where there is none."""
    connection = session.connection_of(media)
    return connection.address.lower() if connection is not None else ""


def place(address: str, port: int) -> str:
    """`192.0.2.1:5060`, `[2001:db8::1]:5060`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _rtcp_port(media: MediaDescription, partner: MediaDescription | None) -> int:
    """RTCP's port: RTP's where both sides multiplex (RFC 5761), as a=rtcp says (RFC 3605), or the next."""
    if media.has("rtcp-mux") and partner is not None and partner.has("rtcp-mux"):
        return media.port
    match = _RTCP.match(media.value("rtcp") or "")
    port = int(match[1]) if match is not None else media.port + 1
    return port if media.port and port <= 65_535 else 0


def audio_of(seen: Seen | None) -> tuple[SessionDescription, MediaDescription] | None:
    """The first audio section of a message that is not switched off."""
    if seen is None or seen.sdp is None:
        return None
    return next(((seen.sdp, media) for media in seen.sdp.media if media.kind == "audio" and media.port), None)


def codecs_of(seen: Seen | None, *, switched_off: bool = False) -> tuple[str, ...]:
    """The names of a message's audio formats, in order; on demand also of a section with port 0."""
    found = audio_of(seen)
    if found is None and switched_off and seen is not None and seen.sdp is not None:
        found = next(((seen.sdp, media) for media in seen.sdp.media if media.kind == "audio"), None)
    if found is None:
        return ()
    formats = read_formats(*found)
    return names(formats, tuple(formats))


def agreed(exchange: Exchange) -> tuple[str, ...]:
    """The formats that both sides named, in the order of the answer."""
    answered = codecs_of(exchange.answer)
    if exchange.offer is None:
        return answered
    offered = codecs_of(exchange.offer)
    return tuple(name for name in answered if name in offered)


def codec(formats: tuple[str, ...]) -> str:
    """The first that carries a voice, empty if there is none."""
    return next((name for name in formats if name not in NOT_AUDIO), "")


def has_t38(seen: Seen | None) -> bool:
    """Whether a message asks for T.38 (ITU-T T.38, annex D): an image section that is not switched off."""
    media = seen.sdp.media if seen is not None and seen.sdp is not None else ()
    return any(section.kind == "image" and section.port for section in media)
