"""Codes that change the plan: what is written, for whom, and what the caller hears when it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ringback.call.ask_number import AskNumber
from ringback.call.onward import nowhere
from ringback.call.park import ParkHere, ParkingLot, Retrieve
from ringback.call.party import Party
from ringback.call.pick_up import PickUp
from ringback.governance.private import Private
from ringback.routing.steps import Asked, Feature
from ringback.server.company import Background
from ringback.server.destinations import Call, Refusal
from ringback.server.dialled import Dialled
from ringback.sip.flow import Flow
from ringback.store.directory import Directory, Person
from ringback.store.errors import DatabaseUnusableError
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.plan import Plan
from ringback.store.plan.value import Value
from tests.call.office import Office
from tests.conference.stage import meeting
from tests.server.door import extension

NOT_POSSIBLE = ["prompt:not-possible"]
OFFICE_HOURS = Hours(name="office", number="802")


class Desk:
    """The codes with a plan of its own, which is written to memory."""

    def __init__(self, *values: Value, role: str = "standard") -> None:
        person = Person("p1", "Ada", meeting().created_at, role)
        self.directory = Directory.of(
            [extension("101"), extension("102")], [meeting()], plan=Plan.of(values), people=[person]
        )
        self.written: list[tuple[str, str, dict[str, Any], str]] = []
        self.away = False
        self.agents: dict[str, bool] = {}
        self.office = Office()
        self.lot = ParkingLot(self.office.switchboard, ("701",), lambda *_: None)
        self.background = Background()
        self.codes = Dialled(
            switchboard=self.office.switchboard,
            lot=self.lot,
            directory=lambda: self.directory,
            plans=lambda: self,
            agents=self,
            acts=self,
            background=self.background,
            pick_up_all=False,
        )

    async def put(self, kind: str, name: str, fields: Mapping[str, Any], by: str) -> None:
        if self.away:
            raise DatabaseUnusableError("the disk is gone")
        self.written.append((kind, name, dict(fields), by))

    async def set_agent(self, agent: str, there: bool) -> bool:
        self.agents[agent] = there
        return agent == "101"

    def act(self, what: Any) -> int:
        return int(what(0.0))

    def build(self, name: str, argument: str = "", account: str | None = "101") -> object:
        flow = Flow("udp", ("192.0.2.254", 5060), ("192.0.2.1", 5060))
        call = Call(
            Asked(Private("*"), Private("101"), account), Party(Private("101"), account=account), flow
        )
        return self.codes.build(Feature(name=name, argument=argument), call, nowhere, 0.0)

    async def dial(self, name: str, argument: str = "") -> list[str]:
        """What is heard in the end."""
        told = self.build(name, argument)
        assert isinstance(told, AskNumber)
        assert told._number is not None
        told._act(told._number, told)
        await self.background.stop()
        assert told._sounds is not None
        return told._sounds


async def test_do_not_disturb_keeps_all_else() -> None:
    desk = Desk(Answering(name="101", busy="extension:102", no_answer_after_s=30))
    assert await desk.dial("dnd-on") == ["prompt:do-not-disturb", "prompt:activated"]
    ((kind, name, fields, by),) = desk.written
    assert (kind, name, by) == ("answering", "101", "extension 101")
    assert (fields["do_not_disturb"], fields["busy"], fields["no_answer_after_s"]) == (
        True, "extension:102", 30,
    )  # fmt: skip
    assert "name" not in fields


@pytest.mark.parametrize(
    ("number", "target"),
    [("102", "extension:102"), ("481516234", "meeting:481516234"), ("802", "hours:office")],
)
async def test_forwarding_to_what_is_here(number: str, target: str) -> None:
    desk = Desk(OFFICE_HOURS)
    heard = await desk.dial("forward-busy-on", number)
    assert heard[:2] == ["prompt:forward-busy", "prompt:set-to"]
    assert len(heard) == 2 + len(number)
    assert desk.written[0][2]["busy"] == target
    assert await desk.dial("forward-busy-off") == ["prompt:forward-busy", "prompt:deactivated"]
    assert desk.written[1][2]["busy"] == ""


@pytest.mark.parametrize(("role", "may"), [("standard", False), ("traveller", True)])
async def test_forwarding_outside_is_for_who_may(role: str, may: bool) -> None:
    desk = Desk(Role(name="traveller", forward_outside=True), role=role)
    (ada,) = desk.directory.people.values()
    held = [extension("102"), replace(extension("101"), person_id=ada.id)]
    desk.directory = Directory.of(held, plan=desk.directory.plan, people=[ada])
    heard = await desk.dial("forward-always-on", "0015550100")
    assert (heard != NOT_POSSIBLE) is may
    assert [fields["always"] for _, _, fields, _ in desk.written] == (["outside:0015550100"] if may else [])
    assert await desk.dial("forward-always-on", "101") == NOT_POSSIBLE, "in a circle of one"


async def test_the_night_switch_goes_there_and_back() -> None:
    desk = Desk(OFFICE_HOURS)
    assert await desk.dial("night-switch", "802") == ["prompt:closed"]
    assert await desk.dial("night-switch") == ["prompt:closed"], "there are no other hours"
    assert [fields["switch"] for _, _, fields, _ in desk.written] == ["closed", "closed"]
    desk = Desk(Hours(name="office", number="802", switch="closed"), Hours(name="shop"))
    assert await desk.dial("night-switch", "802") == ["prompt:by-the-clock"]
    assert desk.written[0][2]["switch"] == ""
    assert await desk.dial("night-switch") == NOT_POSSIBLE
    assert await desk.dial("night-switch", "999") == NOT_POSSIBLE


async def test_what_cannot_be_kept_is_said() -> None:
    desk = Desk()
    desk.away = True
    assert await desk.dial("dnd-on") == NOT_POSSIBLE
    assert await desk.dial("agent-out") == ["prompt:logged-out"]
    assert desk.agents == {"101": False}


async def test_codes_are_for_extensions_alone() -> None:
    desk = Desk()
    for account in (None, "v-visitor"):
        assert isinstance(desk.build("dnd-on", account=account), Refusal)
    assert isinstance(desk.build("unheard-of"), Refusal)
    assert isinstance(desk.build("slot", "701"), ParkHere)
    assert isinstance(desk.build("unpark", "701"), Retrieve)
    assert isinstance(desk.build("directed-pickup", "102"), PickUp)


def test_only_calls_of_colleagues_can_be_picked_up() -> None:
    desk = Desk(Group(name="office", members=("101", "102")), Queue(name="support", agents=("103", "104")))
    assert desk.codes._company("101") == {"101", "102"}
    assert desk.codes._company("104") == {"103", "104"}
    assert desk.codes._company("105") == frozenset()
