"""Wrong PINs: limited by source, slowed by meeting; a right PIN from a new source always gets in."""

from __future__ import annotations

from typing import Final

from ringback.governance.throttle import FailureLedger, GuessDelay, SourceGuard, SourceList

# People mistype, and a whole office may call from one address: a ban needs more than one bad call.
FREE_WRONG_PINS: Final = 12


class PinGuard:
    """Counts wrong PINs. By source it refuses for a while, longer each time; by meeting it only delays."""

    def __init__(self, allow: SourceList | None = None) -> None:
        self._allow = allow or SourceList()
        self._sources = SourceGuard(self._allow, ledger=FailureLedger(free=FREE_WRONG_PINS))
        self._meetings: GuessDelay[str] = GuessDelay()

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
