"""Messages made into calls: outcome, times, sides, repeats, hops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.diagnosis.signalling.follow import follow
from ringback.sip.message import KNOWN_METHODS
from tests.diagnosis.signalling.scene import CALLED, CALLER, PROXY, Scene, at, codes, sdp


def test_a_plain_call() -> None:
    call = Scene().invite().answered(2.0).bye(10.0).record()
    assert call.outcome == "answered"
    assert (call.status, call.reason) == (200, "OK")
    assert (call.setup_ms, call.post_dial_ms) == (2000.0, 500.0)
    assert (call.start_ns, call.answered_ns, call.ended_ns) == (at(0), at(2), at(10))
    assert call.ended_by == "caller"
    assert call.complete
    assert call.offered == ("pcmu", "pcma", "telephone-event")
    assert call.negotiated == ("pcmu", "telephone-event")
    assert call.retransmissions == {}
    assert call.findings == ()
    assert [message.label for message in call.messages] == [
        "INVITE", "100 Trying", "180 Ringing", "200 OK", "ACK", "BYE", "200 OK",
    ]  # fmt: skip


def test_names_are_private_and_the_label_is_the_same_in_each_run() -> None:
    scene = Scene().invite().answered().bye()
    call = scene.record()
    assert call.from_.reveal() == "sip:5550100@example.com"
    assert call.to.reveal() == "sip:5550101@example.com"
    assert "5550100" not in repr(call)
    assert "scene-1" not in repr(call)
    assert len(call.label) == 12
    assert call.label == scene.record().label


def test_the_called_side_hangs_up() -> None:
    call = Scene().invite().answered().bye(9.0, "called", 'Reason: Q.850;cause=16;text="bye"').record()
    assert call.ended_by == "called"
    assert call.reason == "Q.850 16 bye"
    assert codes(call) == ["ended-with-reason"]


def test_digits_in_a_reason_are_hidden() -> None:
    call = Scene().invite().response(1, 404, reason="No 5550101 here").request(1.1, "ACK").record()
    assert call.reason == "No xxxxxxx here"
    assert call.messages[1].label == "404 No xxxxxxx here"


def test_a_challenge_and_the_next_try_are_one_call() -> None:
    scene = Scene().invite().response(0.1, 401, reason="Unauthorized").request(0.12, "ACK")
    scene.invite(0.2, None, 'Authorization: Digest username="5550100"').answered(3.0).bye()
    call = scene.record()
    assert call.outcome == "answered"
    assert call.status == 200
    assert call.setup_ms == 3000.0
    assert codes(call) == []
    # The refused try made no offer of its own.
    assert [offer.answers for offer in call.media] == [False, True]


def test_retransmissions_are_counted_by_method_and_class() -> None:
    scene = Scene().invite()
    for seconds in (0.5, 1.5):
        scene.request(seconds, "INVITE", repeat=True, body=sdp(CALLER[0], 4000, "0 8 101"), in_dialog=False)
    scene.response(2.0, 200, body=sdp(CALLED[0], 6000)).response(2.5, 200, body=sdp(CALLED[0], 6000))
    call = scene.request(2.6, "ACK").bye().record()
    assert call.retransmissions == {"INVITE": 2, "2xx": 1}
    assert [message.retransmission for message in call.messages[:5]] == [False, True, True, False, True]
    assert codes(call) == ["invite-retransmitted", "ack-late"]


def test_a_packet_that_the_capture_holds_twice_is_no_retransmission() -> None:
    scene = Scene().invite().answered().bye()
    doubled = [
        copy for packet in scene.packets for copy in (packet, replace(packet, at_ns=packet.at_ns + 900_000))
    ]
    (call,) = follow(doubled).calls
    assert call.retransmissions == {}
    assert len(call.messages) == 14
    assert call.messages[1].note == "the capture holds this packet twice"
    assert codes(call) == ["messages-seen-twice"]


def test_both_answers_to_a_repeated_request_count_as_sent() -> None:
    scene = Scene().invite()
    scene.request(0.5, "INVITE", repeat=True, body=sdp(CALLER[0], 4000, "0 8 101"), in_dialog=False)
    scene.response(0.63, 100, reason="Trying").response(0.6303, 100, reason="Trying")
    scene.response(2, 200, body=sdp(CALLED[0], 6000)).request(2.1, "ACK").bye()
    assert scene.record().retransmissions == {"INVITE": 1, "1xx": 1}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(302, "redirected"), (404, "failed"), (486, "failed"), (503, "failed"), (603, "failed")],
)
def test_the_outcome_of_a_refused_call(status: int, outcome: str) -> None:
    call = Scene().invite().response(1, status).request(1.01, "ACK").record()
    assert (call.outcome, call.status, call.setup_ms, call.ended_by) == (outcome, status, None, None)
    assert call.ended_ns == at(1)
    assert call.complete


def test_a_caller_who_gives_up() -> None:
    scene = Scene().invite().response(0.4, 180, reason="Ringing")
    scene.request(20, "CANCEL", branch="z9hG4bKcaller1", in_dialog=False).response(20.01, 200, "CANCEL")
    call = scene.response(20.02, 487, reason="Request Terminated").request(20.03, "ACK").record()
    assert (call.outcome, call.status, call.ended_by) == ("cancelled", 487, "caller")
    (finding,) = call.findings
    assert finding.code == "no-answer"
    assert finding.text == "The caller gave up after 20.0 s; it had rung."


def test_calls_that_are_not_over() -> None:
    ringing = Scene().invite().response(1, 180, reason="Ringing").record()
    assert (ringing.outcome, ringing.complete, ringing.ended_by) == ("ringing", False, None)
    trying = Scene().invite().response(0.1, 100, reason="Trying").record()
    assert trying.outcome == "unanswered"
    talking = Scene().invite().answered().record()
    assert (talking.outcome, talking.ended_ns, codes(talking)) == ("answered", None, ["ends-in-the-call"])


def test_a_capture_that_begins_in_the_call() -> None:
    scene = Scene().invite().answered().bye()
    (call,) = follow(scene.packets[5:]).calls
    assert (call.outcome, call.setup_ms, call.complete, call.ended_by) == ("answered", None, False, "caller")
    assert codes(call) == ["begins-in-the-call"]


def test_a_capture_of_one_direction() -> None:
    scene = Scene().invite().answered().bye()
    (call,) = follow([packet for packet in scene.packets if packet.endpoints.src == CALLER[0]]).calls
    assert call.outcome == "answered"
    assert call.ended_by == "caller"
    assert codes(call) == ["only-one-direction"]
    (call,) = follow([packet for packet in scene.packets if packet.endpoints.src == CALLED[0]]).calls
    assert (call.outcome, call.status) == ("answered", 200)
    assert call.caller.src == CALLER[0]
    assert call.negotiated == ("pcmu", "telephone-event")


def proxied() -> Scene:
    """A call over a proxy, captured at both of its sides."""
    scene = Scene()
    via = f"{CALLER[0]}:5060;branch=z9hG4bKone"
    offer, answer = sdp(CALLER[0], 4000), sdp(CALLED[0], 6000)
    first: dict[str, Any] = {"branch": "z9hG4bKone", "cseq": 1, "target": PROXY, "in_dialog": False}
    second: dict[str, Any] = {"branch": "z9hG4bKtwo", "cseq": 1, "source": PROXY, "in_dialog": False}
    scene.request(0, "INVITE", "caller", offer, **first)
    scene.request(0.1, "INVITE", "caller", offer, **second, more_vias=[via])
    scene.response(0.6, 180).response(1.5, 200, body=answer)
    scene._last["INVITE", "caller"] = (1, "z9hG4bKone", CALLER, PROXY)
    scene.response(0.7, 180).response(1.6, 200, body=answer)
    scene.request(1.7, "ACK", "caller", branch="z9hG4bKthree", cseq=1, target=PROXY)
    scene.request(1.8, "ACK", "caller", branch="z9hG4bKfour", cseq=1, source=PROXY, more_vias=[via])
    return scene


def test_a_message_at_two_hops_is_not_sent_twice() -> None:
    call = proxied().record()
    assert call.retransmissions == {}
    assert (call.setup_ms, call.post_dial_ms) == (1600.0, 700.0)
    assert call.caller.dst == PROXY[0]
    assert codes(call) == ["several-hops", "ends-in-the-call"]
    # One offer and one answer, though each was seen twice.
    assert [(offer.by, offer.hop) for offer in call.media] == [("caller", 0), ("called", 0)]
    assert {message.note for message in call.messages} == {"hop 1", "hop 2"}


def test_the_callers_own_hop_is_the_first_whatever_clocks_say() -> None:
    scene = proxied()
    late = [
        replace(packet, at_ns=packet.at_ns + 150_000_000) if CALLER[0] in packet.endpoints else packet
        for packet in scene.packets
    ]
    (call,) = follow(late).calls
    assert call.caller.src == CALLER[0]
    assert call.start_ns == at(0.15)
    assert call.setup_ms == 1600.0


def test_a_call_that_a_proxy_sends_back_to_where_it_came_from() -> None:
    scene = Scene(called=CALLER)
    scene.request(0, "INVITE", branch="z9hG4bKone", target=PROXY, in_dialog=False)
    scene.request(0.1, "INVITE", branch="z9hG4bKtwo", cseq=1, source=PROXY, target=CALLER, in_dialog=False,
                  more_vias=["192.0.2.10;branch=z9hG4bKone"])  # fmt: skip
    scene.response(1.0, 200, source=CALLER, target=PROXY)
    scene._last["INVITE", "caller"] = (1, "z9hG4bKone", CALLER, PROXY)
    scene.response(1.1, 200)
    call = scene.record()
    assert call.retransmissions == {}
    assert call.setup_ms == 1100.0
    assert [message.note for message in call.messages] == ["hop 1", "hop 2", "hop 2", "hop 1"]


def test_forks_and_who_answers() -> None:
    scene = Scene().invite().response(0.5, 180, tag="a").response(0.6, 180, tag="b")
    call = scene.response(2, 200, body=sdp(CALLED[0], 6000), tag="b").request(2.1, "ACK").bye().record()
    assert "several-early-dialogs" in codes(call)
    assert call.retransmissions == {}
    assert call.post_dial_ms == 500.0


def test_user_agents_are_the_ends_not_the_proxys() -> None:
    scene = Scene().invite(0, None, "User-Agent: Desk Phone 7")
    scene.response(0.01, 100, "INVITE", "called", "", "Server: proxy").response(
        1, 200, "INVITE", "called", sdp(CALLED[0], 6000), "User-Agent: Soft\x1b[31mphone"
    )
    call = scene.request(1.1, "ACK").bye().record()
    assert call.user_agents == {"caller": "Desk Phone 7", "called": "Soft[31mphone"}


def test_what_is_no_call_is_counted_beside() -> None:
    register = Scene("r@example.com").request(0, "REGISTER", in_dialog=False)
    register.response(0.1, 401, "REGISTER").request(
        0.2, "REGISTER", "caller", "", "Authorization: Digest a=b"
    )
    register.response(0.3, 200, "REGISTER")
    options = Scene("o@example.com").request(1, "OPTIONS", in_dialog=False).response(1.1, 200, "OPTIONS")
    found = follow([*register.packets, *options.packets, *Scene().invite().answered().bye().packets])
    assert len(found.calls) == 1
    assert found.other.requests == {"REGISTER": 2, "OPTIONS": 1}
    assert found.other.statuses == {"REGISTER 401": 1, "REGISTER 200": 1, "OPTIONS 200": 1}
    assert found.other.findings == ()
    assert found.other.malformed == 0


def test_malformed_messages_stand_in_the_ladder() -> None:
    scene = Scene().invite().answered().bye()
    broken = (
        scene.packets[3].data.replace(b"From: ", b"From ").replace(b"Max-Forwards: 70", b"Max-Forwards: x")
    )
    scene.packets[3] = replace(scene.packets[3], data=broken)
    found = follow([*scene.packets, replace(scene.packets[0], data=b"\x80\x00rubbish")])
    (call,) = found.calls
    assert found.other.malformed == 2
    assert call.outcome == "answered"
    assert call.negotiated == ("pcmu", "telephone-event")
    assert call.messages[3].note == "malformed: bad header line"
    assert "malformed-messages" in codes(call)


def test_a_cut_message_is_read_as_far_as_it_goes() -> None:
    scene = Scene().invite().answered().bye()
    answer = scene.packets[3]
    scene.packets[3] = replace(answer, data=answer.data[:-60], cut=True)
    call = scene.record()
    assert (call.outcome, call.setup_ms) == ("answered", 2000.0)
    assert call.messages[3].note.endswith("cut")


def test_line_ends_without_returns_are_read() -> None:
    scene = Scene().invite().answered().bye()
    packets = [replace(packet, data=packet.data.replace(b"\r\n", b"\n")) for packet in scene.packets]
    found = follow(packets)
    assert found.calls[0].outcome == "answered"
    assert found.calls[0].negotiated == ("pcmu", "telephone-event")
    assert found.other.malformed == 7


def test_nothing_at_all() -> None:
    found = follow([])
    assert found.calls == ()
    assert found.other.requests == {}


def test_a_method_that_nobody_knows_is_not_shown() -> None:
    scene = Scene().invite().answered()
    scene.request(3, "ALICE5550100").bye()
    call = scene.record()
    assert call.messages[5].label == "unknown method"
    assert {message.method for message in call.messages} <= KNOWN_METHODS | {"other"}
