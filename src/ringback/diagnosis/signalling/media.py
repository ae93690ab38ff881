"""Which call an RTP stream belongs to: whose SDP named its destination or source at that time (RFC 3264)."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Final, Literal, NamedTuple

from ringback.diagnosis.capture.captured import Nanoseconds, RtpStream, StreamKey
from ringback.diagnosis.signalling.call import CallRecord, Finding, MediaOffer, Side, Signalling
from ringback.diagnosis.signalling.findings import finding
from ringback.diagnosis.signalling.tracing import OTHER, SECOND
from ringback.diagnosis.stream.measured import PayloadFormat

_BEFORE_NS: Final = SECOND // 2
"""What lies between a description and its first packet can be seen in the wrong order at two taps."""
_AFTER_NS: Final = 10 * SECOND
"""How long packets may follow the end of a call or the move to another address."""
_EVER: Final = 1 << 62
_LATE_S: Final = 1.0
_MOST_STAYS: Final = 400

How = Literal["address", "source", "port"]


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What signalling knows of a stream.

    `call` is the index in the calls that were given; `also` are other calls that named the same addresses
    (the other leg of a B2BUA whose media goes directly). `expected_at` is where the receiver's SDP wanted the
    media, which is not where it went when NAT rewrote the address. `matched`: by the destination's address
    and port, by the source's alone (symmetric RTP), or by ports and hosts, addresses having been rewritten.
    `sent_by` is None where what was named contradicts itself.
    """

    call: int
    sent_by: Side | None
    formats: Mapping[int, PayloadFormat]
    expected_at: tuple[str, int] | None
    matched: How
    also: tuple[int, ...] = ()


class _Stay(NamedTuple):
    """An address that an SDP named, for as long as it held."""

    call: int
    offer: MediaOffer
    began_ns: Nanoseconds
    ended_ns: Nanoseconds


@dataclass(slots=True)
class _Match:
    """What speaks for one call having a stream; `receiving` and `sending` are the stays at its two ends."""

    call: int
    receiving: list[_Stay] = field(default_factory=list)
    sending: list[_Stay] = field(default_factory=list)
    exact: bool = True


def assign(calls: Sequence[CallRecord], streams: Iterable[RtpStream]) -> dict[StreamKey, StreamContext]:
    """The context of each stream that a call named; the others are left out."""
    index = _Index(calls)
    contexts: dict[StreamKey, StreamContext] = {}
    for stream in streams:
        matches = index.matches(stream)
        if matches:
            contexts[stream.key] = _context(calls, stream, matches)
    return _without_contradictions(contexts)


def _without_contradictions(contexts: dict[StreamKey, StreamContext]) -> dict[StreamKey, StreamContext]:
    """Where all that goes to and fro between two hosts would be one side's, nobody knows whose it is.

    So it is with gateways that are both sides of a call, and send their media from somewhere else.
    """
    between: dict[tuple[int, frozenset[str]], list[StreamKey]] = defaultdict(list)
    for key, context in contexts.items():
        between[context.call, frozenset((key.src, key.dst))].append(key)
    for keys in between.values():
        sides = {contexts[key].sent_by for key in keys}
        if len(sides) == 1 and len({key.src for key in keys}) == 2:
            contexts.update({key: replace(contexts[key], sent_by=None) for key in keys})
    return contexts


class _Stays:
    """The stays at one place in the order in which they began."""

    def __init__(self) -> None:
        self._stays: list[_Stay] = []
        self._last_end_ns: list[Nanoseconds] = []

    def add(self, stay: _Stay) -> None:
        """Before `settle`, in any order."""
        self._stays.append(stay)

    def settle(self) -> None:
        """Order them; from then on they can be looked up."""
        self._stays.sort(key=lambda stay: stay.began_ns)
        self._last_end_ns = list(accumulate((stay.ended_ns for stay in self._stays), max))

    def during(self, stream: RtpStream) -> Iterator[_Stay]:
        """Those that held while a stream ran, the latest first; of very many the latest hundreds."""
        place = bisect_right(self._stays, stream.ended_ns, key=lambda stay: stay.began_ns)
        for at in range(place - 1, max(-1, place - 1 - _MOST_STAYS), -1):
            if self._last_end_ns[at] < stream.began_ns:
                return
            if self._stays[at].ended_ns >= stream.began_ns:
                yield self._stays[at]


_NOWHERE: Final = _Stays()


class _Index:
    """All addresses that SDP named, by address and port, and by port alone."""

    def __init__(self, calls: Sequence[CallRecord]) -> None:
        self._calls = calls
        self._at: dict[tuple[str, int], _Stays] = defaultdict(_Stays)
        self._port: dict[int, _Stays] = defaultdict(_Stays)
        self._hosts: dict[int, frozenset[str]] = {}
        for number, call in enumerate(calls):
            for stay in _stays(number, call):
                self._at[stay.offer.address, stay.offer.port].add(stay)
                self._port[stay.offer.port].add(stay)
        for stays in (*self._at.values(), *self._port.values()):
            stays.settle()

    def matches(self, stream: RtpStream) -> list[_Match]:
        """Every call that may have a stream, the likeliest first."""
        key = stream.key
        found: dict[int, _Match] = {}
        for stay in self._at.get((key.dst, key.dport), _NOWHERE).during(stream):
            found.setdefault(stay.call, _Match(stay.call)).receiving.append(stay)
        for stay in self._at.get((key.src, key.sport), _NOWHERE).during(stream):
            found.setdefault(stay.call, _Match(stay.call)).sending.append(stay)
        if not found:
            found = self._behind_nat(stream)
        return sorted(found.values(), key=lambda match: _rank(match, stream), reverse=True)

    def _behind_nat(self, stream: RtpStream) -> dict[int, _Match]:
        """Calls that named the port only, where the host is one that signalled, or both ports fit."""
        key = stream.key
        found: dict[int, _Match] = {}
        to = list(self._port.get(key.dport, _NOWHERE).during(stream))
        out_of = list(self._port.get(key.sport, _NOWHERE).during(stream))
        sides = {(stay.call, stay.offer.by) for stay in out_of}
        for stay in to:
            if key.dst in self._signalling(stay.call) or (stay.call, OTHER[stay.offer.by]) in sides:
                found.setdefault(stay.call, _Match(stay.call, exact=False)).receiving.append(stay)
        for stay in out_of:
            if key.src in self._signalling(stay.call) or stay.call in found:
                found.setdefault(stay.call, _Match(stay.call, exact=False)).sending.append(stay)
        return found

    def _signalling(self, call: int) -> frozenset[str]:
        """The hosts between which a call's messages went."""
        hosts = self._hosts.get(call)
        if hosts is None:
            ends = (message.endpoints for message in self._calls[call].messages)
            hosts = self._hosts[call] = frozenset(host for end in ends for host in (end.src, end.dst))
        return hosts


def _stays(number: int, call: CallRecord) -> Iterator[_Stay]:
    """Each address of a call with the time for which it held: until its side named another at that hop."""
    over_ns = _EVER if call.ended_ns is None else call.ended_ns + _AFTER_NS
    # Of a call whose beginning is not in the capture what is known first held before.
    opened = not any(message.method == "INVITE" and message.label == "INVITE" for message in call.messages)
    for offers in _by_section(call.media):
        for offer, moved_ns in _with_moves(offers):
            if not offer.port or not offer.address:
                continue
            began_ns = -_EVER if opened and offer is offers[0] else offer.at_ns - _BEFORE_NS
            yield _Stay(number, offer, began_ns, min(over_ns, moved_ns + _AFTER_NS))


def _by_section(media: Sequence[MediaOffer]) -> Iterable[list[MediaOffer]]:
    """What one side said of one section, at one hop, in order; sections of a kind are told by their place."""
    sections: dict[tuple[int, Side, str, int], list[MediaOffer]] = defaultdict(list)
    places: dict[tuple[int, Side, str, Nanoseconds, bool], int] = defaultdict(int)
    for offer in media:
        message = offer.hop, offer.by, offer.kind, offer.at_ns, offer.answers
        sections[offer.hop, offer.by, offer.kind, places[message]].append(offer)
        places[message] += 1
    return sections.values()


def _with_moves(offers: Sequence[MediaOffer]) -> Iterator[tuple[MediaOffer, Nanoseconds]]:
    """Each offer with the time at which another address took its place; what was refused moves nothing."""
    place, named_ns, moved_ns = ("", 0), _EVER, _EVER
    for offer in reversed(offers):
        here = offer.address, offer.port
        yield offer, moved_ns if here == place else named_ns
        if offer.accepted:
            moved_ns = moved_ns if here == place else named_ns
            place, named_ns = here, offer.at_ns


def _overlap(stay: _Stay, stream: RtpStream) -> int:
    """How long a stream ran while an address held; what follows the call's end does not count."""
    return min(stay.ended_ns - _AFTER_NS, stream.ended_ns) - max(stay.began_ns, stream.began_ns)


def _rank(match: _Match, stream: RtpStream) -> tuple[int, ...]:
    """How well a call fits: for most of the stream's time, by destination, by both ends, agreed on, lately.

    Of several that named the same, and of which nothing tells that they are over, the last one has it.
    """
    stays = match.receiving or match.sending
    overlap = max(_overlap(stay, stream) for stay in stays)
    mostly = 2 * overlap >= stream.ended_ns - stream.began_ns
    named_ns = _named_ns(match)
    return (
        mostly,
        bool(match.receiving),
        _between_sides(match),
        any(stay.offer.accepted for stay in stays),
        # Two legs whose media goes directly end at different moments: that must not part their streams.
        0 if mostly else overlap,
        named_ns if named_ns <= stream.began_ns + _BEFORE_NS else -named_ns,
        -match.call,
    )


def _named_ns(match: _Match) -> Nanoseconds:
    """When a call had named all that it named of a stream's ends."""
    ends = (match.receiving, match.sending)
    return max(min(stay.began_ns for stay in stays) for stays in ends if stays)


def _between_sides(match: _Match) -> bool:
    """Whether both ends were named, by different sides."""
    to, out_of = ({stay.offer.by for stay in stays} for stays in (match.receiving, match.sending))
    return any(OTHER[side] in out_of for side in to)


def _context(calls: Sequence[CallRecord], stream: RtpStream, matches: list[_Match]) -> StreamContext:
    best = matches[0]
    call = calls[best.call]
    receiving = _latest(best.receiving, stream)
    sending = _latest(best.sending, stream)
    sent_by: Side | None = None
    if receiving is not None:
        sent_by = OTHER[receiving.offer.by]
    elif sending is not None:
        sent_by = sending.offer.by
    matched: How = "port"
    if best.exact:
        matched = "address" if receiving is not None else "source"
    kind = (receiving or sending or _Stay(0, call.media[0], 0, 0)).offer.kind
    expected_at = (receiving.offer.address, receiving.offer.port) if receiving is not None else None
    if expected_at is None and sending is not None:
        expected_at = _wanted(call, OTHER[sending.offer.by], sending.offer, stream)
    also = tuple(match.call for match in matches[1:] if _fits_too(match, best))
    return StreamContext(
        best.call, sent_by, _formats(call, sent_by, kind, stream), expected_at, matched, also
    )


def _latest(stays: list[_Stay], stream: RtpStream) -> _Stay | None:
    """Of the stays at one end the one that held longest, of several the one that was agreed on last."""
    return max(
        stays, key=lambda stay: (_overlap(stay, stream), stay.offer.accepted, stay.offer.at_ns), default=None
    )


def _fits_too(match: _Match, best: _Match) -> bool:
    """Whether another call named both ends as well, at the same time."""
    if not (best.exact and match.exact and _between_sides(match) and _between_sides(best)):
        return False
    return abs(_named_ns(match) - _named_ns(best)) <= _AFTER_NS


def _wanted(call: CallRecord, side: Side, near: MediaOffer, stream: RtpStream) -> tuple[str, int] | None:
    """Where a side wanted its media while the stream ran, at the hop of the other side's description."""
    told = [
        offer
        for offer in call.media
        if offer.by == side and offer.kind == near.kind and offer.hop == near.hop and offer.port
    ]
    before = [offer for offer in told if offer.at_ns <= stream.began_ns + _BEFORE_NS]
    offer = before[-1] if before else next(iter(told), None)
    return (offer.address, offer.port) if offer is not None else None


def _formats(
    call: CallRecord, sent_by: Side | None, kind: str, stream: RtpStream
) -> dict[int, PayloadFormat]:
    """What payload types mean: as the receiver said, who names the numbers, else as the sender did.

    Of several descriptions the one that held while the stream ran counts.
    """
    formats: dict[int, PayloadFormat] = {}
    receiver = OTHER[sent_by] if sent_by is not None else None
    # Later entries replace earlier ones: least telling first.
    for own in (False, True):
        told = [o for o in call.media if o.kind == kind and (o.by == receiver) == own]
        late = [o for o in told if o.at_ns > stream.ended_ns]
        held = [o for o in told if o.at_ns <= stream.ended_ns]
        for offer in (*reversed(late), *held):
            formats.update({n: told for n, told in offer.formats.items() if told.source != "unknown"})
    return dict(sorted(formats.items()))


def with_late_media(
    signalling: Signalling, contexts: Mapping[StreamKey, StreamContext], streams: Iterable[RtpStream]
) -> Signalling:
    """The signalling with what only media tells: sides whose first packet came long after the answer."""
    first: dict[tuple[int, Side], Nanoseconds] = {}
    for stream in streams:
        context = contexts.get(stream.key)
        if context is not None and context.sent_by is not None:
            key = context.call, context.sent_by
            first[key] = min(first.get(key, _EVER), stream.began_ns)
    late: dict[int, list[Finding]] = defaultdict(list)
    for (number, side), began_ns in sorted(first.items()):
        found = _late(signalling.calls[number], side, began_ns)
        late[number] += found
    if not any(late.values()):
        return signalling
    calls = tuple(
        replace(call, findings=_in_time((*call.findings, *late.get(number, ()))))
        for number, call in enumerate(signalling.calls)
    )
    return replace(signalling, calls=calls)


def _in_time(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda found: found.at_ns))


def _late(call: CallRecord, side: Side, began_ns: Nanoseconds) -> Iterator[Finding]:
    """Whether a side that was to send from the answer on began late."""
    if call.answered_ns is None:
        return
    told = [
        o for o in call.media if o.by == side and o.kind == "audio" and o.at_ns <= call.answered_ns + SECOND
    ]
    seconds = (began_ns - call.answered_ns) / SECOND
    if seconds > _LATE_S and told and told[-1].direction in ("sendrecv", "sendonly"):
        who = "caller" if side == "caller" else "called side"
        text = f"Media of the {who} began {seconds:.1f} s after the answer; nothing before was heard."
        yield finding("media-late", began_ns, text, by=side, seconds=round(seconds, 3))
