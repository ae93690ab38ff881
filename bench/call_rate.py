"""Calls set up a second: SIPp calls into a meeting and hangs up, ever faster, until answers come late."""

from __future__ import annotations

from collections.abc import Iterator

from bench import sipp
from tests.wire.server import RingbackServer

SECONDS = 8
RATES = (10, 20, 40, 80, 120, 160, 200, 300, 400, 500, 600, 800)
TALK_MS = 1000


def measure(server: RingbackServer) -> Iterator[str]:
    """The highest rate at which no call fails and 99 of 100 are answered within half a second."""
    meeting = server.add_meeting()
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    best = 0
    for rate in RATES:
        outcome = sipp.call(server.udp_port, target, rate, SECONDS, talk_ms=TALK_MS)
        yield (
            f"{rate} a second for {SECONDS} s: {outcome.calls} calls, {outcome.failed} failed, "
            f"{outcome.late} after {sipp.LATE_MS} ms"
        )
        if not outcome.clean:
            break
        best = rate
    yield f"{best} calls set up a second, each answered, in a meeting and hung up after a second"
