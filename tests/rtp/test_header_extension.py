"""Header extensions: what many rows give at once is what a plain reading of each gives."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp import header
from ringback.rtp.header_extension import MAX_ELEMENTS, UNKNOWN_LEVEL, audio_levels, find

WIDTH = 200

OCTETS = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from([0, 1, 2, 3, 0x10, 0x11, 0x20, 0x31, 0xF0])).map(bytes)
)


def packet(profile: int, body: bytes, csrcs: int = 0) -> bytes:
    body += bytes(-len(body) % 4)
    head = struct.pack("!BBHII", 0x90 | csrcs, 111, 1, 2, 3) + bytes(4 * csrcs)
    return head + struct.pack("!HH", profile, len(body) // 4) + body + b"payload"


def read(packets: list[bytes], identifier: int) -> tuple[list[bytes | None], list[int]]:
    """The element of each packet, and the level that each tells."""
    buffer = np.full((len(packets), WIDTH), 0xA5, np.uint8)
    for row, data in zip(buffer, packets, strict=True):
        row[: len(data)] = np.frombuffer(data, np.uint8)
    columns = header.parse(buffer, np.array([len(data) for data in packets]))
    rows, wanted = np.arange(len(packets)), np.full(len(packets), identifier)
    offset, length = find(buffer, columns, rows, wanted)
    elements = [
        buffer[row, at : at + size].tobytes() if at else None
        for row, (at, size) in enumerate(zip(offset.tolist(), length.tolist(), strict=True))
    ]
    return elements, audio_levels(buffer, columns, rows, wanted).tolist()


def plain(data: bytes, identifier: int) -> bytes | None:
    """RFC 8285 read octet by octet."""
    at = 12 + 4 * (data[0] & 15)
    profile, words = struct.unpack_from("!HH", data, at)
    body = data[at + 4 : at + 4 + 4 * words]
    if profile != 0xBEDE and profile >> 4 != 0x100:
        return None
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at >= len(body):
            return None
        if body[at] == 0:
            at += 1
            continue
        if profile == 0xBEDE:
            name, size, start = body[at] >> 4, (body[at] & 15) + 1, at + 1
        elif at + 1 < len(body):
            name, size, start = body[at], body[at + 1], at + 2
        else:
            return None
        if start + size > len(body):
            return None
        if name == identifier:
            return body[start : start + size]
        if profile == 0xBEDE and name == 15:
            return None
        at = start + size
    return None


@given(
    st.lists(
        st.builds(
            packet,
            st.sampled_from([0xBEDE, 0xBEDE, 0x1000, 0x1007, 0x1010, 0xABAC]),
            OCTETS,
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([1, 2, 3, 14, 15]),
)
def test_agrees_with_a_plain_reading_of_anything(packets: list[bytes], identifier: int) -> None:
    elements, levels = read(packets, identifier)
    expected = [plain(data, identifier) for data in packets]
    assert elements == expected
    assert levels == [element[0] & 0x7F if element else UNKNOWN_LEVEL for element in expected]


@pytest.mark.parametrize(
    ("data", "level"),
    [
        pytest.param(packet(0xBEDE, b"\x10\x9e"), 30, id="one byte, voice bit set"),
        pytest.param(packet(0xBEDE, b"\x00\x22abc\x00\x10\x7f"), 127, id="after padding and another"),
        pytest.param(packet(0xBEDE, b"\x10\x21", csrcs=2), 33, id="after two contributors"),
        pytest.param(packet(0x1000, b"\x01\x01\x32\x00"), 50, id="two bytes"),
        pytest.param(packet(0x1000, b"\x02\x00\x01\x01\x32"), 50, id="two bytes, after an empty one"),
        pytest.param(packet(0xBEDE, b"\xf0\x00\x10\x21"), UNKNOWN_LEVEL, id="after the end"),
        pytest.param(packet(0xBEDE, b"\x20\x21"), UNKNOWN_LEVEL, id="another element"),
        pytest.param(packet(0x1000, b"\x01\x00"), UNKNOWN_LEVEL, id="empty"),
        pytest.param(packet(0xBEDE, b""), UNKNOWN_LEVEL, id="an extension of nothing"),
        pytest.param(packet(0x1234, b"\x10\x21"), UNKNOWN_LEVEL, id="another kind of extension"),
        pytest.param(
            struct.pack("!BBHII", 0x80, 111, 1, 2, 3) + b"\xbe\xde\0\1\x10\x21", UNKNOWN_LEVEL, id="none"
        ),
        pytest.param(packet(0xBEDE, b"\x10\x21")[:18], UNKNOWN_LEVEL, id="cut short"),
    ],
)
def test_levels(data: bytes, level: int) -> None:
    assert read([data, packet(0xBEDE, b"\x10\x2a")], 1)[1] == [level, 42]


def test_a_leg_that_agreed_on_none_tells_none() -> None:
    assert read([packet(0xBEDE, b"\x00\x10\x21")], 0)[1] == [UNKNOWN_LEVEL]


def test_who_hides_it_behind_much_padding_is_not_heard_out() -> None:
    assert read([packet(0xBEDE, bytes(MAX_ELEMENTS) + b"\x10\x21")], 1)[1] == [UNKNOWN_LEVEL]
