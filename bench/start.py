"""What a start, a stop and a verb of the command line cost: CPU of all their processes, and time."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.wire.server import COMMAND, RingbackServer, descendants

TIMES: Final = 5
VERBS: Final = ("--version", "status --json", "meeting list --json")


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """CPU of all processes, user and system, and time by the clock, in seconds."""

    cpu_s: float
    wall_s: float

    def __str__(self) -> str:
        return f"{self.cpu_s:.2f} s of CPU, after {self.wall_s:.2f} s"


def measure() -> Iterator[str]:
    """The least of five of each."""
    with tempfile.TemporaryDirectory(prefix="ringback-start-") as folder:
        first, later, stops = [], [], []
        for number in range(TIMES):
            # Nothing is lent by those before.
            RingbackServer.spoken = None
            server = RingbackServer(Path(folder) / str(number))
            first.append(_start(server))
            server.stop()
        for _ in range(TIMES):
            later.append(_start(server))
            stops.append(_stop(server))
        yield f"the first start, to ready: {min(first)}"
        yield f"a later start, to ready: {min(later)}"
        yield f"a stop: {min(stops)}"
        server.start()
        try:
            for verb in VERBS:
                data = [] if verb == "--version" else ["--data-dir", str(server.data)]
                costs = [_run([str(COMMAND), *verb.split(), *data]) for _ in range(TIMES)]
                yield f"ringback {verb}: {min(costs)}"
        finally:
            server.stop()


def _start(server: RingbackServer) -> Cost:
    server.start(wait=False)
    assert server.process is not None
    wall_s = server.wait_ready()
    return Cost(_used(server.process.pid), wall_s)


def _stop(server: RingbackServer) -> Cost:
    assert server.process is not None
    before, began = _used(server.process.pid) + _waited_for(), time.monotonic()
    server.stop()
    return Cost(_waited_for() - before, time.monotonic() - began)


def _run(command: list[str]) -> Cost:
    before, began = _waited_for(), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Cost(_waited_for() - before, time.monotonic() - began)


def _used(pid: int) -> float:
    """By a process, by those that it started, and by those that it has waited for."""
    return sum(map(_with_waited_for, (pid, *descendants(pid))))


def _with_waited_for(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _waited_for() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
