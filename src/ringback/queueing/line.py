"""One queue with people in it: who is next, whom it rings, and how long all that takes."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.queueing.agents import Agents, LoggedOut, Presence, WrapUps
from ringback.queueing.waiting import MakeBridge, Waiting
from ringback.routing.steps import Outcome
from ringback.store.plan.groups import Queue

LOOK_EVERY_S: Final = 1.0
"""How often agents are looked at while somebody waits: they become free by calls that are not the queue's."""
REMEMBERED: Final = 50
"""The average is of so many last calls."""


class QueueExchange(Protocol):
    """What a queue asks of the switchboard."""

    media_rooms: count[int]

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""

    def tell(self, kind: str, **facts: object) -> None:
        """Say what happened; no private data."""


class WaitingLine(Application):
    """The callers of one queue in the order they came; an application only to be woken. Sans-IO."""

    def __init__(
        self,
        queue: Queue,
        exchange: QueueExchange,
        presence: Presence,
        logged_out: LoggedOut,
        wrap_ups: WrapUps,
        make_bridge: MakeBridge,
    ) -> None:
        self.queue = queue
        self.waiting: list[Waiting] = []
        self.agents = Agents(presence, logged_out, wrap_ups)
        self.answered_calls = 0
        self.abandoned_calls = 0
        self.left_calls = 0
        self.waits: deque[float] = deque(maxlen=REMEMBERED)
        """How long callers waited for an agent, in seconds, of the last calls."""
        self._exchange = exchange
        self._make_bridge = make_bridge
        self._looks = False

    # For callers

    def refuses(self, now: float) -> Outcome | None:
        """Why a newcomer cannot wait here; None where it can."""
        if len(self.waiting) >= self.queue.max_waiting:
            return Outcome.BUSY
        return None if self.agents.anybody_there(self.queue, now) else Outcome.UNREACHABLE

    def place(self, waiting: Waiting) -> int:
        """The place of a caller, from 1."""
        return self.waiting.index(waiting) + 1

    def enter(self, waiting: Waiting, now: float) -> None:
        """A caller comes, and is the last for now."""
        self.waiting.append(waiting)
        self._tell("queue.entered")
        self.serve(now)

    def leaves(self, waiting: Waiting, now: float) -> None:
        """A caller goes somewhere else."""
        self._forget(waiting, now)
        self._waited(waiting, now)
        self.left_calls += 1
        self._tell("queue.left")

    def abandoned(self, waiting: Waiting, now: float) -> None:
        """A caller hung up."""
        self._forget(waiting, now)
        self._waited(waiting, now)
        if waiting.call is not None:
            waiting.call.abandoned = True
            waiting.call.note("abandoned", now, said=f"the queue {self.queue.name}")
        self.abandoned_calls += 1
        self._tell("queue.abandoned")

    def answered(self, waiting: Waiting, agent_leg: Leg | None, now: float) -> None:
        """An agent has a caller."""
        self.agents.stop(waiting.ringing_agents)
        self.waiting.remove(waiting)
        self.answered_calls += 1
        self._waited(waiting, now)
        self.waits.append(now - waiting.since)
        agent = agent_leg.party.account if agent_leg is not None else None
        if agent_leg is not None and agent is not None:
            self.agents.answered(agent)
            agent_leg.when_over.append(lambda now: self._finished(agent, now))
        self._tell("queue.answered", waited_s=round(now - waiting.since, 1))
        self.serve(now)

    def unanswered(self, waiting: Waiting, now: float) -> None:
        """None of those who were rung for a caller answered."""
        self.agents.stop(waiting.ringing_agents)
        self.agents.unanswered(waiting.ringing_agents, self.queue, now)
        waiting.attempt, waiting.ringing_agents = None, ()
        self._tell("queue.unanswered")
        # Not in the middle of this: the next agent may be one that cannot be rung either.
        self._exchange.wake(now, self)

    def wake_at(self, waiting: Waiting, now: float) -> None:
        """Look after a caller when its time has come."""
        at = waiting.next_time()
        if at != float("inf"):
            self._exchange.wake(max(at, now), waiting)

    # What it does

    def follow(self, queue: Queue | None, now: float) -> None:
        """The plan has changed; None: there is no such queue any more, and all go on."""
        if queue is None:
            for waiting in list(self.waiting):
                waiting.go(Outcome.DONE, now)
            return
        self.queue = queue
        for waiting in self.waiting:
            self.wake_at(waiting, now)
        self.serve(now)

    def serve(self, now: float) -> None:
        """Ring free agents for those who have waited longest."""
        if self.waiting and not self.agents.anybody_there(self.queue, now):
            for waiting in list(self.waiting):
                waiting.go(Outcome.UNREACHABLE, now)
        for waiting in list(self.waiting):
            if waiting.attempt is not None or waiting.leg is None:
                continue
            agents = tuple(self.agents.choose(self.queue, now))
            if not agents:
                break
            self._ring(waiting, waiting.leg, agents, now)
        self._look_later(now)

    def expire(self, now: float) -> None:
        """Somebody may have become free."""
        self._looks = False
        self.serve(now)

    def _ring(self, waiting: Waiting, leg: Leg, agents: tuple[str, ...], now: float) -> None:
        self.agents.ring(agents)
        attempt = self._make_bridge(agents, float(self.queue.ring_s), leg, self.queue, now)
        waiting.offer(attempt, agents, now)

    def _look_later(self, now: float) -> None:
        if not self._looks and any(waiting.attempt is None for waiting in self.waiting):
            self._looks = True
            self._exchange.wake(now + LOOK_EVERY_S, self)

    def _finished(self, agent: str, now: float) -> None:
        self.agents.finished(agent, self.queue, now)
        if self.waiting:
            self._exchange.wake(now + self.queue.wrap_up_s, self)

    def _forget(self, waiting: Waiting, now: float) -> None:
        if waiting in self.waiting:
            self.waiting.remove(waiting)
        self.agents.stop(waiting.ringing_agents)
        attempt, waiting.attempt = waiting.attempt, None
        if attempt is not None:
            attempt.give_up(now)

    @staticmethod
    def _waited(waiting: Waiting, now: float) -> None:
        if waiting.call is not None:
            waiting.call.waited(now - waiting.since)

    def _tell(self, kind: str, **facts: object) -> None:
        self._exchange.tell(kind, queue=self.queue.name, waiting=len(self.waiting), **facts)
