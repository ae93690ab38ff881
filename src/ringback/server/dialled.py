"""What is done by dialling: pickup, parking, do not disturb, forwarding, the night switch, agents' log-in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import msgspec
import structlog

from ringback.call.application import Application
from ringback.call.ask_number import AskNumber
from ringback.call.bridge import Bridge
from ringback.call.leg import Leg
from ringback.call.onward import Onward
from ringback.call.park import ParkHere, ParkingLot, Retrieve
from ringback.call.pick_up import PickUp
from ringback.call.prompts import say_digits
from ringback.call.switchboard import Switchboard
from ringback.call.told import Told
from ringback.routing import features
from ringback.routing.steps import Feature
from ringback.server.company import Acts, Background
from ringback.server.destinations import Call, Refusal
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.target import Target
from ringback.store.plan.value import Value

_NOT_POSSIBLE: Final = ("prompt:not-possible",)
_NAME: Final = {
    "always": "prompt:forward-always",
    "busy": "prompt:forward-busy",
    "no_answer": "prompt:forward-no-answer",
    "unreachable": "prompt:forward-unreachable",
}

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[list[str]]]
"""Changes something, and says in sounds what it is now."""


class Plans(Protocol):
    """Keeps values of the plan."""

    async def put(self, kind: str, name: str, fields: Mapping[str, Any], by: str) -> object:
        """Make a value, or change the one of that name."""


class AgentDesk(Protocol):
    """Where agents log in and out."""

    async def set_agent(self, agent: str, there: bool) -> bool:
        """Let an agent of any queue get calls, or none; False where it is no agent."""


class Dialled:
    """Carries out `Feature`."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        lot: ParkingLot,
        directory: Callable[[], Directory],
        plans: Callable[[], Plans],
        agents: AgentDesk,
        acts: Acts,
        background: Background,
        pick_up_all: bool,
    ) -> None:
        self._switchboard = switchboard
        self._lot = lot
        self._directory = directory
        self._plans = plans
        self._agents = agents
        self._acts = acts
        self._background = background
        self._pick_up_all = pick_up_all

    def build(self, step: Feature, call: Call, onward: Onward, now: float) -> Application | Refusal:
        """What a code leads to; all of them are for extensions alone, and change what is their own."""
        del onward, now
        account, argument = call.asked.account, step.argument
        if account is None or self._directory().extension(account) is None:
            return Refusal(403, "Not without an extension")
        match step.name:
            case features.PICKUP:
                return PickUp(partial(self._ringing, account, None))
            case features.DIRECTED_PICKUP:
                return PickUp(partial(self._ringing, account, argument))
            case features.PARK:
                return ParkHere(self._lot, argument or None, account)
            case features.UNPARK:
                return Retrieve(self._lot, argument)
            case features.SLOT if self._lot.at(argument) is None:
                return ParkHere(self._lot, argument, account)
            case features.SLOT:
                return Retrieve(self._lot, argument)
            case features.DND_ON | features.DND_OFF:
                return self._at_once(partial(self._disturb, account, step.name == features.DND_ON))
            case features.NIGHT_SWITCH:
                return self._at_once(partial(self._switch, account, argument))
            case features.AGENT_IN | features.AGENT_OUT:
                return self._at_once(partial(self._agent, account, step.name == features.AGENT_IN))
        if step.name in features.FORWARD_OFF:
            return self._at_once(partial(self._forward, account, features.FORWARD_OFF[step.name], ""))
        if step.name in features.FORWARD_ON:
            field = features.FORWARD_ON[step.name]

            def forward(number: str, told: Told) -> None:
                self._do(partial(self._forward, account, field, number), told)

            return AskNumber(self._switchboard, forward, argument or None)
        return Refusal(501, "Not served here")

    # Pickup

    def _ringing(self, account: str, wanted: str | None) -> Leg | None:
        """The call that rings longest at one of those whose calls the account may take."""
        company = self._company(account)
        if wanted is None:
            numbers = company
        elif wanted in company or self._pick_up_all:
            numbers = frozenset((wanted,))
        else:
            return None
        ringing = (
            leg
            for number in numbers - {account}
            for leg in self._switchboard.legs_of(number)
            if isinstance(leg.application, Bridge) and leg.application.rings(leg)
        )
        return min(ringing, key=lambda leg: leg.created, default=None)

    def _company(self, account: str) -> frozenset[str]:
        """Everybody who is in a group or queue with the account."""
        plan = self._directory().plan
        groups = [group.members for group in plan.all(Group).values()]
        groups += [queue.agents for queue in plan.all(Queue).values()]
        return frozenset(number for members in groups if account in members for number in members)

    # Changes

    def _at_once(self, work: Work) -> AskNumber:
        return AskNumber(self._switchboard, lambda _, told: self._do(work, told), "")

    def _do(self, work: Work, told: Told) -> None:
        async def done() -> None:
            try:
                sounds = await work()
            except Exception as error:
                # A database that is away, or a plan that would not agree: the caller hears that.
                log.warning("what was dialled could not be done", reason=type(error).__name__)
                sounds = list(_NOT_POSSIBLE)

            def say(_: float) -> int:
                told.say(sounds)
                return 1

            self._acts.act(say)

        self._background.spawn(done())

    async def _disturb(self, account: str, on: bool) -> list[str]:
        await self._put(self._answering(account), account, do_not_disturb=on)
        return ["prompt:do-not-disturb", _on(on)]

    async def _forward(self, account: str, field: str, number: str) -> list[str]:
        target = self._target(number, account)
        if target is None and number:
            return list(_NOT_POSSIBLE)
        await self._put(self._answering(account), account, **{field: str(target or "")})
        if target is None:
            return [_NAME[field], _on(False)]
        return [_NAME[field], "prompt:set-to", *say_digits(number)]

    async def _switch(self, account: str, number: str) -> list[str]:
        """Closed by hand, or back to the clock."""
        plan = self._directory().plan
        all_hours = plan.all(Hours)
        target = plan.numbers.get(number)
        name = target.name if target is not None and target.kind == "hours" else ""
        if not number and len(all_hours) == 1:
            name = next(iter(all_hours))
        hours = all_hours.get(name)
        if hours is None:
            return list(_NOT_POSSIBLE)
        switch = "" if hours.switch else "closed"
        await self._put(hours, account, switch=switch)
        return ["prompt:closed" if switch else "prompt:by-the-clock"]

    async def _agent(self, account: str, there: bool) -> list[str]:
        if not await self._agents.set_agent(account, there):
            return list(_NOT_POSSIBLE)
        return ["prompt:logged-in" if there else "prompt:logged-out"]

    def _answering(self, account: str) -> Answering:
        return self._directory().plan.get(Answering, account) or Answering(name=account)

    async def _put(self, value: Value, by: str, **changes: object) -> None:
        fields = {**msgspec.to_builtins(value), **changes}
        name = fields.pop("name")
        kind = "answering" if isinstance(value, Answering) else "hours"
        await self._plans().put(kind, name, fields, f"extension {by}")

    def _target(self, number: str, account: str) -> Target | None:
        """What a number that was keyed in leads to; None where it may not, or is the caller's own."""
        directory = self._directory()
        if not number or number == account:
            return None
        if directory.extension(number) is not None:
            return Target("extension", number)
        if directory.meeting(number) is not None:
            return Target("meeting", number)
        own = directory.plan.numbers.get(number)
        if own is not None:
            return own
        return Target("outside", number) if self._may_go_outside(account) else None

    def _may_go_outside(self, account: str) -> bool:
        directory = self._directory()
        extension = directory.extension(account)
        person = directory.people.get(extension.person_id or "") if extension is not None else None
        role = directory.plan.get(Role, person.role if person is not None else "standard")
        return role is not None and role.forward_outside


def _on(on: bool) -> str:
    return "prompt:activated" if on else "prompt:deactivated"
