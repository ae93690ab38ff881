"""The way of a call from step to step: who rings, what comes after, and who is left to talk to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.onward import Onward
from ringback.media import protocol as media
from ringback.routing.outbound import ways_out
from ringback.routing.steps import (
    Asked,
    Decision,
    Echo,
    GoOut,
    Outcome,
    Refuse,
    Ring,
    Round,
    Say,
    Step,
)
from ringback.server.destinations import Call
from ringback.sip.effects import Effect, IncomingCall, Ringing
from ringback.sip.headers import Headers
from ringback.sip.message import Request, SipUri
from ringback.sip.session import InviteSession
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group
from ringback.store.plan.hours import Hours, Span
from ringback.store.plan.menu import Announcement
from ringback.store.plan.outbound import Blocked, Route
from ringback.store.plan.plan import Plan
from ringback.store.plan.target import Target
from ringback.store.plan.value import Value
from tests.call.office import offer
from tests.server.door import Door, Visitor, extension
from tests.server.test_outside import CARRIER, Carrier, trunk
from tests.sip.phones import Phone

CALLER = "192.0.2.1"


class Desk:
    """A registered phone with a manner, which may change."""

    def __init__(self, door: Door, number: str, manner: str = "ring", host: str = "") -> None:
        self.door = door
        self.manner = manner
        self.invites: list[Request] = []
        self.sessions: list[InviteSession] = []
        visitor = Visitor(door, host or f"192.0.2.{int(number) - 80}")
        self.phone = visitor.phone
        assert visitor.register(number) == 200
        self.phone.on_event = self._on_event

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, IncomingCall):
            return []
        self.invites.append(event.request)
        self.sessions.append(event.session)
        if self.manner == "answer":
            return event.session.accept(offer(phone.address[0]), phone.now)
        if self.manner == "ring":
            return event.session.ring(phone.now)
        return event.session.reject(int(self.manner), phone.now)


class Told:
    """Routing as a test says: steps by what was dialled, then by target."""

    def __init__(self, first: Step, after: Mapping[Target, Step] | None = None) -> None:
        self.steps = first
        self.after = dict(after or {})
        self.asked: list[tuple[Target, Outcome]] = []

    def first(self, asked: Asked) -> Decision:
        return Decision(self.steps)

    def next(self, asked: Asked, target: Target, path: tuple[Target, ...], why: Outcome) -> Decision:
        self.asked.append((target, why))
        return Decision(self.after[target])

    def calls_help(self, number: str) -> bool:
        return number == "911"


class Booth(Application):
    """Answers, remembers what it was told, and goes on when a test says so."""

    def __init__(self, onward: Onward) -> None:
        self.onward = onward
        self.leg: Leg | None = None
        self.heard: list[str] = []

    def offered(self, leg: Leg, now: float) -> None:
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        self.leg = leg
        self.heard.append("connected")

    def ended(self, leg: Leg, now: float) -> None:
        self.heard.append("ended")

    def go_on(self, door: Door, outcome: Outcome, target: Target | None = None) -> bool:
        assert self.leg is not None
        went = self.onward(self.leg, outcome, door.phone.now, target)
        door.phone.do(door._flush())
        door.run(1)
        return went


@pytest.fixture
def door() -> Door:
    made = Door()
    made.directory = Directory.of([extension(str(number)) for number in range(101, 106)])
    return made


@pytest.fixture
def booths(door: Door) -> list[Booth]:
    made: list[Booth] = []

    def build(step: Say, call: Call, onward: Onward, now: float) -> Booth:
        del step, call, now
        made.append(Booth(onward))
        return made[-1]

    door.destinations.register(Say, build)
    return made


ANNOUNCED = Say(announcement=Announcement(name="hello", words="Hello"))
SALES, NEXT = Target("group", "sales"), Target("extension", "103")


def ring(*numbers: str, for_s: float = 20.0, called: Target | None = None, **onward: Target) -> Ring:
    return Ring(
        rounds=(Round(numbers, for_s),),
        called=called or Target("extension", numbers[0]),
        onward={Outcome[name]: target for name, target in onward.items()},
    )


def calling(door: Door, number: str = "102") -> Visitor:
    caller = Visitor(door, CALLER)
    caller.authorized_call(number, "101")
    return caller


def rung(caller: Visitor) -> list[int]:
    return [event.status for event in caller.phone.told(Ringing)]


def in_one_room(door: Door) -> int:
    """How many legs are in the room that was joined last."""
    where: dict[int, int] = {}
    for command in door.commands:
        match command:
            case media.JoinRoom(leg=leg, room=room):
                where[leg] = room
            case media.LeaveRoom(leg=leg) | media.CloseLeg(leg=leg):
                where.pop(leg, None)
    return max((list(where.values()).count(room) for room in where.values()), default=0)


@pytest.mark.parametrize(
    ("manner", "outcome"),
    [("486", Outcome.BUSY), ("600", Outcome.BUSY), ("603", Outcome.DECLINED), ("480", Outcome.NO_ANSWER)],
)
def test_what_a_phone_says_decides_where_the_call_goes_on(door: Door, manner: str, outcome: Outcome) -> None:
    Desk(door, "102", manner)
    Desk(door, "103", "answer")
    told = door.ways.routing = Told(ring("102", **{outcome.name: NEXT}), {NEXT: ring("103")})
    caller = calling(door)
    door.run(1)
    assert told.asked == [(NEXT, outcome)]
    assert caller.status() == 200
    assert rung(caller) == [181], "the caller is told that the call is forwarded"
    assert in_one_room(door) == 2


def test_a_phone_that_rings_for_too_long_gives_way_and_stops_ringing(door: Door) -> None:
    desk = Desk(door, "102")
    Desk(door, "103", "answer")
    told = door.ways.routing = Told(ring("102", for_s=7, NO_ANSWER=NEXT), {NEXT: ring("103")})
    caller = calling(door)
    door.run(6)
    assert told.asked == []
    door.run(2)
    assert told.asked == [(NEXT, Outcome.NO_ANSWER)]
    assert caller.status() == 200
    assert "CANCEL" in [sent.name for sent in door.phone.sent if sent.flow.remote == desk.phone.address]
    assert rung(caller) == [180, 181]


def test_nobody_registered_is_unreachable(door: Door) -> None:
    Desk(door, "103", "answer")
    told = door.ways.routing = Told(ring("102", UNREACHABLE=NEXT, BUSY=SALES), {NEXT: ring("103")})
    assert calling(door).status() == 200
    assert told.asked == [(NEXT, Outcome.UNREACHABLE)]


def test_a_phone_that_vanished_is_unreachable_after_its_transaction(door: Door) -> None:
    gone = Desk(door, "102")
    door.network.link.attach(gone.phone.address, lambda *_: None)
    Desk(door, "103", "answer")
    told = door.ways.routing = Told(ring("102", for_s=60, UNREACHABLE=NEXT), {NEXT: ring("103")})
    caller = calling(door)
    door.run(33)
    assert told.asked == [(NEXT, Outcome.UNREACHABLE)]
    assert caller.status() == 200


def test_where_nothing_comes_next_the_caller_hears_what_the_phone_said(door: Door) -> None:
    Desk(door, "102", "486")
    door.ways.routing = Told(ring("102", NO_ANSWER=NEXT))
    assert calling(door).status() == 486


def test_a_caller_who_gives_up_goes_nowhere(door: Door) -> None:
    Desk(door, "102")
    told = door.ways.routing = Told(ring("102", BUSY=NEXT, NO_ANSWER=NEXT, UNREACHABLE=NEXT))
    caller = calling(door)
    session = caller.phone.told(Ringing)[0].session
    caller.phone.do(session.hangup(caller.phone.now))
    door.run(1)
    assert told.asked == []
    assert door.switchboard.legs == {}


def test_a_refusal_further_on_is_the_answer(door: Door) -> None:
    Desk(door, "102", "486")
    door.ways.routing = Told(ring("102", BUSY=NEXT), {NEXT: Refuse(status=482, why="a loop", loop=True)})
    assert calling(door).status() == 482


def test_from_an_announcement_on_to_a_phone_the_caller_hears_ringing_then_the_answer(
    door: Door, booths: list[Booth]
) -> None:
    desk = Desk(door, "102")
    door.ways.routing = Told(ANNOUNCED, {NEXT: ring("102")})
    caller = calling(door)
    assert caller.status() == 200
    (booth,) = booths
    assert booth.go_on(door, Outcome.DONE, NEXT)
    plays = [command for command in door.given(media.Play) if isinstance(command, media.Play)]
    assert plays[-1].sounds == ["tone:ringback"]
    desk.phone.do(desk.sessions[0].accept(offer("192.0.2.22"), desk.phone.now))
    door.run(1)
    assert in_one_room(door) == 2
    assert door.given(media.StopPlay)
    assert booth.heard == ["connected"], "it has nothing to do with what comes after"


def test_a_connected_caller_whom_nobody_takes_hears_the_busy_tone_and_is_hung_up(
    door: Door, booths: list[Booth]
) -> None:
    door.ways.routing = Told(ANNOUNCED, {NEXT: ring("102")})
    calling(door)
    assert booths[0].go_on(door, Outcome.DONE, NEXT)
    plays = [command for command in door.given(media.Play) if isinstance(command, media.Play)]
    assert set(plays[-1].sounds) == {"tone:busy"}
    assert door.switchboard.legs == {}


def test_a_step_that_leads_nowhere_says_so(door: Door, booths: list[Booth]) -> None:
    door.ways.routing = Told(ANNOUNCED)
    calling(door)
    assert not booths[0].go_on(door, Outcome.DONE)
    assert len(door.switchboard.legs) == 1


def test_a_step_that_no_part_carries_out_is_501(door: Door) -> None:
    door.ways.routing = Told(ANNOUNCED)
    assert calling(door).status() == 501


# Groups


def group(*members: str, strategy: str = "round-robin") -> Directory:
    plan = Plan.of([Group(name="sales", number="700", members=members, strategy=strategy)])  # type: ignore[arg-type]
    return Directory.of([extension(str(number)) for number in range(101, 106)], plan=plan)


def in_order(*numbers: str, for_s: float = 5.0) -> Ring:
    return Ring(rounds=tuple(Round((number,), for_s) for number in numbers), called=SALES)


def test_members_ring_one_after_the_other_and_the_one_who_answers_has_the_call(door: Door) -> None:
    first, second = Desk(door, "102"), Desk(door, "103", "486")
    third = Desk(door, "104", "answer")
    door.ways.routing = Told(in_order("102", "103", "104"))
    caller = calling(door, "700")
    assert (len(first.invites), len(second.invites), len(third.invites)) == (1, 0, 0)
    door.run(5)
    assert caller.status() == 200
    assert (len(second.invites), len(third.invites)) == (1, 1)
    assert door.switchboard.legs_of("104"), "lamps show whose phone it is"


def test_all_of_a_round_ring_at_once(door: Door) -> None:
    desks = [Desk(door, number) for number in ("102", "103", "104")]
    door.ways.routing = Told(ring("102", "103", "104", called=SALES))
    calling(door, "700")
    assert [len(desk.invites) for desk in desks] == [1, 1, 1]
    assert [str(desk.invites[0].to.uri.username) for desk in desks] == ["102", "103", "104"]  # type: ignore[union-attr]


def test_round_robin_begins_after_whom_the_last_call_came_to(door: Door) -> None:
    desks = {number: Desk(door, number, "answer") for number in ("102", "103", "104")}
    door.directory = group(*desks)
    rung = []
    for turn in range(6):
        desks["103"].manner = "486" if turn == 4 else "answer"
        before = {number: len(desk.invites) for number, desk in desks.items()}
        Visitor(door, f"192.0.2.{50 + turn}").authorized_call("700", "105")
        rung.append([number for number, desk in desks.items() if len(desk.invites) > before[number]])
        door.switchboard.hang_up_all(door.phone.now, "over")
        door.phone.do(door._flush())
        door.run(0.5)
    assert rung == [["102"], ["103"], ["104"], ["102"], ["103", "104"], ["102"]]


def test_who_does_not_want_to_be_disturbed_and_who_talks_is_left_out(door: Door) -> None:
    desks = {number: Desk(door, number, "answer") for number in ("102", "103", "104")}
    plan = group(*desks, strategy="all").plan.with_value(Answering(name="102", do_not_disturb=True))
    door.directory = Directory.of(door.directory.extensions.values(), plan=plan)
    calling(door, "103")
    desks["104"].manner = "ring"
    Visitor(door, "192.0.2.50").authorized_call("700", "105")
    assert [len(desk.invites) for desk in desks.values()] == [0, 1, 1]


def test_without_call_waiting_who_talks_is_busy(door: Door) -> None:
    Desk(door, "102", "answer")
    step = ring("102", BUSY=NEXT)
    told = door.ways.routing = Told(step)
    assert calling(door).status() == 200
    told.steps = Ring(rounds=step.rounds, called=step.called, call_waiting=False)
    other = Visitor(door, "192.0.2.50")
    other.authorized_call("102", "103")
    assert other.status() == 486


# Outside


def test_a_call_forwarded_outside_counts_for_who_forwards_it_and_says_so(door: Door) -> None:
    carrier = Carrier(door)
    Desk(door, "102", "486")
    plan = Plan.of(
        [Answering(name="102", busy="outside:5550199"), Role(name="standard", forward_outside=True)]
    )
    door.directory = Directory.of(door.directory.extensions.values(), plan=plan)
    door.with_trunk(trunk())
    assert calling(door).status() == 200
    (invite,) = carrier.invites
    assert invite.headers.get("Diversion") == (
        f"<sip:+15550100@{CARRIER}>;reason=user-busy;counter=1;privacy=off"
    ), "102 as it is known outside"
    assert invite.max_forwards == 20
    assert invite.from_.uri == SipUri(user="101", host=CARRIER)
    assert {toll.account for toll in door.caps.usage(door.phone.now)} == {"102"}


def test_who_may_not_forward_outside_does_not(door: Door) -> None:
    carrier = Carrier(door)
    Desk(door, "102", "486")
    plan = Plan.of([Answering(name="102", busy="outside:5550199"), Role(name="standard")])
    door.directory = Directory.of(door.directory.extensions.values(), plan=plan)
    door.with_trunk(trunk())
    assert calling(door).status() == 403
    assert carrier.invites == []


def test_a_phone_is_told_who_sent_the_call_on(door: Door) -> None:
    Desk(door, "102", "603")
    other = Desk(door, "103", "answer")
    plan = Plan.of([Answering(name="102", busy="extension:103")])
    door.directory = Directory.of(door.directory.extensions.values(), plan=plan)
    assert calling(door).status() == 200
    (invite,) = other.invites
    assert invite.headers.get("Diversion") == "<sip:102@192.0.2.254>;reason=deflection;counter=1;privacy=off"
    assert invite.from_.uri == SipUri(user="101", host="192.0.2.254")


@pytest.mark.parametrize(
    ("route_shows", "role_shows", "trunk_shows", "seen"),
    [
        ("+15550111", "+15550122", "+15550133", "+15550111"),
        ("", "+15550122", "+15550133", "+15550122"),
        ("", "", "+15550133", "+15550133"),
        ("", "", "", "101"),
    ],
)
def test_the_route_then_the_role_then_the_trunk_says_which_number_is_shown(
    door: Door, route_shows: str, role_shows: str, trunk_shows: str, seen: str
) -> None:
    carrier = Carrier(door)
    route = Route(name="out", patterns=("5.",), trunks=("carrier",), caller_id=route_shows)
    plan = Plan.of([route, Role(name="standard", caller_id=role_shows)])
    door.directory = Directory.of(door.directory.extensions.values(), plan=plan)
    door.with_trunk(trunk(caller_id=trunk_shows))
    assert calling(door, "5550199").status() == 200
    assert carrier.invites[0].from_.uri == SipUri(user=seen, host=CARRIER)


def test_what_a_carrier_says_decides_where_the_call_goes_on(door: Door) -> None:
    Carrier(door, CARRIER, "486")
    Desk(door, "103", "answer")
    door.with_trunk(trunk())
    step = GoOut(ways=ways_out("5550199", door.directory), onward={Outcome.BUSY: NEXT})
    told = door.ways.routing = Told(step, {NEXT: ring("103")})
    caller = calling(door, "5550199")
    door.run(1)
    assert told.asked == [(NEXT, Outcome.BUSY)]
    assert caller.status() == 200
    assert in_one_room(door) == 2


def test_echo_is_reached_by_way_of_a_busy_phone(door: Door) -> None:
    Desk(door, "102", "486")
    door.ways.routing = Told(ring("102", BUSY=NEXT), {NEXT: Echo()})
    caller = calling(door)
    door.run(1)
    assert caller.status() == 200
    assert rung(caller) == []


def test_the_phones_of_a_group_and_of_who_is_forwarded_to_do_not_answer_by_themselves() -> None:
    door = Door(allow_answer_mode=True)
    door.directory = group("102", "103", strategy="all")
    first, second = Desk(door, "102", "486"), Desk(door, "103", "answer")
    asks = Headers(("Answer-Mode", "Auto"))
    Visitor(door, CALLER).authorized_call("700", "101", headers=asks)
    plan = Plan.of([Answering(name="102", busy="extension:103")])
    door.directory = Directory.of(door.directory.extensions.values(), plan=plan)
    door.switchboard.hang_up_all(door.phone.now, "over")
    door.phone.do(door._flush())
    door.run(0.5)
    Visitor(door, "192.0.2.50").authorized_call("102", "101", headers=asks)
    asked = [[bool(invite.headers.get("Answer-Mode")) for invite in desk.invites] for desk in (first, second)]
    assert asked == [[False, True], [False, False]]


def test_what_was_decided_is_decided_anew_when_it_could_be_otherwise(door: Door) -> None:
    first, second = Desk(door, "102"), Desk(door, "103")
    hosts = iter(range(50, 80))

    def rings(number: str, by: str = "101") -> list[str]:
        before = len(first.invites), len(second.invites)
        Visitor(door, f"192.0.2.{next(hosts)}").authorized_call(number, by)
        desks = zip(("102", "103"), (first, second), before, strict=True)
        found = [name for name, desk, count in desks if len(desk.invites) > count]
        door.switchboard.hang_up_all(door.phone.now, "over")
        door.phone.do(door._flush())
        door.run(0.5)
        return found

    def plan(*values: Value) -> None:
        door.directory = Directory.of(door.directory.extensions.values(), plan=Plan.of(values))

    assert rings("102") == rings("102") == ["102"]
    plan(Answering(name="102", always="extension:103"))
    assert rings("102") == rings("102", by="104") == ["103"]
    noon = Span(days=("mon",), from_="11:00", to="13:00")
    plan(Hours(name="office", number="800", spans=(noon,), open="extension:102", closed="extension:103"))
    assert rings("800") == ["102"]
    door.clock = door.clock.replace(hour=20)
    assert rings("800") == ["103"]


def test_a_caller_who_is_blocked_is_so_though_another_was_not(door: Door) -> None:
    desk = Desk(door, "102")
    carrier = Carrier(door)
    door.with_trunk(trunk())
    for blocked, status in ((False, 0), (True, 603)):
        values = [Blocked(name="nuisance", patterns=("+15559999",), direction="in")] if blocked else []
        door.directory = replace(door.directory, plan=Plan.of(values))
        assert carrier.call("+15550100") == status
    assert len(desk.invites) == 1
