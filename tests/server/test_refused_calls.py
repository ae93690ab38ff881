"""Calls that are refused before they come in have records, and nobody fills the database with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringback.call.party import Party
from ringback.call.recorded import records_of
from ringback.governance.private import Private
from ringback.server.refusals import (
    ACCOUNTS_AT_ONCE,
    ALL_STRANGERS_AT_ONCE,
    STRANGERS_AT_ONCE,
    TRUNKS_AT_ONCE,
    Refusals,
)
from ringback.sip.effects import Transmit
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.message import Request
from ringback.sip.parse import Malformed, parse_message
from ringback.store.call_record import CallRecord
from tests.server.door import SERVER, Door, Visitor, meeting
from tests.server.test_outside import Carrier, trunk

Act = Callable[[Door], int]


def visitor(door: Door) -> Visitor:
    return Visitor(door, "192.0.2.1")


def with_header(name: str, value: str) -> Act:
    def act(door: Door) -> int:
        caller = visitor(door)
        caller.authorized_call("102", "101", headers=Headers((name, value)))
        return caller.status()

    return act


def in_another_name(door: Door) -> int:
    caller = visitor(door)
    caller.authorized_call("102", "101", from_="102")
    return caller.status()


def while_it_stops(door: Door) -> int:
    door.policy.accepting = False
    caller = visitor(door)
    caller.call("102", from_="101")
    return caller.status()


def without_a_hop_left(door: Door) -> int:
    door.with_trunk(trunk(transit=True))
    return Carrier(door).call("15550102", hops=1)


def of_a_number_that_is_not_ours(door: Door) -> int:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    return carrier.call("15550199")


def records(door: Door) -> list[CallRecord]:
    return records_of(door.switchboard.calls.take_over())


@pytest.fixture
def door() -> Door:
    made = Door()
    made.switchboard.calls.on_news = lambda: None
    return made


@pytest.mark.parametrize(
    ("act", "cause", "outcome", "caller", "extension"),
    [
        (with_header("Answer-Mode", "Auto;require"), 403, "refused", "101", "101"),
        (with_header("Privacy", "none-such;critical"), 500, "failed", "101", "101"),
        (in_another_name, 403, "refused", "102", ""),
        (while_it_stops, 503, "failed", "101", ""),
        (without_a_hop_left, 483, "refused", "+15559999", ""),
        (of_a_number_that_is_not_ours, 404, "refused", "+15559999", ""),
    ],
)
def test_a_refused_call_has_a_record_with_its_cause(
    door: Door, act: Act, cause: int, outcome: str, caller: str, extension: str
) -> None:
    assert act(door) == cause
    (record,) = records(door)
    assert (record.cause, record.outcome, record.ended_by) == (cause, outcome, "system")
    assert (record.caller, record.extension) == (caller, extension)
    assert record.dialled
    assert door.switchboard.calls.live == {}


INVITE = """\
INVITE sip:102@192.0.2.100 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{n}
From: "Eve" <sip:5550142@192.0.2.1>;tag=a
To: <sip:102@192.0.2.100>
Call-ID: {n}
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:5550142@192.0.2.1>
Content-Length: 0

"""


def comes(door: Door, *changes: tuple[str, str], host: str = "192.0.2.1", n: int = 1) -> list[int]:
    """An INVITE with changes comes from there; the statuses of the answers."""
    text = INVITE.format(n=n)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    message = parse_message(text.replace("\n", "\r\n").encode())
    assert isinstance(message, Request | Malformed)
    flow = Flow("udp", (SERVER, 5060), (host, 5060))
    effects = door.phone.endpoint.receive(message, flow, door.phone.now)
    door.phone.do([one for one in effects if not isinstance(one, Transmit)])
    return [int(one.data[8:11]) for one in effects if isinstance(one, Transmit)]


UNREAD = [
    (("Max-Forwards: 70", "Max-Forwards: many"), 400),
    (("CSeq: 1 INVITE", "CSeq: 1 BYE"), 400),
    (("Call-ID: 1\n", ""), 400),
    (("Max-Forwards: 70", "Max-Forwards 70"), 400),
    ((" SIP/2.0\nVia", " SIP/3.0\nVia"), 505),
    (("Max-Forwards: 70", "Max-Forwards: 70\nRequire: moon"), 420),
    (("Max-Forwards: 70", "Max-Forwards: 0"), 483),
    (("Max-Forwards: 70", "Max-Forwards: 70\nAccept: text/plain"), 406),
]


@pytest.mark.parametrize(("change", "cause"), UNREAD)
def test_a_call_that_the_core_refuses_has_a_record_where_it_says_who_calls_whom(
    door: Door, change: tuple[str, str], cause: int
) -> None:
    assert comes(door, change) == [cause]
    (record,) = records(door)
    outcome = "refused" if cause < 500 else "failed"
    assert (record.cause, record.outcome, record.ended_by) == (cause, outcome, "system")
    assert (record.caller, record.caller_name, record.dialled) == ("5550142", "Eve", "102")
    assert (record.extension, record.emergency) == ("", False)
    assert door.switchboard.calls.live == {}


@pytest.mark.parametrize(
    "change",
    [
        ("sip:102@192.0.2.100 SIP", "tel SIP"),
        ("sip:102@192.0.2.100 SIP", "sip:192.0.2.100 SIP"),
        ('From: "Eve" <sip:5550142@192.0.2.1>;tag=a\n', ""),
        ('From: "Eve" <sip:5550142@192.0.2.1>;tag=a', "From: <<"),
        ("To: <sip:102@192.0.2.100>", "To: <sip:102@192.0.2.100>;tag=b"),
        ("INVITE sip", "OPTIONS sip"),
    ],
)
def test_what_does_not_say_who_calls_whom_has_none(door: Door, change: tuple[str, str]) -> None:
    comes(door, change, ("Max-Forwards: 70", "Max-Forwards: many"))
    assert records(door) == []


def test_a_body_that_is_no_session_description_has_a_record_too(door: Door) -> None:
    number = meeting().number
    body = "Content-Type: application/sdp\nContent-Length: 5\n\nprose"
    comes(door, ("sip:102@192.0.2.100 SIP", f"sip:{number}@192.0.2.100 SIP"), ("Content-Length: 0\n\n", body))
    (record,) = records(door)
    assert (record.cause, record.outcome, record.caller, record.dialled) == (
        400,
        "refused",
        "5550142",
        number,
    )
    assert door.switchboard.calls.live == {}
    assert door.switchboard.legs == {}


def test_what_is_malformed_asserts_nothing_and_hides_who_wants_to_be_hidden(door: Door) -> None:
    asserted = "P-Asserted-Identity: <sip:101@192.0.2.100>"
    comes(door, ("Max-Forwards: 70", f"Max-Forwards: many\n{asserted}"))
    comes(door, ("Max-Forwards: 70", "Max-Forwards: many\nPrivacy: id"), n=2)
    assert [one.caller for one in records(door)] == ["5550142", ""]


def test_nobody_fills_the_database_with_them(door: Door) -> None:
    bad = ("Max-Forwards: 70", "Max-Forwards: many")
    for n in range(STRANGERS_AT_ONCE + 20):
        assert comes(door, bad, n=n) == [400]
    assert len(records(door)) == STRANGERS_AT_ONCE
    for n in range(200):
        comes(door, bad, host=f"198.51.100.{n}", n=n)
    assert STRANGERS_AT_ONCE + len(records(door)) == ALL_STRANGERS_AT_ONCE
    assert door.switchboard.calls.unrecorded == 220 + STRANGERS_AT_ONCE - ALL_STRANGERS_AT_ONCE
    assert door.switchboard.calls.live == {}


def test_asking_for_credentials_is_no_call(door: Door) -> None:
    caller = visitor(door)
    caller.call("102", from_="101")
    assert caller.status() == 401
    assert records(door) == []


def test_a_source_that_goes_on_calling_has_a_few_records(door: Door) -> None:
    door.policy.accepting = False
    caller = visitor(door)
    for _ in range(STRANGERS_AT_ONCE + 20):
        caller.call("102")
        assert caller.status() == 503
    first = len(records(door))
    assert STRANGERS_AT_ONCE <= first <= STRANGERS_AT_ONCE + 1
    assert first + door.switchboard.calls.unrecorded == STRANGERS_AT_ONCE + 20
    door.run(60)
    caller.call("102")
    assert len(records(door)) == 1


@pytest.mark.parametrize(
    ("party", "stranger", "most"),
    [
        (Party(Private("101"), account="101"), False, ACCOUNTS_AT_ONCE),
        (Party(Private("+15559999"), trunk="carrier"), False, TRUNKS_AT_ONCE),
        (Party(Private("eve")), True, ALL_STRANGERS_AT_ONCE),
        (Party(Private(""), account="a visit"), True, ALL_STRANGERS_AT_ONCE),
    ],
)
def test_floods_from_many_addresses_are_bounded(party: Party, stranger: bool, most: int) -> None:
    refusals = Refusals()
    kept = sum(
        refusals.recorded(party, f"192.0.{n // 256}.{n % 256}", 100.0, stranger=stranger)
        for n in range(5_000)
    )
    assert kept == most
    others = Party(Private("102"), account="102")
    assert refusals.recorded(others, "198.51.100.1", 100.0, stranger=False), "others have theirs"
