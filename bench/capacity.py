"""How many PCMU legs the whole command carries on one core: signalling and media together, called by SIP.

The neutral rig's driver places the calls (`NUMBER*PIN`, one meeting for ten legs) and its generator talks and
listens. All of our processes are on core 0, the rig on core 1. A point is clean when every leg gets 99.5 % of
its packets, jitter p99 is at most 20 ms and latency p99 at most 150 ms.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.media_capacity import DEFAULT_RIG
from tests.wire.server import RingbackServer

STEPS = (250, 500, 750, 1000, 1250, 1500, 1750, 2000)
LEGS_A_MEETING = 10
SECONDS = 8
# Long enough for "you are the only person" to be over and the last of a step to have joined.
SETTLE_S = 9


def measure(server: RingbackServer) -> Iterator[str]:
    """Rows of the steps up to the first that is not clean, then the result."""
    driver = DEFAULT_RIG / "drive.py"
    if not driver.is_file():
        yield f"not measured: the load rig is not at {DEFAULT_RIG.name}"
        return
    pids = [int(server.ask("status")["pids"]["control"]), *server.media_pids()]
    for pid in pids:
        subprocess.run(["taskset", "-apc", "0", str(pid)], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix="ringback-capacity-") as folder:
        targets = Path(folder) / "targets"
        targets.write_text("\n".join(_meetings(server, max(STEPS) // LEGS_A_MEETING)))
        command = [sys.executable, str(driver), "sip", "ten", ",".join(map(str, STEPS))]
        command += ["--server", "{}:{}".format(*server.udp), "--pid", ",".join(map(str, pids))]
        command += ["--targets", str(targets), "--multi", "--retries", "3"]
        command += ["--secs", str(SECONDS), "--settle", str(SETTLE_S)]
        best: dict[str, Any] | None = None
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": folder}
        ) as steps:
            assert steps.stdout is not None
            for line in steps.stdout:
                step = json.loads(line)
                clean = _is_clean(step)
                yield _row(step, clean)
                if not clean:
                    steps.terminate()
                    break
                best = step
        yield _result(best)


def _meetings(server: RingbackServer, count: int) -> list[str]:
    def add(index: int) -> str:
        meeting = server.add_meeting(f"Load {index}")
        return f"{meeting['number']}*{meeting['guest_pin']}"

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(add, range(count)))


def _is_clean(step: dict[str, Any]) -> bool:
    return (
        not step["failed"]
        and step["full"] == step["n"]
        and step["delivered"] >= 0.995
        and step["jit_p99"] <= 20
        and step["lat_p99"] <= 150
        and step["lat_n"] > 0
    )


def _row(step: dict[str, Any], clean: bool) -> str:
    return (
        f"{step['n']:5} legs  {'clean' if clean else 'NOT clean':9}  {step['srv_cpu']:4.0%} of the core  "
        f"{1000 * step['srv_cpu'] / step['n']:.2f} ms a leg a second  delivered {step['delivered']:.4f}  "
        f"jitter p99 {step['jit_p99']:.1f} ms  latency {step['lat_p50']:.0f}, p99 {step['lat_p99']:.0f} ms  "
        f"generator late {step['late_max']:.0f} ms  other work {max(0.0, step['foreign']):.0%}"
    )


def _result(best: dict[str, Any] | None) -> str:
    if best is None:
        return "no step was clean"
    return f"{best['n']} legs on one core stay clean, signalling included (aim: 1,000)"
