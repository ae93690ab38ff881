"""Calls between two real endpoints: set-up, end at every moment, offers, failures (RFC 3261 §13 to §15)."""

from __future__ import annotations

from itertools import count

import pytest

from ringback.sip.endpoint import (
    Answered,
    Confirmed,
    Effect,
    Ended,
    Endpoint,
    EndpointSettings,
    Failed,
    IncomingCall,
    InfoReceived,
    InviteSession,
    OfferAnswered,
    OfferFailed,
    OfferReceived,
    Ringing,
)
from ringback.sip.errors import SessionStateError
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, Request, SipUri
from ringback.sip.session_state import SessionState
from ringback.testing.lossy_link import LinkQuality
from tests.sip.phones import ANSWER, OFFER, Network, Phone

A, B = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def alice(network: Network) -> Phone:
    return network.phone(A)


@pytest.fixture
def bob(network: Network) -> Phone:
    return network.phone(B)


def incoming(phone: Phone) -> InviteSession:
    return phone.told(IncomingCall)[-1].session


def talk(network: Network, alice: Phone, bob: Phone) -> tuple[InviteSession, InviteSession]:
    caller = alice.call(bob)
    network.run(0.1)
    callee = incoming(bob)
    bob.do(callee.accept(ANSWER, bob.now))
    network.run(0.1)
    assert caller.state is callee.state is SessionState.CONFIRMED
    for phone in (alice, bob):
        phone.events.clear()
        phone.sent.clear()
    return caller, callee


def endings(*phones: Phone) -> list[tuple[str, int | None]]:
    ends = [phone.told(Ended) for phone in phones]
    assert all(len(end) == 1 for end in ends)
    return [(end[0].by, end[0].status) for end in ends]


def test_a_call_rings_is_answered_and_hung_up(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    callee = incoming(bob)
    assert callee.request.body == OFFER
    bob.do(callee.ring(bob.now))
    network.run(0.1)
    assert [(event.status, event.sdp) for event in alice.told(Ringing)] == [(180, None)]
    bob.do(callee.accept(ANSWER, bob.now))
    network.run(0.1)
    assert alice.told(Answered) == [Answered(caller, ANSWER)]
    assert bob.told(Confirmed) == [Confirmed(callee, None)]
    assert caller.call_id == callee.call_id
    assert caller.remote_tag == callee.local_tag
    assert str(caller.remote_target) == f"sip:phone@{B}:5060"
    alice.do(caller.hangup(alice.now))
    network.run(0.1)
    assert endings(alice, bob) == [("us", None), ("peer", None)]
    assert alice.names() == ["INVITE", "ACK", "BYE"]
    assert bob.names() == ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    network.settle()


def test_the_callee_can_hang_up(network: Network, alice: Phone, bob: Phone) -> None:
    _, callee = talk(network, alice, bob)
    bob.do(callee.hangup(bob.now))
    network.run(0.1)
    assert endings(alice, bob) == [("peer", None), ("us", None)]
    network.settle()


def test_a_call_on_a_stream_sends_each_message_once(network: Network) -> None:
    alice, bob = network.phone(A, transport="tcp"), network.phone(B, transport="tcp")
    caller, _ = talk(network, alice, bob)
    alice.do(caller.hangup(alice.now))
    network.settle()
    assert alice.names() == ["BYE"]
    assert bob.names() == ["200 BYE"]


def test_both_hang_up_at_once(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.hangup(alice.now))
    bob.do(callee.hangup(bob.now))
    network.run(0.1)
    assert alice.names() == bob.names() == ["BYE", "200 BYE"]
    assert endings(alice, bob) == [("us", None), ("us", None)]
    network.settle()


@pytest.mark.parametrize("status", [302, 401, 404, 486, 603])
def test_a_rejected_call(network: Network, alice: Phone, bob: Phone, status: int) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    headers = Headers(("X-Why", "because"))
    bob.do(incoming(bob).reject(status, bob.now, headers=headers))
    network.run(0.1)
    (failed,) = alice.told(Failed)
    assert (failed.session, failed.status) == (caller, status)
    assert failed.response is not None
    assert failed.response.headers.get("X-Why") == "because"
    assert endings(alice, bob) == [("peer", status), ("us", status)]
    assert alice.names() == ["INVITE", "ACK"]
    network.settle()


def test_cancel_while_ringing(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    bob.do(incoming(bob).ring(bob.now))
    network.run(0.1)
    alice.do(caller.hangup(alice.now))
    network.run(0.1)
    assert endings(alice, bob) == [("us", None), ("peer", 487)]
    assert alice.names() == ["INVITE", "CANCEL", "ACK"]
    assert bob.names() == ["100 INVITE", "180 INVITE", "200 CANCEL", "487 INVITE"]
    assert bob.sent[2].message.to.tag == bob.sent[3].message.to.tag
    assert incoming(bob).accept(ANSWER, bob.now) == []
    network.settle()


def test_hangup_before_any_answer_holds_the_cancel(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    alice.do(caller.hangup(alice.now))
    assert alice.names() == ["INVITE"]
    network.run(0.1)
    assert alice.names() == ["INVITE", "CANCEL", "ACK"]
    assert endings(alice, bob) == [("us", None), ("peer", 487)]
    network.settle()


def test_hangup_before_any_answer_and_nobody_there(network: Network, alice: Phone, bob: Phone) -> None:
    network.phones.remove(bob)
    network.link.attach(bob.address, lambda *_: None)
    caller = alice.call(bob)
    alice.do(caller.hangup(alice.now))
    network.settle()
    assert set(alice.names()) == {"INVITE"}
    assert endings(alice) == [("us", None)]
    assert alice.told(Failed) == []


def test_cancel_crosses_the_answer(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    bob.do(incoming(bob).accept(ANSWER, bob.now))
    alice.do(caller.hangup(alice.now))
    network.run(0.1)
    assert alice.names() == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert endings(alice, bob) == [("us", None), ("peer", None)]
    assert alice.told(Answered) == []
    network.settle()


def test_cancelled_peer_that_never_answers_is_given_up(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    alice.do(caller.hangup(alice.now))
    network.link.attach(bob.address, lambda *_: None)
    network.run(33)
    alice.assert_idle()


def test_callee_hangs_up_before_answering(network: Network, alice: Phone, bob: Phone) -> None:
    alice.call(bob)
    network.run(0.1)
    bob.do(incoming(bob).hangup(bob.now))
    network.run(0.1)
    assert endings(alice, bob) == [("peer", 480), ("us", None)]
    network.settle()


def test_callee_hangs_up_before_the_ack(network: Network, alice: Phone, bob: Phone) -> None:
    alice.call(bob)
    network.run(0.1)
    callee = incoming(bob)
    bob.do(callee.accept(ANSWER, bob.now))
    bob.do(callee.hangup(bob.now))
    assert bob.names() == ["100 INVITE", "200 INVITE"]
    network.run(0.1)
    assert bob.names() == ["100 INVITE", "200 INVITE", "BYE"]
    assert bob.told(Confirmed) == []
    assert endings(alice, bob) == [("peer", None), ("us", None)]
    network.settle()


def test_no_ack_repeats_the_answer_and_then_ends_with_bye(network: Network, alice: Phone, bob: Phone) -> None:
    alice.call(bob)
    network.run(0.1)
    network.phones.remove(alice)
    network.link.attach(alice.address, lambda *_: None)
    start = bob.now
    bob.do(incoming(bob).accept(ANSWER, bob.now))
    network.run(40)
    answers = [round(sent.at - start, 3) for sent in bob.sent if sent.name == "200 INVITE"]
    assert answers == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    byes = [round(sent.at - start, 3) for sent in bob.sent if sent.name == "BYE"]
    assert byes[0] == 32
    assert endings(bob) == [("timeout", None)]
    network.settle()


def test_lost_ack_is_sent_again_for_each_answer(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    bob.do(incoming(bob).accept(ANSWER, bob.now))
    network.link.quality = LinkQuality(loss=1)
    network.run(0.02)
    network.link.quality = LinkQuality()
    assert caller.state is SessionState.CONFIRMED
    network.run(1)
    assert alice.names() == ["INVITE", "ACK", "ACK"]
    assert len(alice.told(Answered)) == len(bob.told(Confirmed)) == 1


def test_nobody_answers(network: Network, alice: Phone, bob: Phone) -> None:
    network.phones.remove(bob)
    network.link.attach(bob.address, lambda *_: None)
    alice.call(bob)
    network.run(31.9)
    assert alice.told(Failed) == []
    network.run(0.2)
    assert [event.status for event in alice.told(Failed)] == [408]
    assert endings(alice) == [("timeout", 408)]
    network.settle()


def test_late_offer(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob, sdp=None)
    network.run(0.1)
    callee = incoming(bob)
    assert callee.request.body == b""
    bob.do(callee.accept(OFFER, bob.now))
    network.run(0.2)
    assert alice.told(Answered) == [Answered(caller, OFFER)]
    assert bob.told(Confirmed) == []
    alice.do(caller.answer_offer(ANSWER, alice.now))
    network.run(0.1)
    assert bob.told(Confirmed) == [Confirmed(callee, ANSWER)]
    alice.do(caller.hangup(alice.now))
    network.settle()


def test_late_offer_refused_is_acknowledged_and_ended(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob, sdp=None)
    network.run(0.1)
    bob.do(incoming(bob).accept(OFFER, bob.now))
    network.run(0.1)
    alice.do(caller.reject_offer(488, alice.now))
    network.run(0.1)
    assert alice.names() == ["INVITE", "ACK", "BYE"]
    assert endings(alice, bob) == [("us", 488), ("peer", None)]
    network.settle()


def test_reinvite_puts_on_hold_and_takes_back(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    for asks, answers, one, other in ((alice, bob, caller, callee), (bob, alice, callee, caller)):
        asks.do(one.reinvite(OFFER + b"a=sendonly\r\n", asks.now))
        network.run(0.1)
        (offer,) = answers.told(OfferReceived)
        assert offer.session is other
        assert offer.sdp == OFFER + b"a=sendonly\r\n"
        answers.do(other.answer_offer(ANSWER, answers.now))
        network.run(0.1)
        assert asks.told(OfferAnswered) == [OfferAnswered(one, ANSWER)]
        assert not other.awaits_ack
    alice.do(caller.hangup(alice.now))
    network.settle()


def test_reinvite_refused_leaves_the_call_as_it_was(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.reinvite(OFFER, alice.now))
    network.run(0.1)
    bob.do(callee.reject_offer(488, bob.now))
    network.run(0.1)
    assert alice.told(OfferFailed) == [OfferFailed(caller, 488)]
    assert caller.state is callee.state is SessionState.CONFIRMED
    alice.do(caller.hangup(alice.now))
    network.settle()


def test_reinvite_without_sdp(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.reinvite(None, alice.now))
    network.run(0.1)
    assert bob.told(OfferReceived)[0].sdp is None
    bob.do(callee.answer_offer(OFFER, bob.now))
    network.run(0.1)
    assert alice.told(OfferReceived)[0].sdp == OFFER
    alice.do(caller.answer_offer(ANSWER, alice.now))
    network.run(0.1)
    assert bob.told(OfferAnswered) == [OfferAnswered(callee, ANSWER)]
    alice.do(caller.hangup(alice.now))
    network.settle()


def answer_every_offer(phone: Phone, event: Effect) -> list[Effect]:
    return event.session.answer_offer(ANSWER, phone.now) if isinstance(event, OfferReceived) else []


def test_glare_is_solved_by_waiting(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.on_event = bob.on_event = answer_every_offer
    start = network.clock.now
    alice.do(caller.reinvite(OFFER + b"a=from:alice\r\n", alice.now))
    bob.do(callee.reinvite(OFFER + b"a=from:bob\r\n", bob.now))
    network.run(0.1)
    assert alice.names() == bob.names() == ["INVITE", "491 INVITE", "ACK"]
    network.run(5)
    assert alice.told(OfferAnswered) == [OfferAnswered(caller, ANSWER)]
    assert bob.told(OfferAnswered) == [OfferAnswered(callee, ANSWER)]
    second = [sent.at - start for sent in alice.sent if sent.name == "INVITE"][1]
    assert 2.1 <= second <= 4.1
    second = [sent.at - start for sent in bob.sent if sent.name == "INVITE"][1]
    assert second <= 2.1
    alice.do(caller.hangup(alice.now))
    network.settle()


def test_an_offer_waits_for_the_one_before(network: Network, alice: Phone, bob: Phone) -> None:
    caller, _ = talk(network, alice, bob)
    bob.on_event = answer_every_offer
    for number in range(4):
        alice.do(caller.reinvite(OFFER + b"a=n:%d\r\n" % number, alice.now))
    assert alice.names() == ["INVITE"]
    network.run(1)
    assert [offer.sdp for offer in bob.told(OfferReceived)] == [OFFER + b"a=n:0\r\n", OFFER + b"a=n:3\r\n"]
    assert len(alice.told(OfferAnswered)) == 2


def test_second_reinvite_before_the_answer_is_500(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.reinvite(OFFER, alice.now))
    network.run(0.1)
    # A peer that does not know the rule: the same dialog, another INVITE.
    request, flow = caller._agent.in_dialog(caller.dialog, "INVITE", OFFER)
    alice.do(caller._agent.send(request, flow, caller, alice.now)[1])
    network.run(0.1)
    refusal = bob.sent[-1]
    assert refusal.name == "500 INVITE"
    assert 0 <= int(refusal.message.headers.get("Retry-After") or "") <= 10
    bob.do(callee.answer_offer(ANSWER, bob.now))
    network.run(0.1)
    assert len(alice.told(OfferAnswered)) == 1


def test_hangup_answers_the_open_reinvite(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.reinvite(OFFER, alice.now))
    network.run(0.1)
    bob.do(callee.hangup(bob.now))
    network.run(0.1)
    assert "487 INVITE" in bob.names()
    assert endings(alice, bob) == [("peer", None), ("us", None)]
    network.settle()


def test_silence_after_a_reinvite_ends_the_call(network: Network, alice: Phone, bob: Phone) -> None:
    caller, _ = talk(network, alice, bob)
    network.link.attach(bob.address, lambda *_: None)
    alice.do(caller.reinvite(OFFER, alice.now))
    network.run(33)
    assert endings(alice) == [("timeout", 408)]
    network.run(40)
    alice.assert_idle()


def test_unknown_dialog_after_a_reinvite_ends_the_call(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    bob.endpoint._agent.forget(callee.dialog)
    alice.do(caller.reinvite(OFFER, alice.now))
    network.run(0.1)
    assert endings(alice) == [("error", 481)]


def test_info(network: Network, alice: Phone, bob: Phone) -> None:
    caller, callee = talk(network, alice, bob)
    alice.do(caller.info("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", alice.now))
    network.run(0.1)
    body = b"Signal=5\r\nDuration=160\r\n"
    assert bob.told(InfoReceived) == [InfoReceived(callee, "application/dtmf-relay", body)]
    assert bob.names() == ["200 INFO"]


def test_the_ring_is_repeated_each_minute(network: Network, alice: Phone, bob: Phone) -> None:
    alice.call(bob)
    network.run(0.1)
    bob.do(incoming(bob).ring(bob.now))
    network.run(185)
    assert bob.names().count("180 INVITE") == 4


def test_expires_ends_an_unanswered_call(network: Network, alice: Phone, bob: Phone) -> None:
    alice.call(bob, headers=Headers(("Expires", "20")))
    network.run(0.1)
    bob.do(incoming(bob).ring(bob.now))
    network.run(21)
    assert endings(alice, bob) == [("peer", 487), ("timeout", 487)]
    network.settle()


def test_bye_within_a_ringing_call(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    network.run(0.1)
    bob.do(incoming(bob).ring(bob.now))
    network.run(0.1)
    alice.do(caller._bye(alice.now))
    network.run(0.1)
    assert bob.names()[-2:] == ["200 BYE", "487 INVITE"]
    assert endings(bob) == [("peer", None)]


def test_lost_connection_leaves_the_call_and_moves_its_requests(network: Network) -> None:
    alice, bob = network.phone(A, transport="tcp"), network.phone(B, transport="tcp")
    caller, _ = talk(network, alice, bob)
    bob.do(bob.endpoint.connection_lost(bob.flow_to(alice), bob.now))
    alice.do(alice.endpoint.connection_lost(alice.flow_to(bob), alice.now))
    assert alice.events == bob.events == []
    alice.do(caller.hangup(alice.now))
    assert alice.sent[-1].flow == Flow("tcp", alice.address, bob.address, 0)
    network.run(0.1)
    assert endings(alice, bob) == [("us", None), ("peer", None)]


def test_after_a_lost_connection_a_contact_cannot_send_us_to_another_host(network: Network) -> None:
    alice, bob = network.phone(A, transport="tcp"), network.phone(B, transport="tcp")
    elsewhere = SipUri(user="x", host="10.0.0.1", port=22, params={"transport": "tcp"})
    alice.endpoint = Endpoint(
        EndpointSettings(user_agent="Test", contact_for=lambda _: elsewhere),
        new_token=(f"alice-{number}" for number in count()).__next__,
    )
    _, callee = talk(network, alice, bob)
    bob.do(bob.endpoint.connection_lost(bob.flow_to(alice), bob.now))
    bob.do(callee.hangup(bob.now))
    assert bob.sent[-1].name == "BYE"
    assert bob.sent[-1].flow.remote == (alice.address[0], 22)


def test_lost_connection_fails_the_call_being_set_up(network: Network) -> None:
    alice, bob = network.phone(A, transport="tcp"), network.phone(B, transport="tcp")
    alice.call(bob)
    alice.do(alice.endpoint.connection_lost(alice.flow_to(bob), alice.now))
    assert [event.status for event in alice.told(Failed)] == [503]
    assert endings(alice) == [("error", 503)]


def test_a_request_from_a_new_address_moves_the_call_there(
    network: Network, alice: Phone, bob: Phone
) -> None:
    caller, callee = talk(network, alice, bob)
    moved = ("192.0.2.77", 1234)
    network.link.attach(moved, alice._receive)
    alice.do(caller.info("text/plain", b"x", alice.now))
    request = alice.sent[-1].message
    assert isinstance(request, Request)
    bob.do(bob.endpoint.receive(request, bob.flow_to(moved), bob.now))
    assert callee.flow.remote == moved
    bob.do(callee.hangup(bob.now))
    assert bob.sent[-1].flow.remote == moved


def test_what_the_state_does_not_allow_raises(network: Network, alice: Phone, bob: Phone) -> None:
    caller = alice.call(bob)
    with pytest.raises(SessionStateError):
        caller.accept(ANSWER, alice.now)
    with pytest.raises(SessionStateError):
        caller.reinvite(OFFER, alice.now)
    network.run(0.1)
    callee = incoming(bob)
    bob.do(callee.accept(ANSWER, bob.now))
    with pytest.raises(SessionStateError):
        callee.accept(ANSWER, bob.now)
    with pytest.raises(SessionStateError):
        callee.reject(486, bob.now)
