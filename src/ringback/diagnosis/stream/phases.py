"""The stretches of a stream: where its codec, its count, its clock or its flow begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.counting import Counted, Rows
from ringback.diagnosis.stream.formats import EVENT, NOISE
from ringback.diagnosis.stream.measured import PayloadFormat, Phase
from ringback.diagnosis.stream.timing import Timing

PAUSE_NS: Final = 1_000_000_000
"""Nothing for this long, and nothing missing: the sender was silent on purpose."""
MOST: Final = 1000
"""A stream that changes all the time is told no more of."""

Reason = Literal["start", "payload-type", "restart", "timestamp-jump", "pause"]


def pauses(packets: Packets, counted: Counted) -> Rows:
    """The rows that end a silence of a second or more in which no packet is missing."""
    rows = counted.rows
    wait = np.diff(packets.arrived_ns[rows])
    ended: Rows = rows[1:][(wait >= PAUSE_NS) & (counted.missing[1:] == 0) & (np.diff(counted.count) == 0)]
    return ended


def phases(
    packets: Packets, counted: Counted, timing: Timing, formats: Mapping[int, PayloadFormat], still: Rows
) -> tuple[Phase, ...]:
    """The phases in the order of the capture; comfort noise and events change nothing."""
    reasons: dict[int, Reason] = {}
    for row in _changes(packets, counted, formats):
        reasons[row] = "payload-type"
    for row in still[:MOST].tolist():
        reasons[row] = "pause"
    for row in timing.rows[timing.jumps][:MOST].tolist():
        reasons.setdefault(row, "timestamp-jump")
    for row in counted.restarts[:MOST].tolist():
        reasons[row] = "restart"
    reasons.pop(0, None)
    begins = [0, *sorted(reasons)[: MOST - 1]]
    ends = [*begins[1:], len(packets)]
    return tuple(
        Phase(
            began_ns=int(packets.arrived_ns[begin]),
            ended_ns=int(packets.arrived_ns[end - 1]),
            payload_type=int(packets.payload_type[begin]),
            first_sequence=int(packets.sequence[begin]),
            reason=reasons.get(begin, "start"),
        )
        for begin, end in zip(begins, ends, strict=True)
    )


def _changes(packets: Packets, counted: Counted, formats: Mapping[int, PayloadFormat]) -> list[int]:
    """Rows whose audio has another payload type than that of the audio before."""
    audio = [number for number, known in formats.items() if known.name not in {EVENT, NOISE}]
    if len(audio) < 2:
        return []
    rows = np.flatnonzero(counted.fresh & np.isin(packets.payload_type, audio))
    kinds = packets.payload_type[rows]
    changed: list[int] = rows[1:][kinds[1:] != kinds[:-1]][:MOST].tolist()
    return changed
