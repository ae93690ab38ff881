"""The rest that a real-time thread owes the others of its core.

One that never rests is stopped by the kernel for 50 ms of each second at once (Linux: the fair server of a
CPU, before 6.12 sched_rt_runtime_us): everybody would hear that. In small parts nobody does.
"""

from __future__ import annotations

REST_SHARE = 16
"""Of so much work one part is rest."""
MOST_OWED_NS = 25_000_000
"""The rest of 0.4 s may be owed, until there is time: short spells of too much work pass without."""
REST_NS = 2_500_000
"""After that so much is due after each tick, late or not, until nothing is owed."""


class Rest:
    """What is owed, by how long a thread worked and slept; all in ns."""

    def __init__(self) -> None:
        self._owed = 0
        self._pays = False

    @property
    def due(self) -> int:
        """How long to sleep now, 0 for not at all."""
        return min(self._owed, REST_NS) if self._pays else 0

    def worked(self, ns: int) -> None:
        """Add what is owed for that."""
        self._owed = min(self._owed + ns // REST_SHARE, MOST_OWED_NS)
        self._pays |= self._owed == MOST_OWED_NS

    def rested(self, ns: int) -> None:
        """Take off what was slept, for whatever reason."""
        self._owed = max(self._owed - ns, 0)
        self._pays &= self._owed > 0
