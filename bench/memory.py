"""Memory in PSS (proportional set size): shared pages are counted once, over those who share them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

LEGS = 100


def pss_kb(pid: int) -> int:
    """The PSS of a process in KiB."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def measure(server: RingbackServer) -> Iterator[str]:
    """Idle, and with a hundred phones in meetings of ten."""
    pids = server.ask("status")["pids"]
    processes = {"control": [pids["control"]], "media": pids["media"]}

    def total() -> dict[str, float]:
        return {name: sum(pss_kb(pid) for pid in members) for name, members in processes.items()}

    time.sleep(2)
    idle = total()
    parts = ", ".join(f"{name} {value / 1024:.0f}" for name, value in idle.items())
    yield f"idle: {sum(idle.values()) / 1024:.0f} MB ({parts}) (aim: under 150 MB)"
    phone = SipPhone(server.udp)
    try:
        for number in range(LEGS // 10):
            meeting = server.add_meeting(f"Room {number}")
            for _ in range(10):
                phone.dial(f"{meeting['number']}*{meeting['guest_pin']}")
        time.sleep(5)
        busy = total()
        each = {name: (busy[name] - idle[name]) / LEGS for name in idle}
        parts = ", ".join(f"{name} {value:.0f}" for name, value in each.items())
        yield f"per leg: {sum(each.values()):.0f} kB ({parts}), {LEGS} PCMU legs (aim: under 100 kB)"
    finally:
        phone.close()
