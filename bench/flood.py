"""Ninety seconds of 5,000 mixed datagrams a second from everywhere, beside a call and the calls of others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.wire.flood import SOURCES, under_flood
from tests.wire.server import RingbackServer

SECONDS = float(os.environ.get("RINGBACK_FLOOD_SECONDS", "90"))
RATE = 5_000


def measure() -> Iterator[str]:
    """Loss of a live call both ways, calls set up by others, and memory; the server has its usual limits."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        server = RingbackServer(Path(folder), limits=True).start()
        try:
            seen = under_flood(server, SECONDS, RATE)
        finally:
            server.stop()
    rate = seen.datagrams / seen.seconds
    yield f"{rate:.0f} datagrams a second for {seen.seconds:.0f} s from {SOURCES} sources"
    yield (
        f"a live call: {seen.lost_to_phone:.3%} of the packets to the phones lost, "
        f"{seen.lost_to_server:.3%} of those to the server (aim: under 0.5 %)"
    )
    yield f"calls of others: {seen.connected} of {seen.called} set up (aim: 99 %)"
    for failure in seen.failures[:10]:
        yield f"failed: {failure}"
    first, highest, last = (kb / 1024 for kb in (seen.pss_kb[0], max(seen.pss_kb), seen.pss_kb[-1]))
    yield f"PSS of all processes: {first:.0f} MB before, {highest:.0f} at most, {last:.0f} after"
    turned_away = ", ".join(f"{why} {count:.0f}" for why, count in sorted(seen.dropped.items()))
    yield f"not read: {turned_away or 'none'}"
