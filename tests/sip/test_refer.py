"""Transfers within a call, and calls that take the place of others (RFC 3515, RFC 3891, RFC 4488)."""

from __future__ import annotations

import pytest

from ringback.sip.endpoint import (
    Ended,
    IncomingCall,
    InviteSession,
    ReferProgress,
    ReferReceived,
)
from ringback.sip.errors import SessionStateError, SipSyntaxError
from ringback.sip.event import Event, SubscriptionState
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri
from ringback.sip.outgoing import OutgoingSession
from ringback.sip.refer import status_of
from ringback.sip.replaces import Replaces, replaces_of_uri
from ringback.sip.session_state import SessionState
from ringback.testing.lossy_link import LinkQuality
from tests.sip.phones import ANSWER, Network, Phone

CAROL = NameAddr(SipUri(user="103", host="example.com"))
ALICE = NameAddr(SipUri(user="102", host="example.com"))


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def alice(network: Network) -> Phone:
    return network.phone("192.0.2.1", supported=("replaces",))


@pytest.fixture
def bob(network: Network) -> Phone:
    return network.phone("192.0.2.2", supported=("replaces",))


def talk(network: Network, alice: Phone, bob: Phone) -> tuple[InviteSession, InviteSession]:
    caller = alice.call(bob)
    network.run(0.1)
    callee = bob.told(IncomingCall)[-1].session
    bob.do(callee.accept(ANSWER, bob.now))
    network.run(0.1)
    for phone in (alice, bob):
        phone.events.clear()
        phone.sent.clear()
    return caller, callee


def progress(phone: Phone) -> list[tuple[int, str, bool]]:
    return [(told.status, told.reason, told.done) for told in phone.told(ReferProgress)]


def requests(phone: Phone, method: str) -> list[Request]:
    return [
        sent.message
        for sent in phone.sent
        if isinstance(sent.message, Request) and sent.message.method == method
    ]


def answers(phone: Phone, method: str) -> list[int]:
    return [
        sent.message.status
        for sent in phone.sent
        if isinstance(sent.message, Response) and sent.message.cseq.method == method
    ]


def refer_by_hand(network: Network, alice: Phone, caller: InviteSession, *fields: tuple[str, str]) -> None:
    """A REFER such as no code of ours writes."""
    request, flow = alice.endpoint._agent.in_dialog(caller.dialog, "REFER")  # type: ignore[arg-type]
    for name, value in fields:
        request.headers.add(name, value)
    alice.do(alice.endpoint._agent.send(request, flow, caller, alice.now)[1])
    network.run(0.1)


def test_a_transfer_is_asked_for_taken_and_reported(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now, referred_by=ALICE))
    network.run(0.1)
    assert bob.told(ReferReceived) == [ReferReceived(callee, CAROL, ALICE, None)]
    bob.do(callee.accept_refer(bob.now))
    network.run(0.1)
    bob.do(callee.notify_refer(180, bob.now))
    network.run(0.1)
    bob.do(callee.notify_refer(200, bob.now))
    network.run(0.1)
    assert answers(bob, "REFER") == [202]
    assert progress(alice) == [(100, "Trying", False), (180, "Ringing", False), (200, "OK", True)]
    first, *_, last = requests(bob, "NOTIFY")
    refer = requests(alice, "REFER")[0]
    assert first.headers.get("Event") == f"refer;id={refer.cseq.number}"
    assert first.headers.get("Subscription-State") == "active;expires=180"
    assert last.headers.get("Subscription-State") == "terminated;reason=noresource"
    assert last.content_type == "message/sipfrag"
    assert last.body == b"SIP/2.0 200 OK\r\n"
    assert refer.contacts
    assert first.contacts
    assert caller.state is callee.state is SessionState.CONFIRMED
    alice.do(caller.hangup(alice.now))
    network.settle()


def test_what_goes_fast_is_told_in_order_on_a_bad_line() -> None:
    for seed in range(30):
        network = Network(seed, LinkQuality(loss=0.2, duplication=0.1, jitter=0.05))
        alice, bob = network.phone("192.0.2.1"), network.phone("192.0.2.2")
        caller = alice.call(bob)
        network.run(40)
        if not bob.told(IncomingCall):
            continue
        callee = bob.told(IncomingCall)[0].session
        bob.do(callee.accept(ANSWER, bob.now))
        network.run(40)
        if caller.state is not SessionState.CONFIRMED:
            continue
        alice.do(caller.refer(CAROL, alice.now))
        network.run(20)
        if not bob.told(ReferReceived):
            continue
        bob.do(callee.accept_refer(bob.now))
        for status in (180, 183, 486):
            bob.do(callee.notify_refer(status, bob.now))
        network.run(100)
        told = [status for status, _, _ in progress(alice)]
        assert told == sorted(told)
        assert progress(alice)[-1] == (486, "Busy Here", True)
        alice.do(caller.hangup(alice.now))
        network.settle()


def test_a_refused_transfer_leaves_the_call(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now))
    with pytest.raises(SessionStateError):
        caller.refer(CAROL, alice.now)
    network.run(0.1)
    bob.do(callee.reject_refer(603, bob.now))
    network.run(0.1)
    assert progress(alice) == [(603, "Decline", True)]
    assert caller.state is callee.state is SessionState.CONFIRMED
    alice.do(caller.refer(CAROL, alice.now))
    network.run(0.1)
    assert len(bob.told(ReferReceived)) == 2
    bob.do(callee.reject_refer(404, bob.now))
    bob.do(callee.hangup(bob.now))
    network.settle()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 400),
        ((("Refer-To", "<sip:103@example.com>"), ("Refer-To", "<sip:104@example.com>")), 400),
        ((("Refer-To", "<sip:103@example.com"),), 400),
        ((("Refer-To", "<sip:10 3@example.com>"),), 400),
        ((("Refer-To", "<sip:103@example.com?Replaces=nothing>"),), 400),
        ((("Refer-To", "<sip:103@example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&replaces=d>"),), 400),
        ((("Refer-To", "<sip:103@example.com>"), ("Referred-By", "<<>")), 400),
        ((("Refer-To", "<https://example.com/>"),), 416),
        ((("Refer-To", "<sip:103@example.com;method=BYE>"),), 403),
    ],
)
def test_a_refer_that_makes_no_sense_is_refused(
    network: Network, alice: Phone, bob: Phone, fields: tuple[tuple[str, str], ...], status: int
) -> None:
    caller, callee = talk(network, alice, bob)
    refer_by_hand(network, alice, caller, *fields)
    assert answers(bob, "REFER") == [status]
    assert bob.told(ReferReceived) == []
    assert callee.state is SessionState.CONFIRMED


def test_one_transfer_at_a_time(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    refer_by_hand(network, alice, caller, ("Refer-To", str(CAROL)))
    refer_by_hand(network, alice, caller, ("Refer-To", str(CAROL)))
    assert answers(bob, "REFER") == [491]
    bob.do(callee.accept_refer(bob.now))
    # Alice's side sent these by hand and knows no subscription: 481, and Bob tells no more.
    network.run(0.1)
    assert answers(alice, "NOTIFY") == [481]
    bob.do(callee.notify_refer(200, bob.now))
    network.run(0.1)
    assert len(requests(bob, "NOTIFY")) == 1


def test_no_transfer_of_a_call_that_is_not_answered(network: Network, alice: Phone, bob: Phone) -> None:
    alice.call(bob)
    network.run(0.1)
    callee = bob.told(IncomingCall)[0].session
    bob.do(callee.ring(bob.now))
    network.run(0.1)
    caller = alice.endpoint._agent.dialogs[next(iter(alice.endpoint._agent.dialogs))][1]
    assert isinstance(caller, OutgoingSession)
    with pytest.raises(SessionStateError):
        caller.refer(CAROL, alice.now)
    refer_by_hand(network, alice, caller, ("Refer-To", str(CAROL)))
    assert answers(bob, "REFER") == [403]


def test_who_wants_no_subscription_hears_nothing(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    refer_by_hand(network, alice, caller, ("Refer-To", str(CAROL)), ("Refer-Sub", "false"))
    bob.do(callee.accept_refer(bob.now))
    bob.do(callee.notify_refer(200, bob.now))
    network.run(0.1)
    taken = next(s.message for s in bob.sent if s.name == "202 REFER")
    assert taken.headers.get("Refer-Sub") == "false"
    assert requests(bob, "NOTIFY") == []


def test_a_peer_that_never_tells_is_given_up(network: Network, alice: Phone, bob: Phone) -> None:
    caller, _ = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now))
    network.run(60)
    assert progress(alice) == [(408, "Request Timeout", True)]
    assert caller.state is SessionState.CONFIRMED


def test_a_peer_that_stops_telling_is_given_up(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now))
    network.run(0.1)
    bob.do(callee.accept_refer(bob.now))
    network.run(170)
    assert progress(alice) == [(100, "Trying", False)]
    network.run(20)
    assert progress(alice)[-1] == (408, "Request Timeout", True)


def test_who_hangs_up_after_a_refer_is_still_told(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now))
    network.run(0.1)
    bob.do(callee.accept_refer(bob.now))
    network.run(0.1)
    alice.do(caller.hangup(alice.now))
    network.run(0.1)
    assert len(bob.told(Ended)) == 1
    bob.do(callee.notify_refer(200, bob.now))
    network.run(0.1)
    assert len(requests(bob, "NOTIFY")) == 2
    network.settle()


@pytest.mark.parametrize("taken", [True, False])
def test_who_hangs_up_before_the_answer_is_told_no_more(
    network: Network, alice: Phone, bob: Phone, taken: bool
) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now))
    network.run(0.02)
    bob.do(callee.accept_refer(bob.now) if taken else callee.reject_refer(603, bob.now))
    alice.do(caller.hangup(alice.now))
    network.settle()
    assert progress(alice) == []


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        ((), b"SIP/2.0 200 OK\r\n", 400),
        ((("Event", "presence"),), b"SIP/2.0 200 OK\r\n", 489),
        ((("Event", "refer;id=77"),), b"SIP/2.0 200 OK\r\n", 481),
        ((("Event", "refer"), ("Subscription-State", ";")), b"SIP/2.0 200 OK\r\n", 400),
        ((("Event", "refer"),), b"it went well", 400),
        ((("Event", "refer"),), b"SIP/2.0 200 OK\r\n", 200),
    ],
)
def test_a_notify_is_looked_at_before_it_is_believed(
    network: Network,
    alice: Phone,
    bob: Phone,
    fields: tuple[tuple[str, str], ...],
    body: bytes,
    status: int,
) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.refer(CAROL, alice.now))
    network.run(0.1)
    request, flow = bob.endpoint._agent.in_dialog(callee.dialog, "NOTIFY")  # type: ignore[arg-type]
    for name, value in fields:
        request.headers.add(name, value)
    request.headers.add("Content-Type", "message/sipfrag")
    request.body = body
    bob.do(bob.endpoint._agent.send(request, flow, callee, bob.now)[1])
    network.run(0.1)
    assert answers(alice, "NOTIFY") == [status]
    assert bool(progress(alice)) is (status == 200)


def test_outside_of_calls_nobody_is_referred(network: Network, alice: Phone, bob: Phone) -> None:
    for method in ("REFER", "NOTIFY"):
        request = Request(
            method,
            SipUri(user="101", host="192.0.2.2"),
            Headers(
                ("From", "<sip:102@example.com>"), ("To", "<sip:101@example.com>"), ("Refer-To", str(CAROL))
            ),
        )
        alice.do(alice.endpoint.request(request, alice.flow_to(bob), alice.now)[1])
    network.run(0.1)
    assert answers(bob, "REFER") == answers(bob, "NOTIFY") == [481]


# Replaces


def replacing(network: Network, carol: Phone, bob: Phone, replaces: Replaces | str) -> None:
    carol.call(bob, headers=Headers(("Replaces", str(replaces))))
    network.run(0.1)


def test_a_call_replaces_one_that_was_answered(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    carol = network.phone("192.0.2.3")
    replacing(network, carol, bob, Replaces.of(caller))
    assert [call.replaced for call in bob.told(IncomingCall)] == [callee]


def test_the_early_dialog_of_our_own_call_can_be_taken(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    callee = bob.told(IncomingCall)[0].session
    bob.do(callee.ring(bob.now))
    network.run(0.1)
    carol = network.phone("192.0.2.3")
    early = Replaces(callee.call_id, caller.local_tag, callee.local_tag, early_only=True)
    replacing(network, carol, alice, early)
    assert [call.replaced for call in alice.told(IncomingCall)] == [caller]
    # Who is called gives nobody the call that it has not answered yet.
    replacing(network, carol, bob, Replaces(callee.call_id, callee.local_tag, caller.local_tag))
    assert len(bob.told(IncomingCall)) == 1
    assert answers(bob, "INVITE")[-1] == 481


def test_what_cannot_be_replaced_is_refused(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    carol = network.phone("192.0.2.3")
    of = Replaces.of(caller)
    for value, status in (
        (Replaces(of.call_id, of.to_tag, of.from_tag, early_only=True), 486),
        (Replaces(of.call_id, of.from_tag, of.to_tag), 481),
        (Replaces("unknown", "a", "b"), 481),
        ("no tags", 400),
        (f"{of.call_id};to-tag={of.to_tag}", 400),
    ):
        replacing(network, carol, bob, str(value))
        assert answers(bob, "INVITE")[-1] == status, value
    assert bob.told(IncomingCall) == []
    # While our BYE is under way the dialog is known, and over.
    bob.do(callee.hangup(bob.now))
    replacing(network, carol, bob, of)
    assert answers(bob, "INVITE")[-1] == 603


def test_who_does_not_know_replaces_does_not_look_at_it(network: Network, alice: Phone) -> None:
    plain = network.phone("192.0.2.4")
    replacing(network, alice, plain, "garbage")
    assert [call.replaced for call in plain.told(IncomingCall)] == [None]


# Values


def test_replaces_goes_through_a_uri() -> None:
    replaces = Replaces("a&b=c?@192.0.2.1", "one", "two", early_only=True)
    uri = replaces.in_uri(SipUri(user="101", host="example.com"))
    assert replaces_of_uri(NameAddr.parse(f"<{uri}>").uri) == replaces
    assert replaces_of_uri(SipUri(user="101", host="example.com", headers="Subject=x")) is None


@pytest.mark.parametrize(
    "text", ["", ";to-tag=a;from-tag=b", "x;to-tag=a", "x y;to-tag=a;from-tag=b", "x" * 600]
)
def test_what_is_no_replaces_is_said(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        Replaces.parse(text)


def test_event_values() -> None:
    assert Event.parse("refer;id=7") == Event("refer", "7")
    assert str(Event("dialog")) == "dialog"
    state = SubscriptionState.parse("Terminated;reason=timeout;expires=99999999999")
    assert state.terminated
    assert (state.reason, state.expires_s) == ("timeout", 86_400)
    for text in ("", ";", "a b"):
        with pytest.raises(SipSyntaxError):
            Event.parse(text)


def test_a_status_line_is_read_out_of_a_fragment() -> None:
    assert status_of(b"SIP/2.0 503 Service Unavailable") == (503, "Service Unavailable")
    assert status_of(b"SIP/2.0 200\r\nVia: x") == (200, "")
    assert status_of(b"SIP/2.0 999 No") is None
    assert status_of(b"INVITE sip:1@x SIP/2.0") is None
