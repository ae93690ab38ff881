"""A server of names on loopback for tests: a zone, and switches that make it silent or broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """Answers over UDP from `zone`: (name, type) to the texts of its records. `asked` are the questions."""

    def __init__(self, zone: dict[tuple[str, str], list[str]], ttl: int = 60) -> None:
        self.zone = zone
        self.ttl = ttl
        self.silent = False
        self.broken = False
        """Whether it answers that it has failed (SERVFAIL)."""
        self.fails: set[tuple[str, str]] = set()
        """Questions that it answers so."""
        self.asked: list[tuple[str, str]] = []
        self.address = ("127.0.0.1", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = str(question.name).rstrip("."), question.rdtype.name
        self.asked.append((name, kind))
        if self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA | dns.flags.AA
        if self.broken or (name, kind) in self.fails:
            response.set_rcode(dns.rcode.SERVFAIL)
            self._transport.sendto(response.to_wire(), addr)  # type: ignore[attr-defined]
            return
        if records := self.zone.get((name, kind)):
            response.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", kind, *records))
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if not response.answer:
            soa = "ns.example.com. host.example.com. 1 3600 600 86400 30"
            response.authority.append(dns.rrset.from_text(".", 30, "IN", "SOA", soa))
        self._transport.sendto(response.to_wire(), addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def name_server(zone: dict[tuple[str, str], list[str]], ttl: int = 60) -> AsyncIterator[NameServer]:
    """A running server of names."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(zone, ttl), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
