"""A server on IPv4 and IPv6, a host that has IPv6 alone, and one that has IPv4 alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.wire.namespaces import Host, Network
from tests.wire.server import RingbackServer

SERVER_6, PHONE_6, OTHER_6 = "fd00:6::1", "fd00:6::2", "fd00:6::3"
SERVER_4, PHONE_4 = "10.4.0.1", "10.4.0.2"


@dataclass
class TwoFamilies:
    """What a phone of each family needs."""

    network: Network
    server: RingbackServer
    six: Host
    four: Host

    @property
    def udp_6(self) -> tuple[str, int]:
        """Where phones of IPv6 reach the server."""
        return SERVER_6, self.server.udp_port

    @property
    def udp_4(self) -> tuple[str, int]:
        """Where phones of IPv4 reach it."""
        return SERVER_4, self.server.udp_port


@contextmanager
def made_families(folder: Path, settings: dict[str, str] | None = None) -> Iterator[TwoFamilies]:
    """The server listens on every interface of both families; where media goes it has to know by itself."""
    with Network() as network:
        host = network.host("server")
        at_six, six = network.cable(host, network.host("six"), "eth6", other_name="eth0")
        at_four, four = network.cable(host, network.host("four"), "eth4", other_name="eth0")
        for interface, *addresses in (
            (at_six, SERVER_6),
            (six, PHONE_6, OTHER_6),
            (at_four, SERVER_4),
            (four, PHONE_4),
        ):
            for address in addresses:
                interface.add(f"{address}/{64 if ':' in address else 24}")
        everywhere = {
            "RINGBACK_SIP__BIND": "0.0.0.0,::",
            "RINGBACK_SECURITY__ALLOW_SOURCES": "127.0.0.0/8,10.4.0.0/24,fd00:6::/64",
        }
        server = RingbackServer(folder / "server", settings=everywhere | (settings or {}), host=host)
        try:
            yield TwoFamilies(network, server.start(), six.host, four.host)
        finally:
            server.kill_all()
