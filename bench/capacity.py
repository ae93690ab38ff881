"""How many PCMU legs the whole command carries on one core: signalling and media together, called by SIP.

The neutral rig's driver places the calls (`NUMBER*PIN`) and its generator talks and listens. All of our
processes are on core 0, the rig on core 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import rig
from tests.wire.server import RingbackServer

STEPS = (250, 500, 750, 1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000)
LEGS_A_MEETING = 10
SECONDS = 8
# Long enough for "you are the only person" to be over and the last of a step to have joined.
SETTLE_S = 9
FIRST = 100
"""Legs that are called before others: once a host was seen to send, legs of it share sockets."""
BATCH = 500
"""Legs that are called before the rig looks again at how the server fares."""


def measure(server: RingbackServer) -> Iterator[str]:
    """Rows of the steps up to the first that is not clean, then the result."""
    if problem := rig.missing():
        yield problem
        return
    best: rig.Step | None = None
    for step, clean in sweep(server, STEPS):
        yield rig.row(step, clean)
        best = step if clean else best
    if best is None:
        yield "no step was clean"
    else:
        yield f"{best['n']} legs on one core stay clean, signalling included (aim: 1,000)"


def sweep(
    server: RingbackServer, steps: Sequence[int], legs_a_meeting: int = LEGS_A_MEETING, *more: str
) -> Iterator[tuple[rig.Step, bool]]:
    """The rig's rows for meetings of so many legs, all of ours on one core."""
    pids = [int(server.ask("status")["pids"]["control"]), *server.media_pids()]
    rig.pin(pids)
    shape = "ten" if legs_a_meeting == 10 else "one" if legs_a_meeting >= max(steps) else str(legs_a_meeting)
    with tempfile.TemporaryDirectory(prefix="ringback-capacity-") as folder:
        targets = Path(folder) / "targets"
        targets.write_text("\n".join(_meetings(server, -(-max(steps) // legs_a_meeting))))
        words = ["--server", "{}:{}".format(*server.udp), "--targets", str(targets), "--multi"]
        words += ["--retries", "3", "--secs", str(SECONDS), "--settle", str(SETTLE_S), *more]
        yield from rig.sweep("sip", shape, steps, pids, Path(folder), *words)


def hold(
    server: RingbackServer, legs: int, rows: int, seconds: float, one_port: bool = False
) -> Iterator[rig.Step]:
    """Keep so many legs in meetings of ten, all of ours on one core: the rig's row every so many seconds.

    With `one_port` the generator has one port for all its legs, so that each has a pair of sockets at ours:
    that costs us half as much again, and the generator less, which is else the first to be full.
    """
    pids = [int(server.ask("status")["pids"]["control"]), *server.media_pids()]
    rig.pin(pids)
    with tempfile.TemporaryDirectory(prefix="ringback-hold-") as folder:
        targets = Path(folder) / "targets"
        targets.write_text("\n".join(_meetings(server, -(-legs // LEGS_A_MEETING))))
        words = ["--server", "{}:{}".format(*server.udp), "--targets", str(targets), "--multi"]
        words += ["--retries", "1", "--stop", "0", "--secs", f"{seconds:g}", "--settle", "1"]
        if one_port:
            words.remove("--multi")
        steps = [*range(FIRST, legs, BATCH), *[legs] * rows]
        for step, _ in rig.sweep("sip", "ten", steps, pids, Path(folder), *words, to_the_end=True):
            if step["n"] == legs:
                yield step


def _meetings(server: RingbackServer, count: int) -> list[str]:
    def add(index: int) -> str:
        meeting = server.add_meeting(f"Load {index}")
        return f"{meeting['number']}*{meeting['guest_pin']}"

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(add, range(count)))
