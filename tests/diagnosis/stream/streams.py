"""Streams to measure: packets as columns, whose numbers and times a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, StreamKey

KEY = StreamKey("192.0.2.1", 4000, "192.0.2.2", 5000, 0x343FFA34)
BEGAN_NS = 1_700_000_000_000_000_000
PTIME_NS = 20_000_000


def packets(
    sequence: Sequence[int] | NDArray[Any],
    *,
    arrived_ms: Sequence[float] | NDArray[Any] | None = None,
    timestamp: Sequence[int] | NDArray[Any] | None = None,
    **columns: Any,
) -> Packets:
    """Packets of PCMU every 20 ms with 160 octets each, but for what is given; scalars are for all."""
    numbers = np.asarray(sequence, np.int64)
    n = len(numbers)
    stamps = 160 * numbers if timestamp is None else np.asarray(timestamp, np.int64)
    waits = 20.0 * np.arange(n) if arrived_ms is None else np.asarray(arrived_ms, np.float64)

    def column(name: str, default: float, dtype: Any) -> NDArray[Any]:
        value = np.asarray(columns.pop(name, default))
        return np.broadcast_to(value, (n,)).astype(dtype)

    made = Packets(
        arrived_ns=BEGAN_NS + np.round(waits * 1e6).astype(np.int64),
        sequence=(numbers & 0xFFFF).astype(np.uint16),
        timestamp=(stamps & 0xFFFFFFFF).astype(np.uint32),
        payload_type=column("payload_type", 0, np.uint8),
        marker=column("marker", 0, np.bool_),
        payload_bytes=column("payload_bytes", 160, np.uint16),
        wire_bytes=column("wire_bytes", 200, np.uint16),
        dscp=column("dscp", 46, np.uint8),
        ttl=column("ttl", 64, np.uint8),
        ip_id=column("ip_id", 0, np.uint16) if "ip_id" in columns else np.arange(n).astype(np.uint16),
        level_dbov=column("level_dbov", np.nan, np.float32),
        clipped=column("clipped", 0, np.uint16),
    )
    assert not columns, columns
    return made


def kept(n: int, lost: set[int]) -> NDArray[np.int64]:
    """The numbers below n but those lost."""
    return np.array([i for i in range(n) if i not in lost], np.int64)


def on_time(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """When packets of these numbers arrive that are never held up, in ms."""
    return 20.0 * (numbers - numbers.min())
