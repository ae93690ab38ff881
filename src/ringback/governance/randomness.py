"""Random octets of the system, many of one call."""

from __future__ import annotations

import os


class RandomPool:
    """Octets that nobody can guess, as `os.urandom` gives them.

    Each call of that is one of the system, and lets another thread have the interpreter meanwhile.
    """

    def __init__(self, at_once: int = 4_096) -> None:
        self._at_once = at_once
        self._ready = b""
        self._used = 0

    def octets(self, count: int) -> bytes:
        """So many octets; no octet is given twice."""
        begin, self._used = self._used, self._used + count
        if self._used > len(self._ready):
            self._ready = os.urandom(max(count, self._at_once))
            begin, self._used = 0, count
        return self._ready[begin : self._used]

    def bits(self, count: int) -> int:
        """A number of so many bits."""
        return int.from_bytes(self.octets((count + 7) // 8), "big") >> (-count % 8)
