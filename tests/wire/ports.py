"""Free ports for the programs under test, taken below the range from which the kernel gives ports out."""

from __future__ import annotations

import itertools
import os
import socket

# Test processes beside each other look in places of their own.
PROCESSES = 4
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
LAST = 19_900
# fmt: off
NO_SIP_TO_TSHARK = frozenset({
    10253, 11211, 11273, *range(12000, 12005), 12220, 12222, 12223, 13400, 17220, 17500, 17755, 17756, 19132,
})
# fmt: on
"""UDP ports where tshark 4.0 sees other protocols, whatever is sent: no INVITE is found in a capture."""
_next = itertools.count(10_000 + os.getpid() % 120 * 16 + PROCESS * ((LAST - 10_000) // PROCESSES))


def is_free(port: int) -> bool:
    """Whether nobody has the port on loopback, UDP or TCP."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


MEDIA_BLOCK = 500
MEDIA_BLOCKS = 20
_media_blocks = itertools.count(PROCESSES * os.getpid() + PROCESS, PROCESSES)


def media_range() -> tuple[int, int]:
    """A block of free ports for a server's media: others may be testing on this machine too."""
    for _ in range(MEDIA_BLOCKS):
        start = 20_000 + MEDIA_BLOCK * (next(_media_blocks) % MEDIA_BLOCKS)
        if all(is_free(port) for port in range(start, start + MEDIA_BLOCK)):
            break
    return start, start + MEDIA_BLOCK - 1


def free_ports(count: int = 1) -> int:
    """The first of `count` free ports in a row, not given out before by this process."""
    while True:
        start = 10_000 + (next(_next) - 10_000) % (LAST - 10_000)
        for _ in range(count - 1):
            next(_next)
        ports = range(start, start + count)
        if ports.stop < LAST and NO_SIP_TO_TSHARK.isdisjoint(ports) and all(map(is_free, ports)):
            return start


def bracketed(host: str) -> str:
    """The address as URIs write it."""
    return f"[{host}]" if ":" in host else host
