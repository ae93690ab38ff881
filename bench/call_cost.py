"""What a two-party call costs each process, without the kernel: a server and an engine, and no sockets.

`python -m bench.call_cost [--calls N] [--profile FILE] [--of control|media]`. The same messages as in
`bench.signalling` go into the UDP transport and come out of it; the media worker's commands go into an
engine, its events come back, all as frames of msgpack. Only one call is under way at a time, but what calls
leave behind (transactions, timers) is there. CPU time of this thread, in rounds; the least disturbed is told.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import re
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import msgspec
import uvloop

from ringback.config import load_settings
from ringback.media.batch import empty_batch
from ringback.media.engine import Engine
from ringback.media.protocol import Command, Event
from ringback.server.app import Server
from ringback.server.media_link import MediaLink
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.parse import parse_message
from ringback.store.store import open_store

NUMBER = "5550100"
CALLER, PHONE = ("127.0.0.1", 40_000), ("127.0.0.1", 40_002)
ROUNDS = 5

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {types}\r\n"
    "a=rtpmap:0 PCMU/8000\r\n{more}"
)
_OFFER = _SDP.format(port=6000, types="0 101", more="a=rtpmap:101 telephone-event/8000\r\n")
_ANSWER = _SDP.format(port=6002, types="0", more="")
_REQUEST = (
    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK-{number}-{cseq}-0\r\n"
    "From: <sip:caller@127.0.0.1:40000>;tag=1c{number}\r\nTo: {to}\r\nCall-ID: {number}-1@127.0.0.1\r\n"
    "CSeq: {cseq} {method}\r\n{contact}Max-Forwards: 70\r\n{body}"
)
_BODY = "Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
_FIELDS = re.compile(r"(?:Via|From|Call-ID|CSeq): [^\r]*\r\n")
_EMPTY = "Content-Length: 0\r\n\r\n"


class Meter:
    """CPU time of one process of the two, under a profile where one is wanted."""

    def __init__(self, profile: cProfile.Profile | None) -> None:
        self.ns = 0
        self._profile = profile

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what runs in this block."""
        if self._profile is not None:
            self._profile.enable()
        began = time.thread_time_ns()
        try:
            yield
        finally:
            self.ns += time.thread_time_ns() - began
            if self._profile is not None:
                self._profile.disable()


class Wire:
    """The UDP socket of a server: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: deque[tuple[bytes, tuple[str, int]]] = deque()

    def sendto(self, data: bytes, remote: tuple[str, int]) -> int:
        """Keep one datagram."""
        self.sent.append((data, remote))
        return len(data)


class Worker:
    """The link to a media worker: frames go to an engine when their turn comes."""

    pid = last_pid = None

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Command).decode
        ports = iter(range(20_000, 65_000, 2))
        self.engine = Engine(lambda _: (port := next(ports), port + 1))

    def send(self, command: Command) -> None:
        """Take a command of the control process."""
        self.frames.append(self._encode(command))

    def work(self) -> list[bytes]:
        """Carry out what waits; the events."""
        while self.frames:
            self.engine.apply(self._decode(self.frames.popleft()), time.monotonic_ns())
        return [self._encode(event) for event in self.engine.events()]

    def tick(self) -> None:
        """One tick of the media clock."""
        self.engine.step(empty_batch(), time.monotonic_ns())


class Calls:
    """A server with a trunk and a registered phone, and both of these."""

    def __init__(self, server: Server, control: Meter, media: Meter) -> None:
        self.control, self.media = control, media
        self.worker = Worker()
        self.wire = Wire()
        self._server = server
        self._decode = msgspec.msgpack.Decoder(Event).decode
        self._udp = next(iter(server.transports._udp.values()))
        # The loop still waits on the real one.
        self._unused, self._udp._socket = self._udp._socket, cast(Any, self.wire)
        self._number = 0
        pool = server.media
        pool._links[0] = cast(MediaLink, self.worker)
        pool._codecs = tuple(Engine.codecs())
        pool._fleet.roster.started(0)
        self._pool = pool

    def close(self) -> None:
        """Give the server its socket back."""
        self._udp._socket = self._unused

    async def one(self) -> None:
        """One call from its INVITE to the answer to its BYE."""
        self._number += 1
        contact = "Contact: <sip:caller@127.0.0.1:40000>\r\n"
        body = _BODY.format(length=len(_OFFER), sdp=_OFFER)
        uri = f"sip:{NUMBER}@127.0.0.1:5060"
        self._ask("INVITE", uri, f"<{uri}>", 1, contact, body)
        invite = self._expect(b"INVITE")
        self._answer(invite, "180 Ringing", _EMPTY)
        self._answer(invite, "200 OK", _BODY.format(length=len(_ANSWER), sdp=_ANSWER))
        self._expect(b"ACK")
        accepted = parse_message(self._expect(b"SIP/2.0 200"))
        assert isinstance(accepted, Response)
        target, to = str(accepted.contacts[0].uri), str(accepted.headers.get("To"))
        self._ask("ACK", target, to, 1, "", _EMPTY)
        self._ask("BYE", target, to, 2, "", _EMPTY)
        self._expect(b"SIP/2.0 200")
        self._answer(self._expect(b"BYE"), "200 OK", _EMPTY)
        with self.control.running():
            await asyncio.sleep(0)
        assert not self._server.switchboard.legs
        assert not self.worker.engine.legs.slots

    def _ask(self, method: str, uri: str, to: str, cseq: int, contact: str, body: str) -> None:
        text = _REQUEST.format(
            method=method, uri=uri, number=self._number, cseq=cseq, to=to, contact=contact, body=body
        )
        self._deliver(text.encode(), CALLER)

    def _answer(self, request: bytes, status: str, rest: str) -> None:
        text = request.decode()
        to = re.search(r"To: ([^\r]*)\r\n", text)[1]  # type: ignore[index]
        tag = "" if ";tag=" in to else f";tag=1a{self._number}"
        contact = "Contact: <sip:127.0.0.1:40002>\r\n"
        fields = "".join(_FIELDS.findall(text))
        self._deliver(f"SIP/2.0 {status}\r\n{fields}To: {to}{tag}\r\n{contact}{rest}".encode(), PHONE)

    def _deliver(self, data: bytes, remote: tuple[str, int]) -> None:
        """A datagram comes, and all that follows from it at once."""
        with self.control.running():
            self._udp._take(data, remote)
        while self.worker.frames:
            with self.media.running():
                events = self.worker.work()
            with self.control.running():
                for event in events:
                    self._pool._event(0, self._decode(event))

    def _expect(self, begin: bytes) -> bytes:
        while self.wire.sent:
            data, _ = self.wire.sent.popleft()
            if data.startswith(begin):
                return data
        raise RuntimeError(f"no {begin.decode()} was sent")


async def _measure(folder: Path, calls: int, profiles: dict[str, cProfile.Profile]) -> None:
    settings = load_settings(
        data_dir=folder,
        environ={
            "RINGBACK_SIP__UDP_PORT": "0",
            "RINGBACK_SECURITY__ALLOW_SOURCES": "127.0.0.0/8",
            "RINGBACK_MEDIA__WORKERS": "1",
        },
    )
    store = await open_store(settings)
    await store.extensions.add("2102")
    details = {"host": "127.0.0.1", "inbound": "address", "networks": ("127.0.0.1/32",)}
    await store.trunks.add(
        "bench", {**details, "dids": MappingProxyType({NUMBER: "2102"}), "max_calls": 10_000}
    )
    server = Server(settings, store)
    await server.transports.open("127.0.0.1", udp_port=0)
    server.open_for_calls()
    server.trunks.start(server.lines, store.directory)
    _register(server)
    control, media = (Meter(profiles.get(name)) for name in ("control", "media"))
    world = Calls(server, control, media)
    for _ in range(200):
        await world.one()
    gc.collect()
    gc.freeze()
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        control.ns = media.ns = 0
        for number in range(calls // ROUNDS):
            await world.one()
            if number % 6 == 0:
                world.worker.tick()
        for index, meter in enumerate((control, media)):
            best[index] = min(best[index], meter.ns / (calls // ROUNDS) / 1000)
    costs = f"control {best[0]:.0f} µs, media {best[1]:.0f} µs"
    print(f"a call: {costs} ({calls} calls, the best of {ROUNDS} rounds)")
    world.close()
    await server.transports.close()
    await store.close()


def _register(server: Server) -> None:
    text = _REQUEST.format(
        method="REGISTER", uri="sip:127.0.0.1", number=0, cseq=1, to="<sip:2102@127.0.0.1>",
        contact="Contact: <sip:2102@127.0.0.1:40002>\r\nExpires: 3600\r\n", body=_EMPTY,
    )  # fmt: skip
    request = parse_message(text.encode())
    assert isinstance(request, Request)
    flow = Flow("udp", server.transports.addresses["udp"], PHONE)
    response = server.registrar.register(request, "2102", flow, time.monotonic())
    assert response.status == 200, response


def main() -> int:
    """Measure, and leave a profile where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--of", choices=("control", "media"), default="control")
    asked = parser.parse_args()
    profiles = {asked.of: cProfile.Profile()} if asked.profile else {}
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        uvloop.run(_measure(Path(folder), asked.calls, profiles))
    for profile in profiles.values():
        profile.dump_stats(asked.profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
