"""Calls that go through several parts: what one of them leaves to the next, and that nothing stays behind."""

from __future__ import annotations

import pytest

from ringback.call.application import Application
from ringback.call.in_call import KeyFeatures
from ringback.call.leg import Leg
from ringback.call.park import ParkingLot
from ringback.call.recorded import records_of
from ringback.media import protocol as media
from tests.server.door import Door, Visitor
from tests.server.test_outside import Carrier, outgoing, trunk
from tests.server.test_routed import Desk


class Keys:
    """A company whose extensions may all use keys."""

    def may_use_keys(self, leg: Leg) -> bool:
        return leg.party.account is not None

    def come_back(self, account: str, leg: Leg, label: str, now: float) -> Application | None:
        return None

    def meet(self, leg: Leg, now: float) -> bool:
        return False


@pytest.fixture
def door() -> Door:
    made = Door()
    lot = ParkingLot(made.switchboard, ("701",), lambda *_: None)
    made.switchboard.in_call = KeyFeatures(made.switchboard, Keys(), lot)
    return made


def press(door: Door, account: str, keys: str) -> None:
    (leg,) = door.switchboard.legs_of(account)
    for key in keys:
        door.switchboard.media_event(media.Digit(leg=leg.id, digit=key, duration_ms=100), door.phone.now)
        door.phone.do(door._flush())
    door.run(1)


def test_a_number_outside_that_was_asked_by_key_and_left_while_it_rang_is_counted_no_more(door: Door) -> None:
    carrier = Carrier(door, manner="180")
    door.with_trunk(trunk())
    Desk(door, "102", "answer")
    caller = Visitor(door, "192.0.2.10")
    caller.authorized_call("102", "101")
    for _ in range(2):
        press(door, "101", "*20049555#")
        assert door.switchboard.on_trunk("carrier") == 1
        press(door, "101", "*0")
        assert door.switchboard.on_trunk("carrier") == 0
    # Two at once may be called by one extension.
    carrier.manner = "answer"
    assert outgoing(door, "0049555", "192.0.2.20").status() == 200


def test_a_call_that_a_full_trunk_has_no_room_for_is_in_the_records(door: Door) -> None:
    door.switchboard.calls.on_news = lambda: None
    carrier = Carrier(door)
    door.with_trunk(trunk(max_calls=0))
    assert carrier.call("+15550100") == 486
    (record,) = records_of(door.switchboard.calls.take_over())
    assert (record.direction, record.outcome, record.cause) == ("inbound", "busy", 486)
    assert (record.caller, record.dialled) == ("+15559999", "+15550100")
    assert door.switchboard.calls.live == {}
