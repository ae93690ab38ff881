"""One caller who waits in a queue: music, its place, and the ways out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere
from ringback.call.party import Party
from ringback.call.prompts import say_number
from ringback.routing.steps import Outcome
from ringback.store.plan.groups import Queue

if TYPE_CHECKING:
    from ringback.call.transfer import Handover
    from ringback.queueing.line import WaitingLine


class Waiting(Application):
    """Waits for one caller; sans-IO."""

    def __init__(self, line: WaitingLine, onward: Onward = nowhere) -> None:
        self.since = 0.0
        self.attempt: Bridge | None = None
        self.ringing_agents: tuple[str, ...] = ()
        self.leg: Leg | None = None
        self._line = line
        self._onward = onward
        self._announce_at = float("inf")

    # The leg

    def offered(self, leg: Leg, now: float) -> None:
        """Answer, unless there is no room or nobody will ever come."""
        outcome = self._line.refuses(now)
        if outcome is None:
            leg.answer(now)
        elif not self._onward(leg, outcome, now):
            leg.reject(486 if outcome is Outcome.BUSY else 480, now)

    def take_over(self, leg: Leg, handover: Handover, now: float) -> None:
        """A connected leg comes, and goes back where there is neither room nor a way onward."""
        outcome = self._line.refuses(now)
        leg.application = self
        if outcome is None:
            handover.taken(now)
            self.connected(leg, now)
        elif not self._onward(leg, outcome, now, handover=handover):
            handover.failed(486 if outcome is Outcome.BUSY else 480, now)

    def connected(self, leg: Leg, now: float) -> None:
        """Get into the line."""
        self.leg = leg
        self.since = now
        leg.leave_room()
        self._line.enter(self, now)
        if self.leg is not None and self.attempt is None:
            self._announce(now)
        elif self.leg is not None:
            self._announce_later(now)
            leg.play(["music"], loop=True)
        self._line.wake_at(self, now)

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """One key may be the way out."""
        if digit == self._line.queue.leave_by:
            self.go(Outcome.DONE, now)

    def stand_in(self, old: Leg, new: Leg, now: float) -> bool:
        """Who was asked for by a colleague waits on in the colleague's place."""
        if self.leg is not old:
            return False
        self.leg = new
        new.application = self
        new.leave_room()
        new.play(["music"], loop=True)
        if self.attempt is not None:
            self.attempt.ring_on_for(new)
        return True

    def ended(self, leg: Leg, now: float) -> None:
        """The caller gave up."""
        if self.leg is leg:
            self.leg = None
            self._line.abandoned(self, now)

    def expire(self, now: float) -> None:
        """It has waited for too long, or hears its place again."""
        if self.leg is None:
            return
        most = self._line.queue.max_wait_s
        if most and now >= self.since + most:
            self.go(Outcome.DONE, now)
        elif now >= self._announce_at:
            self._announce(now)
            self._line.wake_at(self, now)

    def next_time(self) -> float:
        """When `expire` has something to do."""
        most = self._line.queue.max_wait_s
        return min(self._announce_at, self.since + most if most else float("inf"))

    def go(self, outcome: Outcome, now: float) -> None:
        """Leave the line without an agent."""
        leg, self.leg = self.leg, None
        if leg is None:
            return
        self._line.leaves(self, now)
        leg.stop_play()
        if not self._onward(leg, outcome, now):
            leg.hangup(now)

    def _announce(self, now: float) -> None:
        assert self.leg is not None
        place = self._line.place(self)
        said = ["prompt:you-are-next"]
        if place > 1:
            said = ["prompt:caller-number", *say_number(min(place, 999)), "prompt:waiting"]
        # The music has no end.
        self.leg.play([*said, "music"] if self._line.queue.announce_every_s else ["music"])
        self._announce_later(now)

    def _announce_later(self, now: float) -> None:
        every = self._line.queue.announce_every_s
        self._announce_at = now + every if every else float("inf")

    # To an agent

    def offer(self, attempt: Bridge, agents: tuple[str, ...], now: float) -> None:
        """Let agents be rung; the caller hears music meanwhile."""
        assert self.leg is not None
        self.attempt, self.ringing_agents = attempt, agents
        attempt.ring_for(self.leg, _Offer(self), now)

    def answered(self, now: float) -> None:
        """An agent has answered; the bridge has the leg now."""
        leg, self.leg = self.leg, None
        if leg is not None and self.attempt is not None:
            self._line.answered(self, self.attempt.partner(leg), now)

    def unanswered(self, now: float) -> None:
        """None of the agents answered; the caller waits on."""
        self._line.unanswered(self, now)


class _Offer:
    """The handover of a caller to whichever agent answers."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting

    @property
    def by(self) -> Party | None:
        """Nobody transfers it."""
        return None

    def ringing(self, now: float) -> None:
        """The caller need not know."""

    def taken(self, now: float) -> None:
        """An agent talks with it."""
        self._waiting.answered(now)

    def failed(self, status: int, now: float) -> None:
        """None answered."""
        self._waiting.unanswered(now)


MakeBridge = Callable[[tuple[str, ...], float, Leg, Queue, float], Bridge]
"""`(agents, for_s, caller, queue, now)`: what rings these agents for a caller of a queue."""
