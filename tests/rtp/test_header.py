"""RTP headers: the columns agree with a plain reading of each packet, whatever a peer sends."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp import header

MTU = 1500


@dataclass
class Plain:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    extension_offset: int


def plain_parse(packet: bytes) -> Plain | None:
    """One packet, as RFC 3550 5.1 says it."""
    if not 12 <= len(packet) <= MTU or packet[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
    offset, end, extension_offset = 12 + 4 * (first & 15), len(packet), 0
    if first & 0x10:
        if offset + 4 > len(packet):
            return None
        extension_offset = offset
        offset += 4 + 4 * struct.unpack_from("!H", packet, offset + 2)[0]
    if first & 0x20:
        if packet[-1] == 0:
            return None
        end -= packet[-1]
    if offset > end:
        return None
    payload = packet[offset:end]
    return Plain(second & 127, second > 127, sequence, timestamp, ssrc, payload, extension_offset)


def columns_of(packets: list[bytes]) -> tuple[np.ndarray, header.RtpColumns]:
    # Old octets beyond each packet's end must not be believed, so the buffer is not clean.
    buffer = np.full((len(packets), MTU), 0x41, dtype=np.uint8)
    for row, packet in zip(buffer, packets, strict=True):
        row[: len(packet)] = np.frombuffer(packet, dtype=np.uint8)
    lengths = np.array([len(packet) for packet in packets], dtype=np.int32)
    return buffer, header.parse(buffer, lengths)


def assert_agrees(packets: list[bytes]) -> None:
    buffer, columns = columns_of(packets)
    for i, packet in enumerate(packets):
        expected = plain_parse(packet)
        assert bool(columns.valid[i]) == (expected is not None), packet.hex()
        if expected is None:
            continue
        start = columns.payload_offset[i]
        payload = buffer[i, start : start + columns.payload_length[i]].tobytes()
        assert expected == Plain(
            int(columns.payload_type[i]),
            bool(columns.marker[i]),
            int(columns.sequence[i]),
            int(columns.timestamp[i]),
            int(columns.ssrc[i]),
            payload,
            int(columns.extension_offset[i]),
        )


def packet(first: int = 0x80, second: int = 0, body: bytes = b"") -> bytes:
    return struct.pack("!BBHII", first, second, 7, 8, 9) + body


heads = st.builds(packet, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=90))


@given(st.lists(st.one_of(st.binary(max_size=100), heads), min_size=1, max_size=20))
def test_agrees_with_a_plain_reading_of_anything(packets: list[bytes]) -> None:
    assert_agrees(packets)


def test_corners() -> None:
    assert_agrees(
        [
            packet(),
            packet(body=bytes(160)),
            packet(0x8F, body=bytes(60)),
            packet(0x8F, body=bytes(59)),
            packet(0x90, body=bytes.fromhex("bede0001 00112233") + b"voice"),
            packet(0x90, body=bytes.fromhex("bede0002 00112233")),
            packet(0x90, body=bytes.fromhex("bedeffff")),
            packet(0x90, body=b"\xbe\xde\x00"),
            packet(0xA0, body=b"abc\x03"),
            packet(0xA0, body=b"abc\x04"),
            packet(0xA0, body=b"abc\x05"),
            packet(0xA0, body=b"abc\x00"),
            packet(0xA0),
            packet(0xB1, body=bytes(4) + bytes.fromhex("bede0001 00112233") + b"x\x01"),
            packet(0x40),
            packet(0xC0),
            b"",
            packet()[:11],
        ]
    )


def test_lengths_beyond_the_buffer_are_refused() -> None:
    buffer = np.zeros((2, 20), dtype=np.uint8)
    buffer[:, 0] = 0xA0
    assert not header.parse(buffer, np.array([21, 70000])).valid.any()


def test_what_is_encoded_is_read_back() -> None:
    out = np.zeros((3, 172), dtype=np.uint8)
    header.encode(
        out,
        payload_type=np.array([0, 8, 111], dtype=np.uint8),
        marker=np.array([False, True, False]),
        sequence=np.array([1, 65535, 65536 + 5]),
        timestamp=np.array([160, 2**32 + 320, 2**31]),
        ssrc=np.array([1, 0xDEADBEEF, 3], dtype=np.uint32),
    )
    columns = header.parse(out, np.full(3, 172))
    assert columns.valid.all()
    assert columns.payload_type.tolist() == [0, 8, 111]
    assert columns.marker.tolist() == [False, True, False]
    assert columns.sequence.tolist() == [1, 65535, 5]
    assert columns.timestamp.tolist() == [160, 320, 2**31]
    assert columns.ssrc.tolist() == [1, 0xDEADBEEF, 3]
    assert columns.payload_offset.tolist() == [12] * 3
    assert columns.payload_length.tolist() == [160] * 3


def test_encode_takes_one_value_for_all() -> None:
    out = np.zeros((2, 12), dtype=np.uint8)
    header.encode(out, 101, True, 70000, 2**32 + 1, 5)
    assert out.tobytes() == struct.pack("!BBHII", 0x80, 0x80 | 101, 70000 - 65536, 1, 5) * 2


def test_tells_rtcp_from_rtp_on_one_port() -> None:
    packets = [packet(second=200), packet(second=0x80 | 0), packet(second=201), packet(second=0x80 | 111)]
    buffer, _ = columns_of(packets)
    lengths = np.array([12] * 4)
    assert header.is_rtcp(buffer, lengths).tolist() == [True, False, True, False]
    assert not header.is_rtcp(buffer, np.array([4, 0, 7, 3])).any()
