"""Addresses that do not agree: NAT, routers that rewrite SIP, unreachable media (RFC 3581, RFC 5853)."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.signalling.call import CallRecord, Finding, Side
from ringback.diagnosis.signalling.delivery import contact_host
from ringback.diagnosis.signalling.exchange import Exchange, address_of, audio_of, place
from ringback.diagnosis.signalling.findings import finding
from ringback.diagnosis.signalling.reading import Seen, read
from ringback.diagnosis.signalling.tracing import Traced, trace
from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import Via

Kind = Literal["public", "private", "loopback", "unusable", "none", "name"]

# RFC 1918, RFC 6598 (carriers' NAT), RFC 4193.
_PRIVATE: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)
_SIDES: Final = {"caller": "caller", "called": "called side"}
_NOTHING: Final = b"\r\n\0 \t"


@lru_cache(maxsize=4_096)
def kind_of(address: str) -> Kind:
    """What an address can be used for; documentation's are public, `none` is 0.0.0.0, `name` a host name."""
    try:
        ip = ipaddress.ip_address(address[:64].strip("[]"))
    except ValueError:
        return "name"
    if ip.is_unspecified:
        return "none"
    if ip.is_loopback:
        return "loopback"
    if ip.is_link_local or ip.is_multicast or str(ip) == "255.255.255.255":
        return "unusable"
    return (
        "private" if any(ip in network for network in _PRIVATE if network.version == ip.version) else "public"
    )


def address_findings(traced: Traced, found: list[Exchange]) -> Iterator[Finding]:
    """What is found of addresses, of each kind and side the first."""
    seen_before: set[tuple[str, str]] = set()
    for seen in traced.messages:
        for told in _of_message(seen):
            by = str((told.data or {}).get("by", ""))
            if (told.code, by) not in seen_before:
                seen_before.add((told.code, by))
                yield told
    yield from _between_hops(found)


def _of_message(seen: Seen) -> Iterator[Finding]:
    if seen.repeat:
        return
    # The message's own sender, not a proxy, put it on the wire.
    direct = seen.is_request and seen.vias == 1
    yield from _contact(seen, direct=direct)
    if seen.is_request:
        yield from _via(seen)
    yield from _sdp(seen, direct=direct)
    yield from _length(seen)


def _contact(seen: Seen, *, direct: bool) -> Iterator[Finding]:
    host, source = contact_host(seen), seen.endpoints.src
    if seen.method not in ("INVITE", "UPDATE") or host == source or kind_of(host) != "private":
        return
    if "Record-Route" in seen.headers and not direct:
        # Requests go back the same way, over a proxy that knows where the Contact is.
        return
    if kind_of(source) == "public" or direct:
        text = f"The {_SIDES[seen.side]} gives {host} as its Contact, while its packets come from {source}."
        data = {"contact": host, "source": source}
        yield finding("contact-differs-from-source", seen.at_ns, text, by=seen.side, **data)


def _via(seen: Seen) -> Iterator[Finding]:
    source = seen.endpoints.src
    try:
        host = Via.parse(seen.headers.get("Via") or "").host.strip("[]").lower()
    except SipSyntaxError:
        return
    if host != source and kind_of(host) in ("private", "public"):
        text = f"Via of the {_SIDES[seen.side]} names {host}, while the packet came from {source}."
        yield finding("via-differs-from-source", seen.at_ns, text, by=seen.side, via=host, source=source)


def _sdp(seen: Seen, *, direct: bool) -> Iterator[Finding]:
    found = audio_of(seen)
    if found is None:
        return
    session, media = found
    address, source, side = address_of(session, media), seen.endpoints.src, seen.side
    kind = kind_of(address)
    data: dict[str, str | int] = {"by": side, "address": address, "port": media.port}
    whose = _SIDES[side]
    if kind == "unusable" or (kind == "loopback" and kind_of(source) != "loopback") or not address:
        text = f"The {whose} wants its media at {address or 'no address'}, where nobody can send it."
        yield finding("sdp-address-unusable", seen.at_ns, text, **data)
    elif kind == "private" and kind_of(source) == "public":
        text = f"The {whose} wants its media at {address}, a private address, while it signals from {source}."
        yield finding("sdp-address-private", seen.at_ns, text, **data, source=source)
    elif direct and address != source and kind in ("private", "public"):
        text = f"The {whose} wants its media at {address}, and signals from {source}."
        yield finding("sdp-differs-from-source", seen.at_ns, text, **data, source=source)
    origin = session.origin.address
    if direct and address == source and kind == "public" and kind_of(origin) == "private":
        text = f"c= of the {whose} was changed to {address} on the way: o= still says {origin}."
        yield finding(
            "alg-rewrite", seen.at_ns, text, by=side, what="o= and c=", before=origin, after=address
        )


def _length(seen: Seen) -> Iterator[Finding]:
    """A body of another length than was told, in a datagram that is whole: it was changed on the way."""
    told = seen.headers.get("Content-Length")
    packet = seen.packet
    if told is None or packet.transport != "udp" or packet.cut or not (told.isascii() and told.isdigit()):
        return
    _, gap, body = packet.data.lstrip(_NOTHING).partition(b"\r\n\r\n")
    expected = int(told[:10])
    more, less = body[expected:].strip(_NOTHING), len(body) < expected
    if gap and (more or less):
        text = f"Content-Length says {expected}, the body has {len(body)} octets."
        yield finding("content-length-wrong", seen.at_ns, text, by=seen.side, told=expected, octets=len(body))
        if seen.sdp is not None:
            text = f"The SDP of the {_SIDES[seen.side]} was changed on the way, its length was not."
            data = {"what": "Content-Length", "before": str(expected), "after": str(len(body))}
            yield finding("alg-rewrite", seen.at_ns, text, by=seen.side, **data)


def _between_hops(found: list[Exchange]) -> Iterator[Finding]:
    """The same description at two hops, with other addresses: a relay, or under one branch, an ALG."""
    places: dict[tuple[Side, str, int, int], list[tuple[Seen, str]]] = defaultdict(list)
    for exchange in found:
        for seen in (exchange.offer, exchange.answer):
            said = audio_of(seen)
            if seen is not None and said is not None:
                where = place(address_of(*said), said[1].port)
                places[seen.side, seen.method, seen.cseq, seen.status].append((seen, where))
    known: set[tuple[str, Side]] = set()
    for (side, *_), told in places.items():
        # From who described it on.
        told.sort(key=lambda pair: pair[0].hop, reverse=side == "called")
        for (before, old), (after, new) in pairwise(told):
            if old == new or before.hop == after.hop:
                continue
            if before.branch and before.branch == after.branch:
                if ("alg", side) not in known:
                    yield _rewritten(side, old, new, after.at_ns)
                known.add(("alg", side))
            elif ("relay", side) not in known:
                known.add(("relay", side))
                at = after.endpoints.src
                text = f"{at} put its own media address {new} for {old} of the {_SIDES[side]}."
                yield finding(
                    "sdp-rewritten-between-hops", after.at_ns, text, by=side, before=old, after=new, at=at
                )


def _rewritten(side: Side, before: str, after: str, at_ns: Nanoseconds) -> Finding:
    """One description under one branch with two addresses: no proxy, but a router in between."""
    text = f"A router changed the media address of the {_SIDES[side]} from {before} to {after}."
    return finding("alg-rewrite", at_ns, text, by=side, what="c= and m=", before=before, after=after)


def between_points(records: Sequence[CallRecord]) -> tuple[Finding, ...]:
    """What a router did to the media addresses of one call between the points that saw it; by side the first.

    The records are of one Call-ID, one a point. Their clocks need not agree.
    """
    found: dict[Side, Finding] = {}
    places: dict[tuple[object, ...], str] = {}
    for record in records:
        messages = [seen for message in record.messages if (seen := read(message.packet)) is not None]
        for seen in trace("", messages, 0).messages:
            said = audio_of(seen)
            if said is None or not seen.branch:
                continue
            where = place(address_of(*said), said[1].port)
            key = (seen.branch, seen.method, seen.cseq, seen.status, seen.to_tag, seen.side)
            before = places.setdefault(key, where)
            if before != where and seen.side not in found:
                found[seen.side] = _rewritten(seen.side, before, where, seen.at_ns)
    return tuple(found.values())
