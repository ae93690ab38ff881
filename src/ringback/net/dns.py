"""Questions to the DNS, with bounded time and memory (RFC 1035, RFC 2308), for finding SIP servers."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from ringback.sip.flow import Address, Flow, Targets
from ringback.sip.locate import (
    AddressRecord,
    Family,
    Location,
    NaptrRecord,
    Question,
    Record,
    SrvRecord,
)
from ringback.sip.message import SipUri

PATIENCE_S: Final = 3.0
"""How long finding the servers of a URI may take in all."""

# A server of names that drops one kind of question leaves time for the others.
_QUESTION_S: Final = 1.5
_TRY_S: Final = 0.75
_REMEMBERED: Final = 2_000
_AT_ONCE: Final = 100
# What could not be asked is not asked again so soon: a dead server of names costs its wait once.
_SILENT_S: Final = 10.0
_MOST_SILENT: Final = 1_000
# How old an answer may be that stands for the one that cannot be had (RFC 8767 §5 recommends 1 to 3 days).
_STALE_S: Final = 3 * 86_400.0
_HOSTS: Final = Path("/etc/hosts")


class Resolver:
    """Finds SIP servers; answers are kept for their TTL, those that say "none" too.

    While no server of names answers, the last answer stays good for three days (RFC 8767). The same records
    are put into the same order for as long as this lives: who registers stays where it is registered.

    `servers` are those to ask; none means the system's, with its file of hosts.
    """

    def __init__(
        self,
        servers: Sequence[Address] = (),
        *,
        families: Sequence[Family] = ("A", "AAAA"),
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        hosts: Path = _HOSTS,
    ) -> None:
        self.families = families
        self._seed = chance()
        self._clock = clock
        self._hosts = None if servers else hosts
        self._resolver = _resolver(servers)
        # Until when questions, and hosts, count as unanswerable.
        self._silent: dict[Question | str, float] = {}
        self._answered: OrderedDict[Question, tuple[float, list[Record]]] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def locate(self, uri: SipUri) -> Targets:
        """Where requests for a URI go, the best first (RFC 3263 §4); none when that cannot be found out.

        Takes at most `PATIENCE_S`; what is known by then counts.
        """
        location = Location(uri, random.Random(self._seed).random, self.families)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not self._is_silent(location.host) and (questions := location.questions()):
                    answers = await asyncio.gather(*(self._ask(question) for question in questions))
                    for question, records in zip(questions, answers, strict=True):
                        location.answer(question, records)
        except TimeoutError:
            self._note_silence(location.host)
        while questions := location.questions():
            for question in questions:
                location.answer(question, self._last_known(question))
        return location.targets

    async def open(self, flow: Flow) -> Flow | None:
        """A flow with an address in place of its host's name, the best one; None when there is none."""
        host, port = flow.remote
        uri = SipUri(
            "sips" if flow.transport == "tls" else "sip",
            host=host,
            port=port or None,
            params={"transport": "tcp" if flow.transport == "tls" else flow.transport},
        )
        targets = await self.locate(uri)
        return targets[0] if targets else None

    async def _ask(self, question: Question) -> list[Record]:
        if question.type in ("A", "AAAA") and (known := self._from_file(question)):
            return known
        if self._is_silent(question):
            return self._last_known(question)
        try:
            async with self._slots:
                answer = await self._resolver.resolve(
                    question.name, question.type, raise_on_no_answer=False, search=False
                )
        except (dns.resolver.NXDOMAIN, dns.exception.SyntaxError, dns.name.LabelTooLong, UnicodeError):
            return self._note_answer(question, [])
        except (dns.exception.DNSException, OSError):
            self._note_silence(question)
            return self._last_known(question)
        # Servers of names turn their answers round: without that, in an order that is ours alone.
        data = sorted(answer.rrset or (), key=str)
        random.Random(self._seed).shuffle(data)
        return self._note_answer(question, [record for one in data for record in _records(one)])

    def _note_answer(self, question: Question, records: list[Record]) -> list[Record]:
        self._answered[question] = (self._clock(), records)
        self._answered.move_to_end(question)
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        return records

    def _last_known(self, question: Question) -> list[Record]:
        """What the servers of names said last, while they say nothing."""
        at, records = self._answered.get(question, (0.0, []))
        return records if records and self._clock() - at < _STALE_S else []

    def _is_silent(self, what: Question | str) -> bool:
        return self._silent.get(what, 0.0) > self._clock()

    def _note_silence(self, what: Question | str) -> None:
        if len(self._silent) >= _MOST_SILENT:
            self._silent.pop(next(iter(self._silent)))
        self._silent[what] = self._clock() + _SILENT_S

    def _from_file(self, question: Question) -> list[Record]:
        """Addresses of the system's file of hosts (hosts(5)), which the DNS does not know."""
        if self._hosts is None:
            return []
        try:
            lines = self._hosts.read_text(errors="replace").splitlines()
        except OSError:
            return []
        found: list[Record] = []
        for line in lines:
            address, *names = line.partition("#")[0].split() or [""]
            if question.name in (name.lower() for name in names) and _family(address) == question.type:
                found.append(AddressRecord(address))
        return found


def _resolver(servers: Sequence[Address]) -> dns.asyncresolver.Resolver:
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.cache = dns.resolver.LRUCache(_REMEMBERED)
    resolver.timeout = _TRY_S
    resolver.lifetime = _QUESTION_S
    return resolver


def _family(address: str) -> str:
    try:
        return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    except ValueError:
        return ""


def _records(data: object) -> list[Record]:
    match data:
        case NAPTR():
            flags, service = data.flags.decode("ascii", "replace"), data.service.decode("ascii", "replace")
            return [NaptrRecord(data.order, data.preference, flags, service, str(data.replacement))]
        case SRV():
            return [SrvRecord(data.priority, data.weight, data.port, str(data.target))]
        case A() | AAAA():
            return [AddressRecord(str(data.address))]
        case _:
            return []
