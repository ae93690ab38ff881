"""Our engine and Janus AudioBridge under the same load, one after the other, and the kernel alone.

`make bench-media`. Each server is pinned to core 0, the neutral generator to core 1: PCMU, three of ten talk,
the others send low noise. Ours is called by SIP and has its signalling on the same core; Janus gets plain-RTP
participants over its HTTP API. "Kernel alone" is a C program that sends every datagram straight back, once
with a socket a leg and once with one socket for all: no mixing server on this machine can carry more.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import capacity, janus, media_capacity, rig
from bench.metrics import samples
from ringback.media.measured import BUFFER_MS
from tests.wire.server import RingbackServer

JANUS_STEPS = (200, 300, *range(350, 1001, 50))
OUR_STEPS = (100, 1000, 1500, 2000, 2250, 2500, 2750, 3000, 3250, 3500, 4000, 4400)
ONE_ROOM = (500, 1000, 2000)
KERNEL_LEGS = (100, 1000, 2000)
KERNEL_PORT = 22000
TURNS = 2
HALF_ROWS = 3
PACKET_MS = 20
SETTINGS = {"RINGBACK_MEDIA__PORT_RANGE": "20000-29999", "RINGBACK_MEDIA__WORKERS": "1"}


def measure() -> Iterator[str]:
    """Rows of the kernel, of Janus and of ours; then the ratios."""
    if problem := janus.missing():
        yield problem
        return
    with tempfile.TemporaryDirectory(prefix="ringback-versus-") as name:
        folder = Path(name)
        limits = {}
        for mode in ("echo-each", "echo-tick"):
            costs = {legs: kernel(mode, folder, legs) for legs in KERNEL_LEGS}
            limits[mode] = costs[max(KERNEL_LEGS)]
            what = "a socket a leg" if mode == "echo-each" else "one socket for all"
            said = ", ".join(f"{legs}: {cost:.3f}" for legs, cost in costs.items())
            most = 1000 / limits[mode]
            yield f"kernel alone, {what}: ms a leg a second by legs {said}; at most {most:.0f} legs"
        theirs = yield from _best("Janus", audiobridge(folder))
        ours = yield from _best("Ringback", ringback())
        one = yield from _best("Ringback, one room of all, five talk", one_room())
        if theirs and ours:
            yield from half_load(ours[-1]["n"] // 2)
            more = yield from in_turn(*(rows[-2:][0]["n"] for rows in (theirs, ours)), folder)
            yield from compare(theirs, ours, [(theirs[-1], ours[-1]), *more], limits, one)
        else:
            yield "no ratio: one of the two was never clean"


def _best(name: str, rows: Iterator[tuple[rig.Step, bool]]) -> Generator[str, None, list[rig.Step]]:
    clean_steps = []
    for step, clean in rows:
        yield f"{name}: {rig.row(step, clean)}"
        if clean:
            clean_steps.append(step)
    return clean_steps


Pair = tuple[rig.Step, rig.Step]
"""Janus and ours, one soon after the other."""


def in_turn(theirs: int, ours: int, folder: Path) -> Generator[str, None, list[Pair]]:
    """Both a step below their most legs again, one after the other: between the two ladders the machine may
    have become another."""
    pairs = []
    for _ in range(TURNS):
        with janus.running() as pid:
            rig.pin([pid])
            steps = sorted({JANUS_STEPS[0], theirs})
            rows = rig.sweep(
                "janus", "ten", steps, [pid], folder, "--multi", "--retries", "3", to_the_end=True
            )
            *_, (them, _) = rows
        with ringback_server() as server:
            (us,) = capacity.hold(server, ours, 1, capacity.SECONDS)
        for name, step in (("Janus", them), ("Ringback", us)):
            yield f"again: {name}: {rig.row(step, rig.is_clean(step))}"
        if rig.is_clean(them) and rig.is_clean(us):
            pairs.append((them, us))
    return pairs


def half_load(legs: int) -> Iterator[str]:
    """Mouth to ear with so many legs, and whether their jitter buffers were at their floor: they follow what
    the generator's packets do, and it has its stalls."""
    with ringback_server() as server:
        seen = None
        for step in capacity.hold(server, legs, 1 + HALF_ROWS, capacity.SECONDS):
            before, seen = seen, _buffers(server)
            if before is None:
                continue
            seconds, waited_s, floor = (one - other for one, other in zip(seen, before, strict=True))
            mouth_to_ear = ", p99 ".join(f"{step[name] + PACKET_MS:.0f}" for name in ("lat_p50", "lat_p99"))
            yield (
                f"half of the legs: {step['n']}, {step['srv_cpu']:.0%} of the core: mouth to ear p50 "
                f"{mouth_to_ear} ms (at most 40 and 60 with buffers at their floor); buffers hold "
                f"{1000 * waited_s / seconds:.1f} ms on average, {floor / seconds:.0%} are at their floor; "
                f"generator late {step['late_max']:.0f} ms"
            )


def _buffers(server: RingbackServer) -> tuple[float, float, float]:
    """Legs' seconds so far, the sound that waited in their buffers (s), and in how many hardly any did."""
    found = {
        sample.name.rpartition("_")[2] + sample.labels.get("le", ""): sample.value
        for sample in samples(server, "ringback_media_buffer_seconds")
    }
    return found["count"], found["sum"], found[f"bucket{BUFFER_MS[0] / 1000:g}"]


def compare(
    theirs: list[rig.Step],
    ours: list[rig.Step],
    pairs: list[Pair],
    limits: dict[str, float],
    one: list[rig.Step],
) -> Iterator[str]:
    """What the rows come to."""
    them, us = theirs[-1], ours[-1]
    yield (
        f"clean legs on a core: Ringback {us['n']}, Janus {them['n']}: "
        f"{us['n'] / them['n']:.1f} times as many (at least 5, aim 10)"
    )
    ratios = [rig.ms_a_leg(them) / rig.ms_a_leg(us) for them, us in pairs]
    each = ", ".join(f"1/{ratio:.1f}" for ratio in ratios)
    yield (
        f"CPU a leg a second, of Janus's: 1/{statistics.median(ratios):.1f}, the median of {each} "
        "(at most 1/6, aim 1/10)"
    )
    usual = statistics.median(rig.ms_a_leg(them) for them, _ in pairs)
    for mode, alone in limits.items():
        yield (
            f"of what the kernel allows ({mode}): {us['n'] * alone / 1000:.0%} (at least half); by itself it "
            f"takes 1/{usual / alone:.1f} of Janus's CPU a leg"
        )
    costs = ", ".join(f"{step['n']}: {rig.ms_a_leg(step):.2f}" for step in ours)
    yield f"ms a leg a second by legs: {costs}"
    if one:
        yield f"one room: {one[-1]['n']} legs clean (aim 2,000)"


def ringback() -> Iterator[tuple[rig.Step, bool]]:
    """Our rows, rooms of ten."""
    with ringback_server() as server:
        yield from capacity.sweep(server, OUR_STEPS)


def one_room() -> Iterator[tuple[rig.Step, bool]]:
    """Our rows, everybody in one room, five talk."""
    with ringback_server() as server:
        yield from capacity.sweep(server, ONE_ROOM, max(ONE_ROOM), "-k", "5")


@contextmanager
def ringback_server() -> Iterator[RingbackServer]:
    """A server of ours with one media worker."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        server = RingbackServer(Path(folder), settings=SETTINGS).start()
        try:
            yield server
        finally:
            # Thousands of calls may still be there, on a core that has nothing left: each gets its BYE.
            server.stop(60)


def audiobridge(folder: Path) -> Iterator[tuple[rig.Step, bool]]:
    """Rows of Janus AudioBridge."""
    with janus.running() as pid:
        rig.pin([pid])
        yield from rig.sweep("janus", "ten", JANUS_STEPS, [pid], folder, "--multi", "--retries", "3")


def kernel(mode: str, folder: Path, legs: int) -> float:
    """Milliseconds of CPU a leg a second when a C program only sends datagrams back."""
    binary = folder / "udplimit"
    subprocess.run(["gcc", "-O2", "-march=native", "-o", binary, rig.RIG / "udplimit.c"], check=True)
    command = ["taskset", "-c", rig.SERVER_CORE, str(binary), mode, str(KERNEL_PORT), str(legs)]
    with subprocess.Popen(command) as echo:
        try:
            time.sleep(0.5)
            generator = media_capacity.Generator(
                rig.RIG, echo.pid, (int(rig.SERVER_CORE), int(rig.LOAD_CORE)), folder
            )
            rows = []
            for leg in range(legs):
                port = KERNEL_PORT + (2 * leg if mode == "echo-each" else 0)
                rows.append(f"{leg} {leg // 10} {leg % 10} 127.0.0.1 {port} {27000 + leg}\n")
            generator.add(rows)
            time.sleep(2)
            result = generator.measure(6)
            generator.close()
            if echo.poll() is not None:
                raise SystemExit(f"the kernel's measurement found its ports from {KERNEL_PORT} on taken")
        finally:
            echo.terminate()
    return float(1000 * result["srv_cpu"] / legs)
