"""What callers are told before and when somebody answers: early media, who it is; what phones are told."""

from __future__ import annotations

import pytest

from ringback.call.leg import Leg
from ringback.media import protocol as media
from ringback.routing.outbound import ways_out
from ringback.routing.steps import GoOut, Outcome
from ringback.sip.effects import Answered, Effect, IncomingCall, Ringing
from ringback.sip.message import Headers
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering
from ringback.store.plan.plan import Plan
from tests.call.office import offer
from tests.server.door import Door, Visitor, extension
from tests.server.test_outside import ANSWER, CARRIER, OTHER, PHONE, Carrier, outgoing, trunk
from tests.server.test_routed import NEXT, Desk, Told, calling, in_one_room, ring
from tests.sip.phones import Phone


class Talking(Carrier):
    """A carrier that is heard before it answers."""

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, IncomingCall):
            return super()._on_event(phone, event)
        self.invites.append(event.request)
        self.sessions.append(event.session)
        return event.session.ring(phone.now, 183, ANSWER)


def statuses(caller: Visitor) -> list[tuple[int, bool]]:
    return [(event.status, event.sdp is not None) for event in caller.phone.told(Ringing)]


def test_what_a_carrier_says_before_the_answer_is_heard_by_the_caller() -> None:
    door = Door()
    carrier = Talking(door)
    door.with_trunk(trunk())
    caller = outgoing(door, "5550199")
    assert statuses(caller) == [(183, True)]
    assert in_one_room(door) == 2, "both sides are joined already"
    remotes = {command.remote_ip for command in door.given(media.SetMedia)}  # type: ignore[attr-defined]
    assert remotes == {CARRIER, PHONE}
    carrier.phone.do(carrier.sessions[0].accept(ANSWER, carrier.phone.now))
    door.run(1)
    assert len(caller.phone.told(Answered)) == 1
    assert in_one_room(door) == 2


class Overheard:
    """Notes who talks where, as recording does."""

    def __init__(self) -> None:
        self.talking: list[int] = []

    def may_record(self, leg: Leg, room: int) -> bool:
        return True

    def moved(self, leg: Leg) -> None:
        if leg.room is not None:
            self.talking.append(leg.id)

    def settle(self, now: float) -> None:
        pass


def test_nobody_counts_as_talking_before_the_answer_so_that_no_recording_begins_unheard() -> None:
    door = Door()
    overheard = door.switchboard.overhearing = Overheard()  # type: ignore[assignment]
    carrier = Talking(door)
    door.with_trunk(trunk())
    outgoing(door, "5550199")
    assert in_one_room(door) == 2
    assert overheard.talking == []
    carrier.phone.do(carrier.sessions[0].accept(ANSWER, carrier.phone.now))
    door.run(1)
    assert len(set(overheard.talking)) == 2


def test_after_early_media_a_phone_that_the_call_goes_on_to_is_heard_ringing() -> None:
    door = Door()
    door.directory = Directory.of([extension(number) for number in ("101", "102", "103")])
    carrier = Talking(door)
    desk = Desk(door, "103")
    door.with_trunk(trunk())
    step = GoOut(ways=ways_out("5550199", door.directory), payer="101", onward={Outcome.BUSY: NEXT})
    door.ways.routing = Told(step, {NEXT: ring("103")})
    caller = outgoing(door, "5550199")
    carrier.phone.do(carrier.sessions[0].reject(486, carrier.phone.now))
    door.run(1)
    plays = [command for command in door.given(media.Play) if isinstance(command, media.Play)]
    assert plays[-1].sounds == ["tone:ringback"], "its phone plays no tone of its own any more"
    desk.phone.do(desk.sessions[0].accept(offer(desk.phone.address[0]), desk.phone.now))
    door.run(1)
    assert caller.status() == 200
    assert door.given(media.StopPlay)
    assert in_one_room(door) == 2


def test_whoever_answers_is_shown_to_a_colleague_and_not_beyond_a_trunk() -> None:
    door = Door()
    door.directory = Directory.of(
        [extension(number) for number in ("101", "102", "103")],
        plan=Plan.of([Answering(name="102", busy="extension:103")]),
    )
    Desk(door, "102", "486")
    Desk(door, "103", "answer")
    caller = calling(door)
    assert caller.answers()[-1].headers.get("P-Asserted-Identity") == '"Phone 103" <sip:103@192.0.2.254>'
    carrier = Carrier(door)
    door.with_trunk(trunk())
    assert carrier.call("+15550100") == 200
    assert "P-Asserted-Identity" not in door.phone.sent[-1].message.headers


def test_phones_that_stop_ringing_are_told_whether_somebody_else_has_answered() -> None:
    door = Door()
    first, second = Desk(door, "102"), Desk(door, "102", host="192.0.2.40")
    calling(door)
    second.phone.do(second.sessions[0].accept(offer("192.0.2.40"), second.phone.now))
    door.run(1)
    assert reason_of_cancel(door, first) == 'SIP;cause=200;text="Call completed elsewhere"'
    missed = Desk(door, "101", host="192.0.2.41")
    caller = Visitor(door, "192.0.2.42")
    caller.authorized_call("101", "102")
    session = caller.phone.told(Ringing)[0].session
    caller.phone.do(session.hangup(caller.phone.now))
    door.run(1)
    assert reason_of_cancel(door, missed) is None


def reason_of_cancel(door: Door, desk: Desk) -> str | None:
    (cancel,) = [
        sent.message
        for sent in door.phone.sent
        if sent.name == "CANCEL" and sent.flow.remote == desk.phone.address
    ]
    return cancel.headers.get("Reason")


# Carriers in trouble


def two_trunks(first: str, second: str = "answer") -> tuple[Door, Carrier, Carrier]:
    door = Door()
    carriers = Carrier(door, CARRIER, first), Carrier(door, OTHER, second)
    door.with_trunk(trunk(name="one", id="t1", priority=1))
    door.with_trunk(trunk(name="two", id="t2", host=OTHER, priority=2))
    return door, *carriers


@pytest.mark.parametrize("status", ["488", "415", "606", "500", "503"])
def test_a_trunk_that_cannot_gives_way_to_the_next(status: str) -> None:
    door, one, two = two_trunks(status)
    assert outgoing(door, "5550199").status() == 200
    assert (len(one.invites), len(two.invites)) == (1, 1)


def test_a_trunk_that_asks_for_a_rest_gets_it_and_is_back_afterwards() -> None:
    door, one, two = two_trunks("answer")
    plain = one.phone.on_event
    assert plain is not None

    def full(phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, IncomingCall):
            one.invites.append(event.request)
            return event.session.reject(503, phone.now, headers=Headers(("Retry-After", "30 (lunch)")))
        return plain(phone, event)

    one.phone.on_event = full
    hosts = iter(range(30, 40))
    for expected in ((1, 1), (1, 2)):
        assert outgoing(door, "5550199", f"192.0.2.{next(hosts)}").status() == 200
        assert (len(one.invites), len(two.invites)) == expected
    state = door.lines.state(door.directory.trunks["one"], door.phone.now)
    assert state.up is False
    assert state.reason.startswith("wants no calls for ")
    one.phone.on_event = plain
    door.run(30)
    assert outgoing(door, "5550199", f"192.0.2.{next(hosts)}").status() == 200
    assert (len(one.invites), len(two.invites)) == (2, 2)
