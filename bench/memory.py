"""Memory in PSS (proportional set size): shared pages are counted once, over those who share them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

FIRST_LEGS = 10
LEGS = 100


def pss_kb(pid: int) -> int:
    """The PSS of a process in KiB."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def own_kb(pid: int) -> int:
    """The memory that is a process's alone, in KiB. Reading this does not keep the process from taking or
    giving back memory, which looking through all its pages does."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def measure(server: RingbackServer) -> Iterator[str]:
    """Idle, with a first meeting of ten phones, and with a hundred phones more."""
    pids = server.ask("status")["pids"]
    processes = {"control": [pids["control"]], "media": pids["media"]}

    def total() -> dict[str, float]:
        return {name: sum(pss_kb(pid) for pid in members) for name, members in processes.items()}

    time.sleep(2)
    idle = total()
    yield f"idle: {_words(idle, 1024, 'MB')} (aim: under 150 MB)"
    phone = SipPhone(server.udp)
    try:
        _dial(server, phone, FIRST_LEGS)
        # Buffers, prompts and code that are there once, whoever calls.
        first = total()
        grown = {name: first[name] - idle[name] for name in idle}
        yield f"the first {FIRST_LEGS} legs: {_words(grown, 1024, 'MB')}"
        _dial(server, phone, LEGS)
        busy = total()
        each = {name: (busy[name] - first[name]) / LEGS for name in idle}
        yield f"each leg more: {_words(each, 1, 'kB')}, {LEGS} PCMU legs (aim: under 100 kB)"
    finally:
        phone.close()


def _dial(server: RingbackServer, phone: SipPhone, legs: int) -> None:
    """Put so many legs into meetings of ten, and wait until all is quiet."""
    for number in range(legs // 10):
        meeting = server.add_meeting(f"Room {number}")
        for _ in range(10):
            phone.dial(f"{meeting['number']}*{meeting['guest_pin']}")
    time.sleep(5)


def _words(kb: dict[str, float], divisor: int, unit: str) -> str:
    parts = ", ".join(f"{name} {value / divisor:.0f}" for name, value in kb.items())
    return f"{sum(kb.values()) / divisor:.0f} {unit} ({parts})"
