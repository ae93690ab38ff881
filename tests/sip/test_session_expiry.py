"""Session timers between two real endpoints: who refreshes, how, and what ends if nobody does (RFC 4028)."""

from __future__ import annotations

import pytest

from ringback.sip.endpoint import (
    Ended,
    Failed,
    IncomingCall,
    InviteSession,
    OfferAnswered,
    OfferReceived,
)
from ringback.sip.message import Headers, Request, Response
from ringback.sip.session_expiry import SessionExpires, SessionExpiry, too_short
from ringback.sip.session_state import SessionState
from ringback.testing.lossy_link import LinkQuality
from tests.sip.phones import ANSWER, OFFER, Network, Phone

A, B = "192.0.2.1", "192.0.2.2"
BASIC = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")


def talk(network: Network, alice: Phone, bob: Phone) -> tuple[InviteSession, InviteSession]:
    caller = alice.call(bob)
    network.run(0.1)
    callee = bob.told(IncomingCall)[-1].session
    bob.do(callee.accept(ANSWER, bob.now))
    network.run(0.1)
    assert caller.state is callee.state is SessionState.CONFIRMED
    return caller, callee


def sent(phone: Phone, name: str) -> list[Request | Response]:
    return [one.message for one in phone.sent if one.name == name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1800", SessionExpires(1800)),
        (" 90 ;refresher=uas", SessionExpires(90, "uas")),
        ("4000;Refresher=UAC;x=y", SessionExpires(4000, "uac")),
        ("5;refresher=nobody", SessionExpires(5)),
        ("99999999999", SessionExpires(86_400)),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_values(text: str, value: SessionExpires | None) -> None:
    assert SessionExpires.parse(text) == value


def test_the_caller_refreshes_by_update_and_the_call_lives() -> None:
    network = Network()
    began = network.clock.now
    alice = network.phone(A, session_expires_s=600)
    bob = network.phone(B, session_expires_s=1800)
    caller, callee = talk(network, alice, bob)
    answer = sent(bob, "200 INVITE")[0]
    assert answer.headers.get("Session-Expires") == "600;refresher=uac"
    assert answer.headers.get_all("Require") == ["timer"]
    network.run(1000)
    assert [round(one.at - began) for one in alice.sent if one.name == "UPDATE"] == [300, 600, 900]
    assert "UPDATE" not in bob.names()
    assert caller.state is callee.state is SessionState.CONFIRMED
    assert not bob.told(OfferReceived)
    alice.do(caller.hangup(alice.now))
    network.run(100)
    alice.assert_idle()
    bob.assert_idle()


def test_a_peer_without_timers_and_update_is_refreshed_by_reinvite() -> None:
    network = Network()
    began = network.clock.now
    alice = network.phone(A, session_expires_s=600)
    bob = network.phone(B, allow=BASIC)
    caller, callee = talk(network, alice, bob)
    bob.on_event = lambda phone, effect: (
        effect.session.answer_offer(ANSWER, phone.now) if isinstance(effect, OfferReceived) else []
    )
    network.run(700)
    offers = [one for one in alice.sent if one.name == "INVITE"]
    assert [round(one.at - began) for one in offers] == [0, 300, 600]
    assert {one.message.body for one in offers} == {OFFER}
    assert len(alice.told(OfferAnswered)) == 2
    assert caller.state is callee.state is SessionState.CONFIRMED


def test_the_callee_refreshes_when_the_caller_knows_no_timers() -> None:
    request = Request("INVITE", _uri(), Headers(("Supported", "100rel")))
    expiry, headers = SessionExpiry(1800), Headers()
    expiry.grant(request, headers)
    assert headers.get("Session-Expires") == "1800;refresher=uas"
    assert "Require" not in headers
    assert expiry.refreshes


def test_without_our_wish_and_theirs_there_is_no_timer() -> None:
    network = Network()
    alice, bob = network.phone(A), network.phone(B)
    talk(network, alice, bob)
    assert sent(alice, "INVITE")[0].headers.get("Session-Expires") is None
    network.run(100)
    assert alice.endpoint.deadline() is bob.endpoint.deadline() is None


def test_both_notice_that_the_other_is_gone() -> None:
    network = Network()
    alice = network.phone(A, session_expires_s=300)
    bob = network.phone(B, session_expires_s=300)
    talk(network, alice, bob)
    network.link.quality = LinkQuality(loss=1.0)
    network.run(700)
    assert [(event.by, event.status) for event in alice.told(Ended)] == [("timeout", 408)]
    assert [(event.by, event.status) for event in bob.told(Ended)] == [("timeout", 408)]
    # The one who refreshes notices at its UPDATE, the other when none came, before the time is over.
    assert "BYE" in bob.names()
    network.run(100)
    alice.assert_idle()
    bob.assert_idle()


def test_too_short_an_interval_is_asked_again_with_a_longer_one() -> None:
    network = Network()
    alice = network.phone(A, session_expires_s=120)
    bob = network.phone(B, session_expires_s=1800, least_session_expires_s=600)
    caller = alice.call(bob)
    network.run(0.5)
    assert bob.names()[:2] == ["422 INVITE", "100 INVITE"]
    assert sent(bob, "422 INVITE")[0].headers.get("Min-SE") == "600"
    again = sent(alice, "INVITE")[-1]
    assert again.headers.get("Session-Expires") == "600"
    assert again.cseq.number == 2
    callee = bob.told(IncomingCall)[-1].session
    bob.do(callee.accept(ANSWER, bob.now))
    network.run(0.5)
    assert caller.state is callee.state is SessionState.CONFIRMED
    alice.do(caller.hangup(alice.now))
    network.run(100)
    alice.assert_idle()
    bob.assert_idle()


def test_a_422_without_reason_is_a_failure() -> None:
    network = Network()
    alice, bob = network.phone(A, session_expires_s=600), network.phone(B)
    alice.call(bob)
    network.run(0.5)
    bob.do(bob.told(IncomingCall)[-1].session.reject(422, bob.now))
    network.run(0.5)
    assert [event.status for event in alice.told(Failed)] == [422]
    assert alice.names().count("INVITE") == 1


def test_only_who_knows_timers_is_refused() -> None:
    asked = ("Session-Expires", "30")
    assert too_short(Request("INVITE", _uri(), Headers(asked, ("Supported", "timer"))), 90)
    assert not too_short(Request("INVITE", _uri(), Headers(asked)), 90)
    assert not too_short(Request("INVITE", _uri(), Headers(("Supported", "timer"))), 90)


def test_an_offer_by_update_is_answered() -> None:
    network = Network()
    alice, bob = network.phone(A), network.phone(B)
    caller, _ = talk(network, alice, bob)
    bob.on_event = lambda phone, effect: (
        effect.session.answer_offer(ANSWER, phone.now) if isinstance(effect, OfferReceived) else []
    )
    assert caller.dialog is not None
    request, flow = alice.endpoint._agent.in_dialog(caller.dialog, "UPDATE", OFFER)
    alice.do(alice.endpoint._agent.send(request, flow, caller, alice.now)[1])
    network.run(0.5)
    answer = sent(bob, "200 UPDATE")[0]
    assert answer.body == ANSWER
    assert answer.headers.get("Contact") is not None
    assert [event.sdp for event in bob.told(OfferReceived)] == [OFFER]


def test_an_offer_by_update_before_the_call_is_answered_is_put_off() -> None:
    network = Network()
    alice, bob = network.phone(A), network.phone(B)
    caller = alice.call(bob)
    network.run(0.1)
    callee = bob.told(IncomingCall)[-1].session
    bob.do(callee.ring(bob.now))
    network.run(0.1)
    assert caller.dialog is not None
    for sdp, status in ((OFFER, 500), (None, 200)):
        request, flow = alice.endpoint._agent.in_dialog(caller.dialog, "UPDATE", sdp)
        alice.do(alice.endpoint._agent.send(request, flow, caller, alice.now)[1])
        network.run(0.1)
        assert bob.names()[-1] == f"{status} UPDATE"
    assert callee.state is SessionState.RINGING


def _uri() -> object:
    from ringback.sip.message import SipUri  # noqa: PLC0415

    return SipUri(user="101", host="example.com")
