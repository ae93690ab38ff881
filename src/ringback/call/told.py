"""Somebody is told something, and that is all: the call ends when it has been said."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.call.application import Application
from ringback.call.leg import Leg


class Told(Application):
    """Answers, says what it has to say, and hangs up; silent until `say` where that is not known yet."""

    def __init__(self, sounds: Sequence[str] | None = None) -> None:
        self._sounds = None if sounds is None else list(sounds)
        self._leg: Leg | None = None

    def tell(self, leg: Leg) -> None:
        """Take a connected leg from an application that has let it go."""
        leg.application = self
        self._begin(leg)

    def say(self, sounds: Sequence[str]) -> None:
        """What there is to say is known now."""
        self._sounds = list(sounds)
        if self._leg is not None:
            self._begin(self._leg)

    def offered(self, leg: Leg, now: float) -> None:
        """Answer at once."""
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        """Say it."""
        self._begin(leg)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """It has been said."""
        if play == leg.playing and self._sounds is not None:
            leg.hangup(now)

    def ended(self, leg: Leg, now: float) -> None:
        """Nobody is there to be told anything."""
        self._leg = None

    def _begin(self, leg: Leg) -> None:
        self._leg = leg
        if self._sounds is not None:
            leg.play(self._sounds)
