"""The neutral load rig beside the checkout: what runs its driver and reads its rows.

A point is clean when every leg gets at least 99.5 % of its packets, jitter p99 is at most 20 ms, latency p99
at most 150 ms, and no call failed: the rig's own rule.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.wire.ports import is_free

RIG = Path(
    os.environ.get("RINGBACK_LOADGEN", Path(__file__).resolve().parents[2] / "shared" / "tools" / "loadgen")
)
SERVER_CORE, LOAD_CORE = "0", "1"
PORTS = {"sip": range(2050, 20000), "janus": range(20000, 32768)}
"""Where the generator's legs have their ports, beside the media of the peer: of thousands of those that a
system gives out by itself one is another's at times. 4,400 legs need 8,800 in a row, below the ports of the
server under test or above them (tests/wire/ports.py: from 10,000 on)."""
ENDED_S = 10
"""In this time the generator has closed its sockets."""
Step = dict[str, Any]


def missing() -> str:
    """Why nothing can be measured, "" where it can."""
    return "" if (RIG / "drive.py").is_file() else f"not measured: the load rig is not at {RIG}"


def pin(pids: Sequence[int]) -> None:
    """Keep every thread of these processes on the server's core."""
    for pid in pids:
        command = ["taskset", "-apc", SERVER_CORE, str(pid)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def cpu_s(pid: int) -> float:
    """What a process has used of a core since its start, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sweep(
    peer: str,
    shape: str,
    steps: Sequence[int],
    pids: Sequence[int],
    folder: Path,
    *more: str,
    to_the_end: bool = False,
) -> Iterator[tuple[Step, bool]]:
    """Step through the numbers of legs up to the first that is not clean: each row, and whether it is.
    With `to_the_end` through all of them.

    `peer` is "sip" or "janus", `shape` "ten" (rooms of ten), "one" or a number; `more` are the driver's.
    """
    command = [sys.executable, str(RIG / "drive.py"), peer, shape, ",".join(map(str, steps))]
    command += ["--pid", ",".join(map(str, pids)), "--lport", str(_free(PORTS[peer], 2 * max(steps))), *more]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as driver:
        assert driver.stdout is not None
        try:
            for line in driver.stdout:
                step: Step = json.loads(line)
                yield step, is_clean(step)
                if not (to_the_end or is_clean(step)):
                    break
        finally:
            _end(driver)


def _free(ports: range, count: int) -> int:
    """The first of so many ports in a row that nobody has: a server under test has some there."""
    first = ports.start
    for port in ports:
        if port - first >= count:
            return first
        if not is_free(port):
            first = port + 2 - port % 2
    raise SystemExit(f"no {count} ports in a row are free from {ports.start} to {ports.stop}")


def _end(driver: subprocess.Popen[str]) -> None:
    """End the driver and the generator that it started, whose thousands of ports the next one needs."""
    deadline = time.monotonic() + ENDED_S
    with suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGTERM)
        driver.wait()
        while time.monotonic() < deadline:
            os.killpg(driver.pid, 0)
            time.sleep(0.05)


def is_clean(step: Step) -> bool:
    """The rig's rule."""
    return bool(
        not step["failed"]
        and step["full"] == step["n"]
        and step["delivered"] >= 0.995
        and step["jit_p99"] <= 20
        and step["lat_p99"] <= 150
        and step["lat_n"] > 0
    )


def ms_a_leg(step: Step) -> float:
    """Milliseconds of CPU a leg a second."""
    return float(1000 * step["srv_cpu"] / step["n"])


def row(step: Step, clean: bool) -> str:
    """One point as a line of text."""
    return (
        f"{step['n']:5} legs  {'clean' if clean else 'NOT clean':9}  {step['srv_cpu']:4.0%} of the core  "
        f"{ms_a_leg(step):.2f} ms a leg a second  delivered {step['delivered']:.4f}  "
        f"jitter p99 {step['jit_p99']:.1f} ms  latency {step['lat_p50']:.0f}, p99 {step['lat_p99']:.0f} ms  "
        f"generator late {step['late_max']:.0f} ms  other work {max(0.0, step['foreign']):.0%}"
    )
