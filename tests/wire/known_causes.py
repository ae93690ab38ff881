"""Real calls that are bad for a known reason, all at the same time, captured at one or two places.

baresip calls baresip over a router; what is wrong lies between the caller and the router, or before who is
called. linphone and a small phone behind a NAT call a server beside it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.quality.tones import make_tones
from tests.wire.bad_line import BadLine, Capture, Impairment, Traffic, limit_rate
from tests.wire.baresip import Baresip
from tests.wire.linphone import Linphone
from tests.wire.middlebox import Middlebox
from tests.wire.namespaces import Host, Interface, Network
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

SERVER = "10.9.0.2"
TALK_S = 11.0
KINDS = "udp or icmp"
PATIENCE_S = 60
NAT_TIMEOUT_S = 18
PUBLIC, PRIVATE, INVISIBLE = "198.51.100.7", "192.168.30.2", "192.168.30.1"
"""The NAT's address, who is behind it, and its router as it sees it."""


@dataclass(frozen=True)
class Scene:
    """One bad call from baresip to baresip, and where it is captured: `caller`, `called` or both."""

    name: str
    there: Impairment = field(default_factory=dict)
    box: Mapping[str, Any] | None = None
    kbit: int = 0
    codec: str = "pcmu"
    points: tuple[str, ...] = ("called",)
    connects: bool = True


SCENES = (
    Scene("loss", {"delay": 8, "loss": 5}),
    Scene("jitter", {"delay": 60, "jitter": 25, "keep_order": True}, codec="g722"),
    Scene("flap", {"delay": 5, "flap": [60, 3]}, codec="pcma"),
    Scene("crowd", kbit=256),
    Scene("wash", box={"dscp": {"46": 0}}, kbit=256, points=("caller", "called")),
    Scene("alg", box={"alg": 10}),
    Scene("tunnel", points=("caller",), connects=False),
)
SMALL_MTU = 576


class Crowd(Traffic):
    """Now and then a quarter more than a slow line takes beside a voice, at an even pace."""

    EVERY_S, BUSY_S, QUIET_S = 0.04, 2.2, 1.2

    def _run(self) -> None:
        while not self._over.wait(self.QUIET_S):
            until = time.monotonic() + self.BUSY_S
            while time.monotonic() < until and not self._over.wait(self.EVERY_S):
                # That nobody is there is told to the next one.
                with contextlib.suppress(OSError):
                    self._socket.sendto(bytes(self.OCTETS), self._to)


@dataclass
class Parties:
    """Both phones of a scene, and the ends of their cables."""

    scene: Scene
    caller: Interface
    called: Interface
    addresses: tuple[str, str]


class Town:
    """The network with all scenes in it."""

    def __init__(self, network: Network, folder: Path, ends: contextlib.ExitStack) -> None:
        self.network, self.folder, self.ends = network, folder, ends
        self.router = network.host("router", forwards=True)
        server, uplink = network.cable(network.host("server"), self.router, "eth0", other_name="server")
        self.uplink = server
        uplink.add("10.9.0.1/24")
        server.add(f"{SERVER}/24")
        server.route("10.9.0.1")
        self.parties = [self._parties(scene, number) for number, scene in enumerate(SCENES)]
        self.captures: dict[tuple[str, str], Capture] = {}

    def _parties(self, scene: Scene, number: int) -> Parties:
        near, far = f"10.30.{number}.2", f"10.40.{number}.2"
        called, inlet = self.network.cable(
            self.network.host(f"called{number}"), self.router, "eth0", other_name=f"d{number}"
        )
        inlet.add(f"10.40.{number}.1/24")
        called.add(f"{far}/24")
        called.route(f"10.40.{number}.1")
        if scene.kbit:
            limit_rate(inlet, scene.kbit, queue_ms=150)
        host = self.network.host(f"caller{number}")
        if scene.name == "tunnel":
            caller = self._tunnel(host, number)
        elif scene.box is not None:
            box = Middlebox(self.network, scene.name, host, self.router, dict(scene.box))
            self.ends.callback(box.cut)
            caller = box.one
            box.other.add(f"10.30.{number}.1/24")
        else:
            line = BadLine(self.network, scene.name, host, self.router, there=scene.there, back={})
            self.ends.callback(line.cut)
            caller = line.one
            line.other.add(f"10.30.{number}.1/24")
        caller.add(f"{near}/24")
        caller.route(f"10.30.{number}.1")
        return Parties(scene, caller, called, (near, far))

    def _tunnel(self, host: Host, number: int) -> Interface:
        """A way whose middle takes small packets only, and no fragments."""
        gate = self.network.host("gate", forwards=True)
        caller, inner = self.network.cable(host, gate, "eth0", other_name="inner")
        inner.add(f"10.30.{number}.1/24")
        line = BadLine(
            self.network, "tunnel", gate, self.router, there={"nofrag": True}, back={}, one_name="outer"
        )
        self.ends.callback(line.cut)
        line.one.add("10.31.0.2/24")
        line.one.route("10.31.0.1")
        line.other.add("10.31.0.1/24")
        line.other.route("10.31.0.2", f"10.30.{number}.0/24")
        gate.ip("link", "set", "outer", "mtu", str(SMALL_MTU))
        return caller

    def capture(self, name: str, point: str, interface: Interface) -> None:
        """Begin to write down what passes an interface."""
        path = self.folder / f"{name}-{point}.pcapng"
        self.captures[name, point] = Capture(interface, path, kinds=KINDS)

    def call(self, parties: Parties) -> None:
        """Make one scene's call, from before its first message to after its last."""
        scene, (near, far) = parties.scene, parties.addresses
        phones = [
            Baresip(
                self.folder / scene.name,
                f"{scene.name}{role}",
                codec=scene.codec,
                tone_hz=tone,
                host=end.host,
                local=address,
                answer="auto",
            ).start()
            for role, tone, end, address in (
                ("er", 440.0, parties.caller, near),
                ("ed", 1090.0, parties.called, far),
            )
        ]
        with contextlib.ExitStack() as ends:
            for phone in phones:
                ends.callback(phone.stop)
            for point in scene.points:
                self.capture(scene.name, point, getattr(parties, point))
            phones[0].dial(phones[1].uri, wait=scene.connects, timeout=PATIENCE_S)
            if scene.kbit:
                crowd = Crowd(parties.caller.host, far)
                ends.callback(crowd.stop)
            time.sleep(TALK_S)
            if scene.connects:
                phones[0].hang_up_and_wait()
            for point in scene.points:
                self.captures[scene.name, point].end()

    def serve(self) -> RingbackServer:
        """The server that linphone and the phone behind the NAT call."""
        settings = {
            "RINGBACK_SECURITY__ALLOW_SOURCES": "10.0.0.0/8,198.51.100.0/24",
            **{f"RINGBACK_{part}__BIND": SERVER for part in ("MEDIA", "SIP")},
        }
        server = RingbackServer(self.folder / "server", settings=settings, host=self.uplink.host)
        self.ends.callback(server.kill_all)
        return server.start()

    def linphone(self, server: RingbackServer) -> None:
        """linphone hears itself over a line that loses."""
        host = self.network.host("linphone")
        line = BadLine(
            self.network, "linphone", host, self.router, there={"delay": 5, "loss": 6}, back={"delay": 5}
        )
        self.ends.callback(line.cut)
        line.other.add("10.20.0.1/24")
        line.one.add("10.20.0.2/24")
        line.one.route("10.20.0.1")
        password = server.add_extension("2301")
        phone = Linphone(
            self.folder / "linphone",
            "2301",
            server=server,
            password=password,
            tone_hz=440.0,
            host=host,
            address=SERVER,
        )
        with contextlib.ExitStack() as ends:
            ends.callback(phone.stop)
            phone.start().register(PATIENCE_S)
            # What the point beside the server sees of the others is no part of this.
            self.captures["linphone", "called"] = Capture(
                self.uplink,
                self.folder / "linphone-called.pcapng",
                kinds=f"({KINDS}) and host 10.20.0.2",
            )
            phone.dial("600", PATIENCE_S)
            time.sleep(TALK_S)
            phone.hang_up()
            self.captures["linphone", "called"].end()

    def forget(self, server: RingbackServer) -> None:
        """A phone behind a NAT says nothing for longer than the NAT remembers it."""
        host = self.network.host("inside")
        plan = {"nat": {"inside": PRIVATE, "outside": PUBLIC, "timeout_s": NAT_TIMEOUT_S}}
        box = Middlebox(self.network, "nat", host, self.router, plan)
        self.ends.callback(box.cut)
        box.one.add(f"{PRIVATE}/24")
        box.one.route(INVISIBLE)
        box.other.add("198.51.100.1/24")
        # The box forwards frames and answers no ARP for either side.
        macs = [_mac(end) for end in (box.one, box.other)]
        host.ip("neigh", "replace", INVISIBLE, "lladdr", macs[1], "dev", box.one.name)
        self.router.ip("neigh", "replace", PUBLIC, "lladdr", macs[0], "dev", box.other.name)
        phone = SipPhone(
            (SERVER, server.udp_port),
            "2302",
            server.add_extension("2302"),
            local=PRIVATE,
            inside=host.entered,
        )
        with contextlib.ExitStack() as ends:
            ends.callback(phone.close)
            self.capture("forget", "caller", box.one)
            meeting = server.add_meeting("Waiting")
            number = f"{meeting['number']}*{meeting['guest_pin']}"
            call = phone.dial(number)
            call.media.speak(make_tones(8000, 2, [440.0]))
            self._companion(server, number, ends).media.speak(make_tones(8000, 2, [1090.0]))
            time.sleep(4)
            call.media.sending = False
            time.sleep(NAT_TIMEOUT_S + 6)
            call.media.sending = True
            time.sleep(3)
            call.hang_up()
            self.captures["forget", "caller"].end()

    def _companion(self, server: RingbackServer, number: str, ends: contextlib.ExitStack) -> Call:
        """Somebody beside the server in the same meeting."""
        phone = SipPhone(
            (SERVER, server.udp_port), "companion", local=SERVER, inside=self.uplink.host.entered
        )
        ends.callback(phone.close)
        return phone.dial(number)

    def all_calls(self) -> dict[tuple[str, str], Path]:
        """Everything at once; the captures by scene and point."""
        server = self.serve()
        with ThreadPoolExecutor(len(SCENES) + 2) as pool:
            work = [pool.submit(self.forget, server), pool.submit(self.linphone, server)]
            work += [pool.submit(self.call, parties) for parties in self.parties]
            for done in work:
                done.result(3 * PATIENCE_S)
        return {key: capture.path for key, capture in self.captures.items()}


def _mac(end: Interface) -> str:
    return str(json.loads(end.host.ip("-j", "link", "show", end.name))[0]["address"])


def delays_ms(arrivals: list[float], step_ms: float) -> NDArray[np.float64]:
    """The delay of packets that were sent at even steps and all came, against any zero."""
    return np.asarray(arrivals) * 1000 - np.arange(len(arrivals)) * step_ms
