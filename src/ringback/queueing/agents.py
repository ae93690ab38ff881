"""Who answers a queue: which agents are there and free, and whose turn it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from ringback.store.plan.groups import Queue

RETRY_AFTER_S: Final = 15.0
"""So long an agent who did not answer is left alone, unless wrap-up is longer."""


class AgentState(Enum):
    """Why an agent gets a call, or does not; the value is shown to people."""

    FREE = "free"
    RINGING = "ringing"
    BUSY = "busy"
    WRAP_UP = "wrap-up"
    RESTING = "did not answer"
    DO_NOT_DISTURB = "do not disturb"
    UNREACHABLE = "unreachable"
    AWAY = "logged out"


THERE: Final = frozenset(AgentState) - {
    AgentState.AWAY, AgentState.UNREACHABLE, AgentState.DO_NOT_DISTURB,
}  # fmt: skip
"""States of agents who will answer sooner or later."""


class Presence(Protocol):
    """What is known of extensions."""

    def busy(self, extension: str) -> bool:
        """Whether one of its devices is in a call, or rings."""

    def reachable(self, extension: str) -> bool:
        """Whether a device is registered."""

    def do_not_disturb(self, extension: str) -> bool:
        """Whether its holder wants no calls."""


class LoggedOut:
    """Agents who get no calls of any queue until they log in again; whoever changes it keeps it."""

    def __init__(self, agents: Collection[str] = ()) -> None:
        self.agents = set(agents)

    def __contains__(self, agent: str) -> bool:
        return agent in self.agents


class WrapUps:
    """Until when agents are left alone after a call, by whichever queue it came; all queues share it."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def begin(self, agent: str, until: float) -> None:
        """A call of a queue is over."""
        self._until[agent] = max(until, self._until.get(agent, 0.0))

    def lasts(self, agent: str, now: float) -> bool:
        """Whether an agent is not to be rung yet."""
        until = self._until.get(agent)
        if until is not None and now >= until:
            del self._until[agent]
        return agent in self._until


@dataclass(slots=True)
class _Agent:
    ringing: bool = False
    rests_until: float = 0.0
    calls: int = 0


@dataclass(slots=True)
class Agents:
    """The agents of one queue; sans-IO."""

    presence: Presence
    logged_out: LoggedOut
    wrap_ups: WrapUps
    last: str | None = None
    """Who was rung last: with round robin the next one is first."""
    _agents: dict[str, _Agent] = field(default_factory=dict)

    def state(self, agent: str, now: float) -> AgentState:
        """What an agent does."""
        known = self._agents.get(agent, _Agent())
        if agent in self.logged_out:
            return AgentState.AWAY
        if known.ringing:
            return AgentState.RINGING
        if self.presence.busy(agent):
            return AgentState.BUSY
        if self.wrap_ups.lasts(agent, now):
            return AgentState.WRAP_UP
        if self.presence.do_not_disturb(agent):
            return AgentState.DO_NOT_DISTURB
        if not self.presence.reachable(agent):
            return AgentState.UNREACHABLE
        if now < known.rests_until:
            return AgentState.RESTING
        return AgentState.FREE

    def calls(self, agent: str) -> int:
        """How many calls of the queue an agent has answered."""
        known = self._agents.get(agent)
        return known.calls if known is not None else 0

    def anybody_there(self, queue: Queue, now: float) -> bool:
        """Whether somebody will answer sooner or later."""
        return any(self.state(agent, now) in THERE for agent in queue.agents)

    def choose(self, queue: Queue, now: float) -> Sequence[str]:
        """Whom the next caller rings; nobody while all are busy."""
        order = queue.agents
        if queue.strategy == "round-robin" and self.last in order:
            first = order.index(self.last) + 1
            order = order[first:] + order[:first]
        free = [agent for agent in order if self.state(agent, now) is AgentState.FREE]
        return free if queue.strategy == "all" else free[:1]

    # What happens to them

    def ring(self, agents: Sequence[str]) -> None:
        """These are rung for a caller."""
        for agent in agents:
            self._of(agent).ringing = True
            self.last = agent

    def stop(self, agents: Sequence[str]) -> None:
        """They are rung no more."""
        for agent in agents:
            self._of(agent).ringing = False

    def unanswered(self, agents: Sequence[str], queue: Queue, now: float) -> None:
        """They did not answer, and are tried again later."""
        for agent in agents:
            self._of(agent).rests_until = now + max(RETRY_AFTER_S, queue.wrap_up_s)

    def answered(self, agent: str) -> None:
        """One has a caller."""
        self.last = agent
        self._of(agent).calls += 1

    def finished(self, agent: str, queue: Queue, now: float) -> None:
        """Its call of the queue is over."""
        self.wrap_ups.begin(agent, now + queue.wrap_up_s)

    def _of(self, agent: str) -> _Agent:
        return self._agents.setdefault(agent, _Agent())
