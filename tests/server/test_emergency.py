"""Emergency calls as callers, colleagues and carriers see them: nothing holds them back; people are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.call.recorded import records_of
from ringback.media import protocol as media
from ringback.server.emergencies import EmergencyNotice, location_words, mail_of
from ringback.sip.effects import Answered, IncomingCall, ReferProgress, Ringing
from ringback.sip.headers import Headers
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.replaces import Replaces
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.outbound import Blocked
from ringback.store.plan.plan import Plan
from ringback.store.plan.safety import EmergencyTest, Location
from ringback.store.plan.value import Value
from tests.call.office import offer
from tests.server.door import SERVER, Door, Visitor, extension
from tests.server.test_devices import device
from tests.server.test_outside import CARRIER, OTHER, Carrier, outgoing, trunk
from tests.server.test_routed import Desk

PLACE = Location(
    name="hq",
    title="Headquarters",
    address="1 Main Street, Springfield",
    details="Room 12",
    callback="+15550100",
    tell=("102",),
    e_mail=("safety@example.com",),
)


class Help:
    """A door whose device of 101 stands in a known place."""

    def __init__(self, *values: Value) -> None:
        self.door = Door()
        self.notices: list[EmergencyNotice] = []
        self.door.notify = self.notices.append
        extensions = self.door.directory.extensions.values()
        plan = Plan.of([PLACE, *values])
        desk = device("desk-7")
        self.door.directory = Directory.of(extensions, plan=plan, devices=[replace(desk, location="hq")])

    def call(self, number: str = "911", headers: Headers | None = None, host: str = "192.0.2.1") -> Visitor:
        caller = Visitor(self.door, host)
        caller.authorized_call(number, "desk-7", "own", from_="101", headers=headers)
        self.door.run(1)
        return caller

    def played(self) -> list[list[str]]:
        plays = self.door.given(media.Play) + self.door.given(media.PlayToRoom)
        return [play.sounds for play in plays]  # type: ignore[attr-defined]


def test_help_is_called_with_the_number_to_call_back_though_the_caller_hides_it() -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk(caller_id="15550199"))
    assert help_.call(headers=Headers(("Privacy", "id"))).status() == 200
    (invite,) = carrier.invites
    assert str(invite.uri) == f"sip:911@{CARRIER}"
    assert invite.from_.uri == SipUri(user="+15550100", host=CARRIER)
    assert "Privacy" not in invite.headers


def test_nothing_holds_it_back() -> None:
    blocked = Blocked(name="all", patterns=(".",))
    help_ = Help(blocked, Role(name="standard", classes=()), Answering(name="101", do_not_disturb=True))
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk(max_calls=0))
    help_.door.policy.accepting = False
    assert help_.call().status() == 200
    assert len(carrier.invites) == 1
    assert help_.call("5550199", host="192.0.2.2").status() == 503, "other calls are held back"


@pytest.mark.parametrize("field", [("Privacy", "none-such;critical"), ("Answer-Mode", "Auto;require")])
def test_no_condition_of_the_caller_s_phone_holds_it_back(field: tuple[str, str]) -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk())
    assert help_.call("5550199", headers=Headers(field), host="192.0.2.2").status() in (403, 500)
    assert help_.call(headers=Headers(field)).status() == 200
    assert len(carrier.invites) == 1


@pytest.mark.parametrize("state", ["device disabled", "extension disabled", "without an extension"])
def test_a_phone_that_may_do_nothing_else_calls_help(state: str) -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk())
    directory = help_.door.directory
    desk = replace(device("desk-7"), location="hq", enabled=state != "device disabled")
    if state == "without an extension":
        desk = replace(desk, extension="")
    help_.door.directory = Directory.of(
        [extension("101", enabled=state != "extension disabled")],
        trunks=directory.trunks.values(),
        plan=directory.plan,
        devices=[desk],
    )
    from_ = "desk-7" if state == "without an extension" else "101"
    caller = Visitor(help_.door, "192.0.2.1")
    for number, status in (("5550199", 401), ("*43", 401), ("911", 200)):
        caller.authorized_call(number, "desk-7", "own", from_=from_)
        help_.door.run(1)
        assert caller.status() == status
    assert len(carrier.invites) == 1
    assert help_.notices[0].location == PLACE
    wrong = Visitor(help_.door, "192.0.2.2")
    wrong.authorized_call("911", "desk-7", "guess", from_=from_)
    assert wrong.status() == 401


def test_every_trunk_is_tried_whatever_the_first_says() -> None:
    help_ = Help()
    first, second = Carrier(help_.door, CARRIER, "403"), Carrier(help_.door, OTHER)
    help_.door.with_trunk(trunk(name="one", id="t1", priority=1))
    help_.door.with_trunk(trunk(name="two", id="t2", host=OTHER, prefixes=("9",)))
    assert help_.call().status() == 200
    assert (len(first.invites), len(second.invites)) == (1, 1)


def test_colleagues_are_told_though_no_trunk_goes_out() -> None:
    help_ = Help()
    calls = help_.door.switchboard.calls
    calls.on_news = lambda: None
    colleague = Desk(help_.door, "102")
    assert help_.call().status() == 503
    assert [invite.from_.display for invite in colleague.invites] == ["EMERGENCY Phone 101 Headquarters"]
    assert [notice.location for notice in help_.notices] == [PLACE]
    (record,) = records_of(calls.take_over())
    assert (record.emergency, record.dialled, record.cause) == (True, "911", 503)


def test_help_may_be_long_in_answering() -> None:
    help_ = Help()
    carrier = Carrier(help_.door, CARRIER, "180")
    help_.door.with_trunk(trunk())
    caller = help_.call()
    help_.door.run(150)
    assert caller.phone.told(Ringing)
    carrier.phone.do(carrier.sessions[0].accept(offer(CARRIER), carrier.phone.now))
    help_.door.run(1)
    assert caller.status() == 200


def test_another_call_gives_its_line_up_where_the_carrier_has_none_left() -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk(max_calls=1))
    other = outgoing(help_.door, "5550199", "192.0.2.5")
    assert other.status() == 200
    carrier.manner = "503"
    refused = carrier.phone.on_event
    assert refused is not None

    def one_line(phone: object, event: object) -> object:
        # The line is free as soon as the other call has ended.
        carrier.manner = "answer" if len(carrier.invites) >= 2 else "503"
        return refused(phone, event)  # type: ignore[arg-type]

    carrier.phone.on_event = one_line  # type: ignore[assignment]
    assert help_.call().status() == 200
    assert [invite.uri.username for invite in carrier.invites] == ["5550199", "911", "911"]  # type: ignore[union-attr]
    assert "BYE" in [sent.name for sent in help_.door.phone.sent if sent.flow.remote == other.phone.address]


def test_colleagues_are_rung_and_told_who_calls_for_help_from_where() -> None:
    help_ = Help()
    Carrier(help_.door)
    help_.door.with_trunk(trunk())
    colleague = Desk(help_.door, "102")
    help_.call()
    (invite,) = colleague.invites
    assert invite.from_.display == "EMERGENCY Phone 101 Headquarters"
    colleague.phone.do(colleague.sessions[0].accept(offer("192.0.2.22"), colleague.phone.now))
    help_.door.run(1)
    said = help_.played()[-1]
    assert "prompt:emergency-call-of" in said
    assert said.count(f"words:{location_words(PLACE)}") == 3
    assert [leg for leg in help_.door.switchboard.legs_of("102") if not leg.over] == [], "it ends by itself"
    (notice,) = help_.notices
    assert (notice.extension.reveal(), notice.location, notice.test) == ("101", PLACE, False)
    assert [one.facts["test"] for one in help_.door.notices if one.kind == "emergency.called"] == [False]


def test_who_is_told_has_called_nobody_in_the_records() -> None:
    help_ = Help()
    calls = help_.door.switchboard.calls
    calls.on_news = lambda: None
    Carrier(help_.door)
    help_.door.with_trunk(trunk())
    colleague = Desk(help_.door, "102", "answer")
    help_.call()
    colleague.phone.do(colleague.sessions[0].hangup(colleague.phone.now))
    help_.door.switchboard.hang_up_all(help_.door.phone.now, "over")
    help_.door.phone.do(help_.door._flush())
    help_.door.run(1)
    calls.overdue(help_.door.phone.now + 3)
    told, helped = sorted(records_of(calls.take_over()), key=lambda record: record.emergency)
    assert (told.caller, told.extension, told.called, told.answered_by) == ("", "", "extension:102", 0)
    assert (helped.caller, helped.dialled, helped.answered_by) == ("101", "911", 1)
    assert calls.live == {}


@pytest.mark.parametrize("target", ["102", "5550111"])
def test_a_test_goes_where_it_should_and_says_that_it_is_one(target: str) -> None:
    help_ = Help(EmergencyTest(name="drill", extensions=("101",), target=target))
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk())
    colleague = Desk(help_.door, "102", "answer")
    assert help_.call().status() == 200
    assert [invite.uri.username for invite in carrier.invites] == (["5550111"] if target != "102" else [])  # type: ignore[union-attr]
    assert all(
        "TEST" in str(i.from_.display) for i in colleague.invites if "EMERGENCY" in str(i.from_.display)
    )
    rooms = [command.sounds for command in help_.door.given(media.PlayToRoom)]  # type: ignore[attr-defined]
    assert rooms == [["prompt:emergency-is-test"]]
    (notice,) = help_.notices
    assert notice.test
    assert notice.location == PLACE


def test_the_mail_says_who_where_and_whether_it_is_a_test() -> None:
    help_ = Help()
    Carrier(help_.door)
    help_.door.with_trunk(trunk())
    help_.call()
    mail = mail_of(help_.notices[0])
    assert (mail["To"], mail["Subject"]) == ("safety@example.com", "Emergency call from extension 101")
    assert "1 Main Street, Springfield" in mail.get_content()
    assert "test" not in mail.get_content()


def test_a_caller_without_account_gets_no_help_line() -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk())
    stranger = Visitor(help_.door, "192.0.2.66")
    stranger.call("911")
    assert stranger.status() == 401
    assert carrier.invites == []


@pytest.mark.parametrize("state", ["device disabled", "extension disabled", "stopping"])
def test_a_digit_for_a_line_before_it_changes_nothing(state: str) -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk(prefixes=("9",), strip=1))
    directory = help_.door.directory
    help_.door.directory = Directory.of(
        [extension("101", enabled=state != "extension disabled")],
        trunks=directory.trunks.values(),
        plan=directory.plan,
        devices=[replace(device("desk-7"), location="hq", enabled=state != "device disabled")],
    )
    help_.door.policy.accepting = state != "stopping"
    caller = help_.call("9911")
    assert caller.status() == 200
    assert str(carrier.invites[0].uri) == f"sip:911@{CARRIER}"
    assert help_.notices[0].location == PLACE


def refer_to_help(by: Visitor, number: str = "911") -> None:
    """Who was called sends the caller, or whom it has called, to help."""
    phone = by.phone
    arrived = phone.told(IncomingCall) or phone.told(Answered)
    phone.do(arrived[0].session.refer(NameAddr(SipUri(user=number, host=SERVER)), phone.now))
    by.door.run(1)


def answered_by(visitor: Visitor) -> None:
    session = visitor.phone.told(IncomingCall)[-1].session
    visitor.phone.do(session.accept(offer(visitor.phone.address[0]), visitor.phone.now))
    visitor.door.run(1)


@pytest.mark.parametrize("number", ["911", "9911"])
@pytest.mark.parametrize("called", [False, True])
def test_who_is_sent_to_help_calls_from_where_it_is_also_while_the_server_stops(
    called: bool, number: str
) -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk(prefixes=("9",), strip=1))
    in_need, colleague = Visitor(help_.door, "192.0.2.1"), Visitor(help_.door, "192.0.2.102")
    if called:
        assert in_need.register("desk-7", "own") == 200
        colleague.authorized_call("101", "102")
        answered_by(in_need)
    else:
        assert colleague.register("102") == 200
        in_need.authorized_call("102", "desk-7", "own", from_="101")
        answered_by(colleague)
    help_.door.policy.accepting = False
    refer_to_help(colleague, number)
    assert [progress.status for progress in colleague.phone.told(ReferProgress)] == [100, 200]
    (invite,) = carrier.invites
    assert str(invite.uri) == f"sip:911@{CARRIER}"
    assert invite.from_.uri == SipUri(user="+15550100", host=CARRIER)
    (notice,) = help_.notices
    assert (notice.extension.reveal(), notice.location) == ("101", PLACE)


@pytest.mark.parametrize("sent", ["who was asked for", "help"])
def test_who_is_connected_with_help_by_somebody_else_is_in_an_emergency_call(sent: str) -> None:
    """Attended: a colleague has called help, and joins the two; either of its calls may be sent on."""
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk())
    in_need, colleague = Visitor(help_.door, "192.0.2.1"), Visitor(help_.door, "192.0.2.102")
    assert in_need.register("desk-7", "own") == 200
    colleague.authorized_call("101", "102")
    answered_by(in_need)
    colleague.authorized_call("911", "102")
    help_.door.run(1)
    first, second = (one.session for one in colleague.phone.told(Answered))
    one, other = (first, second) if sent == "who was asked for" else (second, first)
    uri = SipUri(user="911" if one is first else "101", host=SERVER)
    colleague.phone.do(one.refer(NameAddr(Replaces.of(other).in_uri(uri)), colleague.phone.now))
    help_.door.run(1)
    assert len(carrier.invites) == 1
    left = [leg for leg in help_.door.switchboard.legs.values() if not leg.over]
    assert len(left) == 2
    assert all(leg.call.emergency for leg in left)
    help_.door.switchboard.hang_up_all(help_.door.phone.now, "stops", spare_emergencies=True)
    help_.door.run(1)
    assert not any(leg.over for leg in left)


def test_a_caller_from_outside_who_is_sent_to_help_keeps_its_line() -> None:
    help_ = Help()
    carrier = Carrier(help_.door)
    help_.door.with_trunk(trunk(dids={"+15550100": "101"}))
    desk = Visitor(help_.door, "192.0.2.1")
    assert desk.register("desk-7", "own") == 200
    carrier.call("+15550100")
    answered_by(desk)
    assert help_.door.switchboard.on_trunk("carrier") == 1
    refer_to_help(desk)
    (notice,) = help_.notices
    assert (notice.extension.reveal(), notice.location) == ("101", PLACE), "nearest to what is known"
    assert help_.door.switchboard.on_trunk("carrier") == 2
    assert not help_.door.switchboard.free_line("carrier", help_.door.phone.now)


def test_a_server_that_stops_spares_calls_for_help() -> None:
    help_ = Help()
    Carrier(help_.door)
    help_.door.with_trunk(trunk())
    in_need, other = help_.call(), outgoing(help_.door, "5550199", "192.0.2.5")
    switchboard, phone = help_.door.switchboard, help_.door.phone
    switchboard.hang_up_all(phone.now, "stops", spare_emergencies=True)
    phone.do(help_.door._flush())
    help_.door.run(1)
    assert switchboard.emergency_calls
    ended = [sent.flow.remote for sent in phone.sent if sent.name == "BYE"]
    assert other.phone.address in ended
    assert in_need.phone.address not in ended
    in_need.phone.do(in_need.phone.told(Answered)[-1].session.hangup(phone.now))
    help_.door.run(1)
    assert not switchboard.emergency_calls
