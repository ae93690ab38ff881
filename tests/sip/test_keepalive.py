"""STUN keep-alives on the port of SIP, told from all else (RFC 5626 §4.4.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.keepalive import stun_answer

COOKIE = bytes.fromhex("2112a442")
# The transaction of the sample answers in RFC 5769 §2.2 and §2.3, and their attributes.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
SAMPLES = [
    ("192.0.2.1", 32_853, "002000080001a147e112a643"),
    ("2001:db8:1234:5678:11:2233:4455:6677", 32_853, "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
]


def request(kind: str = "0001", attributes: bytes = b"") -> bytes:
    return bytes.fromhex(kind) + len(attributes).to_bytes(2, "big") + COOKIE + TRANSACTION + attributes


@pytest.mark.parametrize(("host", "port", "attribute"), SAMPLES)
def test_a_binding_request_is_told_where_it_came_from(host: str, port: int, attribute: str) -> None:
    answer = stun_answer(request(), (host, port))
    size = len(attribute) // 2
    assert answer == b"\x01\x01" + size.to_bytes(2, "big") + COOKIE + TRANSACTION + bytes.fromhex(attribute)


def test_attributes_that_phones_add_do_not_matter() -> None:
    assert stun_answer(request(attributes=bytes.fromhex("80220004") + b"test"), ("192.0.2.1", 1)) is not None


@pytest.mark.parametrize("kind", ["0101", "0111", "0003", "0011"])
def test_answers_indications_and_other_methods_get_nothing(kind: str) -> None:
    assert stun_answer(request(kind), ("192.0.2.1", 1)) is None


@given(st.binary(max_size=600))
def test_nothing_raises(datagram: bytes) -> None:
    stun_answer(datagram, ("192.0.2.1", 1))
    stun_answer(b"\0\1" + datagram, ("2001:db8::1", 65_535))
