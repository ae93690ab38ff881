"""A server of names that runs beside a test, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.net.name_server import NameServer, name_server

Zone = dict[tuple[str, str], list[str]]


@contextmanager
def names(zone: Zone, ttl: int) -> Iterator[NameServer]:
    """The server; its switches may be turned from any thread."""
    ready, made = threading.Event(), list[NameServer]()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with name_server(zone, ttl) as server:
            made.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(5), "no server of names"
        yield made[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()


def located(domain: str, *ports: int) -> Zone:
    """SRV records of a domain whose servers are at these ports of loopback, the first preferred."""
    hosts = {f"s{place}.{domain}": port for place, port in enumerate(ports, 1)}
    records = [f"{place} 0 {port} {host}." for place, (host, port) in enumerate(hosts.items(), 1)]
    return {
        (f"_sip._udp.{domain}", "SRV"): records,
        **{(host, "A"): ["127.0.0.1"] for host in hosts},
    }
