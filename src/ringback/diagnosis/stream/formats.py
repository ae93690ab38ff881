"""What payload types mean where signalling does not say: RFC 3551's table, and guesses from the packets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.counting import usual_step
from ringback.diagnosis.stream.measured import PayloadFormat

FIRST_DYNAMIC: Final = 96
COMFORT_NOISE: Final = frozenset({13, 19})
"""RFC 3389's type, and the one that drafts before it used."""
EVENT: Final = "telephone-event"
NOISE: Final = "cn"

_TABLE: Final[tuple[tuple[int, str, int, int], ...]] = (
    (0, "pcmu", 8_000, 1),
    (3, "gsm", 8_000, 1),
    (4, "g723", 8_000, 1),
    (5, "dvi4", 8_000, 1),
    (6, "dvi4", 16_000, 1),
    (7, "lpc", 8_000, 1),
    (8, "pcma", 8_000, 1),
    (9, "g722", 8_000, 1),
    (10, "l16", 44_100, 2),
    (11, "l16", 44_100, 1),
    (12, "qcelp", 8_000, 1),
    (13, NOISE, 8_000, 1),
    (14, "mpa", 90_000, 1),
    (15, "g728", 8_000, 1),
    (16, "dvi4", 11_025, 1),
    (17, "dvi4", 22_050, 1),
    (18, "g729", 8_000, 1),
    (19, NOISE, 8_000, 1),
    (25, "celb", 90_000, 1),
    (26, "jpeg", 90_000, 1),
    (28, "nv", 90_000, 1),
    (31, "h261", 90_000, 1),
    (32, "mpv", 90_000, 1),
    (33, "mp2t", 90_000, 1),
    (34, "h263", 90_000, 1),
)
STATIC: Final[Mapping[int, PayloadFormat]] = {
    number: PayloadFormat(name, clock, channels, source="static") for number, name, clock, channels in _TABLE
}
"""RFC 3551, 6; with 19 as old devices use it."""

_CLOCKS: Final = (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 90_000)
_NEAR: Final = 0.08
"""How far from a clock a measured rate may lie: less than half of the way between any two."""
_EVENT_BYTES: Final = 4


def complete(packets: Packets, given: Mapping[int, PayloadFormat]) -> dict[int, PayloadFormat]:
    """The format of every payload type among the packets: as given, or static, or guessed.

    What is given without a clock is completed by a guess of it.
    """
    found: dict[int, PayloadFormat] = {}
    types = np.flatnonzero(np.bincount(packets.payload_type, minlength=128)).tolist()
    for number in types:
        known = given.get(number) or STATIC.get(number)
        found[number] = known or _guess(packets, number)
    return found


def _guess(packets: Packets, number: int) -> PayloadFormat:
    mine = np.flatnonzero(packets.payload_type == number)
    if _looks_like_events(packets, mine):
        return PayloadFormat(EVENT, 8_000, source="guessed")
    clock = _guess_clock(packets, mine)
    if clock == 0:
        return PayloadFormat("unknown", 0)
    # No other voice codec of ours to meet has this clock (RFC 7587, 4.1).
    return PayloadFormat("opus" if clock == 48_000 else "unknown", clock, source="guessed")


def _looks_like_events(packets: Packets, mine: np.ndarray[tuple[int], np.dtype[np.intp]]) -> bool:
    """Four octets each, and time stamps that stand still while the numbers go on (RFC 4733, 2.3, 2.5.1.2)."""
    if len(mine) < 2 or (packets.payload_bytes[mine] != _EVENT_BYTES).any():
        return False
    still = np.count_nonzero(np.diff(packets.timestamp[mine]) == 0)
    return bool(2 * still > len(mine) - 1)


def _guess_clock(packets: Packets, mine: np.ndarray[tuple[int], np.dtype[np.intp]]) -> int:
    """The usual step of time stamps over the usual time between packets, if that is near a clock in use."""
    step = usual_step(packets, mine)
    follows = np.diff(packets.sequence[mine]) == 1
    waits = np.diff(packets.arrived_ns[mine])[follows]
    waits = waits[waits > 0]
    if step == 0 or not len(waits):
        return 0
    # Medians bear bursts and pauses; the mean of what lies near bears a coarse clock of the capture.
    middle = float(np.median(waits))
    near = waits[np.abs(waits - middle) <= middle / 2]
    if not len(near):
        return 0
    rate = step / (float(near.mean()) / 1e9)
    clock = min(_CLOCKS, key=lambda each: abs(each - rate))
    return clock if abs(clock - rate) <= _NEAR * clock else 0
