"""How many two-party calls one core carries: a trunk calls a phone, and each hears the other.

`python -m bench two-party`. The whole server, signalling, control and media process, is on core 0; the
neutral rig's generator, which is both ends of every call, on core 1. PCMU; one end of a call speaks tones and
chirps, the other low noise at 50 packets a second: who calls in one call, who is called in the next. Clean is
what the rig calls clean (`rig.is_clean`).
"""

from __future__ import annotations

import importlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import rig, signalling
from ringback.sip.message import Request, encode, make_response
from ringback.sip.parse import parse_message
from tests.wire.ports import free_ports

STEPS = (250, 500, 750, 1000, 1100, 1200, 1300, 1400, 1500)
"""Calls, of two legs each."""
SECONDS = 10
SETTLE_S = 4
TRIES = 3
BATCH = 10
"""Calls whose sound begins together, as soon as the last of them is connected."""
FIRST_PORT = 50000
ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {0} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
)


class Phone:
    """Answers every call, each on an RTP port of its own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", port))
        self.contact = f"<sip:2102@127.0.0.1:{port}>"
        self.next_port = 0
        self.answered: dict[str, tuple[bytes, tuple[str, int]]] = {}
        """By Call-ID: the answer, for who asks again, and where our leg of that call sends from."""

    def serve(self, patience_s: float) -> None:
        """Read what has come, and answer it."""
        while select.select([self.socket], [], [], patience_s)[0]:
            patience_s = 0
            data, source = self.socket.recvfrom(65535)
            message = parse_message(data)
            if not isinstance(message, Request) or message.method == "ACK":
                continue
            if message.method != "INVITE":
                self.socket.sendto(encode(make_response(message, 200, to_tag="bench")), source)
                continue
            if message.call_id not in self.answered:
                lines = message.body.decode().splitlines()
                (audio,) = (line for line in lines if line.startswith("m=audio "))
                body = ANSWER.format(self.next_port).encode()
                answer = make_response(message, 200, to_tag="bench", body=body)
                answer.headers.extend("Contact", [self.contact])
                answer.headers.extend("Content-Type", ["application/sdp"])
                self.answered[message.call_id] = encode(answer), ("127.0.0.1", int(audio.split()[1]))
            self.socket.sendto(self.answered[message.call_id][0], source)


class Generator:
    """The rig's `lg`: one end of every leg."""

    def __init__(self, folder: Path, pids: Sequence[int]) -> None:
        program = folder / "lg"
        source = str(rig.RIG / "lg.c")
        subprocess.run(["gcc", "-O2", "-march=native", "-o", str(program), source, "-lm"], check=True)
        command = ["taskset", "-c", rig.LOAD_CORE, str(program), "-p", ",".join(map(str, pids))]
        self.process = subprocess.Popen(
            [*command, "-k", "1", "-L", "24", "-C", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.read()

    def read(self) -> dict[str, Any]:
        """The next line that it prints."""
        assert self.process.stdout is not None
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said

    def ask(self, words: str) -> dict[str, Any]:
        """One command, and what it says of it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        return self.read()


def measure() -> Iterator[str]:
    """Rows of the steps up to the first that is not clean, then the result."""
    if problem := rig.missing():
        yield problem
        return
    best = 0
    for calls, step, clean in sweep(STEPS):
        yield f"{calls:5} calls: {rig.row(step, clean)}"
        if not clean:
            break
        best = calls
    yield f"{best} two-party PCMU calls on one core stay clean, signalling included (aim: 1,000)"


def sweep(steps: Sequence[int]) -> Iterator[tuple[int, rig.Step, bool]]:
    """Ever more calls: how many, the rig's row, and whether it is clean."""
    sys.path.insert(0, str(rig.RIG))
    callers = importlib.import_module("sipuac").Uac
    with (
        tempfile.TemporaryDirectory(prefix="ringback-two-party-") as name,
        signalling.our_exchange() as (server_port, phone_port, pids),
    ):
        os.sched_setaffinity(0, {int(rig.LOAD_CORE)})
        folder = Path(name)
        phone, caller = Phone(phone_port), callers(("127.0.0.1", server_port), "127.0.0.1", free_ports(2), 1)
        generator = Generator(folder, pids)
        try:
            up = 0
            for calls in steps:
                began = time.monotonic()
                failed = 0
                while up < calls:
                    rows, end = [], min(calls, up + BATCH)
                    for call in range(up, end):
                        ends = _connect(phone, caller, call)
                        failed += not ends
                        for turn, (leg, remote) in enumerate(ends):
                            who = (turn + call) % 2
                            rows.append(f"{leg} {call} {who} {remote[0]} {remote[1]} {FIRST_PORT + 2 * leg}")
                    up = end
                    (folder / "map").write_text("\n".join(rows) + "\n")
                    generator.ask(f"MAP {folder / 'map'}")
                setup_s = time.monotonic() - began
                until = time.monotonic() + SETTLE_S
                while time.monotonic() < until:
                    phone.serve(0.1)
                    caller.poll(0)
                for _ in range(TRIES):
                    step: rig.Step = generator.ask(f"MEAS {SECONDS}")
                    step.update(failed=failed, setup_s=setup_s, foreign=0.0)
                    if rig.is_clean(step):
                        break
                yield calls, step, rig.is_clean(step)
        finally:
            generator.process.kill()
            generator.process.wait()


def _connect(phone: Phone, caller: Any, call: int) -> list[tuple[int, tuple[str, int]]]:
    """Both legs of a call, each with the address that our side of it sends from; nothing if it failed."""
    legs = 2 * call, 2 * call + 1
    phone.next_port = FIRST_PORT + 2 * legs[1]
    before = len(phone.answered)
    served = caller._rx
    caller._rx = lambda patience: (phone.serve(0), served(min(patience, 0.001)))
    try:
        done, _ = caller.add([(legs[0], signalling.NUMBER, FIRST_PORT + 2 * legs[0])], limit_s=10)
    finally:
        caller._rx = served
    if len(phone.answered) != before + 1 or legs[0] not in done:
        return []
    *_, (_, remote) = phone.answered.values()
    return [(legs[0], done[legs[0]]), (legs[1], remote)]
