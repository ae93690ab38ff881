"""Wrong PINs limited by source and slowed by meeting, and a door that no source can crowd for the others."""

from __future__ import annotations

from typing import Final

from ringback.governance.throttle import FailureLedger, GuessDelay, SourceGuard, SourceList, source_key

# People mistype, and a whole office may call from one address: a ban needs more than one bad call.
FREE_WRONG_PINS: Final = 12

# Each call at the door holds a port and hears prompts; with the right PIN it is at the door no more.
CALLS_AT_THE_DOOR: Final = 100


class PinGuard:
    """Counts wrong PINs. By source it refuses for a while, longer each time; by meeting it only delays."""

    def __init__(self, allow: SourceList | None = None) -> None:
        self._allow = allow or SourceList()
        self._sources = SourceGuard(self._allow, ledger=FailureLedger(free=FREE_WRONG_PINS))
        self._meetings: GuessDelay[str] = GuessDelay()
        self._at_the_door: dict[str, set[int]] = {}

    def may_wait(self, source: str, call: int) -> bool:
        """Whether one more call of a source may stand at the door; it does until `no_longer_waits`."""
        if source in self._allow:
            return True
        waiting = self._at_the_door.setdefault(source_key(source), set())
        if len(waiting) >= CALLS_AT_THE_DOOR:
            return False
        waiting.add(call)
        return True

    def no_longer_waits(self, source: str, call: int) -> None:
        """A call got in, or is over."""
        key = source_key(source)
        waiting = self._at_the_door.get(key)
        if waiting is not None:
            waiting.discard(call)
            if not waiting:
                del self._at_the_door[key]

    def refuses(self, source: str, now: float) -> bool:
        """Whether this source has tried too many wrong PINs lately."""
        return self._sources.banned_for(source, now) > 0

    def wrong(self, source: str, meeting: str, now: float) -> None:
        """Note a wrong PIN."""
        self._sources.failed(source, now)
        if source not in self._allow:
            self._meetings.wrong(meeting, now)

    def delay_s(self, source: str, meeting: str, now: float) -> float:
        """Seconds to hold the answer to a PIN of this meeting back, right or wrong."""
        return 0.0 if source in self._allow else self._meetings.delay_s(meeting, now)
