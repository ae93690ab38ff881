"""All queues that somebody waits in or has called, by name; what the API shows of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringback.call.onward import Onward
from ringback.queueing.agents import LoggedOut, Presence, WrapUps
from ringback.queueing.line import QueueExchange, WaitingLine
from ringback.queueing.waiting import MakeBridge, Waiting
from ringback.store.plan.groups import Queue


@dataclass(frozen=True, slots=True)
class WaitingCaller:
    """Somebody in the line: the leg, and for how long it has waited."""

    leg: int
    waited_s: float
    ringing: bool


@dataclass(frozen=True, slots=True)
class AgentShown:
    """An agent: its extension, what it does, and how many calls of this queue it has had."""

    extension: str
    state: str
    calls: int


@dataclass(frozen=True, slots=True)
class QueueShown:
    """How a queue does; counts are since the start, `average_wait_s` is of the last calls (None: no call)."""

    name: str
    title: str
    waiting: tuple[WaitingCaller, ...]
    agents: tuple[AgentShown, ...]
    answered: int
    abandoned: int
    left: int
    longest_wait_s: float
    average_wait_s: float | None


class Queues:
    """Makes callers wait, each in the line of its queue; sans-IO."""

    def __init__(
        self,
        exchange: QueueExchange,
        presence: Presence,
        make_bridge: MakeBridge,
        logged_out: LoggedOut | None = None,
    ) -> None:
        self.logged_out = logged_out or LoggedOut()
        self._exchange = exchange
        self._presence = presence
        self._make_bridge = make_bridge
        self._wrap_ups = WrapUps()
        self._lines: dict[str, WaitingLine] = {}

    def wait(self, queue: Queue, onward: Onward) -> Waiting:
        """The application for one caller."""
        return Waiting(self._line(queue), onward)

    def follow(self, find: Callable[[str], Queue | None], now: float) -> None:
        """The plan has changed: queues in progress go on as it says now."""
        for name, line in list(self._lines.items()):
            queue = find(name)
            line.follow(queue, now)
            if queue is None:
                del self._lines[name]

    def log_in(self, agent: str, now: float) -> None:
        """An agent gets calls again."""
        self.logged_out.agents.discard(agent)
        self._exchange.tell("queue.agent_in")
        for line in self._lines.values():
            line.serve(now)

    def log_out(self, agent: str, now: float) -> None:
        """An agent gets no more calls; one that it has goes on."""
        self.logged_out.agents.add(agent)
        self._exchange.tell("queue.agent_out")
        for line in self._lines.values():
            line.serve(now)

    def shown(self, queue: Queue, now: float) -> QueueShown:
        """How a queue does."""
        line = self._line(queue)
        waiting = tuple(
            WaitingCaller(one.leg.id, now - one.since, one.attempt is not None)
            for one in line.waiting
            if one.leg is not None
        )
        waits = line.waits
        return QueueShown(
            queue.name,
            queue.title,
            waiting,
            tuple(
                AgentShown(agent, line.agents.state(agent, now).value, line.agents.calls(agent))
                for agent in queue.agents
            ),
            line.answered_calls,
            line.abandoned_calls,
            line.left_calls,
            max((one.waited_s for one in waiting), default=0.0),
            sum(waits) / len(waits) if waits else None,
        )

    def _line(self, queue: Queue) -> WaitingLine:
        line = self._lines.get(queue.name)
        if line is None:
            line = self._lines[queue.name] = WaitingLine(
                queue, self._exchange, self._presence, self.logged_out, self._wrap_ups, self._make_bridge
            )
        return line
