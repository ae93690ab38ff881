"""Whatever a capture holds: messages lost, doubled, out of order, cut and changed never raise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture.captured import Endpoints, SipPacket
from ringback.diagnosis.signalling.call import Signalling
from ringback.diagnosis.signalling.follow import follow
from ringback.diagnosis.signalling.ladder import draw, ladder, masked_text
from ringback.diagnosis.signalling.media import assign
from tests.diagnosis.signalling.scene import CALLED, CALLER, PROXY, Scene, at, sdp
from tests.diagnosis.signalling.test_media import stream


def everything() -> list[SipPacket]:
    """A call in which all that there is happens."""
    scene = Scene(caller_contact="192.168.1.4").invite().response(0.1, 401).request(0.11, "ACK")
    scene.invite(0.2, None, "Authorization: Digest a=b", "Session-Expires: 90", "Supported: timer, 100rel")
    scene.request(0.7, "INVITE", repeat=True, in_dialog=False).response(0.71, 100)
    scene.response(1, 183, "INVITE", "called", sdp(CALLED[0], 6000), "Require: 100rel", "RSeq: 1")
    scene.request(1.1, "PRACK", "caller", "", "RAck: 1 2 INVITE").response(1.2, 200, "PRACK")
    scene.request(1.3, "UPDATE", "caller", sdp(CALLER[0], 4100)).response(
        1.4, 200, "UPDATE", "called", sdp(CALLED[0], 6000)
    )
    scene.response(2, 200, "INVITE", "called", "", "Session-Expires: 90;refresher=uac").request(2.1, "ACK")
    scene.request(5, "INVITE", "called", sdp(CALLED[0], 6000, "0", "sendonly")).response(
        5.1, 200, "INVITE", "caller", sdp("0.0.0.0", 4000)
    )
    scene.request(5.2, "ACK", "called").request(6, "REFER", "called").response(6.1, 202, "REFER", "caller")
    scene.request(6.2, "NOTIFY", "caller", "SIP/2.0 486 Busy").response(6.3, 200, "NOTIFY", "called")
    scene.request(
        7, "INVITE", "caller", sdp(CALLER[0], 4000, "t38", media="image", protocol="udptl")
    ).response(7.1, 488)
    scene.request(7.2, "ACK").request(8, "CANCEL").request(9, "INFO", "called", source=PROXY)
    scene.bye(90, "called", 'Reason: SIP;cause=408;text="Session timer"').request(91, "BYE")
    return scene.packets


PACKETS = everything()
STREAMS = [stream((CALLER[0], 4100), (CALLED[0], 6000)), stream((CALLED[0], 6000), ("192.168.1.9", 4000))]


def look(packets: list[SipPacket]) -> Signalling:
    """All that is done with messages."""
    found = follow(packets)
    assign(found.calls, STREAMS)
    for call in found.calls:
        assert "5550100" not in "\n".join([*draw(ladder(call)), *(told.text for told in call.findings)])
        for message in call.messages:
            if message.note:
                masked_text(message)
    return found


def test_all_at_once() -> None:
    (call,) = look(PACKETS).calls
    assert (call.outcome, call.setup_ms, call.ended_by) == ("answered", 2000.0, "called")
    assert len(call.messages) == len(PACKETS)


@settings(max_examples=60, deadline=None)
@given(st.permutations(PACKETS))
def test_the_order_in_the_file_does_not_matter(packets: list[SipPacket]) -> None:
    assert look(packets).calls[0].findings == follow(PACKETS).calls[0].findings


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(range(len(PACKETS))), max_size=60),
    st.lists(st.integers(0, 100_000), max_size=60),
)
def test_any_of_the_messages_at_any_time(chosen: list[int], times: list[int]) -> None:
    packets = [PACKETS[number] for number in chosen]
    for place, milliseconds in enumerate(times[: len(packets)]):
        packets[place] = replace(packets[place], at_ns=at(milliseconds / 1_000))
    look(packets)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(range(len(PACKETS))),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=40),
    st.integers(0, 2_000),
)
def test_changed_octets_and_cut_messages(number: int, changes: list[tuple[int, int]], kept: int) -> None:
    data = bytearray(PACKETS[number].data)
    for place, value in changes:
        data[place % len(data)] = value
    broken = replace(PACKETS[number], data=bytes(data[:kept]), cut=kept < len(data))
    look([*PACKETS[:number], broken, *PACKETS[number + 1 :]])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_rubbish(bodies: list[bytes]) -> None:
    ends = Endpoints("192.0.2.1", 5060, "192.0.2.2", 5060)
    look([SipPacket(at(number), ends, "udp", body) for number, body in enumerate(bodies)])


LINE = st.sampled_from([
    "INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 183 x", "SIP/2.0 999 x", "BYE", "ACK sip:a SIP/2.0",
    "Via: SIP/2.0/UDP a;branch=z9hG4bK1", "Via: ;branch=", "Via: SIP/2.0/UDP [::1]:5060;branch=x;received=",
    "From: <sip:a@b>;tag=1", "From: ;tag=2", "To: <sip:b@c>;tag=2", "To: <sip:b@c>", "To: \"", "Call-ID: x",
    "Call-ID:", "i: x", "CSeq: 1 INVITE", "CSeq: 1 BYE", "CSeq: INVITE", "CSeq: 99999999999 INVITE",
    "Contact: <sip:10.0.0.1>", "Contact: *", "Contact: <sip:[fe80::1]>", "Session-Expires: 90;refresher=uas",
    "Session-Expires: 0", "RSeq: 1", "RAck: 1 1 INVITE", "RAck: x", "Require: 100rel", "Reason: SIP;cause=x",
    "Warning: 3", "Retry-After: x", "Min-SE: 9", "Content-Length: 7", "Content-Length: -1", "Refer-To: x",
    "", "v=0", "o=- 1 1 IN IP4 10.0.0.1", "o=x", "s=-", "c=IN IP4 10.0.0.1", "c=IN IP4 x", "c=IN IP6 ::",
    "m=audio 4000 RTP/AVP 0 101", "m=audio 99999 RTP/AVP 0", "m=audio 0 RTP/AVP 0", "m=image 4000 udptl t38",
    "m=video 1 RTP/SAVPF 300 x 96", "a=rtpmap:96", "a=rtpmap:101 telephone-event/8000", "a=ptime:x",
    "a=sendonly", "a=rtcp:x", "a=rtcp-mux", "--boundary",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(LINE, max_size=30), max_size=6), st.sampled_from(["\r\n", "\n"]))
def test_lines_that_make_no_sense(messages: list[list[str]], ending: str) -> None:
    ends = [Endpoints("192.0.2.1", 5060, "10.0.0.2", 5060), Endpoints("127.0.0.1", 5060, "127.0.0.1", 5062)]
    look([
        SipPacket(at(number / 3), ends[number % 2], "udp", ending.join(lines).encode(), fragments=number)
        for number, lines in enumerate(messages)
    ])  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        "Reason: " + "Q.850;" * 5_000,
        "Via: " + ";" * 20_000,
        "From: " + "<" * 20_000,
        "Contact: " + '"' * 9_000,
    ],
)
def test_long_values_cost_little(header: str) -> None:
    scene = Scene()
    for number in range(50):
        scene.request(number, "BYE", "caller", "", header)
    assert len(look(scene.packets).calls) == 1


@pytest.mark.parametrize("method", ["INVITE", "BYE", "UPDATE", "PRACK", "REFER", "ACK", "CANCEL", "OPTIONS"])
def test_one_call_of_very_many_requests(method: str) -> None:
    """What takes the square of it would not end."""
    scene = Scene().invite(0, sdp(CALLER[0], 4000)).response(1, 183, body=sdp(CALLED[0], 6000))
    for number in range(1_500):
        scene.request(
            2 + number, method, "caller", sdp(CALLER[0], 4000 + number), "RAck: 1 1 INVITE", cseq=number
        )
    (call,) = follow(scene.packets).calls
    assert len(call.messages) == 1_502
    assert len(call.findings) < 100
    assign([call], STREAMS)
