"""Fragments in any order come together; those that do not are counted, with when and between whom."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture import fragments
from tests.diagnosis.capture.packets import (
    A6,
    B6,
    SECOND,
    A,
    B,
    fragment_v6,
    invite,
    ipv4,
    ipv6,
    rtp,
    split_v4,
    udp,
)
from tests.diagnosis.capture.sorter_runs import MILLISECOND, messages, sort_packets

LARGE = invite(1, b"v=0\r\n" + b"a=x\r\n" * 800)
DATAGRAM = udp(LARGE)
PARTS = split_v4(DATAGRAM, 1_480, dscp=26)


def split_v6(datagram: bytes, size: int, identification: int = 9) -> list[bytes]:
    return [
        ipv6(
            fragment_v6(datagram[at : at + size], 17, at, at + size < len(datagram), identification),
            44,
        )
        for at in range(0, len(datagram), size)
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_makes_the_message_whole(order: tuple[int, ...]) -> None:
    assert len(PARTS) == 3
    found, _ = sort_packets(PARTS[n] for n in order)
    (packet,) = found.signalling
    assert (packet.data, packet.fragments, packet.dscp, packet.cut) == (LARGE, 3, 26, False)
    # It is there when its last part is.
    assert (packet.at_ns, packet.frame) == (2 * MILLISECOND, 3)
    assert (found.fragmentation.whole, found.fragmentation.broken) == (1, 0)
    assert found.fragmentation.largest_bytes == 20 + len(DATAGRAM)


def test_version_6_with_options_before_and_behind_the_fragment_header() -> None:
    inner = struct.pack("!BB6x", 17, 0) + DATAGRAM
    parts = [
        ipv6(
            struct.pack("!BB6x", 44, 0)
            + fragment_v6(inner[at : at + 1_000], 60, at, at + 1_000 < len(inner), 5),
            0,
        )
        for at in range(0, len(inner), 1_000)
    ]
    found, _ = sort_packets(reversed(parts))
    assert messages(found) == [LARGE]
    assert found.signalling[0].fragments == 5
    assert found.signalling[0].endpoints.src == A6


def test_a_fragment_that_is_the_whole_counts_as_none() -> None:
    found, _ = sort_packets([ipv6(fragment_v6(udp(invite()), 17, 0, False, 5), 44)])
    assert messages(found) == [invite()]
    assert found.fragmentation.whole == 0


@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize(("parts", "addresses"), [(PARTS, (A, B)), (split_v6(DATAGRAM, 1_448), (A6, B6))])
def test_a_part_that_never_comes(parts: list[bytes], addresses: tuple[str, str], lost: int) -> None:
    found, _ = sort_packets([ipv4(udp(b"", 9, 9))] * 5 + parts[:lost] + parts[lost + 1 :])
    assert found.fragmentation.broken == 1
    assert found.fragmentation.broken_flows == ((5 * MILLISECOND, *addresses),)
    if lost == 0:
        assert not found.signalling
        return
    # What came is told, as cut.
    (packet,) = found.signalling
    assert packet.cut
    assert packet.fragments == 2
    size = 1_480 if parts is PARTS else 1_448
    assert packet.data == LARGE[: size * lost - 8]


def test_parts_are_waited_for_half_a_minute() -> None:
    gap = fragments.GIVEN_UP_NS // 2
    assert sort_packets(PARTS, every_ns=gap - 1)[0].fragmentation.whole == 1
    late, _ = sort_packets(PARTS, every_ns=gap)
    assert late.fragmentation.whole == 0
    # The last part waits for others in its turn.
    assert late.fragmentation.broken == 2


def test_copies_of_a_mirror_port_are_no_second_packet() -> None:
    found, _ = sort_packets(part for part in PARTS for _ in range(2))
    assert messages(found) == [LARGE]
    assert (found.fragmentation.whole, found.fragmentation.broken) == (1, 0)


def test_an_identification_used_again_later_is_another_packet() -> None:
    found, _ = sort_packets(PARTS * 2, every_ns=SECOND)
    assert messages(found) == [LARGE, LARGE]


@pytest.mark.parametrize("offset", [1_472, 1_488, 8, 2_952])
def test_overlapping_parts_make_the_packet_worthless(offset: int) -> None:
    forged = ipv4(b"\r\nX-Forged: y" + bytes(1_467), offset=offset, more=True, identification=7)
    found, _ = sort_packets([PARTS[0], PARTS[1], forged, PARTS[2]])
    assert found.fragmentation.whole == 0
    assert found.fragmentation.broken == 1
    assert all(packet.cut and b"Forged" not in packet.data for packet in found.signalling)


def test_more_than_a_packet_can_hold() -> None:
    found, _ = sort_packets(
        [
            ipv4(bytes(1_480), offset=65_528, identification=3),
            ipv4(bytes(1_480), offset=0, more=True, identification=3),
        ]
    )
    assert (found.fragmentation.whole, found.fragmentation.broken) == (0, 1)


def test_flows_apart_do_not_mix() -> None:
    other = split_v4(DATAGRAM.replace(b"call-1", b"call-2"), 1_480, src=B, dst=A)
    found, _ = sort_packets(part for pair in zip(PARTS, other, strict=True) for part in pair)
    assert sorted(messages(found)) == sorted([LARGE, LARGE.replace(b"call-1", b"call-2")])


def test_media_in_fragments_is_handed_out() -> None:
    packet = rtp(5, bytes(1_000))
    parts = split_v4(udp(packet, 4_000, 4_002), 504, identification=77, dscp=46, ttl=9)
    _, (media,) = sort_packets(parts)
    assert (media.payload, media.dscp, media.ttl, media.ip_id, media.missing) == (packet, 46, 9, 77, 0)
    assert media.wire_bytes == sum(len(part) for part in parts)
    assert tuple(media.endpoints) == (A, 4_000, B, 4_002)


def test_media_of_which_a_part_is_lost_did_not_arrive() -> None:
    parts = split_v4(udp(rtp(5, bytes(1_000)), 4_000, 4_002), 504)
    found, media = sort_packets(parts[:-1])
    assert media == []
    assert found.fragmentation.broken == 1


def test_a_snap_length_cuts_each_part() -> None:
    found, _ = sort_packets(PARTS, snap=14 + 20 + 500)
    (packet,) = found.signalling
    assert packet.cut
    assert packet.data == LARGE[:492]
    assert found.fragmentation.whole == 1


def test_a_flood_of_first_parts_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MOST_PENDING", 100)
    flood = [split_v4(udp(bytes(800)), 400, identification=n)[0] for n in range(1_000)]
    found, _ = sort_packets(flood)
    assert found.fragmentation.broken == 100
    assert found.problems == (("fragmented packets given up because too many were waiting", 900),)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 2_000), st.integers(0, 2**32), st.floats(0, 0.5), st.booleans())
def test_whatever_order_and_copies(size: int, seed: int, copied: float, six: bool) -> None:
    chance = random.Random(seed)
    datagram = udp(invite(1, bytes(chance.randrange(1, 3_000))))
    size = max(size & ~7, (len(datagram) // 200 + 8) & ~7)
    parts = split_v6(datagram, size) if six else split_v4(datagram, size)
    if len(parts) == 1:
        return
    parts += [part for part in parts if chance.random() < copied]
    chance.shuffle(parts)
    found, _ = sort_packets(parts, every_ns=1_000)
    assert messages(found) == [datagram[8:]]
    assert (found.fragmentation.whole, found.fragmentation.broken) == (1, 0)
