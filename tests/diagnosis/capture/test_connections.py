"""SIP is found in TCP at any port and in any order of segments, over WebSocket too; the rest is refused."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture import connections
from ringback.diagnosis.capture.sorting import Sorted, Sorter
from tests.diagnosis.capture.packets import (
    ACK,
    RST,
    SYN,
    A,
    B,
    ethernet,
    invite,
    ipv4,
    ok,
    rtp,
    stun,
    tcp,
)
from tests.diagnosis.capture.sorter_runs import MILLISECOND, messages, sort_frames, sort_packets

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\n"
START = 0xFFFFFF00
"""Of sequence numbers, so that they wrap."""


def there(data: bytes, at: int, *, flags: int = ACK, ack: int = 0, dscp: int = 0) -> bytes:
    """A segment from A to B, `at` octets behind the first byte."""
    return ipv4(tcp(data, START + 1 + at, 40_000, 50_000, flags=flags, ack=ack), 6, dscp=dscp)


def back(data: bytes, at: int = 0, *, flags: int = ACK, acked: int = 0) -> bytes:
    """One from B to A, that acknowledges `acked` octets."""
    number = START + 1 + acked & 0xFFFFFFFF
    return ipv4(tcp(data, 1_001 + at, 50_000, 40_000, flags=flags, ack=number), 6, B, A)


def handshake() -> list[bytes]:
    return [there(b"", -1, flags=SYN), back(b"", -1, flags=SYN | ACK), there(b"", 0)]


def pieces(stream: bytes, sizes: Iterable[int], at: int = 0) -> list[bytes]:
    """A stream in segments of these sizes, the last one of all that remains."""
    parts = []
    for size in sizes:
        if at >= len(stream):
            break
        parts.append(there(stream[at : at + size], at))
        at += size
    return [*parts, there(stream[at:], at)] if at < len(stream) else parts


STREAM = b"".join(invite(n, SDP * n) for n in range(1, 6))
WANTED = [invite(n, SDP * n) for n in range(1, 6)]


def test_a_call_both_ways() -> None:
    request, answer = invite(1, SDP), ok(1, SDP)
    found, _ = sort_packets([*handshake(), there(request, 0, dscp=24), back(answer, acked=len(request))])
    first, second = found.signalling
    assert (first.data, second.data) == (request, answer)
    assert (tuple(first.endpoints), first.transport) == ((A, 40_000, B, 50_000), "tcp")
    assert (first.dscp, first.frame, first.at_ns, first.cut) == (24, 4, 3 * MILLISECOND, False)
    assert second.endpoints == first.endpoints.reverse
    assert not found.other


@pytest.mark.parametrize("size", [1, 7, 100, 536, 1_460, 100_000])
def test_messages_and_segments_need_not_meet(size: int) -> None:
    found, _ = sort_packets([*handshake(), *pieces(STREAM, [size] * (len(STREAM) // size))])
    assert messages(found) == WANTED


def test_several_messages_of_one_segment_share_its_frame() -> None:
    found, _ = sort_packets([*handshake(), there(STREAM, 0)])
    assert [packet.frame for packet in found.signalling] == [4] * 5


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(40, 1_500), st.floats(0, 0.6))
def test_any_order_and_repetition_gives_the_same_messages(seed: int, size: int, again: float) -> None:
    chance = random.Random(seed)
    segments = []
    at = 0
    while at < len(STREAM):
        part = chance.randint(1, size)
        segments.append(there(STREAM[at : at + part], at))
        if chance.random() < again:
            # Sent again, cut elsewhere.
            early = max(0, at - chance.randint(0, size))
            segments.append(there(STREAM[early : at + chance.randint(1, size)], early))
        at += part
    chance.shuffle(segments)
    found, _ = sort_packets([*handshake(), *segments], every_ns=1_000)
    assert messages(found) == WANTED
    assert not any(packet.cut for packet in found.signalling)


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_segment_that_the_capture_lacks_costs_its_messages_only(lost: int) -> None:
    size = 150
    segments = pieces(STREAM, [size] * (len(STREAM) // size))
    hole = range(lost * size, min(lost * size + size, len(STREAM)))
    found, _ = sort_packets([*handshake(), *segments[:lost], *segments[lost + 1 :]])
    begins = [STREAM.index(message) for message in WANTED]
    untouched = [
        message
        for begin, message in zip(begins, WANTED, strict=True)
        if begin + len(message) <= hole.start or begin >= hole.stop
    ]
    whole = [packet.data for packet in found.signalling if not packet.cut]
    # A message whose start line was lost in part cannot be told; one that begins in the hole neither.
    assert [message for message in whole if message in WANTED] == untouched
    assert all(message in WANTED for message in whole)
    for packet in found.signalling:
        if packet.cut:
            assert any(message.startswith(packet.data) for message in WANTED)


def test_a_gap_is_given_up_once_the_receiver_says_that_it_has_the_bytes() -> None:
    first, second = invite(1, SDP), invite(2, SDP)
    lost = len(first) // 2
    total = len(first) + len(second)
    packets = [
        *handshake(),
        there(first[:lost], 0),
        there(second, len(first)),
        back(b"", acked=total),
        back(b"", acked=total),
        there(invite(3), total),
    ]
    sorter_time = 150 * MILLISECOND
    found, _ = sort_packets(packets, every_ns=sorter_time)
    assert [packet.data for packet in found.signalling] == [first[:lost], second, invite(3)]
    assert [packet.cut for packet in found.signalling] == [True, False, False]
    # Each is told with the time and the packet that it came in.
    assert [packet.frame for packet in found.signalling] == [4, 5, 8]


def test_a_repetition_after_seconds_still_fills_its_gap() -> None:
    first, second = invite(1, SDP), invite(2, SDP)
    packets = [*handshake(), there(second, len(first)), back(b"", acked=0), there(first, 0)]
    found, _ = sort_packets(packets, every_ns=3_000 * MILLISECOND)
    assert messages(found) == [first, second]


@pytest.mark.parametrize("begin", [1, 40, 300, len(invite(1, SDP)) + 1])
def test_a_capture_that_begins_in_the_middle(begin: int) -> None:
    found, _ = sort_packets(pieces(STREAM, [200] * 10, at=begin))
    expected = [message for message in WANTED if STREAM.index(message) >= begin]
    assert messages(found) == expected


def test_a_snap_length_leaves_the_beginnings() -> None:
    found, _ = sort_packets([*handshake(), there(WANTED[0], 0), there(WANTED[1], len(WANTED[0]))], snap=254)
    assert [packet.data for packet in found.signalling] == [WANTED[0][:200], WANTED[1][:200]]
    assert all(packet.cut for packet in found.signalling)


def test_a_wrong_length_is_recovered_from() -> None:
    short = invite(1, SDP).replace(b"Content-Length: %d" % len(SDP), b"Content-Length: 7")
    without = invite(2, b"").replace(b"Content-Length: 0\r\n", b"")
    huge = invite(3).replace(b"Content-Length: 0", b"Content-Length: 99999999")
    stream = short + without + huge + invite(4)
    found, _ = sort_packets([*handshake(), there(stream, 0)])
    got = messages(found)
    assert got[0] == short[: -len(SDP) + 7]
    assert got[1:] == [without, huge, invite(4)]
    assert [packet.cut for packet in found.signalling] == [False, False, True, False]


def test_a_status_line_within_a_body_is_no_message() -> None:
    notify = invite(1, b"SIP/2.0 180 Ringing\r\n", "Content-Type: message/sipfrag")
    found, _ = sort_packets([*handshake(), there(notify + invite(2), 0)])
    assert messages(found) == [notify, invite(2)]
    # Nor when the capture begins within it.
    at = notify.index(b"SIP/2.0 180")
    found, _ = sort_packets([there((notify + invite(2))[at:], at)])
    assert messages(found) == [invite(2)]


def test_keep_alives_are_no_messages() -> None:
    found, _ = sort_packets([*handshake(), there(b"\r\n\r\n", 0), there(invite(1), 4), back(b"\r\n")])
    assert messages(found) == [invite(1)]


def test_the_same_ports_again_are_another_connection() -> None:
    again = ipv4(tcp(b"", 5, 40_000, 50_000, flags=SYN), 6)
    second = ipv4(tcp(invite(2), 6, 40_000, 50_000), 6)
    found, _ = sort_packets([*handshake(), there(invite(1)[:100], 0), again, second])
    assert [(packet.data, packet.cut) for packet in found.signalling] == [
        (invite(1)[:100], True),
        (invite(2), False),
    ]


def test_a_stray_number_does_not_lose_the_rest() -> None:
    stray = ipv4(tcp(b"x" * 100, 0x7000_0000, 40_000, 50_000), 6)
    parts = pieces(STREAM, [400] * 20)
    found, _ = sort_packets([*handshake(), parts[0], stray, *parts[1:]])
    assert messages(found) == WANTED


def frame_of(payload: bytes, *, mask: bytes = b"", opcode: int = 1, first: int = 0x80) -> bytes:
    """A frame of WebSocket."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65_536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    if mask:
        payload = bytes(octet ^ mask[i % 4] for i, octet in enumerate(payload))
    return bytes([first | opcode, length[0] | (0x80 if mask else 0)]) + length[1:] + mask + payload


UPGRADE = (
    b"GET /sip HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Protocol: sip\r\n\r\n"
)
MASK = b"\x11\xa2\x33\xc4"


def websocket(client: bytes, server: bytes, size: int = 1_400, *, opened: bool = True) -> list[bytes]:
    """A connection on which both sides sent this."""
    ups = UPGRADE if opened else b""
    downs = SWITCHING if opened else b""
    client, server = ups + client, downs + server
    packets = [there(client[at : at + size], at) for at in range(0, len(client), size)]
    return packets + [back(server[at : at + size], at) for at in range(0, len(server), size)]


@pytest.mark.parametrize("size", [3, 100, 1_400])
def test_sip_over_websocket(size: int) -> None:
    large = invite(2, b"x" * 70_000)
    client = frame_of(invite(1, SDP), mask=MASK) + frame_of(b"", opcode=9, mask=MASK)
    client += frame_of(large[:1_000], mask=MASK, first=0) + frame_of(b"hi", opcode=10, mask=MASK)
    client += frame_of(large[1_000:], mask=b"\0\1\2\3", opcode=0)
    server = frame_of(b"\r\n") + frame_of(ok(1, SDP), opcode=2)
    found, _ = sort_packets([*handshake(), *websocket(client, server, size)])
    assert messages(found) == [invite(1, SDP), large, ok(1, SDP)]
    assert {packet.transport for packet in found.signalling} == {"ws"}
    assert not found.other


def test_a_websocket_whose_opening_is_not_in_the_capture() -> None:
    client = frame_of(invite(1, SDP), mask=MASK)
    server = frame_of(ok(1, SDP))
    found, _ = sort_packets(websocket(client, server, opened=False))
    assert messages(found) == [invite(1, SDP), ok(1, SDP)]


def test_a_gap_in_a_websocket() -> None:
    frames = [frame_of(invite(n, SDP), mask=MASK) for n in (1, 2, 3)]
    client = UPGRADE + b"".join(frames)
    cut = len(UPGRADE) + len(frames[0]) + 200
    after = len(UPGRADE) + len(frames[0]) + len(frames[1])
    packets = [there(client[:cut], 0), there(client[after:], after)]
    found, _ = sort_packets([*handshake(), *packets])
    assert [(packet.data, packet.cut) for packet in found.signalling] == [
        (invite(1, SDP), False),
        (invite(2, SDP)[:192], True),
        (invite(3, SDP), False),
    ]


def deflated(*payloads: bytes) -> list[bytes]:
    """Messages of one sender as permessage-deflate has them, each referring to those before."""
    compressor = zlib.compressobj(wbits=-15)
    return [(compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4] for payload in payloads]


@pytest.mark.parametrize("kept", [True, False])
def test_compressed_messages(kept: bool) -> None:
    plain = [invite(n, SDP) for n in (1, 2, 3)]
    parts = deflated(*plain) if kept else [deflated(message)[0] for message in plain]
    client = b"".join(frame_of(part, mask=MASK, first=0xC0) for part in parts)
    client += frame_of(invite(4), mask=MASK)
    found, _ = sort_packets([*handshake(), *websocket(client, b"", 200)])
    assert messages(found) == [*plain, invite(4)]


def test_compression_that_needs_what_was_not_captured_is_told() -> None:
    parts = [frame_of(part, mask=MASK, first=0xC0) for part in deflated(invite(1, SDP), invite(2, SDP))]
    found, _ = sort_packets([there(parts[1], 5_000), back(frame_of(ok(1)))])
    assert messages(found) == [ok(1)]
    assert found.problems == (("WebSocket messages compressed by what is not in the capture", 1),)
    assert [flow.detail for flow in found.other] == ["WebSocket, unreadable"]


def test_what_inflates_without_end_is_left() -> None:
    bomb = deflated(b"INVITE sip:a@example.com SIP/2.0\r\n" + bytes(50_000_000))[0]
    client = frame_of(bomb, mask=MASK, first=0xC0) + frame_of(invite(1), mask=MASK)
    found, _ = sort_packets([*handshake(), *websocket(client, b"")])
    assert [(len(packet.data), packet.cut) for packet in found.signalling] == [
        (1 << 20, True),
        (len(invite(1)), False),
    ]


def hello(version: bytes, kind: int, extensions: bytes = b"") -> bytes:
    body = version + bytes(32) + b"\0" + (b"\0\2\x13\x01\1\0" if kind == 1 else b"\x13\x01\0")
    body += len(extensions).to_bytes(2, "big") + extensions
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body


def test_tls_is_counted_with_what_its_handshake_lets_be_seen() -> None:
    client = hello(b"\3\3", 1)
    server = hello(b"\3\3", 2, b"\0\x2b\0\2\3\4") + record(20, b"\1") + record(23, bytes(500))
    later = record(20, b"\1") + record(23, bytes(50))
    found, _ = sort_packets([*handshake(), there(client, 0), back(server), there(later, len(client))])
    assert not found.signalling
    first, second = found.other
    assert (first.kind, first.transport, first.packets, tuple(first.endpoints)[1]) == (
        "tls",
        "tcp",
        4,
        40_000,
    )
    assert first.octets == len(client) + len(later)
    assert first.detail == "TLS 1.3, handshake seen, 1 records of application data"
    assert second.detail == "TLS 1.3, handshake seen, 1 records of application data"


def test_a_refused_handshake_says_why() -> None:
    client = hello(b"\3\1", 1)
    found, _ = sort_packets([*handshake(), there(client, 0), back(record(21, b"\2\x46"))])
    assert [flow.detail for flow in found.other] == [
        "TLS 1.0, handshake seen",
        "handshake not seen, alert 70 (protocol version)",
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"\0\1\2\xff" * 5_000,
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n" + b"SIP/2.0 200 OK\r\n" * 50,
        b"HTTP/1.1 200 OK\r\n\r\nINVITE sip:a SIP/2.0\r\n" * 50,
        b"220 mail.example.com ESMTP\r\n" * 3_000,
    ],
)
def test_other_traffic_is_refused_and_counted(stream: bytes) -> None:
    found, _ = sort_packets([*handshake(), *pieces(stream, [1_000] * 100)])
    assert not found.signalling
    flow = next(flow for flow in found.other if flow.octets)
    assert (flow.kind, flow.octets, flow.transport) == ("unknown", len(stream), "tcp")
    assert flow.packets == 2 + -(-len(stream) // 1_000)


def test_an_answer_brings_back_a_direction_that_was_refused() -> None:
    noise = bytes(range(1, 256)) * 40
    packets = [there(noise[at : at + 500], at) for at in range(0, len(noise), 500)]
    packets += [back(ok(1)), there(invite(2), len(noise))]
    found, _ = sort_packets(packets)
    assert messages(found) == [ok(1), invite(2)]


@pytest.mark.parametrize(
    ("packets", "detail"),
    [
        ([there(b"", -1, flags=SYN)] * 3, "connection without an answer, asked 3 times"),
        (
            [there(b"", -1, flags=SYN), back(b"", flags=RST | ACK)],
            "connection refused, asked 1 times",
        ),
    ],
)
def test_connections_that_do_not_come_about(packets: Sequence[bytes], detail: str) -> None:
    found, _ = sort_packets(packets)
    assert found.other[0].detail == detail


def test_turn_over_tcp_carries_media() -> None:
    channel = b"\x40\0" + struct.pack("!H", len(rtp(1, b"abc"))) + rtp(1, b"abc") + b"\0"
    stream = stun(0x0003, b"t1") + channel + stun(0x0017, b"t2", struct.pack("!HH", 0x13, 172) + rtp(2))
    packets = [*handshake(), there(stream[:30], 0), there(stream[30:50], 30), there(stream[50:], 50)]
    found, media = sort_packets([*packets, back(stun(0x0113, b"t1", b"\0\x09\0\4\0\0\4\1"))])
    assert [datagram.payload for datagram in media] == [rtp(1, b"abc"), rtp(2)]
    assert tuple(media[0].endpoints) == (A, 40_000, B, 50_000)
    assert [(flow.kind, flow.transport, flow.detail) for flow in found.other] == [
        ("turn", "tcp", "1 allocate request, 0 answered, 1 refused with 401, 2 with data of their user"),
        ("turn", "tcp", "1 allocate answer"),
    ]


def test_datagrams_with_their_lengths() -> None:
    parts = [stun(0x0001, b"t1"), rtp(1), rtp(2)]
    stream = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    _, media = sort_packets([*handshake(), *pieces(stream, [22, 100, 100, 100])])
    assert [datagram.payload for datagram in media] == [rtp(1), rtp(2)]


def test_a_flood_of_connections_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_DIRECTIONS", 100)
    flood = [ipv4(tcp(b"", 1, port, 5060, flags=SYN), 6) for port in range(1_000, 3_000)]
    found, _ = sort_packets([*flood, *handshake(), there(invite(1), 0)])
    assert messages(found) == [invite(1)]
    assert sum(flow.packets for flow in found.other) == 2_000


@pytest.mark.parametrize("missing", [0, 1])
def test_what_is_held_stays_within_bounds(monkeypatch: pytest.MonkeyPatch, missing: int) -> None:
    """Messages that never end, and segments behind a first octet that never comes."""
    monkeypatch.setattr(connections, "MOST_HELD_BYTES", 100_000)
    monkeypatch.setattr(connections, "_RELIEF", 16)
    endless = b"INVITE sip:a@example.com SIP/2.0\r\nSubject: " + b"x" * 1_000
    ports = range(1_000, 2_000)
    sorter = Sorter()
    held = []
    for n, port in enumerate(ports):
        for octets, sequence, flags in ((b"", 1, SYN), (endless, 2 + missing, ACK)):
            frame = ethernet(ipv4(tcp(octets, sequence, port, 5060, flags=flags), 6))
            sorter.frame(n * MILLISECOND, 1, frame, len(frame), n + 1)
        held.append(sum(map(connections._held, sorter._connections._directions.values())))
    assert max(held) < 100_000 + 17 * len(endless)
    assert sum(packet.data == endless for packet in sorter.finish().signalling) == len(ports)


def damaged(found: Sorted) -> int:
    return sum(packets for _, packets in found.problems)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_damaged_frames_never_raise(seed: int) -> None:
    chance = random.Random(seed)
    client = frame_of(invite(1, SDP), mask=MASK) + frame_of(invite(2, SDP)[:50], mask=MASK, first=0)
    frames = [
        ethernet(packet)
        for packet in [
            *handshake(),
            *pieces(STREAM, [300] * 9),
            *websocket(client, frame_of(ok(1)), 300),
            there(hello(b"\3\3", 1), 9_000),
            there(stun(0x0003, b"t1"), 9_500),
        ]
    ]
    for _ in range(chance.randint(1, 60)):
        n = chance.randrange(len(frames))
        octets = bytearray(frames[n])
        if not octets:
            continue
        at = chance.randrange(len(octets))
        octets[at] ^= 1 << chance.randrange(8)
        frames[n] = bytes(octets[: chance.choice((at, len(octets), len(octets), len(octets)))])
    found, _ = sort_frames(frames)
    assert damaged(found) <= len(frames) + 2
