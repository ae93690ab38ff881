"""Messages from bytes and back, whole and cut anywhere; nothing raises (RFC 3261 §7, §18.3)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.message import CSeq, Headers, NameAddr, Request, Response, SipUri, encode
from ringback.sip.parse import KeepAlive, Malformed, StreamFramer, parse_message
from tests.sip.generated import INVITE, messages, same


def parsed(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request), message
    return message


def fault(data: bytes) -> Malformed:
    message = parse_message(data)
    assert isinstance(message, Malformed), message
    return message


def test_an_invite() -> None:
    request = parsed(INVITE)
    assert (request.method, str(request.uri), request.body) == ("INVITE", "sip:101@example.com", b"v=0\r\n")
    assert request.call_id == "call@example.com"
    assert request.cseq == CSeq(7, "INVITE")
    assert (request.from_.tag, request.to.tag) == ("f", None)
    assert (request.top_via.host, request.top_via.port, request.top_via.branch) == (
        "192.0.2.1",
        5062,
        "z9hG4bKabc",
    )
    assert request.contacts == [NameAddr(SipUri(user="102", host="192.0.2.1", port=5062))]
    assert request.content_type == "application/sdp"
    assert request.max_forwards == 70


def test_compact_names_case_and_folding() -> None:
    data = (
        b"OPTIONS sip:a@example.com SIP/2.0\r\n"
        b"v: SIP/2.0/UDP a.example.com;branch=z9hG4bK1 ,\r\n\tSIP/2.0/TCP b\r\n"
        b"f:<sip:x@example.com>;tag=1\r\nT : sip:a@example.com\r\nI:1\r\ncSEQ: 1\r\n OPTIONS\r\n"
        b'm: "a, b" <sip:x@example.com;a=,>, <sip:y@example.com>\r\nk: timer,100rel\r\nl: 0\r\n\r\n'
    )
    request = parsed(data)
    assert [via.host for via in request.vias] == ["a.example.com", "b"]
    assert [contact.display for contact in request.contacts] == ["a, b", ""]
    assert request.headers.get_all("SUPPORTED") == ["timer", "100rel"]
    assert request.cseq.number == 1
    assert "call-id" in request.headers


def test_a_body_longer_than_said_is_cut_and_a_shorter_one_refused() -> None:
    assert parsed(INVITE + b"INVITE sip:evil@example.com SIP/2.0\r\n").body == b"v=0\r\n"
    short = fault(INVITE[:-1])
    assert (short.status, short.answerable) == (400, True)
    assert parsed(INVITE.replace(b"Content-Length: 5\r\n", b"")).body == b"v=0\r\n"


@pytest.mark.parametrize(
    "value", [b"-5", b"5x", b"", b"99999999999999999999", b"5\r\nContent-Length: 6", "٥".encode()]
)
def test_a_bad_content_length(value: bytes) -> None:
    assert fault(INVITE.replace(b"Content-Length: 5", b"Content-Length: " + value)).status == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"To: <sip:101@example.com>\r\n", b""),
        (b"Call-ID: call@example.com\r\n", b""),
        (b"CSeq: 7 INVITE", b"CSeq: 2147483648 INVITE"),
        (b"CSeq: 7 INVITE", b"CSeq: 7 BYE"),
        (b"CSeq: 7 INVITE", b"CSeq: seven INVITE"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256"),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Forwards: 69"),
        (b"From: <", b'From: "A <'),
        (b"Call-ID: call@example.com", b"Call-ID: a b"),
        (b"Max-Forwards: 70", b"no colon here"),
        (b"Max-Forwards: 70", b"Bad Name: 70"),
        (b"Max-Forwards: 70", b"X: a\rb"),
        (b"Max-Forwards: 70", b"X: a\nb"),
        (b"INVITE sip:101", b"INVITE  sip:101"),
        (b" SIP/2.0\r\nVia", b"\r\nVia"),
    ],
)
def test_faults_that_are_400(old: bytes, new: bytes) -> None:
    assert fault(INVITE.replace(old, new)).status == 400


def test_a_fault_says_whether_it_can_be_answered() -> None:
    assert fault(INVITE.replace(b"From: <", b'From: "A <')).answerable
    assert not fault(INVITE.replace(b"Via: SIP", b"Via: XXX")).answerable
    assert not fault(INVITE.replace(b"INVITE", b"ACK").replace(b"From: <", b'From: "A <')).answerable
    assert not fault(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n").answerable
    assert not fault(b"GET / HTTP/1.1\r\nVia: SIP/2.0/UDP h\r\n\r\n").answerable
    assert not fault(b"").answerable


def test_too_many_header_fields_are_refused() -> None:
    assert fault(INVITE.replace(b"Max-Forwards: 70", b"X: y\r\n" * 300 + b"Max-Forwards: 70")).status == 400
    assert fault(INVITE.replace(b"Max-Forwards: 70", b"Route: " + b"," * 300)).status == 400


def test_other_bytes_than_utf8_come_back_unchanged() -> None:
    data = INVITE.replace(b"From: <", b'From: "\xff\xfe\xc3\xa9" <')
    assert b"\xff\xfe\xc3\xa9" in encode(parsed(data))


def test_a_header_value_cannot_smuggle_a_line() -> None:
    headers = Headers()
    for change in (headers.add, headers.set, headers.prepend):
        with pytest.raises(ValueError, match="line break"):
            change("Subject", "a\r\nContact: <sip:evil@example.com>")


def test_a_reason_cannot_smuggle_a_line() -> None:
    assert isinstance(
        parse_message(INVITE.replace(b"INVITE sip:101@example.com SIP/2.0", b"SIP/2.0 200 O\nK")), Malformed
    )
    response = parsed(INVITE)
    with pytest.raises(ValueError, match="line break"):
        encode(Response(200, "OK\r\nContact: <sip:evil@example.com>", response.headers))


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    parse_message(data)
    parse_message(b"INVITE sip:a@example.com SIP/2.0\r\n" + data + b"\r\n\r\n")
    StreamFramer().feed(data)


@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(INVITE)))
    cut = data.draw(st.integers(0, 20))
    message = parse_message(INVITE[:at] + data.draw(st.binary(max_size=10)) + INVITE[at + cut :])
    if isinstance(message, Request):
        # What the parser let through, the typed views can read.
        _ = (
            message.top_via,
            message.from_,
            message.to,
            message.cseq,
            message.call_id,
            message.contacts,
            message.max_forwards,
        )
        encode(message)


@given(messages())
def test_what_is_written_is_read_the_same(message: Request | Response) -> None:
    same(parse_message(encode(message)), message)


@given(st.lists(messages() | st.just(None), max_size=4), st.data())
def test_a_stream_cut_anywhere_gives_the_same_messages(
    sent: list[Request | Response | None], data: st.DataObject
) -> None:
    stream = b"".join(b"\r\n\r\n" if message is None else encode(message) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    framer = StreamFramer()
    out = [
        item for start, end in pairwise([0, *cuts, len(stream)]) for item in framer.feed(stream[start:end])
    ]
    received = [item for item in out if not isinstance(item, KeepAlive)]
    assert len(received) == len([message for message in sent if message is not None])
    for got, message in zip(received, [message for message in sent if message is not None], strict=True):
        same(got, message)
    assert sum(item.ping for item in out if isinstance(item, KeepAlive)) == sent.count(None)
    assert not framer.mid_message


def test_a_stream_byte_by_byte() -> None:
    framer = StreamFramer()
    out = [item for byte in b"\r\n\r\n" + INVITE + INVITE for item in framer.feed(bytes([byte]))]
    assert [item.ping for item in out[:-2]] == [False, True]
    assert [item.body for item in out[-2:]] == [b"v=0\r\n"] * 2


def test_keep_alives() -> None:
    assert StreamFramer().feed(b"\r\n\r\n\r\n\r\n") == [KeepAlive(True), KeepAlive(True)]
    assert StreamFramer().feed(b"\r\n") == [KeepAlive(False)]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (INVITE.replace(b"Content-Length: 5", b"Content-Length: -1"), 400),
        (INVITE.replace(b"Content-Length: 5\r\n", b""), 400),
        (INVITE.replace(b"Content-Length: 5", b"Content-Length: 5\r\nl: 6"), 400),
        (INVITE.replace(b"Content-Length: 5", b"Content-Length: 900000000"), 413),
        (b"X" * 70_000, 400),
        (b"INVITE sip:a@example.com SIP/2.0\r\n" + b"X: " + b"y" * 70_000, 400),
        (b"\r\n\rX", 400),
    ],
)
def test_a_stream_without_framing_is_closed(data: bytes, status: int) -> None:
    framer = StreamFramer()
    out = framer.feed(data)
    assert isinstance(out[-1], Malformed)
    assert (out[-1].status, out[-1].close, framer.closed) == (status, True, True)
    assert framer.feed(INVITE) == []


def test_a_fault_that_keeps_the_framing_keeps_the_stream() -> None:
    bad, good = StreamFramer().feed(INVITE.replace(b"CSeq: 7", b"CSeq: x") + INVITE)
    assert isinstance(bad, Malformed)
    assert not bad.close
    assert isinstance(good, Request)
