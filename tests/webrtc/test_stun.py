"""STUN off the network: what is right is read, what is not is nothing, and nothing raises."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.webrtc import stun
from tests.webrtc.browser import check, stun_attributes
from tests.webrtc.browser import stun as make

OURS, THEIRS = ("peer", "p" * 22), ("host", "h" * 22)

# RFC 5769 2.1: a request of a full agent, with a space as padding of the user name.
RFC_5769_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)


def test_the_request_of_the_rfc_is_read_and_authentic() -> None:
    message = stun.parse(RFC_5769_REQUEST)
    assert message is not None
    assert message.kind == stun.BINDING_REQUEST
    assert message.attributes[stun.USERNAME] == b"evtj:h6vY"
    assert message.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBt")
    assert not message.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBu")
    assert message.unknown == ()


def test_a_check_is_read_and_its_answer_says_where_it_came_from() -> None:
    message = stun.parse(check(OURS, THEIRS))
    assert message is not None
    assert message.is_authentic(THEIRS[1].encode())
    answer = stun.parse(stun.success(message, bytes([192, 0, 2, 1]), 32853, THEIRS[1].encode()))
    assert answer is not None
    assert answer.transaction_id == message.transaction_id
    assert answer.is_authentic(THEIRS[1].encode())
    _, family, port, ip = struct.unpack("!BBHI", answer.attributes[stun.XOR_MAPPED_ADDRESS])
    assert (family, port ^ 0x2112, ip ^ 0x2112A442) == (1, 32853, 0xC0000201)


def test_without_integrity_nothing_is_authentic() -> None:
    message = stun.parse(check(OURS, THEIRS, password=None))
    assert message is not None
    assert not message.is_authentic(b"")


def test_what_follows_the_integrity_is_not_believed() -> None:
    signed = check(OURS, THEIRS, nominate=False)
    body = signed[20:-8] + struct.pack("!HH", stun.USE_CANDIDATE, 0)
    forged = make(1, [], None, signed[8:20])[:0]
    attributes = [*stun_attributes(signed[:-8]), (stun.USE_CANDIDATE, b"")]
    forged = make(1, attributes, None, signed[8:20])
    assert forged[20:-8] == body
    message = stun.parse(forged)
    assert message is not None
    assert message.is_authentic(THEIRS[1].encode())
    assert stun.USE_CANDIDATE not in message.attributes


def test_unknown_attributes_that_must_be_understood_are_named() -> None:
    message = stun.parse(check(OURS, THEIRS, extra=[(0x7FFE, b"abc"), (0xC057, b"\0\0\0\1")]))
    assert message is not None
    assert message.unknown == (0x7FFE,)
    answer = stun.parse(stun.error(message, 420, "Unknown Attribute", b"x" * 22))
    assert answer is not None
    assert answer.attributes[stun.UNKNOWN_ATTRIBUTES] == b"\x7f\xfe"
    assert answer.attributes[stun.ERROR_CODE][2:4] == bytes([4, 20])


@pytest.mark.parametrize("length", range(len(RFC_5769_REQUEST)))
def test_a_message_cut_short_is_nothing(length: int) -> None:
    assert stun.parse(RFC_5769_REQUEST[:length]) is None


@pytest.mark.parametrize("octet", range(len(RFC_5769_REQUEST)))
def test_one_wrong_octet_is_noticed(octet: int) -> None:
    wrong = bytearray(RFC_5769_REQUEST)
    wrong[octet] ^= 0x41
    message = stun.parse(bytes(wrong))
    assert message is None or not message.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBt")


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=40), st.binary(max_size=64)
)
def test_nothing_raises(attributes: list[tuple[int, bytes]], tail: bytes) -> None:
    message = stun.parse(make(1, attributes, None))
    if message is not None:
        message.is_authentic(b"password")
    stun.parse(tail)
    stun.parse(make(1, attributes, None)[:-8] + tail)


@given(st.binary(max_size=80))
def test_bodies_of_anything_do_not_raise(body: bytes) -> None:
    header = struct.pack("!HHI", 1, len(body) + 8, 0x2112A442) + bytes(12)
    signed = make(1, [], None)
    assert stun.parse(signed) is not None
    import binascii  # noqa: PLC0415

    datagram = header + body
    check_sum = binascii.crc32(datagram) ^ 0x5354554E
    message = stun.parse(datagram + struct.pack("!HHI", 0x8028, 4, check_sum))
    if message is not None:
        message.is_authentic(b"password")


def test_the_answer_of_the_rfc_over_ipv6_has_its_address() -> None:
    # RFC 5769 2.3: XOR-MAPPED-ADDRESS of 2001:db8:1234:5678:11:2233:4455:6677, port 32853.
    request = stun.StunMessage(stun.BINDING_REQUEST, bytes.fromhex("b7e7a701bc34d686fa87dfae"), {}, (), b"")
    address = bytes.fromhex("20010db8123456780011223344556677")
    answer = stun.parse(stun.success(request, address, 32853, b"VOkJxbRl1RmTxUk/WvJxBt"))
    assert answer is not None
    assert answer.attributes[stun.XOR_MAPPED_ADDRESS] == bytes.fromhex(
        "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    )
