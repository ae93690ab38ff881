"""Asking a queue or a mailbox by keys, and hanging up: who waited goes on there."""

from __future__ import annotations

import pytest

from ringback.call.leg import Leg
from ringback.call.recorded import records_of
from ringback.media import protocol as media
from ringback.store.directory import Directory
from ringback.store.plan.groups import Queue
from ringback.store.plan.plan import Plan
from ringback.store.plan.voice import MailboxPlan
from tests.call.office import offer
from tests.server.door import Visitor, extension
from tests.server.house import EXTENSION, House
from tests.server.test_routed import Desk

SUPPORT = Queue(name="support", number="800", agents=("103",), ring_s=20)


@pytest.fixture
def house() -> House:
    numbers = (EXTENSION, "101", "102", "103")
    plan = Plan.of([SUPPORT, MailboxPlan(name=EXTENSION)])
    return House(Directory.of([extension(number) for number in numbers], plan=plan))


def legs(house: House, account: str) -> list[Leg]:
    return [leg for leg in house.switchboard.legs_of(account) if not leg.over]


def consult(house: House, number: str) -> Desk:
    """101 calls 102, which asks a number by keys; 102."""
    asked = Desk(house, "102", "answer")
    Visitor(house, "192.0.2.10").authorized_call("102", "101")
    (leg,) = legs(house, "102")
    for key in f"*2{number}#":
        house.says(media.Digit(leg=leg.id, digit=key, duration_ms=100))
    house.pass_time(0.5)
    return asked


def hang_up(house: House, desk: Desk) -> None:
    desk.phone.do(desk.sessions[-1].hangup(desk.phone.now))
    house.pass_time(0.5)


@pytest.mark.parametrize("rings", [False, True])
def test_who_waits_takes_the_place_in_the_queue(house: House, rings: bool) -> None:
    house.switchboard.calls.on_news = lambda: None
    agent = Desk(house, "103", "ring" if rings else "486")
    asked = consult(house, "800")
    house.pass_time(5)
    (waits,) = house.queues.shown(SUPPORT, house.phone.now).waiting
    hang_up(house, asked)
    (leg,) = legs(house, "101")
    assert legs(house, "102") == []
    shown = house.queues.shown(SUPPORT, house.phone.now)
    assert [one.leg for one in shown.waiting] == [leg.id]
    assert shown.waiting[0].waited_s > waits.waited_s, "the place is kept"
    assert (shown.abandoned, shown.left) == (0, 0)
    if rings:
        agent.phone.do(agent.sessions[-1].accept(offer(agent.phone.address[0]), agent.phone.now))
        house.pass_time(0.5)
        (other,) = legs(house, "103")
        assert other.room == leg.room is not None
        other.hangup(house.phone.now)
    else:
        leg.hangup(house.phone.now)
    house.phone.do(house._flush())
    house.pass_time(1)
    house.switchboard.calls.overdue(house.phone.now, 0.0)
    (record,) = records_of(house.switchboard.calls.take_over())
    assert record.happenings[0].kind == "transferred"
    assert record.happenings[0].to == "800"
    assert house.faults == []


def test_who_waits_hears_the_greeting_of_the_mailbox(house: House) -> None:
    asked = consult(house, EXTENSION)
    house.pass_time(1)
    (asking,) = legs(house, "102")
    assert type(asking.application).__name__ == "LeaveMessage"
    hang_up(house, asked)
    (leg,) = legs(house, "101")
    assert type(leg.application).__name__ == "LeaveMessage"
    assert leg.playing is not None
    house.says(media.Digit(leg=leg.id, digit="#", duration_ms=100))
    house.pass_time(0.1)
    assert house.engine.plays[leg.id] == leg.playing, "the tone"
    leg.hangup(house.phone.now)
    house.phone.do(house._flush())
    house.pass_time(1)
    assert house.switchboard.legs == {}
    assert house.faults == []
