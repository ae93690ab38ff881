"""Requests with several targets: the next one answers when the first does not (RFC 3263 §4.3)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.sip.effects import RequestArrived, ResponseArrived, Transmit
from ringback.sip.endpoint import Answered, Ended, Failed, IncomingCall, InviteSession, RequestTimedOut
from ringback.sip.failover import PATIENCE_S
from ringback.sip.flow import Flow, Targets
from ringback.sip.headers import Headers
from ringback.sip.message import NameAddr, Request, SipUri, make_response
from tests.sip.phones import ANSWER, OFFER, Network, Phone

US, ONE, TWO = "192.0.2.1", "192.0.2.11", "192.0.2.12"


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def us(network: Network) -> Phone:
    return network.phone(US)


def targets(us: Phone, *hosts: str) -> Targets:
    return tuple(us.flow_to((host, 5060)) for host in hosts)


def call(us: Phone, where: Flow | Targets, headers: Headers | None = None) -> InviteSession:
    session, effects = us.endpoint.invite(
        target=SipUri(user="101", host="example.com"),
        to=NameAddr(SipUri(user="101", host="example.com")),
        from_=NameAddr(SipUri(user="102", host="example.com")),
        flow=where,
        now=us.now,
        sdp=OFFER,
        headers=headers,
    )
    us.do(effects)
    return session


def answer(phone: Phone) -> InviteSession:
    session = phone.told(IncomingCall)[-1].session
    phone.do(session.accept(ANSWER, phone.now))
    return session


def test_a_silent_target_costs_two_seconds_once(network: Network, us: Phone) -> None:
    two = network.phone(TWO)
    session = call(us, targets(us, ONE, TWO))
    network.run(PATIENCE_S + 0.2)
    answer(two)
    network.run(0.2)
    assert [event.session for event in us.told(Answered)] == [session]
    us.do(session.hangup(us.now))
    network.run(1)

    began = us.now
    again = call(us, targets(us, ONE, TWO))
    network.run(0.1)
    answer(two)
    network.run(0.1)
    assert us.told(Answered)[-1].session is again
    assert us.now - began < 0.5
    us.do(again.hangup(us.now))
    network.settle()


def test_each_target_gets_a_branch_of_its_own_and_the_same_call(network: Network, us: Phone) -> None:
    network.phone(TWO)
    call(us, targets(us, ONE, TWO))
    network.run(PATIENCE_S + 0.1)
    invites = {sent.flow.remote[0]: sent.message for sent in us.sent if sent.name == "INVITE"}
    first, second = invites[ONE], invites[TWO]
    assert first.top_via.branch != second.top_via.branch
    assert (first.call_id, first.from_, first.cseq) == (second.call_id, second.from_, second.cseq)


def test_a_target_that_says_503_is_left_at_once(network: Network, us: Phone) -> None:
    one, two = network.phone(ONE), network.phone(TWO)
    session = call(us, targets(us, ONE, TWO))
    network.run(0.1)
    one.do(one.told(IncomingCall)[-1].session.reject(503, one.now))
    network.run(0.2)
    answer(two)
    network.run(0.2)
    assert us.told(Answered)[0].session is session
    assert us.told(Failed) == []
    us.do(session.hangup(us.now))
    network.settle()


def test_a_refusal_of_the_callee_is_final(network: Network, us: Phone) -> None:
    one, two = network.phone(ONE), network.phone(TWO)
    call(us, targets(us, ONE, TWO))
    network.run(0.1)
    one.do(one.told(IncomingCall)[-1].session.reject(486, one.now))
    network.run(1)
    assert [event.status for event in us.told(Failed)] == [486]
    assert two.events == []
    network.settle()


def test_the_late_answer_of_a_target_given_up_is_acknowledged_and_ended(network: Network, us: Phone) -> None:
    one, two = network.phone(ONE), network.phone(TWO)
    network.link.attach(one.address, lambda data, source, destination: None)
    session = call(us, targets(us, ONE, TWO))
    first = us.sent[0]
    network.run(PATIENCE_S + 0.2)
    answer(two)
    network.run(0.2)
    # Now the first one, whose network was slow, takes the INVITE that was sent to it long ago.
    network.link.attach(one.address, one._receive)
    one.do(one.endpoint.receive(first.message, one.flow_to(us), one.now))
    unwanted = one.told(IncomingCall)[0].session
    network.run(0.2)
    assert [event.session for event in one.told(Ended)] == [unwanted]
    assert us.told(Ended) == []
    assert us.told(Answered)[0].session is session
    us.do(session.hangup(us.now))
    network.settle()


def test_the_last_target_has_all_the_time_there_is(network: Network, us: Phone) -> None:
    call(us, targets(us, ONE, TWO))
    network.run(20)
    assert us.told(Failed) == []
    network.run(20)
    assert [event.status for event in us.told(Failed)] == [408]
    network.settle()


def test_a_call_that_was_hung_up_goes_to_no_further_target(network: Network, us: Phone) -> None:
    two = network.phone(TWO)
    session = call(us, targets(us, ONE, TWO))
    network.run(1)
    us.do(session.hangup(us.now))
    network.run(10)
    assert two.events == []
    network.settle()


def test_other_requests_go_on_too(network: Network, us: Phone) -> None:
    two = network.phone(TWO)
    two.on_event = lambda phone, event: (
        phone.endpoint.respond(event.transaction_id, make_response(event.request, 200), phone.now)
        if isinstance(event, RequestArrived)
        else []
    )
    headers = Headers(("From", "<sip:102@example.com>"), ("To", "<sip:101@example.com>"))
    _, effects = us.endpoint.request(
        Request("OPTIONS", SipUri(host="example.com"), headers), targets(us, ONE, TWO), us.now
    )
    us.do(effects)
    network.run(PATIENCE_S + 0.5)
    assert [event.response.status for event in us.told(ResponseArrived)] == [200]
    assert us.told(RequestTimedOut) == []
    network.settle()


def test_a_broken_connection_leads_to_the_next_target(network: Network, us: Phone) -> None:
    two = network.phone(TWO)
    refused = Flow("tcp", us.address, (ONE, 5060))
    call(us, (refused, us.flow_to(two)))
    us.do(us.endpoint.connection_lost(refused, us.now))
    network.run(0.1)
    assert len(two.told(IncomingCall)) == 1


class TestLargeRequests:
    """RFC 3261 §18.1.1."""

    LARGE = Headers(("Subject", "x" * 1_400))

    def transports(self, us: Phone) -> list[str]:
        return [f"{sent.flow.transport} {sent.message.top_via.transport}" for sent in us.sent]

    def test_more_than_1300_bytes_go_by_tcp(self, us: Phone) -> None:
        call(us, targets(us, ONE), self.LARGE)
        assert self.transports(us) == ["tcp TCP"]

    def test_and_by_udp_where_tcp_is_refused(self, us: Phone) -> None:
        call(us, targets(us, ONE), self.LARGE)
        us.do(us.endpoint.connection_lost(us.sent[0].flow, us.now))
        assert self.transports(us) == ["tcp TCP", "udp UDP"]
        call(us, targets(us, ONE), self.LARGE)
        assert self.transports(us)[2:] == ["udp UDP"]

    def test_who_asks_for_a_change_by_tcp_gets_it_by_tcp(self, us: Phone, network: Network) -> None:
        us = network.phone("192.0.2.2", session_expires_s=1_800)
        call(us, targets(us, ONE), self.LARGE)
        refusal = make_response(us.sent[0].message, 422, to_tag="t")  # type: ignore[arg-type]
        refusal.headers.set("Min-SE", "3600")
        us.do(us.endpoint.receive(refusal, us.sent[0].flow, us.now))
        assert us.names() == ["INVITE", "ACK", "INVITE"]
        assert self.transports(us) == ["tcp TCP"] * 3

    def test_small_ones_stay_with_udp(self, us: Phone) -> None:
        call(us, targets(us, ONE))
        assert self.transports(us) == ["udp UDP"]

    def test_a_contact_that_registered_by_udp_gets_all_by_udp(self, us: Phone) -> None:
        call(us, us.flow_to((ONE, 5060)), self.LARGE)
        assert self.transports(us) == ["udp UDP"]


def test_requests_in_a_call_follow_the_route_of_a_peer_that_was_looked_up(
    network: Network, us: Phone
) -> None:
    one = network.phone(ONE)
    session = call(us, targets(us, ONE))
    network.run(0.1)
    accepted = one.told(IncomingCall)[-1].session.accept(ANSWER, one.now)
    response = next(effect for effect in accepted if isinstance(effect, Transmit))
    named = response.data.replace(f"<sip:phone@{ONE}:5060>".encode(), b"<sip:phone@edge.example.com>")
    one.do([replace(response, data=named)])
    network.run(0.1)
    ack = us.sent[-1]
    assert ack.name == "ACK"
    assert ack.flow.remote == ("edge.example.com", 0)
    assert ack.flow.named
    us.do(session.hangup(us.now))
