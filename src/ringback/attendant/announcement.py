"""An announcement: something is said, before the call goes on or ends."""

from __future__ import annotations

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere
from ringback.routing.steps import Outcome
from ringback.store.plan.menu import Announcement


class Announcing(Application):
    """Answers, says the words, and lets the call go on; `#` ends them."""

    def __init__(self, announcement: Announcement, onward: Onward = nowhere) -> None:
        self._announcement = announcement
        self._onward = onward
        self._leg: Leg | None = None

    def offered(self, leg: Leg, now: float) -> None:
        """Answer at once."""
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        """Say the words."""
        self._leg = leg
        leg.play([f"words:{self._announcement.words}"])

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Who knows them by heart need not listen."""
        if digit == "#":
            self._done(leg, now)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """It has been said."""
        if play == leg.playing:
            self._done(leg, now)

    def ended(self, leg: Leg, now: float) -> None:
        """Nobody listens any more."""
        self._leg = None

    def _done(self, leg: Leg, now: float) -> None:
        if self._leg is None:
            return
        self._leg = None
        leg.stop_play()
        ends = self._announcement.then in ("", "hangup")
        if ends or not self._onward(leg, Outcome.DONE, now):
            leg.hangup(now)
