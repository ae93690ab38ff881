"""Calls out that are transferred: they are counted for who made them until they end."""

from __future__ import annotations

import pytest

from ringback.sip.effects import Answered, IncomingCall, ReferProgress
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.session import InviteSession
from tests.call.office import offer
from tests.server.door import SERVER, Door, Visitor
from tests.server.test_outside import Carrier, outgoing, trunk


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def colleague(door: Door) -> Visitor:
    """102, whose phone is there."""
    visitor = Visitor(door, "192.0.2.102")
    visitor.register("102")
    return visitor


def session_of(visitor: Visitor) -> InviteSession:
    return visitor.phone.told(Answered)[-1].session


def refer(visitor: Visitor, number: str) -> None:
    phone = visitor.phone
    phone.do(session_of(visitor).refer(NameAddr(SipUri(user=number, host=SERVER)), phone.now))
    visitor.door.run(1)


def told(visitor: Visitor) -> list[int]:
    return [progress.status for progress in visitor.phone.told(ReferProgress)]


def answer(visitor: Visitor) -> None:
    session = visitor.phone.told(IncomingCall)[-1].session
    visitor.phone.do(session.accept(offer(visitor.phone.address[0]), visitor.phone.now))
    visitor.door.run(1)


def test_a_call_out_that_is_handed_on_costs_until_it_ends(door: Door, colleague: Visitor) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    callers = [outgoing(door, "0049555", f"192.0.2.{10 + number}") for number in range(2)]
    refer(callers[0], "102")
    answer(colleague)
    assert told(callers[0])[-1] == 200
    assert session_of(callers[0]).state.value == "ended"
    assert outgoing(door, "0049555", "192.0.2.20").status() == 403, "the outside line is still in use"
    door.run(600)
    carrier.phone.do(carrier.sessions[0].hangup(carrier.phone.now))
    door.run(1)
    assert outgoing(door, "0049555", "192.0.2.21").status() == 200
    (toll,) = door.caps.usage(door.phone.now)
    assert toll.account == "101"
    assert toll.seconds >= 1200


def test_the_minutes_of_a_day_end_a_call_that_was_handed_on(door: Door, colleague: Visitor) -> None:
    Carrier(door)
    door.with_trunk(trunk())
    caller = outgoing(door, "0049555")
    refer(caller, "102")
    answer(colleague)
    door.run(59 * 60)
    assert door.switchboard.on_trunk("carrier") == 1
    door.run(2 * 60)
    assert door.switchboard.on_trunk("carrier") == 0
    assert door.switchboard.legs == {}


@pytest.mark.parametrize("manner", ["486", "answer"])
def test_a_colleague_is_transferred_to_a_number_outside(door: Door, colleague: Visitor, manner: str) -> None:
    carrier = Carrier(door, manner=manner)
    door.with_trunk(trunk())
    caller = Visitor(door, "192.0.2.10")
    caller.authorized_call("102", "101")
    answer(colleague)
    # Three times, to see that a transfer that fails gives back what it was counted for.
    for _ in range(3 if manner == "486" else 1):
        refer(caller, "0049555")
    if manner == "486":
        assert told(caller) == [100, 486] * 3
        assert session_of(caller).state.value == "confirmed"
        assert outgoing(door, "0049555", "192.0.2.20").status() == 486
        return
    assert told(caller) == [100, 200]
    assert session_of(caller).state.value == "ended"
    assert len(carrier.invites) == 1
    assert [toll.account for toll in door.caps.usage(door.phone.now)] == ["101"]


def test_what_may_not_be_dialled_is_no_target_either(door: Door, colleague: Visitor) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    caller = Visitor(door, "192.0.2.10")
    caller.authorized_call("102", "101")
    answer(colleague)
    refer(caller, "09005550199")
    assert told(caller) == [403]
    assert not carrier.invites
    # And who calls from outside transfers nobody.
    assert Carrier.call(carrier, "+15550100") == 0
    answer(colleague)
    session = carrier.sessions[-1]
    carrier.phone.do(session.refer(NameAddr(SipUri(user="101", host=SERVER)), carrier.phone.now))
    door.run(1)
    assert [progress.status for progress in carrier.phone.told(ReferProgress)] == [403]
