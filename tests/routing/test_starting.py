"""Where a call begins: service numbers, meetings, features, calls by trunks, and emergencies first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.config.routing import FEATURE_CODES
from ringback.routing.steps import (
    CheckMessages,
    Decision,
    Echo,
    EnterMeeting,
    Feature,
    GoOut,
    Refuse,
    Ring,
    Say,
)
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.outbound import Blocked, Route
from ringback.store.plan.safety import EmergencyTest, Location
from ringback.store.plan.target import Target
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan
from tests.routing.office import Office, said, trunk

HERE = Location(name="here", title="Head office", address="1 Example Street", callback="+14155550177")


def test_numbers_of_the_system() -> None:
    office = Office()
    assert isinstance(office.call("600").step, Echo)
    assert office.call("700").step == EnterMeeting(meeting=None)
    found = office.call("481516234")
    assert isinstance(found.step, EnterMeeting)
    assert found.step.meeting == office.directory.meeting("481516234")


def test_meetings_are_open_to_anybody_and_nothing_else_is() -> None:
    office = Office()
    for by in (None, "1001", "v-visitor"):
        assert isinstance(office.call("481516234", by=by).step, EnterMeeting)
        assert isinstance(office.call("700", by=by).step, EnterMeeting)
    for dialled in ("600", "1002", "*97", "9999", "+14155550100", "911"):
        assert not isinstance(office.call(dialled, by=None).step, EnterMeeting)


def test_every_code_is_a_feature_with_what_was_dialled_after_it() -> None:
    office = Office(MailboxPlan(name="1001"))
    for name, code in FEATURE_CODES.items():
        if not name.startswith("voicemail"):
            assert office.call(code).step == Feature(name=name)
    assert office.call("*721002").step == Feature(name="forward-always-on", argument="1002")
    assert office.call("*72+14155550100").step == Feature(name="forward-always-on", argument="+14155550100")
    assert office.call("**1002").step == Feature(name="directed-pickup", argument="1002")
    assert office.call("*8871").step == Feature(name="unpark", argument="71")
    assert office.call("*97").step == CheckMessages(extension="1001")
    assert office.call("*98").step == CheckMessages(extension=None)
    assert isinstance(office.call("*8000").step, Refuse)
    assert isinstance(office.call("*97", by="1002").step, Refuse)


def test_the_night_switch_is_for_those_whose_role_has_it() -> None:
    for role in (None, Role(name="standard"), Role(name="other", night_switch=False)):
        office = Office(*([role] if role is not None else []))
        assert office.call("*28802").step == Feature(name="night-switch", argument="802")
    office = Office(Role(name="standard", night_switch=False))
    decision = office.call("*28802")
    assert isinstance(decision.step, Refuse)
    assert decision.step.why == "the role standard may not use the night switch"
    assert office.call("*78").step == Feature(name="dnd-on")


def test_codes_are_as_they_are_set() -> None:
    office = Office()
    office.services = office.services.__class__(
        "600", frozenset(), codes={"pickup": "*1", "park": "", "unpark": "*12"}
    )
    assert office.call("*1").step == Feature(name="pickup")
    assert office.call("*123").step == Feature(name="unpark", argument="3")
    assert isinstance(office.call("*68").step, Refuse)


def test_places_of_the_plan_have_numbers() -> None:
    hello = Announcement(name="hello", number="250", words="Hello.", then="extension:1002")
    decision = Office(hello).call("250")
    assert decision.step == Say(
        announcement=hello, onward=decision.step.onward, path=(Target("announcement", "hello"),)
    )
    assert set(decision.step.onward.values()) == {Target("extension", "1002")}


def test_targets_that_do_not_exist_are_dead_ends() -> None:
    for kind in ("group", "queue", "menu", "hours", "announcement", "mailbox", "meeting"):
        step = Office().go(f"{kind}:999").step
        assert isinstance(step, Refuse)
        assert (step.status, step.dead_end, step.why) == (404, True, f"{kind}:999 does not exist")
    for target, status in (("busy", 486), ("hangup", 603)):
        step = Office().go(target).step
        assert isinstance(step, Refuse)
        assert (step.status, step.dead_end, step.loop) == (status, False, False)


def test_going_back_in_a_menu_is_no_circle_but_a_menu_that_falls_back_to_itself_is() -> None:
    office = Office(
        Menu(name="main", number="200", words=".", keys={"1": "menu:sub"}, otherwise="menu:sub"),
        Menu(name="sub", words=".", keys={"*": "menu:main"}, otherwise="menu:main"),
    )
    assert not isinstance(office.go("menu:main").step, Refuse)
    circle = office.go("menu:main", "menu:main", "menu:sub").step
    assert isinstance(circle, Refuse)
    assert circle.loop


# By a trunk


def by_trunk(leads_to: str, *values: Value, dialled: str = "+14155550100", **details: object) -> Decision:
    first = trunk("first", dids={"+14155550100": leads_to}, **details)
    return Office(*values, trunks=(first, trunk("second"))).call(
        dialled, trunk="first", number="+14155550199"
    )  # type: ignore[arg-type]


def test_a_number_of_a_trunk_leads_to_a_number_or_a_target() -> None:
    assert by_trunk("1002").step.path == (Target("extension", "1002"),)
    assert by_trunk("extension:1002").step.path == (Target("extension", "1002"),)
    assert isinstance(by_trunk("600").step, Echo)
    assert by_trunk("700").step == EnterMeeting(meeting=None)
    assert isinstance(by_trunk("481516234").step, EnterMeeting)
    assert by_trunk("*98").step == CheckMessages(extension=None)
    assert said(by_trunk("extension:1002"))[0] == "trunk first: its number leads to extension:1002"


@pytest.mark.parametrize("dialled", ["+14155550100", "14155550100", "4155550100"])
def test_a_number_of_a_trunk_is_found_however_the_carrier_writes_it(dialled: str) -> None:
    assert isinstance(by_trunk("1002", dialled=dialled).step, Ring)


def test_what_a_trunk_does_not_have_leads_nowhere_whatever_it_dials() -> None:
    for dialled in ("1002", "481516234", "600", "911", "*78", "+14155550101"):
        step = by_trunk("1002", dialled=dialled).step
        assert isinstance(step, Refuse)
        assert (step.status, step.dead_end) == (404, True)
    assert isinstance(by_trunk("*78").step, Refuse)
    assert isinstance(by_trunk("1002", enabled=False).step, Refuse)


def test_only_transit_lets_a_call_out_again_directly() -> None:
    for leads_to in ("+442079460000", "outside:+442079460000"):
        step = by_trunk(leads_to).step
        assert isinstance(step, Refuse)
        assert step.status == 403
        through = by_trunk(leads_to, transit=True).step
        assert isinstance(through, GoOut)
        assert (through.payer, through.emergency) == ("trunk:first", False)


def test_help_is_called_by_a_trunk_where_just_that_number_was_dialled_there() -> None:
    house = trunk("house", dids={"911": "911", "+14155550100": "911"}, transit=True)
    office = Office(trunks=(house, trunk("first")))
    step = office.call("911", trunk="house", number="+14155550199").step
    assert isinstance(step, GoOut)
    assert (step.payer, step.emergency) == ("trunk:house", True)
    unasked = office.call("+14155550100", trunk="house", number="+14155550199").step
    assert isinstance(unasked, Refuse)
    assert (unasked.status, unasked.dead_end) == (403, True)


# Emergencies


def ways(decision: Decision) -> list[str]:
    assert isinstance(decision.step, GoOut)
    assert decision.step.emergency
    assert {way.number for way in decision.step.ways} == {"911"}
    return [way.trunk.name for way in decision.step.ways]


def test_nothing_holds_an_emergency_call_back() -> None:
    against = (
        Role(name="standard", classes=()),
        Blocked(name="all", patterns=(".",)),
        Answering(name="1001", always="hangup", do_not_disturb=True),
        Route(name="none", patterns=(".",), trunks=(), roles=("nobody",)),
        Menu(name="m", number="911", words=".", keys={}),
    )
    for office in (Office(*against), Office(*against, disabled=("1001", "1002"))):
        for caller in ("1001", "1999", "", None):
            assert ways(office.call("911", by=caller)) == ["first", "second"]


@pytest.mark.parametrize(
    "number",
    ["911", "9911", "0911", "+911", "+1911", "1911", "00911", "011911", "*67911", "911#", "112", "55911"],
)
def test_no_plan_sends_anybody_there_unasked(number: str) -> None:
    line = Route(name="line", patterns=("55.", "."), trunks=("first",), strip=2)
    role = Role(name="standard", classes=("national", "international"), forward_outside=True)
    office = Office(line, role)
    for path in (("extension:1002",), ("group:sales",), ()):
        step = office.go(f"outside:{number}", *path).step
        assert isinstance(step, Refuse), path
        assert (step.status, step.dead_end, step.emergency) == (403, True, False)
    assert not isinstance(by_trunk(f"outside:{number}", line, role, transit=True).step, GoOut)


@pytest.mark.parametrize("number", ["5550911", "+14155550911", "91109", "41112", "110055512"])
def test_numbers_that_only_end_or_begin_so_are_none(number: str) -> None:
    role = Role(name="standard", classes=("national", "international"), forward_outside=True)
    every = trunk("first", prefixes=("",), strip=0)
    step = Office(role, trunks=(every,)).go(f"outside:{number}", "extension:1002").step
    assert isinstance(step, GoOut)
    assert not step.emergency


def test_a_digit_for_a_line_before_an_emergency_number_holds_it_back_no_more() -> None:
    against = (Role(name="standard", classes=()), Blocked(name="all", patterns=(".",)))
    line = Route(name="line", patterns=("9.",), trunks=("first",), strip=1)
    for office in (Office(line, *against), Office(line, *against, disabled=("1001",))):
        assert ways(office.call("9911")) == ["first", "second"]
    by_trunk = trunk("first", prefixes=("0",), strip=1)
    assert ways(Office(*against, trunks=(by_trunk,)).call("0911")) == ["first"]
    assert ways(Office(line, HERE, site="here").call("9911"))
    # A number that only ends so, and one of ours.
    plain = Office(line).call("94155550911").step
    assert isinstance(plain, GoOut)
    assert not plain.emergency
    ours = Office(line, Group(name="g", number="9911", members=("1002",))).call("9911").step
    assert isinstance(ours, Ring)


def test_the_trunks_of_the_location_come_first_and_the_others_after_them() -> None:
    there = Location(name="there", address="2 Example Street", trunks=("gone", "off", "second"))
    trunks = (
        trunk("first"),
        trunk("second", prefixes=()),
        trunk("off", enabled=False),
        trunk("in", prefixes=()),
    )
    office = Office(there, trunks=trunks, site="there")
    assert ways(office.call("911")) == ["second", "first"]
    asked = office.asked("911")
    device = asked.__class__(asked.dialled, asked.number, account="1001", emergency_location="gone")
    assert ways(office.router.start(device)) == ["second", "first"]


def test_the_devices_location_comes_before_the_persons_and_says_where_to_call_back() -> None:
    office = Office(HERE, Location(name="there", address="2 Example Street"), site="there")
    asked = office.asked("911")
    device = asked.__class__(asked.dialled, asked.number, account="1001", emergency_location="here")
    step = office.router.start(device).step
    assert isinstance(step, GoOut)
    assert step.location == HERE
    assert step.ways[0].caller_id == "+14155550177"
    usual = office.call("911").step
    assert isinstance(usual, GoOut)
    assert usual.location is not None
    assert usual.location.name == "there"


def test_trunks_that_only_routes_name_take_emergency_calls() -> None:
    office = Office(Route(name="r", patterns=("+.",), trunks=("only",)), trunks=(trunk("only", prefixes=()),))
    assert ways(office.call("911")) == ["only"]
    assert isinstance(Office(trunks=()).call("911").step, Refuse)


def test_a_test_rings_who_is_named_and_says_that_it_is_one() -> None:
    test = EmergencyTest(name="drill", extensions=("1001",), target="1003")
    office = Office(test, Answering(name="1003", do_not_disturb=True))
    step = office.call("911").step
    assert isinstance(step, Ring)
    assert step.test
    assert step.rounds[0].extensions == ("1003",)
    assert ways(office.call("911", by="1002"))


def test_a_test_outside_is_no_emergency_to_the_trunk() -> None:
    test = EmergencyTest(name="drill", extensions=("1001",), target="+14155550100")
    step = Office(test, HERE, Role(name="standard", classes=()), site="here").call("911").step
    assert isinstance(step, GoOut)
    assert (step.test, step.emergency, step.location) == (True, False, HERE)
    assert step.ways[0].number == "+14155550100"


def test_a_test_that_leads_nowhere_is_a_real_call() -> None:
    for target in ("1999", "911"):
        test = EmergencyTest(name="drill", extensions=("1001",), target=target)
        assert ways(Office(test).call("911"))


def test_slots_for_parked_calls_are_numbers_that_nothing_else_has() -> None:
    office = Office()
    office.services = replace(office.services, slots=frozenset({"705"}))
    assert office.call("705").step == Feature(name="slot", argument="705")
    assert isinstance(office.call("705", by=None).step, Refuse)
    taken = Office(Announcement(name="closed", number="705", words="We are closed."))
    taken.services = office.services
    assert isinstance(taken.call("705").step, Say)


def test_a_trunks_number_that_leads_to_nothing_is_a_dead_end() -> None:
    office = Office(trunks=(trunk("first", dids={"+14155550100": "1999"}),))
    step = office.call("+14155550100", by="+4930123", trunk="first").step
    assert isinstance(step, Refuse)
    assert (step.status, step.dead_end) == (403, True)
    assert "nothing here has the number" in step.why
