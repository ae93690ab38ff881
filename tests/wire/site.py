"""A server and a host with two ways to it, of which one goes and the other comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.wire.namespaces import Interface, Network
from tests.wire.server import RingbackServer

SERVER = "10.9.0.2"


@dataclass
class Access:
    """One way from the host to the router, such as Wi-Fi."""

    interface: Interface
    subnet: str

    def come(self, metric: int = 0) -> float:
        """Plug it in, with an address and a route; when it was there (seconds since 1970)."""
        self.interface.up()
        self.interface.add(f"{self.subnet}.2/24")
        self.interface.route(f"{self.subnet}.1", metric=metric)
        return time.time()

    def go(self) -> float:
        """Take the address away and pull it out; when it was gone."""
        self.interface.remove(f"{self.subnet}.2/24")
        self.interface.down()
        return time.time()


@dataclass
class Site:
    """A server and the host of a browser or a phone with a router between them."""

    network: Network
    server: RingbackServer
    wifi: Access
    cellular: Access
    uplink: Interface
    """The router's end of the cable to the server."""


@contextmanager
def made_site(folder: Path) -> Iterator[Site]:
    """The host is on Wi-Fi; cellular is there and not connected."""
    with Network() as network:
        router = network.host("router", forwards=True)
        wlan, wlan_router = network.cable(network.host("laptop"), router, "wlan0")
        wwan, wwan_router = network.cable(wlan.host, router, "wwan0")
        eth, uplink = network.cable(network.host("server"), router, "eth0")
        wifi, cellular = Access(wlan, "10.1.0"), Access(wwan, "10.2.0")
        wwan.down()
        wlan_router.add("10.1.0.1/24")
        wwan_router.add("10.2.0.1/24")
        uplink.add("10.9.0.1/24")
        eth.add(f"{SERVER}/24")
        eth.route("10.9.0.1")
        wifi.come()
        everywhere = {f"RINGBACK_{part}__BIND": "0.0.0.0" for part in ("SIP", "WEB", "MEDIA")}
        server = RingbackServer(folder / "server", settings=everywhere, host=eth.host)
        try:
            yield Site(network, server.start(), wifi, cellular, uplink)
        finally:
            server.kill_all()
