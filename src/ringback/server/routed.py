"""A call's way: what routing decided is carried out, and asked for again when a step came to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.farewell import Farewell
from ringback.call.leg import Leg
from ringback.call.party import LegState
from ringback.call.records import Call as Record
from ringback.call.transfer import Handover, Unasked
from ringback.governance.private import Private
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.numbers import DialString
from ringback.routing.router import Router
from ringback.routing.steps import (
    Ask,
    Asked,
    CheckMessages,
    Decision,
    Echo,
    EnterMeeting,
    Feature,
    GoOut,
    LeaveMessage,
    Outcome,
    Refuse,
    Ring,
    Say,
    Step,
    Wait,
)
from ringback.server.destinations import Call, Destinations, Refusal
from ringback.store.directory import Directory
from ringback.store.plan.outbound import Blocked
from ringback.store.plan.target import Target

_TIMELESS: Final = frozenset({"trunk", "extension", "answering"})
"""Kinds of rules that say the same at all times, to whoever calls."""
_MOST_KNOWN: Final = 10_000


class Routing(Protocol):
    """What decides."""

    def first(self, asked: Asked) -> Decision:
        """The first step of a call."""

    def next(self, asked: Asked, target: Target, path: tuple[Target, ...], why: Outcome) -> Decision:
        """The step that `target` is, for a call that passed `path` and ended there with `why`."""

    def calls_help(self, number: str) -> bool:
        """Whether an extension that dials this calls an emergency number, also behind a digit for a line."""


class PlanRouting:
    """The router, with the directory and the time as they are when it is asked."""

    def __init__(
        self,
        directory: Callable[[], Directory],
        services: ServiceNumbers,
        clock: Callable[[], datetime],
        turns: Mapping[str, int],
    ) -> None:
        """`clock` gives times that know their zone; `turns` whose turn it is in groups, by their names."""
        self._directory = directory
        self._services = services
        self._clock = clock
        self._turns = turns
        # Most calls go to an extension, and the same way again until the directory changes.
        self._known: dict[tuple[Private[str], str | None, str | None], Decision] = {}
        self._known_by = directory()

    def first(self, asked: Asked) -> Decision:
        """The first step of a call."""
        directory = self._directory()
        if directory is not self._known_by:
            self._known.clear()
            self._known_by = directory
        key = asked.dialled, asked.account, asked.trunk
        decision = self._known.get(key)
        if decision is None:
            decision = self._router().start(asked)
            if _always_so(decision, directory) and len(self._known) < _MOST_KNOWN:
                self._known[key] = decision
        return decision

    def next(self, asked: Asked, target: Target, path: tuple[Target, ...], why: Outcome) -> Decision:
        """The step after that."""
        return self._router().go(target, asked, path, why)

    def calls_help(self, number: str) -> bool:
        """Whether an extension that dials this calls an emergency number, also behind a digit for a line."""
        return self._router().calls_help(number)

    def _router(self) -> Router:
        return Router(self._directory(), self._services, self._clock(), self._turns)


def _always_so(decision: Decision, directory: Directory) -> bool:
    """Whether nothing but the directory, and who calls what, has led to it: no time, turn or number."""
    step = decision.step
    return (
        isinstance(step, Ring)
        and step.called.kind == "extension"
        and not step.test
        and all(rule.kind in _TIMELESS for rule in decision.rules)
        and not directory.plan.all(Blocked)
    )


class Ways:
    """Finds the way of each call; sans-IO."""

    def __init__(self, routing: Routing, destinations: Destinations) -> None:
        self.routing = routing
        self._destinations = destinations

    def first(self, asked: Asked) -> Decision:
        """The first step of a call; nothing has happened yet."""
        return self.routing.first(asked)

    def calls_help(self, dialled: DialString | None) -> bool:
        """Whether an extension that dials this calls an emergency number, also behind a digit for a line."""
        return dialled is not None and self.routing.calls_help(dialled.number)

    def take(self, step: Step, call: Call, now: float) -> Application | Refusal:
        """What the call is connected to for this step; what comes after it is asked for by itself."""
        return self._destinations.build(step, call, _Way(self, step, call), now)


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
        # Who chose by a key is in no circle, wherever that leads back to.
        path = self._step.path if target is None else ()
        target = target or self._step.onward.get(outcome)
        if target is None or leg.state not in (LegState.OFFERED, LegState.CONNECTED):
            return False
        # Who asked that one phone answers by itself did not ask that of any other.
        call = replace(self._call, why=outcome, answers_itself=False)
        decision = self._ways.routing.next(call.asked, target, path, outcome)
        leg.call.note("forwarded", now, by=_rung(self._step), to=str(target), said=outcome.value)
        note_way(leg.call, decision)
        application = self._ways.take(decision.step, call, now)
        if leg.state is LegState.OFFERED:
            _offer(leg, application, now, forwarded=isinstance(decision.step, Ring | GoOut))
        else:
            _give(leg, application, handover or _Continued(leg), now)
        return True


def note_way(record: Record, decision: Decision) -> None:
    """Keep for the call's record which rules it passed, and where they led."""
    step = decision.step
    record.passed(decision.rules)
    record.called = record.called or _led_to(step)
    record.emergency = record.emergency or is_urgent(step)


def is_urgent(step: Step) -> bool:
    """Whether somebody calls for help, whether or not a way out was found."""
    return isinstance(step, GoOut | Refuse) and step.emergency


def _rung(step: Step) -> str:
    """Who was called by a step, where that is somebody."""
    return step.called.name if isinstance(step, Ring) else ""


def _led_to(step: Step) -> str:
    """What a number leads to, as a target where there is one for it; a refusal leads nowhere."""
    match step:
        case Ring():
            return str(step.called)
        case GoOut(ways=(way, *_)):
            return f"outside:{way.number}"
        case Wait():
            return f"queue:{step.queue.name}"
        case Ask():
            return f"menu:{step.menu.name}"
        case Say():
            return f"announcement:{step.announcement.name}"
        case LeaveMessage():
            return f"mailbox:{step.extension}"
        case CheckMessages():
            return "messages"
        case EnterMeeting():
            return f"meeting:{step.meeting.number}" if step.meeting is not None else "meeting"
        case Echo():
            return "echo"
        case Feature():
            return f"feature:{step.name}"
    return ""


class _Continued(Unasked):
    """How a connected leg goes on: nobody gets it back, so it hears when nobody is there."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg

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
