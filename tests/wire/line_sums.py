"""What the server says of one participant's line (docs/statistics.md), gathered as long as a call lasts."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.wire.server import RingbackServer

COUNTS = {
    "received": (
        "expected",
        "received",
        "lost",
        "late",
        "duplicates",
        "reordered",
        "discarded_frames",
        "refused",
        "concealed_frames",
        "stretched_frames",
    ),
    "sent": ("packets", "octets"),
}
KEPT_S = 300
"""How far back the server remembers: `look` at least that often."""


class LineSums:
    """The seconds of a participant's line, each once however often they were asked for."""

    def __init__(self, server: RingbackServer, meeting: str, participant: str) -> None:
        self._server = server
        self._path = f"/api/v1/meetings/{meeting}/participants/{participant}/quality?seconds={KEPT_S}"
        self.told_at = 0.0
        """When the last second ended that was asked for (seconds since 1970)."""
        self.sums: dict[str, int] = {}
        """Every count since the call began, as in "received.lost" or "sent.packets"."""
        self.buffer_ms: list[float] = []

    def look(self) -> dict[str, Any]:
        """Ask for the seconds that are new; the answer, with all that it holds."""
        series: dict[str, Any] = json.loads(self._server.fetch(self._path))
        # Times are told by the clock of each answer, so the same second may differ by a little.
        ended = [_seconds(at) for at in series["at"]]
        fresh = [i for i, at in enumerate(ended) if at > self.told_at + 0.3]
        for part, names in COUNTS.items():
            for name in names:
                key = f"{part}.{name}"
                self.sums[key] = self.sums.get(key, 0) + sum(series[part][name][i] for i in fresh)
        self.buffer_ms += [series["received"]["buffer_ms"][i] or 0.0 for i in fresh]
        self.told_at = ended[-1] if ended else self.told_at
        return series


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
