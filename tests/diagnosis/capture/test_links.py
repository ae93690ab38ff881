"""Whatever the link layer, the same packet is found; what holds no IP is passed over."""

from __future__ import annotations

import struct

import pytest

from ringback.diagnosis.capture.captured import Endpoints
from ringback.diagnosis.capture.links import DAMAGED, ENCRYPTED, NO_IP, UNKNOWN_LINK, find_ip
from tests.diagnosis.capture.packets import A6, B6, A, B, ethernet, invite, ipv4, ipv6, udp
from tests.diagnosis.capture.sorter_runs import sort_frames

FOUR = ipv4(udp(invite()), dscp=24)
SIX = ipv6(udp(invite()), dscp=24)
LLC = b"\xaa\xaa\x03\0\0\0\x08\0"


def pppoe(data: bytes) -> bytes:
    return b"\x11\0\0\1" + struct.pack("!H", len(data)) + data


FRAMES = {
    "ethernet": (1, ethernet(FOUR)),
    "ethernet v6": (1, ethernet(SIX)),
    "vlan": (1, ethernet(FOUR, 0x8100)),
    "qinq": (1, ethernet(FOUR, 0x88A8, 0x8100)),
    "three tags": (1, ethernet(SIX, 0x9100, 0x88A8, 0x8100)),
    "802.3 with snap": (1, bytes(12) + struct.pack("!H", 8 + len(FOUR)) + LLC + FOUR),
    "mpls": (1, bytes(12) + b"\x88\x47" + b"\0\1\0\x40" + b"\0\2\1\x40" + FOUR),
    "mpls v6": (1, bytes(12) + b"\x88\x47" + b"\0\2\1\x40" + SIX),
    "pppoe": (
        1,
        bytes(12) + b"\x88\x64" + pppoe(b"\0\x21" + FOUR),
    ),
    "pppoe v6": (
        1,
        bytes(12) + b"\x88\x64" + pppoe(b"\0\x57" + SIX),
    ),
    "sll": (113, bytes(14) + b"\x08\0" + FOUR),
    "sll vlan": (113, bytes(14) + b"\x81\0" + b"\0\x05\x86\xdd" + SIX),
    "sll2": (276, b"\x86\xdd" + bytes(18) + SIX),
    "raw": (101, FOUR),
    "raw v6": (12, SIX),
    "raw 14": (14, FOUR),
    "ipv4": (228, FOUR),
    "ipv6": (229, SIX),
    "null, little-endian": (0, b"\2\0\0\0" + FOUR),
    "null, big-endian": (0, b"\0\0\0\x1e" + SIX),
    "loop": (108, b"\0\0\0\2" + FOUR),
    "ppp": (9, b"\xff\x03\0\x21" + FOUR),
    "ppp without address": (9, b"\0\x57" + SIX),
    "ppp compressed": (50, b"\x21" + FOUR),
    "802.11": (105, b"\x08\x01\0\0" + bytes(20) + LLC + FOUR),
    "802.11 with qos": (105, b"\x88\x02\0\0" + bytes(22) + LLC + FOUR),
    "802.11 between bridges": (105, b"\x08\x03\0\0" + bytes(26) + LLC + FOUR),
    "radiotap": (127, b"\0\0\x08\0" + bytes(4) + b"\x08\x01\0\0" + bytes(20) + LLC + FOUR),
    "prism": (119, b"\x44\0\0\0\x90\0\0\0" + bytes(136) + b"\x08\x01\0\0" + bytes(20) + LLC + FOUR),
    "nflog": (239, b"\2\0\0\0" + b"\x08\0\1\0\0\0\0\0" + struct.pack("<HH", 4 + len(FOUR), 9) + FOUR),
    "hdlc": (104, b"\x0f\0\x08\0" + FOUR),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_packet_is_found(name: str) -> None:
    link, frame = FRAMES[name]
    found, _ = sort_frames([frame], link)
    (packet,) = found.signalling
    addresses = (A, B) if frame.endswith(FOUR) else (A6, B6)
    assert packet.endpoints == Endpoints(addresses[0], 5060, addresses[1], 5062)
    assert (packet.data, packet.dscp, packet.transport, packet.cut) == (invite(), 24, "udp", False)
    assert (packet.frame, packet.fragments) == (1, 0)


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_ends_early_is_told_as_such(name: str) -> None:
    link, frame = FRAMES[name]
    for size in range(len(frame) - len(invite())):
        found, media = sort_frames([frame[:size]], link)
        assert not found.signalling
        assert not media
        assert sum(packets for _, packets in found.problems) <= 1


@pytest.mark.parametrize(
    ("link", "frame", "answer"),
    [
        (1, bytes(12) + b"\x08\x06" + bytes(46), NO_IP),
        (1, bytes(12) + b"\0\x26" + b"\x42\x42\x03" + bytes(40), NO_IP),
        (1, b"", DAMAGED),
        (1, bytes(12) + b"\x81\0" + b"\0", DAMAGED),
        (1, bytes(12) + b"\x81\0\0\1" * 40, NO_IP),
        (9, b"\xc0\x21\x01\0", NO_IP),
        (101, b"\x25", NO_IP),
        (0, b"\x07\0\0\0\x45", NO_IP),
        (147, bytes(60), UNKNOWN_LINK),
        (105, b"\x08\x41" + bytes(60), ENCRYPTED),
        (105, b"\x80\0" + bytes(60), NO_IP),
        (127, b"\0\0\xff\xff" + bytes(60), DAMAGED),
        (239, b"\2\0\0\0" + b"\0" * 9, DAMAGED),
    ],
)
def test_what_is_no_ip(link: int, frame: bytes, answer: int) -> None:
    assert find_ip(link, frame) == answer


def test_an_unknown_link_type_is_named() -> None:
    found, _ = sort_frames([bytes(60)] * 3, 147)
    assert found.problems == (("frames of link type 147, which is not read", 3),)


def test_padding_of_a_short_frame_is_no_payload() -> None:
    found, _ = sort_frames([ethernet(ipv4(udp(b"\r\n" + invite()))) + b"\x55" * 20])
    assert [packet.data for packet in found.signalling] == [invite()]
