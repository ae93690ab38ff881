"""The messages of one Call-ID put in order: sides, hops, repeats and transactions (RFC 3261, 12 and 17)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.signalling.call import Side
from ringback.diagnosis.signalling.reading import Repeat, Seen

SECOND: Final = 1_000_000_000
_TWICE_NS: Final = 50_000_000
"""No stack repeats so soon (T1 is 500 ms): the capture has seen one packet at two places."""
_REFRESH_NS: Final = 30 * SECOND
"""Provisional answers may come again each minute to keep proxies waiting (RFC 3261, 13.3.1.1)."""

OTHER: Final[dict[Side, Side]] = {"caller": "called", "called": "caller"}


@dataclass(slots=True, eq=False)
class Transaction:
    """A request at one hop with what answered it; `request` is None where the capture has only answers.

    `responses` are without repeats. ACK is a transaction of its own here, which nothing answers.
    """

    method: str
    cseq: int
    hop: int
    side: Side
    request: Seen | None = None
    repeats: list[Seen] = field(default_factory=list)
    responses: list[Seen] = field(default_factory=list)
    response_repeats: list[Seen] = field(default_factory=list)

    @property
    def final(self) -> Seen | None:
        """The final answer, a good one before others (a fork may have sent several)."""
        finals = [response for response in self.responses if response.status >= 200]
        good = (response for response in finals if response.status < 300)
        return next(good, finals[-1] if finals else None)

    @property
    def provisional(self) -> list[Seen]:
        """The 1xx."""
        return [response for response in self.responses if response.status < 200]

    @property
    def began_ns(self) -> Nanoseconds:
        """When its first message was seen."""
        return (self.request or (*self.responses, *self.response_repeats)[0]).at_ns

    @property
    def last_sent_ns(self) -> Nanoseconds:
        """When the request was last seen going out."""
        return self.repeats[-1].at_ns if self.repeats else self.began_ns

    @property
    def in_dialog(self) -> bool:
        """Whether its request has a To tag (without a request: not known, False)."""
        return self.request is not None and bool(self.request.to_tag)


@dataclass(slots=True, eq=False)
class Traced:
    """One call's messages in the order of time, with what they belong to.

    Hop 0 is the caller's own, the last the called side's, as far as the capture shows them.
    `until_ns` is when the capture's last SIP message was seen.
    """

    call_id: str = field(repr=False)
    messages: list[Seen]
    transactions: list[Transaction]
    hops: int
    until_ns: Nanoseconds
    _by_method: dict[str, list[Transaction]] = field(init=False, repr=False)
    _by_number: dict[tuple[str, int], list[Transaction]] = field(init=False, repr=False)
    _pracks: dict[tuple[int, int], list[Transaction]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the transactions: a hostile call has a hundred thousand."""
        self._by_method, self._by_number, self._pracks = (
            defaultdict(list),
            defaultdict(list),
            defaultdict(list),
        )
        for transaction in self.transactions:
            self._by_method[transaction.method].append(transaction)
            self._by_number[transaction.method, transaction.cseq].append(transaction)
            if transaction.method == "PRACK" and transaction.request is not None:
                self._pracks[transaction.hop, rack_of(transaction.request)[1]].append(transaction)

    def of(self, *methods: str, hop: int | None = None) -> list[Transaction]:
        """The transactions of these methods, in order."""
        if len(methods) == 1:
            found = self._by_method.get(methods[0], [])
        else:
            found = [t for t in self.transactions if t.method in methods]
        return [t for t in found if t.hop == hop] if hop is not None else list(found)

    def numbered(self, method: str, cseq: int) -> list[Transaction]:
        """The transactions of a method with a CSeq number: one a hop and side."""
        return self._by_number.get((method, cseq), [])

    def pracks(self, invite: Transaction) -> list[Transaction]:
        """The PRACKs that acknowledge an INVITE's provisional answers (RFC 3262, 7.2)."""
        return self._pracks.get((invite.hop, invite.cseq), [])

    @property
    def initial(self) -> list[Transaction]:
        """The tries to begin the call at the caller's hop; at any where that one is not in the capture."""
        invites = self.of("INVITE")
        begun = [t for t in invites if t.request is not None and not t.in_dialog]
        if not begun:
            # Of a call of which only answers were captured.
            ringing = (101 <= r.status < 200 for t in invites if t.request is None for r in t.responses)
            begun = [t for t in invites if t.request is None][:1] if any(ringing) else []
        lowest = min((t.hop for t in begun), default=0)
        return [t for t in begun if t.hop == lowest]

    @property
    def renewals(self) -> list[Transaction]:
        """re-INVITE and UPDATE, at all hops."""
        return [t for t in self.of("INVITE", "UPDATE") if t.in_dialog]

    def sources(self, side: Side, hop: int) -> set[str]:
        """The hosts from which a side's messages came at a hop."""
        return {seen.endpoints.src for seen in self.messages if seen.side == side and seen.hop == hop}

    @property
    def one_sided(self) -> Side | None:
        """The only side whose messages the capture has, though the other must have spoken."""
        sides = {seen.side for seen in self.messages}
        if len(sides) != 1:
            return None
        (side,) = sides
        if any(seen.repeat == "again" and seen.is_request for seen in self.messages):
            # Who repeats a request misses its answer itself.
            return None
        went_on = any(seen.method in ("ACK", "BYE", "PRACK") or seen.to_tag for seen in self.messages)
        return side if went_on else None


def rack_of(prack: Seen) -> tuple[str, int]:
    """The RSeq and the INVITE's CSeq number that RAck names; empty and -1 where it cannot be read."""
    parts = (prack.headers.get("RAck") or "").split()
    if len(parts) != 3 or parts[2] != "INVITE" or not (parts[1].isascii() and parts[1].isdigit()):
        return "", -1
    return parts[0], int(parts[1][:10])


def trace(call_id: str, messages: Sequence[Seen], until_ns: Nanoseconds) -> Traced:
    """Sort one call's messages into sides, hops and transactions; takes them in any order."""
    ordered = sorted(messages, key=lambda seen: (seen.at_ns, seen.packet.frame))
    _find_sides(ordered)
    hops = _find_hops(ordered)
    _find_repeats(ordered)
    return Traced(call_id, ordered, _transactions(ordered), hops, until_ns)


def _find_sides(messages: Sequence[Seen]) -> None:
    """Whose request it is its From tag tells; who answers is the other side (RFC 3261, 12.2.1.1)."""
    begun = {seen.from_tag for seen in messages if seen.method == "INVITE" and not _in_dialog(seen)}
    begun.discard("")
    if not begun:
        invites = (seen.from_tag for seen in messages if seen.method == "INVITE" and seen.from_tag)
        begun = {next(invites, next((seen.from_tag for seen in messages if seen.from_tag), ""))}
    first = next((seen for seen in messages if seen.method == "INVITE"), messages[0])
    caller = first.endpoints.src if first.is_request else first.endpoints.dst
    for seen in messages:
        if seen.from_tag:
            asked: Side = "caller" if seen.from_tag in begun else "called"
        elif seen.is_request:
            asked = "caller" if seen.endpoints.src == caller else "called"
        else:
            asked = "caller" if seen.endpoints.dst == caller else "called"
        seen.side = asked if seen.is_request else OTHER[asked]


def _in_dialog(seen: Seen) -> bool:
    """Whether a message can only be of a dialog that exists; answers have a To tag all the same."""
    return bool(seen.to_tag) if seen.is_request else True


def _find_hops(messages: Sequence[Seen]) -> int:
    """Number the hops from the caller's on; returns how many there are.

    A hop is the pair of hosts with the caller's end first, so that a call which a proxy sends back to where
    it came from has two.
    """
    first: dict[tuple[str, str], tuple[int, int]] = {}
    keys = []
    asked = {_branch_key(seen): seen for seen in reversed(messages) if seen.is_request}
    pairs = {(*_branch_key(seen), _pair(seen)) for seen in messages if seen.is_request}
    for at, seen in enumerate(messages):
        source = seen
        if not seen.is_request and (*_branch_key(seen), _pair(seen)) not in pairs:
            # What answers a request belongs where that went, also when it comes from another address.
            request = asked.get(_branch_key(seen), seen)
            source = request if _pair(request) & _pair(seen) else seen
        near, far = _hosts(source)
        key = (near, far) if source.side == "caller" else (far, near)
        keys.append(key)
        # The caller's own request has come the shortest way, whatever the clocks of two taps say.
        depth = seen.vias if seen.is_request and seen.side == "caller" and not seen.to_tag else 1_000
        first[key] = min(first.get(key, (1_000, at)), (depth, at))
    numbers = {key: number for number, key in enumerate(sorted(first, key=lambda key: first[key]))}
    for seen, key in zip(messages, keys, strict=True):
        seen.hop = numbers[key]
    return len(numbers)


def _branch_key(seen: Seen) -> tuple[str, str, int]:
    return seen.branch, seen.method, seen.cseq


def _pair(seen: Seen) -> frozenset[str]:
    return frozenset((seen.endpoints.src, seen.endpoints.dst))


def _hosts(seen: Seen) -> tuple[str, str]:
    ends = seen.endpoints
    if ends.src != ends.dst:
        return ends.src, ends.dst
    # On one machine ports tell who is who.
    return f"{ends.src}:{ends.sport}", f"{ends.dst}:{ends.dport}"


def _find_repeats(messages: Sequence[Seen]) -> None:
    last: dict[tuple[object, ...], Seen] = {}
    sent: Counter[tuple[object, ...]] = Counter()
    answered: Counter[tuple[object, ...]] = Counter()
    for seen in messages:
        key = _identity(seen)
        before = last.get(key)
        last[key] = seen
        transaction = (seen.branch, seen.method, seen.cseq, frozenset(seen.endpoints))
        if before is not None:
            seen.repeat = _repeat(
                seen, before, owed=sent[transaction] > answered[(*transaction, seen.status)]
            )
        if seen.repeat == "twice":
            continue
        if seen.is_request:
            sent[transaction] += 1
        else:
            answered[(*transaction, seen.status)] += 1


def _repeat(seen: Seen, before: Seen, *, owed: bool) -> Repeat:
    """What a message is that was seen before; `owed`: the request it answers came more often than this."""
    apart_ns = seen.at_ns - before.at_ns
    same = seen.packet.data == before.packet.data
    if same and apart_ns < _TWICE_NS and (seen.is_request or not owed):
        return "twice"
    if 100 < seen.status < 200 and apart_ns >= _REFRESH_NS:
        return ""
    return "again"


def _identity(seen: Seen) -> tuple[object, ...]:
    """What a retransmission shares with what it repeats (RFC 3261, 17.2.3; RFC 3262, 3)."""
    if seen.is_request:
        return seen.endpoints, seen.method, seen.cseq, seen.branch
    rseq = seen.headers.get("RSeq")
    return (
        seen.endpoints,
        seen.status,
        seen.method,
        seen.cseq,
        seen.branch,
        seen.to_tag,
        rseq,
        hash(seen.body),
    )


def _transactions(messages: Iterable[Seen]) -> list[Transaction]:
    found: dict[tuple[object, ...], Transaction] = {}
    for seen in messages:
        if not seen.method:
            continue
        key = (seen.hop, seen.method, seen.cseq, seen.branch)
        side = seen.side if seen.is_request else OTHER[seen.side]
        transaction = found.get(key)
        if transaction is None:
            transaction = found[key] = Transaction(seen.method, seen.cseq, seen.hop, side)
        if seen.repeat == "twice":
            continue
        if seen.is_request:
            if transaction.request is None:
                transaction.request = seen
            else:
                transaction.repeats.append(seen)
        elif seen.repeat:
            transaction.response_repeats.append(seen)
        else:
            transaction.responses.append(seen)
    return list(found.values())
