"""Figures as they stand in sentences for people: shares, times of day, lengths, places."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from ringback.diagnosis.capture.captured import Nanoseconds


def percent(share: float) -> str:
    """A share of 0 to 1, with as many digits as it deserves: `0.04 %`, `3.1 %`, `64 %`."""
    value = 100.0 * share
    if value == 0 or value >= 20:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.1 else f"{value:.2g} %"


def ms(value: float) -> str:
    """A time in ms: `0.4 ms`, `84 ms`."""
    return f"{value:.0f} ms" if abs(value) >= 10 else f"{value:.1f} ms"


def seconds(value: float) -> str:
    """A length: `0.4 s`, `32 s`, `4 min 5 s`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def clock(at_ns: Nanoseconds) -> str:
    """The time of day in UTC: `14:02:10`."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%H:%M:%S")


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 packet`, `1,200 packets`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def routers(number: int) -> str:
    """Routers on a way: `no router`, `1 router`, `7 routers`."""
    return count(number, "router") if number else "no router"


def listed(items: list[str]) -> str:
    """Items as a sentence has them: `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


_PRIVATE = tuple(
    ipaddress.ip_network(net)
    for net in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)


def is_private(address: str) -> bool:
    """Whether an address belongs to a private or local network (RFC 1918, RFC 4193, RFC 6598, RFC 3927)."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(known in net for net in _PRIVATE)
