"""What the sorter tells of packets in tunnels, of ICMP, of flows beside the calls, and what it leaves out."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture import flows, sorting
from ringback.diagnosis.capture.captured import Endpoints, IcmpNotice
from ringback.diagnosis.capture.sorting import Sorter
from tests.diagnosis.capture.packets import (
    A6,
    B6,
    A,
    B,
    ethernet,
    invite,
    ipv4,
    ipv6,
    packed,
    rtp,
    split_v4,
    stun,
    tcp,
    udp,
)
from tests.diagnosis.capture.sorter_runs import MILLISECOND, messages, sort_frames, sort_packets
from tests.diagnosis.capture.test_datagrams import KINDS, QUERY, dtls, udptl

INNER = ipv4(udp(invite()), 17, "10.0.0.1", "10.0.0.2", dscp=26)
INNER_6 = ipv6(udp(invite()), dscp=26)
VXLAN = b"\x08\0\0\0\0\0\x2a\0"

ERSPAN_3 = b"\x10\0\x22\xeb" + bytes(4) + b"\x20"

TUNNELS = {
    "ip in ip": ipv4(INNER, 4),
    "6 in 4": ipv4(INNER_6, 41),
    "4 in 6": ipv6(INNER, 4),
    "gre": ipv4(b"\0\0\x08\0" + INNER, 47),
    "gre v6": ipv6(b"\0\0\x86\xdd" + INNER_6, 47),
    "gre with key and sequence": ipv4(b"\x30\0\x08\0" + bytes(8) + INNER, 47),
    "gre with checksum": ipv4(b"\x80\0\x08\0" + bytes(4) + INNER, 47),
    "nvgre": ipv4(b"\x20\0\x65\x58" + bytes(4) + ethernet(INNER), 47),
    "erspan": ipv4(b"\x10\0\x88\xbe" + bytes(4) + b"\x10" + bytes(7) + ethernet(INNER, 0x8100), 47),
    "erspan 3": ipv4(ERSPAN_3 + bytes(11) + ethernet(INNER), 47),
    "erspan 3 with a subheader": ipv4(ERSPAN_3 + bytes(10) + b"\1" + bytes(8) + ethernet(INNER), 47),
    "vxlan": ipv4(udp(VXLAN + ethernet(INNER), 9, 4789)),
    "geneve": ipv4(udp(b"\1\0\x65\x58" + bytes(8) + ethernet(INNER), 9, 6081)),
    "gtp": ipv4(udp(b"\x30\xff" + struct.pack("!HI", len(INNER), 7) + INNER, 2152, 2152)),
    "gtp with an extension": ipv4(
        udp(b"\x34\xff" + struct.pack("!HI", len(INNER) + 8, 7) + b"\0\0\0\x85\1\0\0\0" + INNER, 2152, 2152)
    ),
    "twice": ipv4(ipv4(b"\0\0\x08\0" + INNER, 47), 4),
}


@pytest.mark.parametrize("name", TUNNELS)
def test_what_a_tunnel_carries(name: str) -> None:
    found, _ = sort_packets([TUNNELS[name]])
    (packet,) = found.signalling
    addresses = (A6, B6) if TUNNELS[name].endswith(INNER_6) else ("10.0.0.1", "10.0.0.2")
    assert packet.endpoints == Endpoints(addresses[0], 5060, addresses[1], 5062)
    assert (packet.data, packet.dscp) == (invite(), 26)


def test_fragments_around_a_tunnel_and_in_it() -> None:
    large = udp(invite(1, bytes(3_000)))
    # Three packets within, of which the outer cuts two again.
    packets = []
    for n, piece in enumerate(split_v4(large, 1_480)):
        packets += split_v4(piece, 800, 90 + n, protocol=4)
    found, _ = sort_packets(packets)
    assert messages(found) == [large[8:]]
    assert (len(packets), found.fragmentation.whole) == (5, 3)


def test_tunnels_without_end_are_left() -> None:
    packet = INNER
    for _ in range(200):
        packet = ipv4(packet, 4)
    found, _ = sort_packets([packet])
    assert not found.signalling
    assert found.problems == (("packets in too many tunnels", 1),)


def test_media_that_is_no_plain_frame() -> None:
    _, media = sort_packets(
        [
            ipv4(udp(rtp(1), 4_000, 4_002), options=b"\x94\4\0\0", dscp=46, ttl=3, identification=9),
            ipv4(b"\0\0\x08\0" + ipv4(udp(rtp(2), 4_000, 4_002)), 47),
            ipv4(udp(b"\x40\0\0\xac" + rtp(3), 4_000, 3_478)),
        ]
    )
    assert [datagram.payload for datagram in media] == [rtp(1), rtp(2), rtp(3)]
    first = media[0]
    assert (first.dscp, first.ttl, first.ip_id, first.wire_bytes) == (46, 3, 9, 24 + 8 + 172)
    assert tuple(media[2].endpoints) == (A, 4_000, B, 3_478)


def test_cut_media_says_how_much_is_missing() -> None:
    _, (media,) = sort_packets([ipv4(udp(rtp(1), 4_000, 4_002), options=bytes(4))], snap=14 + 24 + 8 + 50)
    assert (media.payload, media.missing) == (rtp(1)[:50], 122)


ABOUT = udp(rtp(), 4_000, 4_002)
QUOTED = ipv4(ABOUT)[:28]
QUOTED_6 = ipv6(ABOUT)[:48]


@pytest.mark.parametrize(
    ("kind", "code", "rest", "expected", "mtu"),
    [
        (3, 3, 0, "port-unreachable", 0),
        (3, 1, 0, "host-unreachable", 0),
        (3, 13, 0, "prohibited", 0),
        (3, 4, 1_400, "fragmentation-needed", 1_400),
        (11, 0, 0, "time-exceeded", 0),
        (11, 1, 0, "reassembly-exceeded", 0),
    ],
)
def test_icmp(kind: int, code: int, rest: int, expected: str, mtu: int) -> None:
    notice = ipv4(struct.pack("!BBHI", kind, code, 0, rest) + QUOTED, 1, "203.0.113.9", A)
    found, _ = sort_packets([notice])
    assert found.notices == (IcmpNotice(0, expected, "203.0.113.9", Endpoints(A, 4_000, B, 4_002), mtu),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "code", "rest", "expected", "mtu"),
    [
        (1, 4, 0, "port-unreachable", 0),
        (1, 0, 0, "host-unreachable", 0),
        (1, 1, 0, "prohibited", 0),
        (2, 0, 1_280, "fragmentation-needed", 1_280),
        (3, 0, 0, "time-exceeded", 0),
        (3, 1, 0, "reassembly-exceeded", 0),
    ],
)
def test_icmp_of_version_6(kind: int, code: int, rest: int, expected: str, mtu: int) -> None:
    notice = ipv6(struct.pack("!BBHI", kind, code, 0, rest) + QUOTED_6, 58, "2001:db8::9", A6)
    found, _ = sort_packets([notice])
    assert found.notices == (IcmpNotice(0, expected, "2001:db8::9", Endpoints(A6, 4_000, B6, 4_002), mtu),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [b"\x08\0\0\0\0\1\0\1ping", b"\3\3", b"\3\3\0\0\0\0\0\0" + b"\x45\0", b"\5\1\0\0\0\0\0\0" + QUOTED],
)
def test_icmp_that_is_no_error(data: bytes) -> None:
    assert not sort_packets([ipv4(data, 1)])[0].notices


def test_flows_are_counted() -> None:
    query = ipv4(udp(QUERY, 40_000, 53))
    noise = ipv4(udp(b"\x01abc", 7, 9))
    found, _ = sort_packets([noise, query, noise, noise])
    first, second = found.other
    assert (first.kind, first.transport, first.packets, first.octets) == ("unknown", "udp", 3, 12)
    assert (first.began_ns, first.ended_ns) == (0, 3 * MILLISECOND)
    assert tuple(first.endpoints) == (A, 7, B, 9)
    assert (second.kind, second.packets, second.octets) == ("dns", 1, len(QUERY))


def ask(number: int) -> bytes:
    return ipv4(udp(stun(0x0001, b"%d" % number), 4_000, 3_478))


def answer(number: int, kind: int = 0x0101, attributes: bytes = b"") -> bytes:
    return ipv4(udp(stun(kind, b"%d" % number, attributes), 3_478, 4_000), 17, B, A)


@pytest.mark.parametrize(
    ("packets", "details"),
    [
        ([ask(1), ask(1), ask(2)], ["2 binding requests without an answer"]),
        ([ask(1), answer(1), ask(2)], ["2 binding requests, 1 answered", "1 binding answer"]),
        (
            [ask(1), answer(1, 0x0111, b"\0\x09\0\4\0\0\4\x26")],
            ["1 binding request, 0 answered, 1 refused with 438", "1 binding answer"],
        ),
        ([ask(1), answer(7)], ["1 binding request without an answer", "1 binding answer"]),
    ],
)
def test_stun_says_whether_it_was_answered(packets: list[bytes], details: list[str]) -> None:
    found, _ = sort_packets(packets)
    assert [flow.kind for flow in found.other] == ["stun"] * len(details)
    assert [flow.detail for flow in found.other] == details


def hello(kind: int) -> bytes:
    body = b"\xfe\xfd" + bytes(32) + b"\0" + (b"\0\0\2\x13\x01\1\0" if kind == 1 else b"\x13\x01\0")
    return dtls(22, bytes([kind]) + len(body).to_bytes(3, "big") + bytes(8) + body)


def encrypted(kind: int) -> bytes:
    plain = dtls(kind, bytes(40))
    return plain[:4] + b"\1" + plain[5:]


def test_dtls_says_how_far_it_came() -> None:
    def out(data: bytes) -> bytes:
        return ipv4(udp(data, 4_000, 4_002))

    def back(data: bytes) -> bytes:
        return ipv4(udp(data, 4_002, 4_000), 17, B, A)

    found, _ = sort_packets([out(hello(1)), out(hello(1)), out(hello(1))])
    assert [flow.detail for flow in found.other] == ["DTLS 1.2, handshake without an answer, asked 3 times"]
    found, _ = sort_packets(
        [
            out(hello(1)),
            back(hello(2)),
            out(dtls(20, b"\1") + encrypted(22)),
            back(dtls(20, b"\1") + encrypted(22)),
            out(encrypted(23)),
            # Ciphertext of version 1.3 has another header.
            out(b"\x2f" + bytes(30)),
            back(dtls(21, b"\2\x28")),
        ]
    )
    assert [(flow.kind, flow.packets, flow.detail) for flow in found.other] == [
        ("dtls", 4, "DTLS 1.2, handshake seen, finished, 2 records of application data"),
        ("dtls", 3, "DTLS 1.2, handshake seen, finished, alert 40 (handshake failure)"),
    ]


def test_a_fax_is_known_by_its_sdp() -> None:
    body = b"v=0\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=image 4002 udptl t38\r\n"
    noise = random.Random(1).randbytes(40)
    # What comes before the SDP was seen belongs to it, too.
    odd = [ipv4(udp(b"\1" + noise, 4_000, 4_002)), ipv4(udp(udptl(1, b"\6"), 4_000, 4_002))]
    found, _ = sort_packets([*odd, ipv4(udp(invite(1, body))), *odd])
    (flow,) = found.other
    assert (flow.kind, flow.packets, flow.detail) == ("t38", 4, "at a port that SDP named")


def test_a_fax_without_signalling_is_known_by_its_form() -> None:
    found, _ = sort_packets([ipv4(udp(udptl(n, b"\6", b"\6"), 4_000, 4_002)) for n in range(5)])
    assert [(flow.kind, flow.packets, flow.detail) for flow in found.other] == [
        ("t38", 5, "by its form alone")
    ]
    # One packet among others that happens to be of that form makes none.
    noise = [ipv4(udp(b"\1\2\3" + bytes(n), 4_000, 4_002)) for n in range(20, 30)]
    found, _ = sort_packets([*noise, ipv4(udp(udptl(1, b"\6"), 4_000, 4_002))])
    assert [(flow.kind, flow.packets) for flow in found.other] == [("unknown", 11)]


def test_what_only_looks_like_channel_data_is_no_turn() -> None:
    found, _ = sort_packets([ipv4(udp(b"\x41\x22\0\x05\1\2\3\4\5", 4_000, 4_002))])
    assert [flow.kind for flow in found.other] == ["unknown"]
    found, _ = sort_packets([ask_turn(), ipv4(udp(b"\x41\x22\0\x05\1\2\3\4\5", 4_000, 4_002))])
    assert {flow.kind for flow in found.other} == {"turn", "unknown"}
    assert found.other[0].packets == 2


def ask_turn() -> bytes:
    return ipv4(udp(stun(0x0003, b"t"), 4_000, 4_002))


def test_srtcp_is_told_apart() -> None:
    packets = [ipv4(udp(payload, 4_001, 4_003)) for kind in ("rtcp", "srtcp") for payload in KINDS[kind]]
    found, _ = sort_packets(packets)
    assert [packet.encrypted for packet in found.control] == [False] * len(KINDS["rtcp"]) + [True] * 3
    assert found.control[0].data == KINDS["rtcp"][0]


def test_ipsec_is_said_to_be_unreadable() -> None:
    assert sort_packets([ipv4(bytes(60), 50)] * 2)[0].problems == (("packets encrypted by IPsec", 2),)


def test_many_small_flows_leave_the_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MOST_FLOWS", 50)
    monkeypatch.setattr(sorting, "Flows", lambda: flows.Flows(50))
    scan = [ipv4(udp(b"\1", 7, port)) for port in range(1_000, 3_000)]
    large = [ipv4(udp(b"\1", 7, 9))] * 5
    found, _ = sort_packets([*scan[:1_000], *large, *scan[1_000:]])
    assert len(found.other) == 50
    assert max(flow.packets for flow in found.other) == 5
    told = sum(flow.packets for flow in found.other)
    left = dict(found.problems)["packets in flows too small and too many to be told one by one"]
    assert told + left == 2_005


def test_more_signalling_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "MOST_SIGNALLING_BYTES", 1_000)
    monkeypatch.setattr(sorting, "MOST_CONTROL", 2)
    control = ipv4(udp(KINDS["rtcp"][0], 4_001, 4_003))
    found, _ = sort_packets([ipv4(udp(invite(n))) for n in range(10)] + [control] * 3)
    assert len(found.signalling) == 1 + 1_000 // len(invite(1))
    assert len(found.control) == 2
    assert dict(found.problems)["SIP messages beyond those that are kept"] == 10 - len(found.signalling)
    assert dict(found.problems)["RTCP packets beyond those that are kept"] == 1


LINKS = (0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 228, 229, 239, 276)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LINKS), st.lists(st.binary(max_size=200), max_size=8))
def test_random_frames_never_raise(link: int, frames: list[bytes]) -> None:
    sort_frames(frames, link)


SAMPLES = [
    *TUNNELS.values(),
    *(ipv4(udp(payload, 4_000, 4_002)) for payloads in KINDS.values() for payload in payloads),
    ipv4(struct.pack("!BBHI", 3, 4, 0, 1_400) + QUOTED, 1),
    ipv6(struct.pack("!BBHI", 2, 0, 0, 1_280) + QUOTED_6, 58),
    ipv4(tcp(invite()), 6),
    *split_v4(udp(invite(1, bytes(3_000))), 1_480),
    ipv4(udp(hello(1), 4_000, 4_002)),
]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_damaged_packets_never_raise(seed: int) -> None:
    chance = random.Random(seed)
    sorter = Sorter()
    for n in range(40):
        octets = bytearray(ethernet(chance.choice(SAMPLES)))
        for _ in range(chance.randint(0, 4)):
            # Most of what decides is in the first octets.
            octets[chance.randrange(min(len(octets), chance.choice((60, 2_000))))] = chance.randrange(256)
        data = bytes(octets[: chance.choice((len(octets), chance.randrange(len(octets)), 96))])
        sorter.frame(n * MILLISECOND, 1, data, len(octets), n + 1)
        sorter.reassembled()
    sorter.finish()


def test_an_address_is_written_in_its_shortest_form() -> None:
    packet = ipv6(udp(invite()), 17, "2001:0db8:0000:0000:0001:0000:0000:0001", "::1")
    assert packed("2001:db8::1:0:0:1") in packet
    found, _ = sort_packets([packet])
    endpoints = found.signalling[0].endpoints
    assert (endpoints.src, endpoints.dst) == ("2001:db8::1:0:0:1", "::1")
