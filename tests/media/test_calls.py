"""Beside the voices: keys in both directions, SRTP, and RTCP, as the engine handles them."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable

import numpy as np
import pytest

from ringback.media.protocol import (
    CloseLeg,
    Codec,
    CommandFailed,
    Digit,
    Play,
    PlayEnded,
    SendDigits,
    SetMedia,
    SourceLearnt,
    SrtpKeys,
    SrtpSuite,
)
from ringback.rtp import rtcp
from ringback.rtp.srtp import SrtpSession, key_length

from .world import EVENT_TYPE, Peer, World

LEVEL = -13.98


def press(
    world: World, peer: Peer, code: int, duration: int = 800, number: int = EVENT_TYPE, clock: int = 8000
) -> None:
    """Send one key press: packets every 20 ms in place of audio, the end three times."""
    start, original = peer.timestamp, peer.speak
    steps = list(range(clock // 50, duration + 1, clock // 50))
    reports = [(step, 0) for step in steps] + [(duration, 0x80)] * 3

    def speak() -> bytes:
        if not reports:
            peer.speak = original  # type: ignore[method-assign]
            return original()
        length, end = reports.pop(0)
        stamp, peer.timestamp = peer.timestamp, start
        marker = length == clock // 50
        packet = peer.packet(struct.pack("!BBH", code, end | 10, length), number, marker)
        peer.timestamp = stamp + peer.clock // 50
        peer._spoken += peer.rate // 50
        return peer.protect(packet)

    peer.speak = speak  # type: ignore[method-assign]
    world.run(0.02 * (len(reports) + 2))


def test_each_key_press_is_told_once_and_not_heard_by_the_others() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    before = world.totals(1).concealed_frames
    press(world, one, 5)
    press(world, one, 11)
    world.run(0.3)
    assert [(event.leg, event.digit) for event in world.of(Digit)] == [(1, "5"), (1, "#")]
    assert world.of(Digit)[0].duration_ms == 100
    assert world.totals(1).concealed_frames - before <= 1
    world.run(1)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_a_press_is_told_although_packets_are_lost() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.run(0.5)
    line = random.Random(2)
    world.delay[1] = lambda at: None if line.random() < 0.3 else 0.0
    for code in range(10):
        press(world, one, code)
        world.run(0.3)
    assert [event.digit for event in world.of(Digit)] == list("0123456789")


def test_a_key_stops_what_is_being_played_if_it_may() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.apply(Play(leg=1, play=3, sounds=["music"], stop_on_digit=True))
    world.run(1)
    press(world, one, 1)
    assert [(event.play, event.reason) for event in world.of(PlayEnded)] == [(3, "digit")]


@pytest.mark.parametrize("codec", ["OPUS", "L16", "PCMU"])
def test_keys_are_as_long_as_the_clock_of_their_type_says(codec: Codec) -> None:
    world = World()
    clocks = {101: 8000, 102: 48000, 103: 16000}
    one = world.add(Peer(1, codec, 440.0), telephone_event=None, telephone_event_clocks=clocks)
    world.run(0.5)
    for number, clock in clocks.items():
        press(world, one, 5, duration=clock // 10, number=number, clock=clock)
        world.run(0.5)
    assert [(event.digit, event.duration_ms) for event in world.of(Digit)] == [("5", 100)] * 3


@pytest.mark.parametrize(("number", "step"), [(101, 160), (102, 960)])
def test_keys_are_sent_in_the_clock_of_their_type(number: int, step: int) -> None:
    world = World()
    clocks = {101: 8000, 102: 48000}
    one = world.add(Peer(1, "OPUS", 440.0), telephone_event=number, telephone_event_clocks=clocks)
    world.run(0.5)
    world.apply(SendDigits(leg=1, digits="9"))
    world.run(0.5)
    events = [packet for packet in one.packets if packet[1] & 0x7F == number]
    assert [struct.unpack("!H", packet[14:16])[0] // step for packet in events] == [1, 2, 3, 4, 5, 5, 5]


def test_digits_are_sent_as_events_in_place_of_audio() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.run(0.5)
    world.apply(SendDigits(leg=1, digits="1#"))
    world.run(1)
    events = [(packet[12], packet[13] >> 7) for packet in one.heard_events]
    assert [code for code, end in events if end] == [1, 1, 1, 11, 11, 11]
    assert len({packet[4:8] for packet in one.heard_events}) == 2
    sequence = [struct.unpack("!H", packet[2:4])[0] for packet in one.packets]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(sequence))
    world.apply(SendDigits(leg=1, digits="1x"))
    assert len(world.of(CommandFailed)) == 1


def secure(peer: Peer, suite: SrtpSuite, seed: int) -> SrtpKeys:
    """Give the peer SRTP, and the keys to tell the engine."""
    keys = random.Random(seed)
    theirs, ours = keys.randbytes(key_length(suite)), keys.randbytes(key_length(suite))
    outbound, inbound = SrtpSession(suite, theirs, inbound=False), SrtpSession(suite, ours, inbound=True)

    def run(operation: Callable[[np.ndarray, int], int], packet: bytes) -> bytes | None:
        row = np.zeros(2048, np.uint8)
        row[: len(packet)] = np.frombuffer(packet, np.uint8)
        length = operation(row, len(packet))
        return row[:length].tobytes() if length > 0 else None

    peer.protect = lambda packet: run(outbound.protect, packet) or b""
    peer.unprotect = lambda packet: run(inbound.unprotect, packet)
    return SrtpKeys(suite=suite, local_key=ours, remote_key=theirs)


@pytest.mark.parametrize(
    "suite", ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]
)
def test_srtp_both_ways(suite: SrtpSuite) -> None:
    world = World()
    one = Peer(1, "PCMU", 440.0)
    world.add(one, srtp=secure(one, suite, 1))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(2)
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1)
    assert world.totals(1).rejected_packets == 0


def test_only_authentic_packets_are_heard_or_learnt_from() -> None:
    world = World()
    one = Peer(1, "PCMU", 440.0)
    keys = secure(one, "AES_CM_128_HMAC_SHA1_80", 1)
    world.add(one, srtp=keys)
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.delay[1] = lambda at: None
    forger = Peer(9, "PCMU", 2000.0)
    for _ in range(50):
        world.throw(forger.speak() + bytes(10), 2 * one.to_pair, one.ip, one.port)
        world.throw(forger.speak() + bytes(10), 2 * one.to_pair, 0xC6336401, 5000)
        world.tick()
    assert not [event for event in world.of(SourceLearnt) if event.leg == 1]
    assert two.level(2000.0, 0.5) < -60
    assert world.totals(1).rejected_packets >= 50
    del world.delay[1]
    # An authentic source is followed to any address once the old one is silent.
    world.run(1)
    one.ip, one.port = 0xC0000207, 61234
    world.run(4)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)


def test_a_new_offer_with_the_same_keys_goes_on_without_a_break() -> None:
    world = World()
    one = Peer(1, "PCMU", 440.0)
    keys = secure(one, "AES_CM_128_HMAC_SHA1_80", 1)
    world.add(one, srtp=keys)
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    again = SetMedia(
        leg=1,
        send=one.format(),
        receive=[one.format()],
        remote_ip="10.0.0.1",
        remote_port=one.port,
        remote_rtcp_port=one.port + 1,
        srtp=keys,
    )
    world.apply(again)
    world.run(1)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1)
    bad = SrtpKeys(suite="AEAD_AES_256_GCM", local_key=b"x", remote_key=b"y")
    world.apply(
        SetMedia(
            leg=1,
            send=one.format(),
            receive=[one.format()],
            remote_ip="10.0.0.1",
            remote_port=one.port,
            remote_rtcp_port=0,
            srtp=bad,
        )
    )
    assert len(world.of(CommandFailed)) == 1
    world.run(1)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1)


def reports_to(world: World, port: int, seconds: float) -> list[rtcp.RtcpPacket]:
    """RTCP packets that the engine sends to a port."""
    packets: list[rtcp.RtcpPacket] = []
    for _ in range(round(seconds * 50)):
        world.tick()
        for _, _, to, datagram in world.outgoing:
            if to == port and 192 <= datagram[1] <= 223:
                packets += rtcp.parse(datagram).packets
    return packets


@pytest.mark.parametrize("mux", [False, True], ids=["two ports", "one port"])
def test_reports_go_out_and_come_in(mux: bool) -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0), rtcp_mux=mux)
    world.add(Peer(2, "PCMU", 1000.0))
    port = one.port + (not mux)
    packets = reports_to(world, port, 12)
    sent = [packet for packet in packets if isinstance(packet, rtcp.SenderReport)]
    names = [packet for packet in packets if isinstance(packet, rtcp.SourceDescription)]
    assert 2 <= len(sent) <= 4
    assert len(names) == len(sent)
    last = sent[-1]
    ours = int.from_bytes(one.packets[0][8:12], "big")
    assert last.ssrc == ours
    assert last.packet_count == pytest.approx(len(one.packets), abs=260)
    assert last.octet_count == last.packet_count * 160
    assert last.blocks[0].ssrc == one.ssrc
    assert last.blocks[0].cumulative_lost == 0
    # The peer answers 40 ms after it got the report, on a line of 30 ms each way.
    block = rtcp.ReportBlock(
        ours, 64, 10, 1000, 80, rtcp.middle(last.ntp_time), rtcp.delay((world.now_ns % 1) + 0.04)
    )
    body = rtcp.encode(
        rtcp.ReceiverReport(one.ssrc, (block,)), rtcp.SourceDescription(((one.ssrc, "peer@example.com"),))
    )
    sent_at = (last.ntp_time & 0xFFFFFFFF) / 2**32
    passed_ms = (world.now_ns / 1e9 - (last.ntp_time >> 32) + rtcp.NTP_EPOCH_OFFSET_S - sent_at) * 1000
    world.throw(body, 2 * one.to_pair + (not mux), one.ip, port)
    world.run(0.1)
    totals = world.totals(1)
    assert totals.remote_lost_fraction == pytest.approx(0.25)
    assert totals.remote_jitter_ms == pytest.approx(10)
    assert totals.round_trip_ms == pytest.approx(passed_ms - 40, abs=25)


def test_reports_of_others_are_not_believed() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.run(1)
    ours = int.from_bytes(one.packets[0][8:12], "big")
    chaos = random.Random(4)
    lie = rtcp.encode(rtcp.ReceiverReport(one.ssrc, (rtcp.ReportBlock(ours, 255, 1, 1, 1),)))
    world.throw(lie, 2 * one.to_pair + 1, 0xC6336401, 5001)
    for _ in range(500):
        world.throw(chaos.randbytes(chaos.randrange(0, 200)), 2 * one.to_pair + 1, one.ip, one.port + 1)
    world.run(1)
    assert world.totals(1).remote_lost_fraction is None
    stranger = rtcp.encode(rtcp.ReceiverReport(77, (rtcp.ReportBlock(78, 255, 1, 1, 1),)))
    world.throw(stranger, 2 * one.to_pair + 1, one.ip, one.port + 1)
    world.run(0.1)
    assert world.totals(1).remote_lost_fraction is None


def test_rtcp_behind_nat_goes_nowhere_until_it_comes() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    one.ip, one.port = 0xC0000201, 61000
    assert not reports_to(world, one.port + 1, 8)
    ours = int.from_bytes(one.packets[0][8:12], "big")
    body = rtcp.encode(rtcp.ReceiverReport(one.ssrc, (rtcp.ReportBlock(ours, 0, 0, 1, 1),)))
    world.throw(body, 2 * one.to_pair + 1, one.ip, 61777)
    assert reports_to(world, 61777, 8)


def test_a_goodbye_is_said_at_the_end() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.run(1)
    world.apply(CloseLeg(leg=1))
    packets = reports_to(world, one.port + 1, 0.1)
    assert any(isinstance(packet, rtcp.Goodbye) for packet in packets)


def test_comfort_noise_is_taken_for_silence() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    for _ in range(20):
        world.throw(one.packet(b"\x40", 13), 2 * one.to_pair, one.ip, one.port)
        world.tick()
    assert world.totals(1).rejected_packets == 0
