"""Frames of a capture to the sorter: whatever they hold, they are sorted, counted and never raise."""

from __future__ import annotations

import struct
from typing import Final

from ringback.diagnosis.capture.sorting import Sorter
from tests.diagnosis.capture.packets import (
    ACK,
    SYN,
    A,
    B,
    ethernet,
    invite,
    ipv4,
    ipv6,
    ok,
    rtp,
    split_v4,
    stun,
    tcp,
    udp,
)

_LINKS: Final = (0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 119, 127, 228, 229, 239, 276, 7)
_HEAD: Final = struct.Struct("!BHB")
"""The link type, the length, and how long after the frame before it came."""


def sort_frames(data: bytes) -> None:
    """Frames one after the other, each behind its length."""
    sorter = Sorter()
    at_ns = at = frames = media = 0
    while at + _HEAD.size <= len(data):
        link, length, later = _HEAD.unpack_from(data, at)
        frame = data[at + _HEAD.size : at + _HEAD.size + length]
        at += _HEAD.size + length
        at_ns += later * 40_000_000
        frames += 1
        sorter.frame(at_ns, _LINKS[link % len(_LINKS)], frame, length, frames)
        for datagram in sorter.reassembled():
            media += 1
            assert datagram.payload[0] >> 6 == 2
            assert len(datagram.payload) + datagram.missing > 0
    found = sorter.finish()
    media += len(sorter.reassembled())
    assert all(packet.data and 0 < packet.frame <= frames for packet in found.signalling)
    times = [packet.at_ns for packet in found.signalling]
    assert times == sorted(times)
    assert all(flow.packets > 0 and flow.began_ns <= flow.ended_ns <= at_ns for flow in found.other)
    assert len(found.notices) <= frames
    assert media + len(found.control) <= len(data)


def _behind_lengths(*packets: bytes) -> bytes:
    frames = [ethernet(packet) for packet in packets]
    return b"".join(_HEAD.pack(1, len(frame), 1) + frame for frame in frames)


def seeds() -> list[bytes]:
    """A call by UDP, in fragments, by TCP and over WebSocket; tunnels, TURN, ICMP, TLS."""
    call = [ipv4(udp(invite())), ipv4(udp(ok()), src=B, dst=A), ipv4(udp(rtp(), 4_000, 4_002))]
    opened = [ipv4(tcp(b"", 0, flags=SYN), 6), ipv4(tcp(b"", 0, 5062, 5060, flags=SYN | ACK), 6, B, A)]
    upgrade = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    message = b"\x81\x7e" + len(invite()).to_bytes(2, "big") + invite()
    error = ipv4(b"\3\4\0\0\0\0\5\0" + ipv4(udp(rtp(), 4_000, 4_002))[:28], 1)
    return [
        _behind_lengths(*call, error),
        _behind_lengths(*split_v4(udp(invite(1, bytes(600))), 400)),
        _behind_lengths(*opened, *(ipv4(tcp(invite(n), 1 + n * len(invite(0))), 6) for n in range(4))),
        _behind_lengths(*opened, ipv4(tcp(upgrade, 1), 6), ipv4(tcp(message, 1 + len(upgrade)), 6)),
        _behind_lengths(ipv4(b"\x30\0\x08\0" + bytes(8) + call[0], 47), ipv6(call[0], 4)),
        _behind_lengths(ipv4(tcp(stun(3, b"t") + b"\x40\0\0\xac" + rtp(), 1), 6)),
        _behind_lengths(
            ipv4(udp(b"\x40\0\0\xac" + rtp(), 4_000, 3_478)), ipv4(udp(stun(1, b"t"), 4_000, 3_478))
        ),
        _behind_lengths(ipv4(tcp(b"\x16\3\1\0\x2a\1\0\0\x26\3\3" + bytes(36), 1), 6)),
    ]
