"""Messages that were lost, went astray, or were never sent."""

from __future__ import annotations

import pytest

from ringback.diagnosis.signalling.call import Side
from ringback.diagnosis.signalling.follow import follow
from tests.diagnosis.signalling.scene import CALLED, CALLER, PROXY, Scene, codes, sdp

ANSWER = sdp(CALLED[0], 6000)


def test_an_invite_that_nobody_answers() -> None:
    scene = Scene().invite()
    for seconds in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        scene.request(seconds, "INVITE", repeat=True, in_dialog=False)
    call = scene.record()
    assert (call.outcome, call.status) == ("unanswered", None)
    finding = next(finding for finding in call.findings if finding.code == "invite-unanswered")
    assert finding.data is not None
    assert (finding.data["count"], finding.data["seconds"], finding.data["address"]) == (6, 31.5, CALLED[0])
    assert "7 times" in finding.text


def test_an_invite_at_the_end_of_the_capture_is_not_called_unanswered() -> None:
    assert codes(Scene().invite().record()) == ["ends-in-the-call"]
    call = follow(Scene().invite().tick(10).packets).calls[0]
    assert codes(call) == ["invite-unanswered", "ends-in-the-call"]


def test_large_invites_in_fragments() -> None:
    scene = Scene().request(0, "INVITE", "caller", "x" * 2_000, in_dialog=False, fragments=2)
    scene.request(0.5, "INVITE", repeat=True, in_dialog=False)
    finding = scene.record().findings[0]
    assert finding.code == "fragmented-invite-unanswered"
    assert finding.data is not None
    assert (finding.data["fragments"], finding.data["count"]) == (2, 1)
    scene.response(1, 100)
    assert codes(scene.record())[:2] == ["large-invite-fragmented", "invite-retransmitted"]


def unacknowledged() -> Scene:
    scene = Scene().invite().response(1, 180).response(2, 200, body=ANSWER)
    for seconds in (2.5, 3.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5, 33.5):
        scene.response(seconds, 200, body=ANSWER)
    return scene


def test_an_answer_that_is_never_acknowledged() -> None:
    call = unacknowledged().bye(34, "called").record()
    (finding,) = call.findings
    assert (finding.code, finding.severity) == ("ack-missing", "fault")
    assert finding.data == {"count": 10, "seconds": 31.5, "ended_after_s": 32.0}
    assert call.ended_by == "called"


def test_an_ack_that_does_not_arrive() -> None:
    scene = unacknowledged()
    for seconds in (2.05, 2.55, 3.55, 5.55):
        scene.request(seconds, "ACK", branch="z9hG4bKack")
    assert codes(scene.bye(34, "called").record()) == ["ack-missing"]


def test_an_ack_that_goes_to_a_contact_which_leads_elsewhere() -> None:
    scene = Scene(called_contact="10.0.0.7").invite().response(1, 180).response(2, 200, body=ANSWER)
    for seconds in (2.1, 2.6, 3.6):
        scene.request(seconds, "ACK", branch="z9hG4bKack", target=("10.0.0.7", 5060))
    for seconds in (2.5, 3.5, 5.5):
        scene.response(seconds, 200, body=ANSWER)
    call = scene.bye(34, "called").record()
    finding = next(finding for finding in call.findings if finding.code == "ack-to-wrong-address")
    assert finding.data == {"contact": "10.0.0.7", "source": CALLED[0], "sent_to": "10.0.0.7"}
    assert "contact-differs-from-source" in codes(call)


def test_an_ack_past_the_proxy_is_nothing_to_wonder_at() -> None:
    scene = Scene().invite().response(2, 200, body=ANSWER, source=PROXY)
    call = scene.request(2.1, "ACK").bye().record()
    assert "ack-to-wrong-address" not in codes(call)
    assert "ack-missing" not in codes(call)


@pytest.mark.parametrize("by", ["caller", "called"])
def test_a_bye_without_an_answer(by: Side) -> None:
    scene = Scene().invite().answered()
    scene.request(10, "BYE", by).request(10.5, "BYE", by, repeat=True).request(11.5, "BYE", by, repeat=True)
    call = scene.record()
    assert call.ended_by == by
    (finding,) = call.findings
    assert finding.code == "bye-unanswered"
    assert finding.data == {"by": by, "count": 2}


def test_a_bye_to_a_contact_behind_nat() -> None:
    scene = Scene(caller_contact="192.168.1.4").invite().answered()
    target = ("192.168.1.4", 5060)
    scene.request(10, "BYE", "called", target=target).request(10.5, "BYE", "called", repeat=True)
    call = scene.record()
    finding = next(finding for finding in call.findings if finding.code == "contact-unreachable")
    assert finding.data == {
        "by": "called",
        "contact": "192.168.1.4",
        "source": CALLER[0],
        "method": "BYE",
    }


def test_a_reinvite_without_an_answer() -> None:
    scene = Scene().invite().answered().request(5, "INVITE", "called", ANSWER)
    call = scene.request(5.5, "INVITE", "called", repeat=True).bye().record()
    (finding,) = call.findings
    assert finding.code == "reinvite-unanswered"
    assert finding.data == {"by": "called", "method": "INVITE", "count": 1, "seconds": 0.5}


def test_another_request_without_an_answer() -> None:
    scene = Scene().invite().answered().request(3, "INFO").request(3.5, "INFO", repeat=True)
    (finding,) = scene.bye().record().findings
    assert finding.data == {"by": "caller", "method": "INFO", "count": 1}


def test_reliable_ringing_without_a_prack() -> None:
    reliable = ("Require: 100rel", "RSeq: 7")
    scene = Scene().invite().response(1, 183, "INVITE", "called", "", *reliable)
    scene.response(1.5, 183, "INVITE", "called", "", *reliable)
    scene.response(2.5, 183, "INVITE", "called", "", *reliable)
    call = scene.response(33, 504).request(33.1, "ACK").record()
    finding = next(finding for finding in call.findings if finding.code == "prack-missing")
    assert finding.data == {"status": 183, "count": 2, "seconds": 1.5}


def test_reliable_ringing_with_its_prack() -> None:
    scene = Scene().invite().response(1, 183, "INVITE", "called", "", "Require: 100rel", "RSeq: 7")
    scene.response(1.5, 183, "INVITE", "called", "", "Require: 100rel", "RSeq: 7")
    scene.request(1.6, "PRACK", "caller", "", "RAck: 7 1 INVITE").response(1.7, 200, "PRACK")
    call = scene.response(3, 200, body=ANSWER).request(3.1, "ACK").bye().record()
    assert codes(call) == []
    assert call.retransmissions == {"1xx": 1}


def test_over_tcp_nothing_is_repeated_and_silence_tells_only_later() -> None:
    scene = Scene(transport="tcp").invite().answered().request(10, "BYE")
    assert codes(scene.record()) == []
    assert codes(follow(scene.tick(20).packets).calls[0]) == ["bye-unanswered"]


def test_a_capture_of_nothing_but_a_bye_that_is_repeated() -> None:
    scene = Scene().invite().answered()
    scene.request(10, "BYE").request(10.5, "BYE", repeat=True)
    (call,) = follow(scene.packets[-2:]).calls
    assert codes(call) == ["bye-unanswered", "begins-in-the-call"]
