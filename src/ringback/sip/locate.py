"""From a SIP URI to the servers that take requests for it, by asking the DNS (RFC 3263 §4, RFC 2782)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ringback.sip.flow import DEFAULT_PORT, UNBOUND, Flow, Targets, Transport
from ringback.sip.message import SipUri

QuestionType = Literal["NAPTR", "SRV", "A", "AAAA"]
Family = Literal["A", "AAAA"]

MOST_TARGETS: Final = 16
"""A domain may name any number of servers; more than these are not tried."""

_MOST_RECORDS: Final = 16
_SERVICE: Final[dict[str, Transport]] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_LABEL: Final[dict[Transport, str]] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_OURS: Final[tuple[Transport, ...]] = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask the DNS."""

    name: str
    type: QuestionType


@dataclass(frozen=True, slots=True)
class NaptrRecord:
    """RFC 3403 §4; `flags` and `service` in any case."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """RFC 2782; a target of "" or "." says that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An A or AAAA record."""

    address: str


Record = NaptrRecord | SrvRecord | AddressRecord


@dataclass(slots=True)
class _Server:
    """A host that addresses are wanted of."""

    transport: Transport
    host: str
    port: int


class Location:
    """The way from a URI to its targets: answer all `questions()` until there are none, then see `targets`.

    `chance` gives numbers in [0, 1), for weights. `families` are those that we can send to, the preferred one
    first. A question without records, or without an answer at all, is answered with none.
    """

    def __init__(
        self, uri: SipUri, chance: Callable[[], float], families: Sequence[Family] = ("A", "AAAA")
    ) -> None:
        self.host = (uri.params.get("maddr") or uri.address).rstrip(".").lower()
        self._chance = chance
        self._families = families
        self._secure = uri.scheme == "sips"
        self._answers: dict[Question, list[Record]] = {}
        self._wanted: list[Question] = []
        # SRV names by transport, in the order of preference; then the hosts that they lead to.
        self._services: list[tuple[Transport, str]] = []
        self._servers: list[_Server] = []
        self._step: Callable[[], None] | None = None
        self._literal = _is_address(self.host)
        self._begin(uri)

    def questions(self) -> list[Question]:
        """What is to be asked now, all at once; empty when the targets are known."""
        return [question for question in self._wanted if question not in self._answers]

    def answer(self, question: Question, records: Iterable[Record]) -> None:
        """Take the answer to one question."""
        self._answers[question] = list(records)[:_MOST_RECORDS]
        if self._step is not None and not self.questions():
            step, self._step = self._step, None
            step()

    @property
    def targets(self) -> Targets:
        """Where requests go, in order, with the name to prove; none when nothing was found."""
        found: dict[Flow, None] = {}
        for server in self._servers:
            for address in self._addresses(server.host):
                name = "" if self._literal else self.host
                flow = Flow(server.transport, UNBOUND, (address, server.port), 0, name)
                found[flow] = None
        return tuple(found)[:MOST_TARGETS]

    def _begin(self, uri: SipUri) -> None:
        transport = self._transport_of(uri)
        if transport is None and uri.transport is not None:
            # A transport that we have no client for, or one that is not secure where it has to be.
            return
        default: Transport = "tls" if self._secure else "udp"
        if self._literal or uri.port is not None:
            chosen = transport or default
            self._servers = [_Server(chosen, self.host, uri.port or DEFAULT_PORT[chosen])]
            self._ask_addresses()
        elif transport is not None:
            self._ask_services([transport])
        else:
            self._ask([Question(self.host, "NAPTR")], self._pointed)

    def _transport_of(self, uri: SipUri) -> Transport | None:
        if self._secure:
            return "tls" if uri.transport in ("tcp", "tls") else None
        return next((transport for transport in _OURS if uri.transport == transport), None)

    def _ask(self, questions: list[Question], step: Callable[[], None]) -> None:
        self._wanted = questions
        if self.questions():
            self._step = step
        else:
            step()

    def _pointed(self) -> None:
        """NAPTR says which transports there are, the preferred first (RFC 3263 §4.1)."""
        records = [record for record in self._of(self.host, "NAPTR") if isinstance(record, NaptrRecord)]
        records.sort(key=lambda record: (record.order, record.preference))
        for record in records:
            transport = _SERVICE.get(record.service.upper())
            if transport is None or record.flags.lower() != "s" or (self._secure and transport != "tls"):
                continue
            self._services.append((transport, record.replacement.rstrip(".").lower()))
        if self._services:
            self._ask([Question(name, "SRV") for _, name in self._services], self._served)
        else:
            self._ask_services(["tls"] if self._secure else list(_OURS))

    def _ask_services(self, transports: list[Transport]) -> None:
        self._services = [(transport, f"{_LABEL[transport]}.{self.host}") for transport in transports]
        self._ask([Question(name, "SRV") for _, name in self._services], self._served)

    def _served(self) -> None:
        """SRV says which hosts (RFC 3263 §4.2); without any the domain is the host."""
        known = False
        for transport, name in self._services:
            records = [record for record in self._of(name, "SRV") if isinstance(record, SrvRecord)]
            known = known or bool(records)
            for record in by_weight(records, self._chance):
                host = record.target.rstrip(".").lower()
                if host and record.port:
                    self._servers.append(_Server(transport, host, record.port))
        if not known:
            transport = self._services[0][0] if len(self._services) == 1 else "udp"
            self._servers = [_Server(transport, self.host, DEFAULT_PORT[transport])]
        del self._servers[MOST_TARGETS:]
        self._ask_addresses()

    def _ask_addresses(self) -> None:
        hosts = dict.fromkeys(server.host for server in self._servers if not _is_address(server.host))
        self._ask([Question(host, family) for host in hosts for family in self._families], lambda: None)

    def _addresses(self, host: str) -> list[str]:
        if _is_address(host):
            return [host]
        records = [record for family in self._families for record in self._of(host, family)]
        return [record.address for record in records if isinstance(record, AddressRecord)]

    def _of(self, name: str, kind: QuestionType) -> list[Record]:
        return self._answers.get(Question(name, kind), [])


def by_weight(records: Sequence[SrvRecord], chance: Callable[[], float]) -> list[SrvRecord]:
    """SRV records in the order to try them: by priority, within it at random by weight (RFC 2782)."""
    ordered: list[SrvRecord] = []
    for priority in sorted({record.priority for record in records}):
        # Those of weight 0 first, so that they have a small chance too.
        left = sorted((r for r in records if r.priority == priority), key=lambda record: record.weight)
        while left:
            mark = chance() * (sum(record.weight for record in left) + 1)
            for record in left:
                mark -= record.weight
                if mark < 1:
                    break
            ordered.append(record)
            left.remove(record)
    return ordered


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
