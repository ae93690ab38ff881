"""Provisional responses that are sure to arrive, and forks with a dialog each (RFC 3262, RFC 3261 §12)."""

from __future__ import annotations

import pytest

from ringback.sip.endpoint import Answered, Ended, Failed, IncomingCall, InviteSession, Ringing
from ringback.sip.message import Headers, Request, Response
from ringback.sip.outgoing import MOST_FORKS
from ringback.sip.session_state import SessionState
from ringback.testing.lossy_link import LinkQuality
from tests.sip.phones import ANSWER, OFFER, Network, Phone

A, B = "192.0.2.1", "192.0.2.2"
REQUIRED = Headers(("Require", "100rel"))


def ring(
    network: Network, headers: Headers | None = None
) -> tuple[Phone, Phone, InviteSession, InviteSession]:
    alice, bob = network.phone(A), network.phone(B)
    caller = alice.call(bob, headers=headers)
    network.run(0.1)
    return alice, bob, caller, bob.told(IncomingCall)[-1].session


def sent(phone: Phone, name: str) -> list[Request | Response]:
    return [one.message for one in phone.sent if one.name == name]


def test_early_media_is_acknowledged_before_the_answer_goes_out() -> None:
    network = Network()
    alice, bob, caller, callee = ring(network)
    bob.do(callee.ring(bob.now, 183, ANSWER))
    # The answer waits: the caller has to have the description first.
    bob.do(callee.accept(ANSWER, bob.now))
    assert "200 INVITE" not in bob.names()
    network.run(0.1)
    progress, prack = sent(bob, "183 INVITE")[0], sent(alice, "PRACK")[0]
    assert progress.headers.get_all("Require") == ["100rel"]
    assert prack.headers.get("RAck") == f"{progress.headers.get('RSeq')} 1 INVITE"
    assert bob.names()[-2:] == ["200 PRACK", "200 INVITE"]
    assert [(event.status, event.sdp) for event in alice.told(Ringing)] == [(183, ANSWER)]
    assert caller.state is callee.state is SessionState.CONFIRMED
    alice.do(caller.hangup(alice.now))
    network.run(100)
    alice.assert_idle()
    bob.assert_idle()


def test_plain_ringing_is_not_made_reliable_without_need() -> None:
    network = Network()
    alice, bob, _, callee = ring(network)
    bob.do(callee.ring(bob.now))
    network.run(0.1)
    assert sent(bob, "180 INVITE")[0].headers.get("RSeq") is None
    assert "PRACK" not in alice.names()


def test_a_caller_that_insists_gets_every_provisional_response_reliably_and_in_order() -> None:
    network = Network()
    alice, bob, _, callee = ring(network, REQUIRED)
    bob.do(callee.ring(bob.now, 180))
    bob.do(callee.ring(bob.now, 183, ANSWER))
    assert bob.names() == ["100 INVITE", "180 INVITE"]
    network.run(0.2)
    numbers = [
        int(one.headers.get("RSeq") or 0) for one in (*sent(bob, "180 INVITE"), *sent(bob, "183 INVITE"))
    ]
    assert numbers[1] == numbers[0] + 1
    assert alice.names().count("PRACK") == 2
    assert [event.status for event in alice.told(Ringing)] == [180, 183]


def test_lost_ones_come_again_and_are_told_once() -> None:
    network = Network(seed=5, quality=LinkQuality(loss=0.4, duplication=0.3))
    alice, bob = network.phone(A), network.phone(B)
    caller = alice.call(bob, headers=REQUIRED)
    network.run(20)
    callee = bob.told(IncomingCall)[-1].session
    bob.do(callee.ring(bob.now, 183, ANSWER))
    network.run(40)
    assert [event.status for event in alice.told(Ringing)] == [183]
    bob.do(callee.accept(ANSWER, bob.now))
    network.run(40)
    assert caller.state is SessionState.CONFIRMED
    alice.do(caller.hangup(alice.now))
    network.run(200)
    alice.assert_idle()
    bob.assert_idle()


def test_without_a_prack_the_call_fails_after_32_seconds() -> None:
    network = Network()
    alice, bob, _, callee = ring(network, REQUIRED)
    network.link.quality = LinkQuality(loss=1.0)
    bob.do(callee.ring(bob.now, 180))
    network.run(40)
    assert bob.names().count("180 INVITE") == 7
    assert [(event.by, event.status) for event in bob.told(Ended)] == [("timeout", 504)]
    network.run(200)
    bob.assert_idle()
    assert alice.told(Failed) or alice.endpoint.sessions == 1


@pytest.mark.parametrize("rack", ["1 1 INVITE", "", "x y z", "999999 7 INVITE"])
def test_a_prack_of_nothing_is_481(rack: str) -> None:
    network = Network()
    alice, bob, caller, callee = ring(network)
    bob.do(callee.ring(bob.now))
    network.run(0.1)
    assert caller.dialog is not None
    request, flow = alice.endpoint._agent.in_dialog(caller.dialog, "PRACK")
    request.headers.add("RAck", rack)
    alice.do(alice.endpoint._agent.send(request, flow, caller, alice.now)[1])
    network.run(0.1)
    assert bob.names()[-1] == "481 PRACK"
    assert callee.state is SessionState.RINGING


def test_an_invite_without_an_offer_wants_none_in_a_provisional_response() -> None:
    network = Network()
    alice, bob = network.phone(A), network.phone(B)
    alice.call(bob, sdp=None)
    network.run(0.1)
    assert "100rel" not in sent(alice, "INVITE")[0].headers.get_all("Supported")


def test_a_cancel_ends_a_call_that_waits_for_a_prack() -> None:
    network = Network()
    alice, bob, caller, callee = ring(network, REQUIRED)
    network.link.quality = LinkQuality(loss=1.0)
    bob.do(callee.ring(bob.now, 180))
    network.run(0.1)
    network.link.quality = LinkQuality()
    network.run(1)
    alice.do(caller.hangup(alice.now))
    network.run(1)
    assert callee.state is SessionState.ENDED
    network.run(200)
    alice.assert_idle()
    bob.assert_idle()


def fork(alice: Phone, bob: Phone, status: int, tag: str, rseq: int | None = None, sdp: bytes = b"") -> None:
    """A response of another callee that a proxy tried."""
    invite = sent(alice, "INVITE")[0]
    headers = Headers()
    headers.copy_from(invite.headers, "Via", "From", "Call-ID", "CSeq")
    headers.add("To", f"{invite.headers.get('To')};tag={tag}")
    headers.add("Contact", f"<sip:{tag}@192.0.2.9>")
    if rseq is not None:
        headers.add("Require", "100rel")
        headers.add("RSeq", str(rseq))
    if sdp:
        headers.add("Content-Type", "application/sdp")
    alice.do(alice.endpoint.receive(Response(status, "", headers, sdp), alice.flow_to(bob), alice.now))


def test_each_fork_has_a_dialog_and_the_one_that_answers_is_the_call() -> None:
    network = Network()
    alice, bob = network.phone(A), network.phone(B)
    caller = alice.call(bob, OFFER)
    network.run(0.05)
    before = alice.endpoint.dialogs
    fork(alice, bob, 180, "one", 5)
    fork(alice, bob, 183, "two", 900, ANSWER)
    fork(alice, bob, 180, "one", 5)
    fork(alice, bob, 180, "one", 7)
    assert alice.endpoint.dialogs == before + 2
    pracks = sent(alice, "PRACK")
    assert [one.headers.get("RAck") for one in pracks] == ["5 1 INVITE", "900 1 INVITE"]
    assert [one.uri.user for one in pracks] == ["one", "two"]  # type: ignore[union-attr]
    assert [event.status for event in alice.told(Ringing)] == [180, 183]
    fork(alice, bob, 200, "two")
    assert [event.sdp for event in alice.told(Answered)] == [ANSWER]
    assert caller.dialog is not None
    assert caller.dialog.remote.tag == "two"
    # A PRACK came before: the next request's number follows it.
    assert caller.dialog.local_cseq == 2
    assert alice.endpoint.dialogs == before + 1


def test_a_callee_that_answers_a_thousand_times_is_not_answered_as_often() -> None:
    network = Network()
    alice, bob = network.phone(A), network.phone(B)
    alice.call(bob, OFFER)
    network.run(0.05)
    for number in range(1000):
        fork(alice, bob, 200, f"t{number}")
    assert len(alice.told(Answered)) == 1
    assert len(sent(alice, "ACK")) == len(sent(alice, "BYE")) + 1 <= MOST_FORKS + 1
