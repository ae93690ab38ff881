"""A datagram's kind is told by its octets; near misses are not taken."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.capture.datagrams import kind_of
from ringback.rtp import rtcp
from tests.diagnosis.capture.packets import invite, ok, rtp, stun

SENDER = rtcp.encode(
    rtcp.SenderReport(7, 1 << 40, 160, 10, 1_600, (rtcp.ReportBlock(8, 3, 5),)),
    rtcp.SourceDescription(((7, "a@example.com"),)),
)
RECEIVER = rtcp.encode(rtcp.ReceiverReport(7, (rtcp.ReportBlock(8),)))
NOISE = random.Random(6).randbytes(200)


def srtcp(compound: bytes, tail: bytes) -> bytes:
    """The first header and source in the clear, as RFC 3711 leaves them; the rest is noise."""
    return compound[:8] + NOISE[: len(compound) - 8] + tail


def udptl(sequence: int, primary: bytes, *older: bytes) -> bytes:
    recovery = b"\0" + bytes([len(older)]) + b"".join(bytes([len(part)]) + part for part in older)
    return struct.pack("!HB", sequence, len(primary)) + primary + recovery


def dtls(kind: int, body: bytes, version: bytes = b"\xfe\xfd") -> bytes:
    return bytes([kind]) + version + bytes(8) + len(body).to_bytes(2, "big") + body


QUERY = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\x03_s\0\0\x21\0\1"
PADDED = bytes([0xA0]) + rtp()[1:-1] + b"\4"

KINDS = {
    "sip": [
        invite(),
        ok(),
        b"\r\n\r\n" + invite(),
        b"FOO sip:a@example.com SIP/2.0\r\n\r\n",
        b"a" * 5_000 + b" sip:a SIP/2.0\r\n",
        b"INVITE sip:bob@exam",
        b"INVITE sip:a@example.com SIP/7.0\r\n\r\n",
        b"SIP/2.0 99999 odd\r\n",
        b"!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:"
        b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\r\n\r\n",
    ],
    "rtp": [rtp(), rtp(1, b""), PADDED, b"\x80\xe0" + bytes(10), bytes([0x82]) + rtp()[1:]],
    "rtcp": [
        SENDER,
        RECEIVER,
        SENDER + RECEIVER,
        # Feedback alone (RFC 5506), full intra request, a goodbye.
        struct.pack("!BBHII", 0x81, 206, 2, 7, 8),
        struct.pack("!BBHI", 0x80, 192, 1, 7),
        struct.pack("!BBHI", 0x81, 203, 1, 7),
        # Malformed, but nothing else.
        SENDER[:-3],
    ],
    "srtcp": [
        srtcp(SENDER, b"\x80\0\0\1" + NOISE[:10]),
        srtcp(SENDER, b"\x80\0\0\1" + NOISE[:4]),
        srtcp(RECEIVER, NOISE[:16] + b"\x80\0\0\2"),
    ],
    "stun": [stun(0x0001, b"t"), stun(0x0101, b"t", b"\0\x20\0\x08" + bytes(8)), b"\0\1\0\0" + NOISE[:16]],
    "turn": [
        stun(0x0003, b"t"),
        stun(0x0016, b"t"),
        b"\x40\0\0\5hello",
        b"\x4f\xff\0\5hello\0\0\0",
    ],
    "dtls": [dtls(22, bytes(40)), dtls(23, bytes(40), b"\xfe\xff"), dtls(20, b"\1")],
    "zrtp": [b"\x10\0\0\1ZRTP" + bytes(20)],
    "t38": [udptl(0, b"\x06"), udptl(40, b"\xc0\1\x80\0\0\xff", b"\x06", b"\x06"), udptl(3, b"\1\2", b"")],
    "keepalive": [b"\r\n", b"\r\n\r\n"],
    "unknown": [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"M-SEARCH * HTTP/1.1\r\n\r\n",
        b"GET /sip HTTP/1.1\r\n",
        rtp()[:11],
        stun(0x0001, b"t")[:19],
        b"\0\1\0\4" + NOISE[:16],
        b"\x40\0\0\5hell",
        QUERY,
        dtls(22, bytes(40))[:12],
        b"\x16\x03\x01\0\5hello" + bytes(10),
        udptl(1, b"\x06", b"\x06") + b"\0",
    ],
}


@pytest.mark.parametrize(("kind", "payload"), [(k, p) for k, ps in KINDS.items() for p in ps])
def test_kinds(kind: str, payload: bytes) -> None:
    assert kind_of(payload, 40_000, 40_002) == kind


@pytest.mark.parametrize("ports", [(53, 9), (9, 53), (5_353, 5_353)])
def test_dns_is_known_by_its_port(ports: tuple[int, int]) -> None:
    assert kind_of(QUERY, *ports) == "dns"
    assert kind_of(b"\1\2\3", *ports) == "unknown"


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("rtcp", SENDER[:30]),
        ("stun", stun(0x0101, b"t", bytes(40))[:24]),
        ("turn", b"\x40\0\0\xa0" + rtp()[:30]),
        ("rtp", b"\x8f" + rtp()[1:40]),
        ("sip", invite()[:60]),
    ],
)
def test_what_the_capture_cut_is_still_known(kind: str, payload: bytes) -> None:
    assert kind_of(payload, 40_000, 40_002, cut=True) == kind


@given(st.binary(max_size=120), st.booleans())
def test_any_octets_are_of_some_kind(payload: bytes, cut: bool) -> None:
    assert kind_of(payload, 53, 9, cut=cut) in {*KINDS, "dns"}
