"""The SIP core beside two peers from PyPI: messages, calls a second as a callee, and as a B2BUA.

`make bench-sip`. One call is INVITE, ACK and BYE by SIPp, over UDP. What is measured is pinned to core 0,
SIPp to core 1.

As a callee, ours is the endpoint with its transports (all four transactions, dialogs, timers); aiosipua has
no server transactions; sippy has them. Python is run with -O for all three: aiosipua asserts what is not true
of every Python. As a B2BUA, ours is the whole server, control and media process on one core: calls come from
a trunk, go to a registered phone, and their media is anchored; sippy's does no media.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench import rig, sipp
from ringback.sip.message import encode
from ringback.sip.parse import parse_message
from tests.wire.ports import free_ports
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

PEERS = Path(".venv/peers")
"""Where `scripts/install-extra peers` puts them."""
NUMBER = "5550100"
SETTINGS = {"RINGBACK_MEDIA__PORT_RANGE": "20000-29999", "RINGBACK_MEDIA__WORKERS": "1"}
Start = Callable[[], AbstractContextManager[tuple[int, list[int]]]]
"""Starts what is measured: the port that it takes calls on, and its processes."""
RATES = (200, 300, 400, 600, 800, 1000, 1200, 1500, 1800, 2100, 2400, 2700, 3000)
SECONDS = 10
MESSAGES = 20_000
TIMES = 5

_INVITE = (
    "INVITE sip:600@127.0.0.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK-{0};rport\r\n"
    'From: "A Caller" <sip:101@127.0.0.1:5061>;tag={0}\r\n'
    "To: <sip:600@127.0.0.1:5060>\r\n"
    "Call-ID: {0}@127.0.0.1\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:101@127.0.0.1:5061>\r\n"
    "Max-Forwards: 70\r\n"
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE\r\n"
    "Supported: timer, 100rel\r\n"
    "User-Agent: bench\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 6\r\n\r\nv=0\r\n\r\n"
)


def measure() -> Iterator[str]:
    """What a message costs, then the highest clean rate of each, and the ratios."""
    yield messages()
    if not PEERS.is_dir():
        yield f"no peers: {PEERS} is missing; scripts/install-extra peers {PEERS} installs them"
    yield from _compare("as a callee", CALLEES)
    yield from _compare("as a B2BUA", EXCHANGES)


def _compare(what: str, kind: Mapping[str, Start]) -> Iterator[str]:
    best = {}
    for name, start in kind.items():
        if name == "ringback" or PEERS.is_dir():
            best[name] = yield from _climb(f"{name} {what}", start)
    ours = best.pop("ringback")
    for name, rate in best.items():
        if rate:
            yield f"{what}, calls a second: ours {ours}, {name} {rate}: {ours / rate:.1f} times as many"


def messages() -> str:
    """Parse and encode an INVITE, each with identifiers of its own."""
    data = [_INVITE.format(number).encode() for number in range(MESSAGES)]
    costs = []
    for _ in range(TIMES):
        began = time.process_time()
        for one in data:
            parse_message(one)
        parsed = time.process_time() - began
        message = parse_message(data[0])
        began = time.process_time()
        for _ in range(MESSAGES):
            encode(message)  # type: ignore[arg-type]  # it is a request
        costs.append((parsed, time.process_time() - began))
    parse_us, encode_us = (1e6 * min(column) / MESSAGES for column in zip(*costs, strict=True))
    return (
        f"an INVITE of 12 fields: parsed in {parse_us:.1f} µs, encoded in {encode_us:.1f}, "
        f"both {parse_us + encode_us:.1f} (aim: under 40)"
    )


def _climb(name: str, start: Start) -> Generator[str, None, int]:
    """Ever faster up to the first rate that is not clean; returns the last that was."""
    best = 0
    for rate in RATES:
        # Each rate gets a fresh server: what one rate leaves behind is not the next one's burden.
        with start() as (port, pids):
            before = sum(map(rig.cpu_s, pids))
            outcome = sipp.call(port, NUMBER, rate, SECONDS)
            used = (sum(map(rig.cpu_s, pids)) - before) / SECONDS
        yield (
            f"{name}: {rate} calls a second for {SECONDS} s: {outcome.calls} calls, {outcome.failed} failed, "
            f"{outcome.late} after {sipp.LATE_MS} ms, {used:.0%} of the core"
        )
        if not outcome.clean:
            break
        best = rate
    return best


def callee(name: str) -> Start:
    """One of `bench.answerers`."""
    return lambda: _program(name)


@contextmanager
def _program(name: str, *words: str) -> Iterator[tuple[int, list[int]]]:
    """A program of `bench.answerers` on core 0: its port and process."""
    port = free_ports(2)
    path = os.pathsep.join(["src", str(PEERS)])
    environment = {**os.environ, "PYTHONPATH": path, "SIPLOG_BEND": "none"}
    command = ["taskset", "-c", rig.SERVER_CORE, sys.executable, "-O", "-m", f"bench.answerers.{name}"]
    with (
        # Not a pipe: who prints much would wait for a reader.
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [*command, str(port), *words], env=environment, stdout=said, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            while os.pread(said.fileno(), 5, 0) != b"ready" and process.poll() is None:
                time.sleep(0.05)
            yield port, [process.pid]
        finally:
            process.kill()


@contextmanager
def _sippy_exchange() -> Iterator[tuple[int, list[int]]]:
    phone = free_ports(2)
    with sipp.answering(phone), _program("sippy_b2bua", str(phone)) as started:
        yield started


@contextmanager
def our_exchange() -> Iterator[tuple[int, int, list[int]]]:
    """The whole server on core 0, a trunk by its address, and a phone that is registered: the server's port,
    the phone's, which nobody listens on, and the server's processes."""
    port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        server = RingbackServer(Path(folder), settings=SETTINGS).start()
        try:
            phone = SipPhone(server.udp, "2102", server.add_extension("2102"), port=port)
            # For longer than any of these measurements takes.
            assert phone.register(expires=3600).status == 200
            phone.close()
            words = (
                "--inbound",
                "address",
                "--network",
                "127.0.0.1/32",
                "--did",
                f"{NUMBER}=2102",
                "--max-calls",
                "10000",
            )
            server.ask("trunk", "add", "bench", "127.0.0.1", *words)
            told = server.ask("status")["pids"]
            pids = [int(told["control"]), *map(int, told["media"])]
            rig.pin(pids)
            yield server.udp_port, port, pids
        finally:
            server.stop()


@contextmanager
def _our_answered_exchange() -> Iterator[tuple[int, list[int]]]:
    with our_exchange() as (server_port, phone_port, pids), sipp.answering(phone_port):
        yield server_port, pids


CALLEES: dict[str, Start] = {
    "sippy": callee("sippy"),
    "aiosipua": callee("aiosipua"),
    "ringback": callee("ringback"),
}
EXCHANGES: dict[str, Start] = {"sippy": _sippy_exchange, "ringback": _our_answered_exchange}
