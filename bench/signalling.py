"""The SIP core beside two peers from PyPI: messages, and calls a second as a callee.

`make bench-sip`. One call is INVITE, ACK and BYE by SIPp, over UDP. The callee is pinned to core 0, SIPp to
core 1. Ours is the endpoint with its transports (all four transactions, dialogs, timers); aiosipua has no
server transactions; sippy has them. Python is run with -O for all three: aiosipua asserts what is not true of
every Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import rig, sipp
from ringback.sip.message import encode
from ringback.sip.parse import parse_message
from tests.wire.ports import free_ports

PEERS = Path(".venv/peers")
"""Where `scripts/install-extra peers` puts them."""
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
    best = {}
    for name in ("sippy", "aiosipua", "ringback"):
        if name != "ringback" and not PEERS.is_dir():
            continue
        best[name] = yield from _climb(name)
    for name, rate in best.items():
        if name != "ringback" and rate:
            ours = best["ringback"]
            yield f"calls a second, answered: ours {ours}, {name} {rate}: {ours / rate:.1f} times as many"


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


def _climb(name: str) -> Iterator[str]:
    """Ever faster up to the first rate that is not clean; returns the last that was."""
    best = 0
    for rate in RATES:
        # Each rate gets a fresh callee: what one rate leaves behind is not the next one's burden.
        with answerer(name) as (port, pid):
            before = rig.cpu_s(pid)
            outcome = sipp.call(port, "600", rate, SECONDS)
            used = (rig.cpu_s(pid) - before) / SECONDS
        yield (
            f"{name}: {rate} calls a second for {SECONDS} s: {outcome.calls} calls, {outcome.failed} failed, "
            f"{outcome.late} after {sipp.LATE_MS} ms, {used:.0%} of the core"
        )
        if not outcome.clean:
            break
        best = rate
    return best


@contextmanager
def answerer(name: str) -> Iterator[tuple[int, int]]:
    """A callee on core 0: its port and process."""
    port = free_ports(2)
    path = os.pathsep.join(["src", str(PEERS)])
    environment = {**os.environ, "PYTHONPATH": path, "SIPLOG_BEND": "none"}
    words = ["taskset", "-c", rig.SERVER_CORE, sys.executable, "-O", "-m", f"bench.answerers.{name}"]
    with subprocess.Popen(
        [*words, str(port)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield port, process.pid
        finally:
            process.kill()
