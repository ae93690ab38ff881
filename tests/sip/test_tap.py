"""The tap: bounded memory, counts no peer can blow up, watchers that disturb nobody."""

from __future__ import annotations

from ringback.sip.flow import Flow
from ringback.sip.parse import StreamFramer, parse_message
from ringback.sip.tap import Captured, Tap, Watch
from ringback.testing.fake_clock import FakeClock

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))


def request(method: str = "OPTIONS", number: int = 1) -> bytes:
    return (
        f"{method} sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{number}\r\n"
        f"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c{number}\r\n"
        f"CSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def response(status: int, method: str = "OPTIONS", number: int = 1) -> bytes:
    return request(method, number).replace(
        f"{method} sip:192.0.2.1 SIP/2.0".encode(), f"SIP/2.0 {status} Whatever".encode(), 1
    )


def make(buffer_bytes: int = 100_000) -> tuple[Tap, FakeClock]:
    clock = FakeClock()
    return Tap(clock, buffer_bytes), clock


def hear(tap: Tap, data: bytes) -> None:
    tap.hear(data, FLOW, parse_message(data))


def test_messages_are_counted_by_method_code_and_transport() -> None:
    tap, _ = make()
    hear(tap, request())
    hear(tap, request("INVITE"))
    hear(tap, request("INVITE"))
    tap.send(response(200), FLOW)
    tap.send(request("BYE"), FLOW)
    hear(tap, response(486, "BYE"))
    hear(tap, b"OPTIONS without anything else\r\n\r\n")
    assert tap.received == {
        ("OPTIONS", "", "udp"): 1,
        ("INVITE", "", "udp"): 2,
        ("BYE", "486", "udp"): 1,
    }
    assert tap.sent == {("OPTIONS", "200", "udp"): 1, ("BYE", "", "udp"): 1}
    assert tap.malformed == {"udp": 1}


def test_what_peers_invent_makes_no_new_counts() -> None:
    tap, _ = make()
    for number in range(1, 200):
        hear(tap, request(f"INVENTED{number}", number))
        tap.send(response(405, f"INVENTED{number}", number), FLOW)
        hear(tap, response(420 + number, "OPTIONS", number))
    assert tap.received.keys() <= {("other", "", "udp")} | {
        key for key in tap.received if key[0] == "OPTIONS" and key[1] in REGISTERED_OR_CLASS
    }
    assert tap.sent == {("other", "405", "udp"): 199}


REGISTERED_OR_CLASS = {
    *(
        "4xx",
        "5xx",
        "6xx",
        "420",
        "421",
        "422",
        "423",
        "430",
        "439",
        "480",
        "481",
        "482",
        "483",
        "484",
        "485",
    ),
    *(
        "486",
        "487",
        "488",
        "489",
        "491",
        "493",
        "500",
        "501",
        "502",
        "503",
        "504",
        "505",
        "513",
        "600",
        "603",
    ),
    *("604", "606"),
}


def test_the_first_answer_to_an_invite_is_timed() -> None:
    tap, clock = make()
    hear(tap, request("INVITE"))
    clock.advance(0.02)
    tap.send(response(100, "INVITE"), FLOW)
    clock.advance(0.02)
    tap.send(response(180, "INVITE"), FLOW)
    clock.advance(3)
    tap.send(response(200, "INVITE"), FLOW)
    hear(tap, request("INVITE", 2))
    clock.advance(60)
    tap.send(response(486, "INVITE", 2), FLOW)
    assert tap.answer_counts == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert abs(tap.answer_sum_s - 60.04) < 0.001


def test_the_buffer_keeps_the_last_messages_within_its_size() -> None:
    tap, clock = make(buffer_bytes=20_000)
    began = clock.now
    for number in range(1000):
        hear(tap, request(number=number))
        clock.advance(1)
    kept = tap.since(began)
    assert 10 < len(kept) < 20_000 / len(request())
    assert kept[-1].data == request(number=999)
    assert [one.data for one in tap.since(clock.now - 2)] == [request(number=998), request(number=999)]
    # What is no SIP drives nothing out.
    hear(tap, b"\x00\x01" * 300)
    assert tap.since(began) == kept
    nothing, _ = make(buffer_bytes=0)
    hear(nothing, request())
    assert nothing.since(0) == []


def test_a_watcher_gets_what_it_wants_and_hears_of_what_it_missed() -> None:
    tap, _ = make()
    woken: list[bool] = []
    watch = Watch(lambda one: one.outgoing, lambda: woken.append(True), backlog=3)
    tap.watch(watch)
    hear(tap, request())
    assert (watch.take(), woken) == (([], 0), [])
    for number in range(5):
        tap.send(response(200, number=number), FLOW)
    taken, missed = watch.take()
    assert [one.data for one in taken] == [response(200, number=number) for number in range(3)]
    assert missed == 2
    assert len(woken) == 3
    tap.unwatch(watch)
    tap.send(response(200), FLOW)
    assert watch.take() == ([], 0)
    tap.unwatch(watch)


def test_a_stream_gives_each_message_with_its_own_bytes() -> None:
    first, second = request(), request("MESSAGE", 2).replace(b"Length: 0\r\n\r\n", b"Length : 3\r\n\r\nabc")
    framer = StreamFramer()
    heard: list[bytes] = []
    stream = first + b"\r\n\r\n" + second + b"BAD\r\n\r\n"
    for at in range(0, len(stream), 7):
        values = framer.feed(stream[at : at + 7])
        assert len(values) == len(framer.wire)
        heard += [wire for wire in framer.wire if wire]
    assert heard == [first, second, b"BAD\r\n\r\n"]


def test_a_captured_message_shows_nothing_by_itself() -> None:
    tap, _ = make()
    hear(tap, request())
    (kept,) = tap.since(0)
    assert isinstance(kept, Captured)
    assert "example.com" not in repr(kept)
