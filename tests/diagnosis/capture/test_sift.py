"""What frames are sorted into; and the compiled loops agree with the plain ones, whatever they are given."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture import keys as keys_module
from ringback.diagnosis.capture import pcap as pcap_module
from ringback.diagnosis.capture import pcapng as pcapng_module
from ringback.diagnosis.capture import sift as sift_module
from ringback.diagnosis.capture.keys import KeyTable
from ringback.diagnosis.capture.records import Batch
from ringback.diagnosis.capture.rows import COUNT, FLOW, NOTHING, RTP, SORT
from ringback.diagnosis.capture.sift import Sifted, Sifter

from .written import call, ethernet, pcap, pcapng, rtp, udp

COMPILED = sift_module.kernels
compiled_too = pytest.mark.skipif(COMPILED is None, reason="the loops were not compiled")


@contextmanager
def plain(module: Any) -> Iterator[None]:
    module.kernels = None
    try:
        yield
    finally:
        module.kernels = COMPILED


def sift(some: Batch) -> Sifted:
    return Sifter().sift(some)


def batch(frames: list[bytes], link: int = 1, cut: int = 0) -> Batch:
    """Frames as a reader gives them; `cut` octets of each were not captured."""
    sizes = np.array([len(frame) for frame in frames], np.int64)
    data = np.frombuffer(b"".join(frames), np.uint8).copy()
    captured = np.maximum(sizes - cut, 0).astype(np.uint32)
    n = len(frames)
    return Batch(
        data,
        np.cumsum(sizes) - sizes,
        captured,
        sizes.astype(np.uint32),
        np.arange(n, dtype=np.int64) * 20_000_000,
        np.full(n, link, np.uint16),
        1,
    )


def way(*payloads: bytes, **ports: int) -> list[int]:
    return sift(batch([ethernet(udp(payload, **ports)) for payload in payloads])).way.tolist()


def test_rtp_and_what_only_looks_like_it() -> None:
    assert way(rtp(1), rtp(1, b""), rtp(1, first=0x8F, payload=bytes(60))) == [RTP] * 3
    assert way(rtp(1, payload_type=72), rtp(1, first=0x50), rtp(1, first=0xC0), rtp(1)[:11]) == [FLOW] * 4
    too_long = [rtp(1, bytes(59), first=0x8F), rtp(1, b"\0\0\0\xff", first=0xA0), rtp(1, b"\0", first=0xA0)]
    too_long.append(rtp(1, struct.pack("!HH", 0xBEDE, 1), first=0x90))
    assert way(*too_long) == [FLOW] * 4


def test_what_must_be_looked_at() -> None:
    stun = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
    assert way(struct.pack("!BBHI", 0x80, 200, 1, 1), stun, b"\x16\xfe\xfd" + bytes(20)) == [SORT] * 3
    assert way(b"INVITE sip:a@example.com SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n") == [SORT] * 2
    assert way(b"\r\n\r\n", rtp(1), dport=5060) == [SORT] * 2
    assert way(rtp(1), dport=4789) == [SORT]
    assert way(struct.pack("!HH", 0x4000, 12) + bytes(12)) == [SORT]


def test_what_need_only_be_counted() -> None:
    assert way(rtp(1), b"\x80\x00\x01\x00" + bytes(30), sport=53) == [COUNT] * 2
    assert way(b"", b"\0", bytes(100), b"\x01\x02\x03\x04") == [FLOW] * 4
    sifted = sift(batch([ethernet(udp(bytes(100))), ethernet(udp(bytes(7), dport=53))]))
    assert sifted.flow_octets.tolist() == [100, 7]
    assert sifted.flow_keys[1].tobytes() == (
        bytes(10)
        + b"\xff\xff\xc0\x00\x02\x01"
        + bytes(10)
        + b"\xff\xff\xc0\x00\x02\x02"
        + b"\x0f\xa0\x005\0\0\0\0"
    )


def test_other_frames() -> None:
    packet = udp(rtp(1))
    fragment = packet[:6] + b"\x20\x00" + packet[8:]
    tcp = packet[:9] + b"\x06" + packet[10:]
    longer = packet[:24] + b"\x01\x00" + packet[26:]
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    frames = [ethernet(fragment), ethernet(tcp), ethernet(longer), arp, ethernet(packet)[:30], bytes(5)]
    assert sift(batch(frames)).way.tolist() == [SORT, SORT, SORT, NOTHING, SORT, SORT]


def agree(one: Sifted, other: Sifted) -> None:
    assert one.way.tolist() == other.way.tolist()
    assert one.rows.tobytes() == other.rows.tobytes()
    for mine, theirs in zip(one[2:], other[2:], strict=True):
        assert np.array_equal(mine, theirs)


payloads = st.one_of(
    st.binary(max_size=60),
    st.builds(
        rtp,
        st.integers(0, 65535),
        st.binary(max_size=40),
        payload_type=st.sampled_from([0, 8, 9, 72, 96, 127]),
        marker=st.booleans(),
        first=st.integers(0x80, 0xBF),
        timestamp=st.integers(0, 2**32 - 1),
    ),
    st.builds(
        lambda inner: struct.pack("!HH", 0x4001, len(inner)) + inner, st.builds(rtp, st.integers(0, 9))
    ),
    st.sampled_from([b"SIP/2.0 200 OK\r\n\r\n", struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)]),
)
packets = st.builds(
    udp,
    payloads,
    src=st.sampled_from(["192.0.2.1", "192.0.2.7", "2001:db8::1"]),
    sport=st.sampled_from([53, 4000, 5060]),
    dst=st.just("192.0.2.2"),
) | st.builds(udp, payloads, src=st.just("2001:db8::1"), dst=st.just("2001:db8::2"))
frames = st.builds(ethernet, packets) | st.builds(
    ethernet, packets, st.sampled_from([(0x8100, 5), (0x88A8, 7)]), st.just((0x8100, 9))
)


@compiled_too
@settings(max_examples=300, deadline=None)
@given(
    some=st.lists(frames, max_size=12),
    link=st.sampled_from([0, 1, 9, 101, 113, 276]),
    cut=st.sampled_from([0, 0, 0, 4, 40, 170]),
    damage=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=20),
)
def test_sifting_agrees_with_the_plain_way(
    some: list[bytes], link: int, cut: int, damage: list[tuple[int, int]]
) -> None:
    before = {1: b"", 0: b"\x02\0\0\0", 9: b"\xff\x03\x00\x21", 101: b"", 113: bytes(14) + b"\x08\x00"}
    if link != 1:
        some = [before.get(link, b"\x08\x00" + bytes(18)) + frame[14:] for frame in some]
    given_batch = batch(some, link, cut)
    for at, octet in damage:
        if at < len(given_batch.data):
            given_batch.data[at] = octet
    compiled = sift(given_batch)
    with plain(sift_module):
        agree(sift(given_batch), compiled)


@compiled_too
@settings(max_examples=100, deadline=None)
@given(
    big=st.booleans(),
    damage=st.lists(st.tuples(st.integers(24, 2600), st.binary(min_size=1, max_size=4)), max_size=4),
    most=st.integers(1, 20),
    strict=st.booleans(),
)
def test_walking_agrees_with_the_plain_way(
    big: bool, damage: list[tuple[int, bytes]], most: int, strict: bool
) -> None:
    order = ">" if big else "<"
    form = pcap_module.Form(big, 1_000_000)
    for module, whole, at, walk, arguments, options in (
        (pcap_module, pcap, 24, pcap_module.walk, (form, -1), {"strict": strict, "trusted": 24}),
        (pcapng_module, pcapng, 48, pcapng_module.walk, (), {"big": big, "simple_limit": 64}),
    ):
        data = np.frombuffer(whole(call(12), order=order), np.uint8).copy()
        for place, octets in damage:
            part = data[place : place + len(octets)]
            part[:] = np.frombuffer(octets, np.uint8)[: len(part)]
        compiled = walk(data, at, *arguments, most=most, **options)
        with plain(module):
            plainly = walk(data, at, *arguments, most=most, **options)
        for mine, theirs in zip(compiled, plainly, strict=True):
            assert np.array_equal(mine, theirs)


@compiled_too
@given(batches=st.lists(st.lists(st.integers(0, 3000), max_size=200), max_size=5))
def test_numbering_agrees_with_the_plain_way(batches: list[list[int]]) -> None:
    compiled, plainly = KeyTable(), KeyTable()
    for numbers in batches:
        keys = np.zeros((len(numbers), 40), np.uint8)
        keys[:, 32:34] = np.array(numbers, ">u2")[:, None].view(np.uint8)
        got = compiled.number(keys)
        with plain(keys_module):
            assert np.array_equal(plainly.number(keys), got)
    assert np.array_equal(compiled.keys, plainly.keys)


@pytest.mark.parametrize("plainly", [False, True])
def test_keys_beyond_the_first_room(plainly: bool) -> None:
    numbers = np.arange(20_000, dtype=">u4")
    keys = np.zeros((len(numbers), 40), np.uint8)
    keys[:, 36:] = numbers[:, None].view(np.uint8)
    with plain(keys_module) if plainly else nullcontext():
        table = KeyTable()
        assert np.array_equal(table.number(keys), np.arange(20_000))
        assert np.array_equal(table.number(keys[::-1].copy()), np.arange(20_000)[::-1])
        table.keep(numbers.astype(np.int64) % 2 == 1)
        assert len(table) == 10_000
        assert table.number(keys[3:6].copy()).tolist() == [1, 10_000, 2]
