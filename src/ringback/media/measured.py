"""What a worker tells of every leg once a second: names, order and layout; docs/statistics.md defines each.

Nothing but the standard library is needed to read it, so that the control process gets by without NumPy.
"""

from __future__ import annotations

import struct

COUNTS = (
    "expected",
    "received",
    "late",
    "duplicates",
    "reordered",
    "discarded",
    "refused",
    "concealed",
    "stretched",
    "sent",
    "sent_octets",
)
"""Counted within the second, at most 65535."""
VALUES = (
    "jitter_ms",
    "level_dbfs",
    "clipped",
    "buffer_ms",
    "sent_level_dbfs",
    "remote_lost",
    "remote_jitter_ms",
    "round_trip_ms",
    "silent_s",
    "remote_jitter_peak_ms",
    "remote_discarded",
    "remote_delay_ms",
    "remote_r_factor",
    "remote_mos",
)
"""Measured within the second, or the last known; NaN for what is not known."""
EXPECTED, RECEIVED = COUNTS.index("expected"), COUNTS.index("received")

ROW = struct.Struct(f"={len(COUNTS)}H{len(VALUES)}e")
"""One leg's second: counts, then values as half floats."""

JITTER_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0)
BUFFER_MS = (5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0)
ROUND_TRIP_MS = (5.0, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 1000.0)
LOSS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Bounds of the histograms over legs and seconds."""
QUIET_S = 5.0
"""Legs of which nothing came for so long, or ever, are named."""
