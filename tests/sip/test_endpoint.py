"""What the endpoint refuses, answers and passes up: RFC 3261 §8.2, §9.2, §12.2.2, and the limits."""

from __future__ import annotations

import pytest

from ringback.sip.effects import RequestArrived, RequestTimedOut, ResponseArrived, Transmit
from ringback.sip.endpoint import Answered, Ended, IncomingCall, OfferReceived
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri, encode, make_response
from ringback.sip.parse import parse_message
from ringback.sip.uri import parse_uri
from tests.sip.phones import ANSWER, OFFER, Network, Phone

PEER = ("192.0.2.9", 5060)
FLOW = Flow("udp", ("192.0.2.1", 5060), PEER)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def phone(network: Network) -> Phone:
    phone = network.phone(
        "192.0.2.1", allow=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "REGISTER")
    )
    network.link.attach(PEER, lambda *_: None)
    return phone


def request(
    method: str = "INVITE", number: int = 1, branch: str = "", to_tag: str = "", **fields: str
) -> Request:
    headers = Headers(
        ("Via", f"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{branch or f'{method}{number}'}"),
        ("Max-Forwards", "70"),
        ("From", "<sip:a@example.com>;tag=f"),
        ("To", "<sip:b@example.com>" + (f";tag={to_tag}" if to_tag else "")),
        ("Call-ID", "call"),
        ("CSeq", f"{number} {method}"),
        ("Contact", "<sip:a@192.0.2.9>"),
    )
    body = b""
    if method == "INVITE":
        body = OFFER
        headers.add("Content-Type", "application/sdp")
    for name, value in fields.items():
        headers.set(name.replace("_", "-"), value)
    return Request(method, SipUri(user="b", host="192.0.2.1"), headers, body)


def answer(phone: Phone, message: Request, flow: Flow = FLOW) -> Response | None:
    """Send a request in; the last response to it, read back from bytes."""
    before = len(phone.sent)
    phone.do(phone.endpoint.receive(parse_message(encode(message)), flow, phone.now))
    last = phone.sent[-1].message if len(phone.sent) > before else None
    assert not isinstance(last, Request)
    return last


def status(phone: Phone, message: Request) -> int | None:
    response = answer(phone, message)
    return None if response is None else response.status


def test_methods_that_are_not_served(phone: Phone) -> None:
    for number, (method, expected) in enumerate([("SUBSCRIBE", 405), ("UPDATE", 405), ("DANCE", 501)], 1):
        response = answer(phone, request(method, number))
        assert response is not None
        assert response.status == expected
        assert "REGISTER" in response.headers.get_all("Allow")
        assert response.to.tag
    assert phone.events == []


@pytest.mark.parametrize(
    ("fields", "expected", "header"),
    [
        ({"Require": "timer, privacy, x-future"}, 420, ("Unsupported", ["privacy", "x-future"])),
        ({"Max_Forwards": "0"}, 483, None),
        ({"Content_Type": "text/plain"}, 415, ("Accept", ["application/sdp"])),
        ({"Content_Encoding": "gzip"}, 415, ("Accept-Encoding", ["identity"])),
        ({"Accept": "text/plain"}, 406, None),
    ],
)
def test_invites_that_are_refused(
    phone: Phone, fields: dict[str, str], expected: int, header: tuple[str, list[str]] | None
) -> None:
    response = answer(phone, request(**fields))
    assert response is not None
    assert response.status == expected
    if header is not None:
        assert response.headers.get_all(header[0]) == header[1]
    assert phone.events == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Accept": "text/plain, application/sdp"},
        {"Accept": "application/*;q=0.5"},
        {"Content_Encoding": "identity"},
        {"Content_Type": "Application/SDP;charset=x"},
        {"Content_Type": "text/plain", "Content_Disposition": "render; handling=optional"},
    ],
)
def test_invites_that_are_taken(phone: Phone, fields: dict[str, str]) -> None:
    assert status(phone, request(**fields)) == 100
    assert len(phone.told(IncomingCall)) == 1


@pytest.mark.parametrize("uri", ["http:example.com", "urn:service:sos"])
def test_other_schemes_are_416(phone: Phone, uri: str) -> None:
    message = request("OPTIONS")
    message.uri = parse_uri(uri)
    assert status(phone, message) == 416


def test_a_malformed_request_is_answered_where_it_came_from(phone: Phone) -> None:
    message = request("OPTIONS")
    message.headers.set("CSeq", "x OPTIONS")
    message.headers.set("Via", "SIP/2.0/UDP 10.0.0.1:7777;branch=z9hG4bKx;rport")
    (effect,) = phone.endpoint.receive(parse_message(encode(message)), FLOW, phone.now)
    assert isinstance(effect, Transmit)
    assert effect.flow == FLOW
    assert effect.data.startswith(b"SIP/2.0 400 ")
    assert b"received=192.0.2.9" in effect.data
    assert phone.endpoint.transactions == 0


def test_a_malformed_response_or_garbage_is_dropped(phone: Phone) -> None:
    for data in (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n",
        b"\0\1\2",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        assert phone.endpoint.receive(parse_message(data), FLOW, phone.now) == []


def test_requests_outside_of_dialogs_go_to_the_application(phone: Phone) -> None:
    assert status(phone, request("REGISTER")) is None
    (arrived,) = phone.told(RequestArrived)
    assert arrived.request.method == "REGISTER"
    phone.do(phone.endpoint.respond(arrived.transaction_id, make_response(arrived.request, 200), phone.now))
    assert phone.names() == ["200 REGISTER"]
    assert phone.sent[0].message.to.tag
    # A copy gets the same answer and is not told again.
    assert status(phone, request("REGISTER")) == 200
    assert len(phone.told(RequestArrived)) == 1
    assert phone.sent[0].message.headers.get("Server") == "Test"


def test_an_answer_that_comes_too_late_is_dropped(network: Network, phone: Phone) -> None:
    answer(phone, request("OPTIONS"))
    (arrived,) = phone.told(RequestArrived)
    network.run(33)
    assert (
        phone.endpoint.respond(arrived.transaction_id, make_response(arrived.request, 200), phone.now) == []
    )
    phone.assert_idle()


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "OPTIONS"])
def test_unknown_dialogs_are_481(phone: Phone, method: str) -> None:
    assert status(phone, request(method, to_tag="nobody")) == 481


@pytest.mark.parametrize("method", ["BYE", "INFO"])
def test_what_needs_a_dialog_is_481_without(phone: Phone, method: str) -> None:
    assert status(phone, request(method)) == 481


def test_an_ack_out_of_the_blue_is_absorbed(phone: Phone) -> None:
    assert status(phone, request("ACK")) is None
    assert status(phone, request("ACK", to_tag="nobody")) is None
    assert phone.events == []


def test_cancel_without_invite_is_481(phone: Phone) -> None:
    assert status(phone, request("CANCEL")) == 481


def test_cancel_after_the_final_answer_changes_nothing(network: Network, phone: Phone) -> None:
    answer(phone, request(branch="one"))
    session = phone.told(IncomingCall)[0].session
    phone.do(session.accept(ANSWER, phone.now))
    assert status(phone, request("CANCEL", branch="one")) == 200
    assert phone.told(Ended) == []


def test_the_same_request_by_two_paths_is_482(phone: Phone) -> None:
    assert status(phone, request(branch="one")) == 100
    assert status(phone, request(branch="two")) == 482
    assert status(phone, request(branch="one")) == 100
    assert len(phone.told(IncomingCall)) == 1


def established(phone: Phone) -> str:
    """Take a call from the peer; returns our tag."""
    answer(phone, request())
    session = phone.told(IncomingCall)[-1].session
    phone.do(session.accept(ANSWER, phone.now))
    answer(phone, request("ACK", to_tag=session.local_tag))
    assert session.state.value == "confirmed"
    return session.local_tag


def test_requests_of_a_dialog_that_are_out_of_order_are_500(phone: Phone) -> None:
    tag = established(phone)
    assert status(phone, request("INFO", 5, to_tag=tag)) == 200
    assert status(phone, request("INFO", 4, to_tag=tag)) == 500
    assert status(phone, request("INFO", 5, branch="another", to_tag=tag)) == 500
    assert status(phone, request("INFO", 5, to_tag=tag)) == 200
    assert status(phone, request("INFO", 9, to_tag=tag)) == 200


def test_options_within_a_call(phone: Phone) -> None:
    response = answer(phone, request("OPTIONS", 2, to_tag=established(phone)))
    assert response is not None
    assert response.status == 200
    assert response.headers.get_all("Accept") == ["application/sdp"]
    assert "INVITE" in response.headers.get_all("Allow")


def test_an_answer_makes_the_dialog_that_the_rfc_describes(phone: Phone) -> None:
    invite = request(Record_Route="<sip:p1.example.com;lr>, <sip:p2.example.com;lr>")
    answer(phone, invite)
    session = phone.told(IncomingCall)[0].session
    phone.do(session.accept(ANSWER, phone.now, headers=Headers(("X-Test", "1"))))
    response = phone.sent[-1].message
    assert response.headers.get_all("Record-Route") == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    assert response.headers.get("Contact") == "<sip:phone@192.0.2.1:5060>"
    assert response.headers.get("X-Test") == "1"
    answer(phone, request("ACK", to_tag=session.local_tag))
    phone.do(session.hangup(phone.now))
    bye = phone.sent[-1].message
    assert isinstance(bye, Request)
    assert str(bye.uri) == "sip:a@192.0.2.9"
    assert [str(route) for route in bye.routes] == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    assert (bye.from_.tag, bye.to.tag) == (session.local_tag, "f")


def test_a_strict_router_becomes_the_request_uri(phone: Phone) -> None:
    answer(phone, request(Record_Route="<sip:p1.example.com>, <sip:p2.example.com;lr>"))
    session = phone.told(IncomingCall)[0].session
    phone.do(session.accept(ANSWER, phone.now))
    answer(phone, request("ACK", to_tag=session.local_tag))
    phone.do(session.hangup(phone.now))
    bye = phone.sent[-1].message
    assert isinstance(bye, Request)
    assert str(bye.uri) == "sip:p1.example.com"
    assert [str(route) for route in bye.routes] == ["<sip:p2.example.com;lr>", "<sip:a@192.0.2.9>"]


def test_a_reinvite_moves_the_remote_target(phone: Phone) -> None:
    tag = established(phone)
    session = phone.told(IncomingCall)[0].session
    answer(phone, request("INVITE", 2, to_tag=tag, Contact="<sip:a@192.0.2.55>"))
    assert str(session.remote_target) == "sip:a@192.0.2.9"
    phone.do(session.answer_offer(ANSWER, phone.now))
    assert str(session.remote_target) == "sip:a@192.0.2.55"


def test_a_cancelled_reinvite_leaves_the_call(phone: Phone) -> None:
    tag = established(phone)
    session = phone.told(IncomingCall)[0].session
    answer(phone, request("INVITE", 2, branch="re", to_tag=tag))
    assert status(phone, request("CANCEL", 2, branch="re", to_tag=tag)) == 487
    assert session.answer_offer(ANSWER, phone.now) == []
    assert phone.told(Ended) == []


def test_a_reinvite_again_by_a_new_connection_is_answered_there(phone: Phone) -> None:
    old, new = (Flow("wss", ("192.0.2.1", 443), ("192.0.2.9", 4000 + number), number) for number in (1, 2))
    answer(phone, request(), old)
    session = phone.told(IncomingCall)[0].session
    phone.do(session.accept(ANSWER, phone.now))
    answer(phone, request("ACK", to_tag=session.local_tag), old)
    again = request("INVITE", 2, to_tag=session.local_tag)
    answer(phone, again, old)
    phone.do(session.answer_offer(ANSWER, phone.now))
    lost = phone.sent[-1]
    assert (lost.name, lost.flow) == ("200 INVITE", old)
    answer(phone, again, new)
    assert phone.sent[-1].flow == new
    assert encode(phone.sent[-1].message) == encode(lost.message)
    # It is no offer again, and what we ask goes the new way too.
    assert len(phone.told(OfferReceived)) == 1
    phone.do(session.hangup(phone.now))
    assert (phone.sent[-1].name, phone.sent[-1].flow) == ("BYE", new)


def test_the_ack_to_a_later_reinvite_stands_for_those_that_were_lost(network: Network, phone: Phone) -> None:
    tag = established(phone)
    session = phone.told(IncomingCall)[0].session
    for number in (2, 3):
        answer(phone, request("INVITE", number, to_tag=tag))
        phone.do(session.answer_offer(ANSWER, phone.now))
    answer(phone, request("ACK", 3, to_tag=tag))
    network.run(60)
    assert phone.told(Ended) == []


def test_an_old_phone_without_contact_and_branch_can_call(phone: Phone) -> None:
    invite = request()
    invite.headers.remove("Contact")
    invite.headers.set("Via", "SIP/2.0/UDP 192.0.2.9")
    invite.headers.set("From", "<sip:old@192.0.2.9>")
    assert status(phone, invite) == 100
    session = phone.told(IncomingCall)[0].session
    phone.do(session.accept(ANSWER, phone.now))
    ack = request("ACK", to_tag=session.local_tag)
    ack.headers.set("Via", "SIP/2.0/UDP 192.0.2.9")
    ack.headers.set("From", "<sip:old@192.0.2.9>")
    answer(phone, ack)
    assert session.state.value == "confirmed"
    assert str(session.remote_target) == "sip:old@192.0.2.9"


def test_more_calls_than_allowed_are_503(network: Network) -> None:
    phone = network.phone("192.0.2.1", max_sessions=1)
    network.link.attach(PEER, lambda *_: None)
    assert status(phone, request()) == 100
    response = answer(phone, request(number=1, branch="b", Call_ID="other"))
    assert response is not None
    assert response.status == 503
    assert response.headers.get("Retry-After")


def test_more_transactions_than_allowed_are_503_without_state(network: Network) -> None:
    phone = network.phone("192.0.2.1", max_transactions=1)
    network.link.attach(PEER, lambda *_: None)
    assert status(phone, request()) == 100
    assert status(phone, request("OPTIONS", 2)) == 503
    assert phone.endpoint.transactions == 1


def test_a_request_of_the_application_is_completed_and_answered(network: Network) -> None:
    alice, bob = network.phone("192.0.2.1"), network.phone("192.0.2.2")
    headers = Headers(("From", "<sip:a@example.com>"), ("To", "<sip:b@example.com>"))
    message = Request("OPTIONS", SipUri(host="192.0.2.2"), headers)
    transaction_id, effects = alice.endpoint.request(message, alice.flow_to(bob), alice.now)
    alice.do(effects)
    network.run(0.1)
    (arrived,) = bob.told(RequestArrived)
    assert arrived.request.from_.tag
    assert arrived.request.max_forwards == 70
    assert arrived.request.headers.get("User-Agent") == "Test"
    bob.do(bob.endpoint.respond(arrived.transaction_id, make_response(arrived.request, 200), bob.now))
    network.run(0.1)
    assert [(event.transaction_id, event.response.status) for event in alice.told(ResponseArrived)] == [
        (transaction_id, 200)
    ]


def test_a_request_of_the_application_that_nobody_answers(network: Network) -> None:
    alice = network.phone("192.0.2.1")
    headers = Headers(("From", "<sip:a@example.com>"), ("To", "<sip:b@example.com>"))
    message = Request("OPTIONS", SipUri(host="192.0.2.2"), headers)
    transaction_id, effects = alice.endpoint.request(message, alice.flow_to(PEER), alice.now)
    alice.do(effects)
    network.settle()
    assert alice.told(RequestTimedOut) == [RequestTimedOut(transaction_id)]


def test_a_response_with_foreign_vias_is_dropped(network: Network) -> None:
    alice, bob = network.phone("192.0.2.1"), network.phone("192.0.2.2")
    alice.call(bob)
    invite = alice.sent[0].message
    assert isinstance(invite, Request)
    response = make_response(invite, 200, to_tag="t")
    response.headers.add("Via", "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKx")
    assert alice.endpoint.receive(response, alice.flow_to(bob), alice.now) == []


def test_the_second_callee_of_a_forked_call_is_acknowledged_and_hung_up(network: Network) -> None:
    alice, bob = network.phone("192.0.2.1"), network.phone("192.0.2.2")
    network.phones.remove(bob)
    network.link.attach(bob.address, lambda *_: None)
    session = alice.call(bob)
    invite = alice.sent[0].message
    assert isinstance(invite, Request)

    def accepted_by(tag: str) -> Response:
        response = make_response(invite, 200, to_tag=tag)
        response.headers.add("Contact", f"<sip:{tag}@192.0.2.2>")
        response.headers.set("Content-Type", "application/sdp")
        response.body = ANSWER
        return response

    for tag in ("first", "second", "second", "first"):
        alice.do(alice.endpoint.receive(accepted_by(tag), alice.flow_to(bob), alice.now))
    seen = [(sent.name, str(sent.message.uri)) for sent in alice.sent[1:]]
    assert seen == [
        ("ACK", "sip:first@192.0.2.2"),
        ("ACK", "sip:second@192.0.2.2"),
        ("BYE", "sip:second@192.0.2.2"),
        ("ACK", "sip:second@192.0.2.2"),
        ("ACK", "sip:first@192.0.2.2"),
    ]
    assert session.remote_tag == "first"
    assert alice.told(Answered) == [Answered(session, ANSWER)]
    assert alice.told(Ended) == []


def test_a_call_by_a_route_set(network: Network) -> None:
    alice, bob = network.phone("192.0.2.1"), network.phone("192.0.2.2")
    _, effects = alice.endpoint.invite(
        target=SipUri(user="b", host="far.example.com"),
        to=NameAddr(SipUri(user="b", host="example.com")),
        from_=NameAddr(SipUri(user="a", host="example.com")),
        flow=alice.flow_to(bob),
        now=alice.now,
        sdp=OFFER,
        route_set=(NameAddr(SipUri.parse("sip:proxy.example.com;lr")),),
    )
    alice.do(effects)
    invite = alice.sent[0].message
    assert isinstance(invite, Request)
    assert [str(value) for value in invite.routes] == ["<sip:proxy.example.com;lr>"]
    assert str(invite.uri) == "sip:b@far.example.com"
    assert alice.sent[0].flow == alice.flow_to(bob)
