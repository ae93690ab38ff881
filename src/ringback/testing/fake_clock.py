"""A clock that moves only when told to, so that hours of timers pass in milliseconds."""

from __future__ import annotations


class FakeClock:
    """Seconds since an arbitrary start; `now` never goes back."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The present moment, as a clock function gives it."""
        return self.now

    def advance(self, seconds: float) -> float:
        """Let time pass; returns the new moment."""
        return self.move_to(self.now + seconds)

    def move_to(self, moment: float) -> float:
        """Let time pass until `moment`; ValueError when that is in the past."""
        if moment < self.now:
            raise ValueError("a clock does not run backwards")
        self.now = moment
        return moment
