"""A call's way: what routing decided is carried out, and asked for again when a step came to nothing."""

from __future__ import annotations

from typing import Protocol

from ringback.call.application import Application
from ringback.call.farewell import Farewell
from ringback.call.leg import Leg, LegState, Party
from ringback.call.transfer import Handover
from ringback.routing.steps import Asked, Decision, GoOut, Outcome, Ring, Step
from ringback.server.destinations import Call, Destinations, Refusal
from ringback.store.plan.target import Target


class Routing(Protocol):
    """What decides: the router, with the directory and the time as they are when it is asked."""

    def first(self, asked: Asked) -> Decision:
        """The first step of a call."""

    def next(self, asked: Asked, target: Target, path: tuple[Target, ...], why: Outcome) -> Decision:
        """The step that `target` is, for a call that passed `path` and ended there with `why`."""


class Ways:
    """Finds the way of each call; sans-IO."""

    def __init__(self, routing: Routing, destinations: Destinations) -> None:
        self.routing = routing
        self._destinations = destinations

    def step(self, asked: Asked) -> Step:
        """The first step of a call; nothing has happened yet."""
        return self.routing.first(asked).step

    def take(self, step: Step, call: Call, now: float) -> Application | Refusal:
        """What the call is connected to for this step; what comes after it is asked for by itself."""
        return self._destinations.build(step, call, _Way(self, step, call), now)

    def after(self, step: Step, call: Call, target: Target, why: Outcome) -> Step:
        """The step that follows."""
        return self.routing.next(call.asked, target, step.path, why).step


class _Way:
    """The Onward of one step of one call."""

    __slots__ = ("_call", "_step", "_ways")

    def __init__(self, ways: Ways, step: Step, call: Call) -> None:
        self._ways = ways
        self._step = step
        self._call = call

    def __call__(
        self,
        leg: Leg,
        outcome: Outcome,
        now: float,
        target: Target | None = None,
        *,
        handover: Handover | None = None,
    ) -> bool:
        """Hand the leg over to what comes next; False where nothing does."""
        target = target or self._step.onward.get(outcome)
        if target is None or leg.state not in (LegState.OFFERED, LegState.CONNECTED):
            return False
        step = self._ways.after(self._step, self._call, target, outcome)
        application = self._ways.take(step, self._call, now)
        if leg.state is LegState.OFFERED:
            _offer(leg, application, now, forwarded=isinstance(step, Ring | GoOut))
        else:
            _give(leg, application, handover or _Continued(leg), now)
        return True


class _Continued:
    """How a connected leg goes on: nobody gets it back, so it hears when nobody is there."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg

    @property
    def by(self) -> Party | None:
        """Nobody transfers it."""
        return None

    def ringing(self, now: float) -> None:
        """The leg hears it."""

    def taken(self, now: float) -> None:
        """It has somebody to talk to."""

    def failed(self, status: int, now: float) -> None:
        """It hears that the way ended."""
        farewell = Farewell()
        self._leg.application = farewell
        farewell.connected(self._leg, now)


def _offer(leg: Leg, application: Application | Refusal, now: float, *, forwarded: bool) -> None:
    if isinstance(application, Refusal):
        leg.reject(application.status, now, application.reason)
        return
    if forwarded:
        leg.ring(now, 181)
    application.receive(leg, now)


def _give(leg: Leg, application: Application | Refusal, handover: Handover, now: float) -> None:
    if isinstance(application, Refusal):
        handover.failed(application.status, now)
    else:
        application.take_over(leg, handover, now)
