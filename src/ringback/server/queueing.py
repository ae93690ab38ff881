"""Queues as the server has them: who is busy, whom they ring, who is logged out, what the API shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ringback.call.bridge import Bridge
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere
from ringback.call.switchboard import Switchboard
from ringback.queueing.queues import Queues, QueueShown
from ringback.queueing.waiting import Waiting
from ringback.routing.steps import Asked, Ring, Round, Wait
from ringback.server.company import Acts, party_named
from ringback.server.destinations import Call, Destinations
from ringback.sip.registration import Registrar
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering
from ringback.store.plan.groups import Queue
from ringback.store.plan.target import Target
from ringback.store.values import Values
from ringback.web.operations import QueueAgent, QueueCaller, QueueStatus

_LOGGED_OUT: Final = "queue-agents-logged-out"


class _Extensions:
    """What queues know of agents' extensions."""

    def __init__(
        self, switchboard: Switchboard, registrar: Registrar, directory: Callable[[], Directory]
    ) -> None:
        self._switchboard = switchboard
        self._registrar = registrar
        self._directory = directory

    def busy(self, extension: str) -> bool:
        """Whether one of its devices is in a call, or rings."""
        return any(not leg.over for leg in self._switchboard.legs_of(extension))

    def reachable(self, extension: str) -> bool:
        """Whether a device is registered, and may be called."""
        known = self._directory().extension(extension)
        enabled = known is not None and known.enabled
        return enabled and bool(self._registrar.bindings(extension, time.monotonic()))

    def do_not_disturb(self, extension: str) -> bool:
        """Whether its holder wants no calls."""
        answering = self._directory().plan.get(Answering, extension)
        return answering is not None and answering.do_not_disturb


class QueueDesk:
    """Carries out `Wait`, and keeps who is logged out."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        registrar: Registrar,
        destinations: Destinations,
        directory: Callable[[], Directory],
        values: Values,
        acts: Acts,
    ) -> None:
        self._destinations = destinations
        self._directory = directory
        self._values = values
        self._acts = acts
        extensions = _Extensions(switchboard, registrar, directory)
        self.queues = Queues(switchboard, extensions, self._ring)

    def build(self, step: Wait, call: Call, onward: Onward, now: float) -> Waiting:
        """One caller's place in the line."""
        del call, now
        return self.queues.wait(step.queue, onward)

    def follow(self, now: float) -> None:
        """The plan has changed."""
        plan = self._directory().plan
        self.queues.follow(lambda name: plan.get(Queue, name), now)

    async def restore(self) -> None:
        """Who was logged out still is."""
        self.queues.logged_out.agents.update(await self._values.get(_LOGGED_OUT) or ())

    async def set_agent(self, agent: str, there: bool) -> bool:
        """Let an agent of any queue get calls, or none; False where it is no agent."""
        if not any(agent in queue.agents for queue in self._directory().plan.all(Queue).values()):
            return False
        out = self.queues.logged_out.agents
        # It counts when it is kept.
        await self._values.set(_LOGGED_OUT, sorted(out - {agent} if there else out | {agent}))

        def act(now: float) -> int:
            (self.queues.log_in if there else self.queues.log_out)(agent, now)
            return 1

        self._acts.act(act)
        return True

    def shown(self) -> list[QueueStatus]:
        """How all queues do, by name."""
        now = time.monotonic()
        plan = self._directory().plan
        return [_status(self.queues.shown(queue, now)) for _, queue in sorted(plan.all(Queue).items())]

    def _ring(self, agents: tuple[str, ...], for_s: float, leg: Leg, queue: Queue, now: float) -> Bridge:
        """What rings agents for a caller, whose name they see behind the queue's."""
        step = Ring(rounds=(Round(agents, for_s),), called=Target("queue", queue.name), call_waiting=False)
        asked = Asked(queue.number, leg.party.number, leg.party.account, leg.party.trunk)
        party = party_named(leg.party, queue.title or queue.name, self._directory())
        call = Call(asked, party, leg.flow)
        made = self._destinations.build(step, call, nowhere, now)
        assert isinstance(made, Bridge), "phones are rung by a bridge"
        return made


def _status(shown: QueueShown) -> QueueStatus:
    return QueueStatus(
        name=shown.name,
        title=shown.title,
        waiting=tuple(QueueCaller(str(one.leg), one.waited_s, one.ringing) for one in shown.waiting),
        agents=tuple(QueueAgent(agent.extension, agent.state, agent.calls) for agent in shown.agents),
        answered=shown.answered,
        abandoned=shown.abandoned,
        left=shown.left,
        longest_wait_s=shown.longest_wait_s,
        average_wait_s=shown.average_wait_s,
    )
