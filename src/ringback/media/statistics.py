"""What is counted of every leg, as columns, and the totals that are reported from it once a second."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.columns import Column, Columns, Doubles, Floats, Longs
from ringback.media.jitter_buffer import JitterBuffer
from ringback.media.legs import FRAME_TIMESTAMPS, Legs
from ringback.media.level import SpeechGate
from ringback.media.protocol import LegTotals
from ringback.rtp.sequence import ReceivedSequence

NEVER = -1


class Meters(Columns):
    """Counters and last values of each leg that no other column keeps; unknown is NaN."""

    SPEC: ClassVar[dict[str, Column]] = {
        "rejected": Column(np.int64),
        "received_ns": Column(np.int64, empty=NEVER),
        "sent": Column(np.int64),
        "sent_octets": Column(np.int64),
        "waiting": Column(np.float32),
        "round_trip_ms": Column(np.float64, empty=np.nan),
        "remote_lost": Column(np.float64, empty=np.nan),
        "remote_jitter_ms": Column(np.float64, empty=np.nan),
    }
    rejected: Longs
    received_ns: Longs
    sent: Longs
    sent_octets: Longs
    waiting: Floats
    round_trip_ms: Doubles
    remote_lost: Doubles
    remote_jitter_ms: Doubles


def _known(value: float) -> float | None:
    return None if value != value else round(value, 3)  # noqa: PLR0124


def totals(
    slots: Longs,
    legs: Legs,
    buffer: JitterBuffer,
    received: ReceivedSequence,
    meters: Meters,
    gate: SpeechGate,
    now_ns: int,
) -> dict[int, LegTotals]:
    """Totals of the legs in these rows, by the control process's identifier."""
    if not len(slots):
        return {}
    clock = FRAME_TIMESTAMPS[buffer.codec[slots]] / 20.0
    since = (now_ns - meters.received_ns[slots]) / 1e9
    columns = (
        legs.identifier[slots],
        received.arrived(slots),
        received.expected(slots),
        np.maximum(received.lost(slots), 0),
        buffer.late[slots],
        received.duplicates[slots],
        meters.rejected[slots] + received.refused[slots],
        buffer.concealed[slots],
        meters.sent[slots],
        np.round(received.jitter[slots] / clock, 3),
        np.round(meters.waiting[slots].astype(np.float64) * 20.0, 1),
        np.round(gate.level_dbfs(slots).astype(np.float64), 1),
        meters.round_trip_ms[slots],
        meters.remote_lost[slots],
        meters.remote_jitter_ms[slots],
        np.where(meters.received_ns[slots] == NEVER, np.nan, since),
    )
    result = {}
    for row in zip(*(column.tolist() for column in columns), strict=True):
        result[row[0]] = LegTotals(
            received_packets=row[1],
            expected_packets=row[2],
            lost_packets=row[3],
            late_packets=row[4],
            duplicate_packets=row[5],
            rejected_packets=row[6],
            concealed_frames=row[7],
            sent_packets=row[8],
            jitter_ms=row[9],
            buffer_ms=row[10],
            level_dbfs=row[11],
            round_trip_ms=_known(row[12]),
            remote_lost_fraction=_known(row[13]),
            remote_jitter_ms=_known(row[14]),
            seconds_since_received=_known(row[15]),
        )
    return result
