"""Which call a stream belongs to."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ringback.diagnosis.capture.captured import Packets, SipPacket, StreamKey
from ringback.diagnosis.signalling.call import CallRecord
from ringback.diagnosis.signalling.follow import follow
from ringback.diagnosis.signalling.media import assign, with_late_media
from tests.diagnosis.signalling.scene import CALLED, CALLER, PROXY, Scene, at, moved, sdp

SSRC = itertools.count(1)
OFFER, ANSWER = sdp(CALLER[0], 4000), sdp(CALLED[0], 6000)
HERE, THERE = (CALLER[0], 4000), (CALLED[0], 6000)


@dataclass(frozen=True)
class Stream:
    """A stream without its packets."""

    key: StreamKey
    began_ns: int
    ended_ns: int
    count: int = 100

    def packets(self) -> Packets:
        raise NotImplementedError


def stream(
    source: tuple[str, int], target: tuple[str, int], began: float = 2.1, ended: float = 9.9
) -> Stream:
    return Stream(StreamKey(*source, *target, next(SSRC)), at(began), at(ended))


def calls_of(*scenes: Scene) -> tuple[CallRecord, ...]:
    return follow([packet for scene in scenes for packet in scene.packets]).calls


def plain(call_id: str = "a@example.com") -> Scene:
    return Scene(call_id).invite(0, OFFER).answered(2, ANSWER).bye(10)


def test_both_ways_of_a_call() -> None:
    calls = calls_of(plain())
    out, back, other = stream(HERE, THERE), stream(THERE, HERE), stream(("9.9.9.9", 1), ("9.9.9.8", 2))
    contexts = assign(calls, [out, back, other])
    assert set(contexts) == {out.key, back.key}
    assert (contexts[out.key].sent_by, contexts[back.key].sent_by) == ("caller", "called")
    assert contexts[out.key].expected_at == THERE
    assert contexts[out.key].matched == "address"
    assert contexts[out.key].call == 0
    assert contexts[out.key].also == ()
    assert contexts[out.key].formats[101].name == "telephone-event"


def test_ports_that_are_used_again() -> None:
    first = plain("a@example.com")
    second = Scene("b@example.com")
    second.packets = moved(plain("b@example.com").packets, 12)
    calls = calls_of(first, second)
    early, late = stream(HERE, THERE, 2.1, 10.1), stream(HERE, THERE, 14.1, 22.1)
    contexts = assign(calls, [early, late])
    assert (contexts[early.key].call, contexts[late.key].call) == (0, 1)


def test_long_after_the_call_a_port_says_nothing() -> None:
    assert assign(calls_of(plain()), [stream(HERE, THERE, 60, 70)]) == {}


def test_before_an_sdp_named_it_a_port_says_nothing() -> None:
    late = Scene()
    late.packets = moved(plain().packets, 100)
    assert assign(calls_of(late), [stream(HERE, THERE, 1, 50)]) == {}


def test_an_address_that_the_call_moves_to() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER)
    scene.request(5, "INVITE", "caller", sdp(PROXY[0], 7000, "9")).response(
        5.1, 200, body=sdp(CALLED[0], 6000, "9")
    )
    calls = calls_of(scene.request(5.2, "ACK").bye(20))
    before, after = stream(THERE, HERE, 2.1, 5.1), stream(THERE, (PROXY[0], 7000), 5.2, 19)
    contexts = assign(calls, [before, after])
    assert contexts[before.key].expected_at == HERE
    assert contexts[after.key].expected_at == (PROXY[0], 7000)
    assert contexts[after.key].sent_by == "called"
    assert {number: told.name for number, told in contexts[after.key].formats.items()} == {
        0: "pcmu", 9: "g722", 101: "telephone-event",
    }  # fmt: skip


def test_a_phone_behind_nat() -> None:
    """The phone names a private address; its stream comes from, and goes to, where NAT put it."""
    inside = sdp("192.168.1.4", 4000)
    calls = calls_of(Scene(caller_contact="192.168.1.4").invite(0, inside).answered(2, ANSWER).bye())
    outside = (CALLER[0], 31_555)
    to_server, to_phone = stream(outside, THERE), stream(THERE, outside)
    contexts = assign(calls, [to_server, to_phone])
    assert contexts[to_server.key].sent_by == "caller"
    assert contexts[to_server.key].matched == "address"
    back = contexts[to_phone.key]
    assert (back.sent_by, back.matched) == ("called", "source")
    assert back.expected_at == ("192.168.1.4", 4000)


def test_addresses_rewritten_on_both_sides() -> None:
    scene = Scene().invite(0, sdp("192.168.1.4", 4000)).answered(2, sdp("10.0.0.9", 6000)).bye()
    way = stream((CALLER[0], 4000), (CALLED[0], 6000))
    stranger = stream(("9.9.9.9", 4000), ("9.9.9.8", 4444))
    contexts = assign(calls_of(scene), [way, stranger])
    assert set(contexts) == {way.key}
    assert (contexts[way.key].matched, contexts[way.key].sent_by) == ("port", "caller")
    assert contexts[way.key].expected_at == ("10.0.0.9", 6000)


def test_a_relay_between_two_legs() -> None:
    relay = PROXY[0]
    left = Scene("left@example.com", called=PROXY)
    left.invite(0, OFFER).answered(2, sdp(relay, 9000)).bye()
    right = Scene("right@example.com", caller=PROXY)
    right.invite(0.1, sdp(relay, 9002)).answered(1.9, ANSWER).bye()
    calls = calls_of(left, right)
    near, far = (relay, 9000), (relay, 9002)
    ways = [stream(HERE, near), stream(near, HERE), stream(far, THERE), stream(THERE, far)]
    contexts = assign(calls, ways)
    assert [contexts[way.key].call for way in ways] == [0, 0, 1, 1]
    assert [contexts[way.key].sent_by for way in ways] == ["caller", "called", "caller", "called"]


def test_media_that_goes_past_a_b2bua_belongs_to_both_legs() -> None:
    left = Scene("left@example.com", called=PROXY).invite(0, OFFER).answered(2, ANSWER).bye()
    right = Scene("right@example.com", caller=PROXY).invite(0.1, OFFER).answered(1.9, ANSWER).bye()
    ways = [stream(HERE, THERE), stream(THERE, HERE)]
    contexts = assign(calls_of(left, right), ways)
    assert [(contexts[way.key].call, contexts[way.key].also) for way in ways] == [(0, (1,)), (0, (1,))]
    assert [contexts[way.key].sent_by for way in ways] == ["caller", "called"]


def test_a_relay_that_one_call_id_passes() -> None:
    scene = Scene()
    scene.request(0, "INVITE", "caller", OFFER, in_dialog=False, branch="z9hG4bKone", cseq=1, target=PROXY)
    scene.request(0.1, "INVITE", "caller", sdp(PROXY[0], 9002), in_dialog=False, branch="z9hG4bKtwo", cseq=1,
                  source=PROXY, more_vias=["192.0.2.10;branch=z9hG4bKone"])  # fmt: skip
    scene.response(1.9, 200, body=ANSWER)
    scene._last["INVITE", "caller"] = (1, "z9hG4bKone", CALLER, PROXY)
    scene.response(2, 200, body=sdp(PROXY[0], 9000))
    near, far = (PROXY[0], 9000), (PROXY[0], 9002)
    ways = [stream(HERE, near), stream(far, THERE), stream(THERE, far), stream(near, HERE)]
    contexts = assign(calls_of(scene), ways)
    assert [contexts[way.key].sent_by for way in ways] == ["caller", "caller", "called", "called"]
    assert {contexts[way.key].matched for way in ways} == {"address"}


def test_the_receiver_names_the_numbers() -> None:
    offer = sdp(CALLER[0], 4000, "96", "rtpmap:96 opus/48000/2")
    answer = sdp(CALLED[0], 6000, "111", "rtpmap:111 opus/48000/2", "ptime:40")
    calls = calls_of(Scene().invite(0, offer).answered(2, answer).bye())
    way = stream(HERE, THERE)
    formats = assign(calls, [way])[way.key].formats
    assert list(formats) == [96, 111]
    assert formats[111].ptime_ms == 40.0


def test_a_capture_that_begins_in_the_call() -> None:
    scene = plain().request(12, "INVITE", "caller", OFFER)
    scene.response(12.1, 200, body=ANSWER).request(12.2, "ACK").bye(20)
    calls = follow([packet for packet in scene.packets if packet.at_ns > at(11)]).calls
    way = stream(HERE, THERE, 3, 19)
    assert assign(calls, [way])[way.key].sent_by == "caller"


def test_early_media() -> None:
    scene = Scene().invite(0, OFFER).response(1, 183, body=ANSWER).response(9, 480).request(9.1, "ACK")
    tone = stream(THERE, HERE, 1.1, 9)
    assert assign(calls_of(scene), [tone])[tone.key].sent_by == "called"


def test_media_that_comes_long_after_the_answer() -> None:
    found = follow(plain().packets)
    out, back = stream(HERE, THERE, 2.1), stream(THERE, HERE, 4.5)
    told = with_late_media(found, assign(found.calls, [out, back]), [out, back])
    (finding,) = told.calls[0].findings
    assert (finding.code, finding.data) == ("media-late", {"by": "called", "seconds": 2.5})


def test_media_of_a_side_that_was_not_to_send_is_not_late() -> None:
    scene = Scene().invite(0, OFFER).answered(2, sdp(CALLED[0], 6000, "0", "recvonly")).bye(10)
    found = follow(scene.packets)
    back = stream(THERE, HERE, 4.5)
    assert with_late_media(found, assign(found.calls, [back]), [back]) is found


def many(number: int) -> tuple[list[SipPacket], list[Stream]]:
    """A call with two streams, on ports that each hundredth call uses again."""
    port, began = 10_000 + 2 * (number % 100), number * 0.5
    scene = Scene(f"{number}@example.com")
    scene.invite(0, sdp(CALLER[0], port)).answered(2, sdp(CALLED[0], port)).bye(30)
    streams = [
        stream((CALLER[0], port), (CALLED[0], port), began + 2, began + 30),
        stream((CALLED[0], port), (CALLER[0], port), began + 2, began + 30),
    ]
    return moved(scene.packets, began), streams


def test_thousands_of_calls_keep_their_streams_apart() -> None:
    made = [many(number) for number in range(500)]
    calls = follow([packet for packets, _ in made for packet in packets]).calls
    contexts = assign(calls, [one for _, streams in made for one in streams])
    assert [contexts[one.key].call for _, streams in made for one in streams] == [
        number for number in range(500) for _ in range(2)
    ]


def test_two_sections_of_a_kind_do_not_take_each_others_place() -> None:
    both = sdp(CALLED[0], 6000) + "m=audio 6010 RTP/AVP 8\r\n"
    scene = Scene().invite(0, sdp(CALLER[0], 4000) + "m=audio 4010 RTP/AVP 8\r\n").answered(2, both)
    scene.request(5, "INVITE", "called", both).response(5.1, 200, "INVITE", "caller", scene_offer())
    calls = calls_of(scene.request(5.2, "ACK", "called").bye(200))
    first, second = stream(HERE, THERE, 100, 199), stream((CALLER[0], 4010), (CALLED[0], 6010), 100, 199)
    contexts = assign(calls, [first, second])
    assert [contexts[one.key].matched for one in (first, second)] == ["address", "address"]


def scene_offer() -> str:
    return sdp(CALLER[0], 4000) + "m=audio 4010 RTP/AVP 8\r\n"


def test_ports_used_again_by_calls_whose_end_was_not_captured() -> None:
    scenes = []
    for number in range(3):
        scene = Scene(f"{number}@example.com").invite(0, OFFER).answered(2, ANSWER)
        scene.packets = moved(scene.packets, 60 * number)
        scenes.append(scene)
    ways = [stream(HERE, THERE, 60 * number + 2, 60 * number + 30) for number in range(3)]
    contexts = assign(calls_of(*scenes), ways)
    assert [(contexts[way.key].call, contexts[way.key].also) for way in ways] == [(0, ()), (1, ()), (2, ())]


def test_one_port_for_very_many_calls() -> None:
    """As load generators do: all calls of one side have one port."""
    made = []
    for number in range(600):
        scene = Scene(f"{number}@example.com").invite(0, OFFER)
        scene.answered(0.1, sdp(CALLED[0], 10_000 + number)).bye(5)
        there = (CALLED[0], 10_000 + number)
        made.append((moved(scene.packets, number), stream(there, HERE, number + 0.2, number + 5)))
    calls = follow([packet for packets, _ in made for packet in packets]).calls
    contexts = assign(calls, [way for _, way in made])
    assert [contexts[way.key].call for _, way in made] == list(range(600))


def test_a_gateway_that_is_both_sides_is_not_told_whose_its_streams_are() -> None:
    scene = Scene(called=CALLER).invite(0, sdp(CALLER[0], 4000)).answered(2, sdp(CALLER[0], 4002)).bye()
    elsewhere = ("192.0.2.99", 4002)
    ways = [stream((CALLER[0], 4000), elsewhere), stream(elsewhere, (CALLER[0], 4002))]
    contexts = assign(calls_of(scene), ways)
    assert [contexts[way.key].sent_by for way in ways] == [None, None]
