"""Run the named measurements (all without names) and print what they found: `python -m bench [NAME...]`."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import (
    agents,
    call_rate,
    capacity,
    captures,
    causes,
    delay,
    endless,
    flood,
    lists,
    memory,
    opus_capacity,
    quality,
    records,
    registrations,
    report,
    route,
    signalling,
    soak,
    start,
    two_party,
    versus,
)
from tests.wire.server import RingbackServer

Measurement = Callable[[RingbackServer], Iterator[str]]

WITH_SERVER: dict[str, Measurement] = {
    "memory": memory.measure,
    "delay": delay.measure,
    "calls": call_rate.measure,
    "capacity": capacity.measure,
}


SETTINGS = {"RINGBACK_MEDIA__PORT_RANGE": "20000-29999"}
LEGS = "250,500,750,1000,1250,1500,2000"


def media() -> Iterator[str]:
    """PCMU legs a core in rooms of 10, up to the first number that is not clean; the media process alone."""
    command = [sys.executable, "-m", "bench.media_capacity", "--legs", LEGS]
    best = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as steps:
        assert steps.stdout is not None
        for line in steps.stdout:
            yield line.rstrip()
            if "NOT clean" in line:
                steps.terminate()
                break
            best = int(line.split()[0])
    if best:
        yield f"{best} legs on one core stay clean (aim: 1,000)"
    else:
        yield "not measured: see above"


ALONE: dict[str, Callable[[], Iterator[str]]] = {
    "media": media,
    "opus": opus_capacity.measure,
    "endless": endless.measure,
    "flood": flood.measure,
    "versus": versus.measure,
    "quality": quality.measure,
    "sip": signalling.measure,
    "registrations": registrations.measure,
    "agents": agents.measure,
    "causes": causes.measure,
    "report": report.measure,
    "route": route.measure,
    "two-party": two_party.measure,
    "start": start.measure,
    "lists": lists.measure,
}
EVERYTHING = [*WITH_SERVER, "media"]
"""What is run without names: that which needs no other product."""


def main(names: list[str]) -> int:
    """Run what was asked for; 2 when a name is unknown. Some take words of their own."""
    # Whoever ends this, also in the background of a shell, ends the server and the generator with it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    if names[:1] == ["soak"]:
        return soak.main(names[1:])
    if names[:1] == ["captures"]:
        return captures.main(names[1:])
    if names[:1] == ["records"]:
        return records.main(names[1:])
    known = [*WITH_SERVER, *ALONE, "soak", "captures", "records"]
    unknown = set(names) - set(known)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names or EVERYTHING:
        began = time.monotonic()
        if name in ALONE:
            _show(name, ALONE[name]())
        else:
            with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
                server = RingbackServer(Path(folder), settings=SETTINGS).start()
                try:
                    _show(name, WITH_SERVER[name](server))
                finally:
                    server.stop()
        print(f"{name}: took {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _show(name: str, lines: Iterator[str]) -> None:
    for line in lines:
        print(f"{name}: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
