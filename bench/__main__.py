"""Run the named measurements (all without names) and print what they found: `python -m bench [NAME...]`."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import call_rate, delay, memory
from tests.wire.server import RingbackServer

Measurement = Callable[[RingbackServer], Iterator[str]]

WITH_SERVER: dict[str, Measurement] = {
    "memory": memory.measure,
    "delay": delay.measure,
    "calls": call_rate.measure,
}


def media() -> Iterator[str]:
    """Legs a core; without a server, the media process alone."""
    from bench import media_capacity  # noqa: PLC0415  # loads the engine, which the others leave to the server

    yield from media_capacity.measure()


def main(names: list[str]) -> int:
    """Run what was asked for; 2 when a name is unknown."""
    known = [*WITH_SERVER, "media"]
    unknown = set(names) - set(known)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names or known:
        began = time.monotonic()
        if name == "media":
            _show(name, media())
        else:
            with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
                server = RingbackServer(Path(folder)).start()
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
