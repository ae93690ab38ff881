"""The SRTP sessions of one leg: those in use, those being left at a change of keys, and all it ever had (RFC
3711 8.1, RFC 4568 7.1.4).

Signalling and media do not change at one moment: after new keys were agreed on, packets under the old ones
are still on their way, or still being made. So what comes is tried with both until the new ones are seen in
use. A key that comes back gets its old session: what was recorded under it is a replay still, and its key
stream goes on where it was instead of being used twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.media.columns import Bytes
from ringback.media.protocol import SrtpSuite

if TYPE_CHECKING:
    from ringback.rtp.srtp import SrtpSession

LATE_NS = 2_000_000_000
"""So long after the first packet under a new key those under the old one are still taken."""
UNSEEN_NS = 32_000_000_000
"""So long a peer may go on with the old key: until its answer has been sent for the last time (RFC 3261 timer
H)."""
MAX_KEPT = 8
MAX_CANDIDATES = 4

Operation = Callable[["SrtpSession", Bytes, int], int]
Key = tuple[SrtpSuite, bytes]


class Sessions:
    """All sessions that a leg has had in one direction, by suite and key, the one in use last."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Key, SrtpSession] = {}

    def known(self, key: Key) -> SrtpSession | None:
        """The session of a key that was used before."""
        return self._kept.get(key)

    def take(self, key: Key, session: SrtpSession) -> None:
        """Put a session in use; of those that are not, the oldest is forgotten."""
        self._kept.pop(key, None)
        self._kept[key] = session
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]


class Change:
    """Sessions that what comes may belong to, while keys change; the last to pass is tried first."""

    __slots__ = ("_began_ns", "_fresh", "_passed_ns", "candidates")

    def __init__(self, fresh: list[SrtpSession], former: list[SrtpSession], now_ns: int) -> None:
        # The first of those before is the one that was last used.
        self.candidates = [*former[: MAX_CANDIDATES - len(fresh)], *fresh]
        self._fresh = fresh
        self._began_ns = now_ns
        self._passed_ns: int | None = None

    def run(self, operation: Operation, row: Bytes, length: int, now_ns: int) -> int:
        """Unprotect a packet in place; its new length, or the negative status of the last that was tried."""
        original = row[: max(length, 0)].copy()
        result = -1
        for session in self.candidates:
            result = operation(session, row, length)
            if result > 0:
                self._note(session, now_ns)
                break
            # What fails its test may have been decrypted all the same.
            row[: len(original)] = original
        return result

    def _note(self, session: SrtpSession, now_ns: int) -> None:
        if self.candidates[0] is not session:
            self.candidates.remove(session)
            self.candidates.insert(0, session)
        if self._passed_ns is None and session in self._fresh:
            self._passed_ns = now_ns

    def over(self, now_ns: int) -> SrtpSession | None:
        """The session that is left, once there is no more doubt."""
        if self._passed_ns is None:
            return self._fresh[0] if now_ns - self._began_ns > UNSEEN_NS else None
        if now_ns - self._passed_ns <= LATE_NS:
            return None
        return next(session for session in self.candidates if session in self._fresh)
