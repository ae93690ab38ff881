"""RTCP of a leg's peer: extended reports, goodbyes, colliding sources, and what is cut short or senseless."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from ringback.media.protocol import CommandFailed
from ringback.rtp import rtcp
from ringback.rtp.rtcp_xr import DelaySinceReference, ReferenceTime

from .test_calls import reports_to
from .world import Peer, World

LEVEL = -13.98
OURS = 0x0A0B0C0D


class Call:
    """A peer 1 whose RTCP is thrown in by hand, and a peer 2, who hears whether the call goes on."""

    def __init__(self, **media: object) -> None:
        self.world = World()
        self.one = self.world.add(Peer(1, "PCMU", 440.0), **media)
        self.two = self.world.add(Peer(2, "PCMU", 1000.0))
        self.world.run(1)

    @property
    def ours(self) -> int:
        """Our SSRC, as the peer sees it."""
        return int.from_bytes(self.one.packets[-1][8:12], "big")

    def report(self, *parts: bytes) -> None:
        """A compound of the peer's: an empty report, and what is given."""
        body = rtcp.encode(rtcp.ReceiverReport(self.one.ssrc)) + b"".join(parts)
        self.world.throw(body, 2 * self.one.to_pair + 1, self.one.ip, self.one.port + 1)
        self.world.tick()

    def check(self, seconds: float = 0.8) -> None:
        """Nothing is missing of what was said in the last moments, on either side."""
        for peer, frequency in ((self.one, 1000.0), (self.two, 440.0)):
            assert peer.level(frequency, seconds) == pytest.approx(LEVEL, abs=0.5)
            audio = peer.audio(seconds).reshape(-1, 80)
            assert (np.abs(audio).max(axis=1) > 0.1).all(), "a gap"


def extended(reporter: int, *blocks: bytes) -> bytes:
    body = struct.pack("!I", reporter) + b"".join(blocks)
    return struct.pack("!BBH", 0x80, 207, len(body) // 4) + body


def voip_metrics(ssrc: int, mos_cq: int = 41, r_factor: int = 93, delay_ms: int = 85) -> bytes:
    fields = (ssrc, 10, 64, 30, 40, 500, 600, 70, delay_ms, -18, -60, 30, 16, r_factor, 127, 42, mos_cq)
    return struct.pack("!BBH", 7, 0, 8) + struct.pack("!I4B4Hbb6BBx3H", *fields, 0x80, 60, 120, 200)


def test_voip_metrics_are_columns_of_the_leg() -> None:
    call = Call()
    call.report(extended(call.one.ssrc, voip_metrics(call.ours)))
    totals = call.world.totals(1)
    assert totals.remote_discarded_fraction == 0.25
    assert totals.remote_delay_ms == 85
    assert totals.remote_r_factor == 93
    assert totals.remote_mos == 4.1
    assert call.world.totals(2).remote_mos is None


def test_what_metrics_do_not_say_stays_unknown_and_the_listening_score_stands_in() -> None:
    call = Call()
    call.report(extended(call.one.ssrc, voip_metrics(call.ours, mos_cq=127, r_factor=127, delay_ms=0)))
    totals = call.world.totals(1)
    assert (totals.remote_mos, totals.remote_r_factor, totals.remote_delay_ms) == (4.2, None, None)


def test_extended_reports_of_other_sources_or_by_others_are_not_believed() -> None:
    call = Call()
    call.report(extended(call.one.ssrc, voip_metrics(call.ours ^ 1)))
    body = rtcp.encode(rtcp.ReceiverReport(77)) + extended(77, voip_metrics(call.ours))
    call.world.throw(body, 2 * call.one.to_pair + 1, call.one.ip, call.one.port + 1)
    body = rtcp.encode(rtcp.ReceiverReport(call.one.ssrc)) + extended(call.one.ssrc, voip_metrics(call.ours))
    call.world.throw(body, 2 * call.one.to_pair + 1, 0xC6336401, call.one.port + 1)
    call.world.run(0.1)
    assert call.world.totals(1).remote_mos is None


def test_a_summary_says_the_highest_jitter() -> None:
    call = Call()
    fields = (call.ours, 0, 100, 3, 0, 8, 320, 60, 20, 0, 0, 0, 0)
    call.report(extended(call.one.ssrc, struct.pack("!BBH", 6, 0xE0, 9) + struct.pack("!IHH6I4B", *fields)))
    engine = call.world.engine
    assert engine.meters.remote_jitter_peak_ms[engine.legs.slots[1]] == 40


def test_a_reference_time_is_answered_where_that_was_agreed_on() -> None:
    for agreed in (True, False):
        call = Call(reference_times=agreed)
        call.report(rtcp.encode(ReferenceTime(call.one.ssrc, 0x1234_5678_9ABC_DEF0)))
        packets = reports_to(call.world, call.one.port + 1, 8)
        answers = [packet for packet in packets if isinstance(packet, DelaySinceReference)]
        assert bool(answers) == agreed
        for answer in answers:
            assert (answer.ssrc, answer.last_reference) == (call.one.ssrc, 0x5678_9ABC)
            assert 0 < answer.delay < 9 * 65536


def test_who_sends_no_audio_measures_the_round_trip_by_reference_times() -> None:
    call = Call(reference_times=True, direction="recvonly")
    packets = reports_to(call.world, call.one.port + 1, 8)
    asked = [packet for packet in packets if isinstance(packet, ReferenceTime)]
    assert asked
    assert not [packet for packet in packets if isinstance(packet, rtcp.SenderReport)]
    # We sent it 30 ms ago, and the peer had it for 10 of them.
    now_ntp = call.world.engine.reports._ntp(call.world.now_ns - 30_000_000)
    answer = DelaySinceReference(call.one.ssrc, asked[-1].reporter, rtcp.middle(now_ntp), rtcp.delay(0.01))
    call.report(rtcp.encode(answer))
    assert call.world.totals(1).round_trip_ms == pytest.approx(20, abs=1)


def test_after_a_goodbye_another_source_is_heard_at_once_and_no_longer_reported() -> None:
    call = Call()
    before = call.world.totals(1)
    call.world.delay[1] = lambda at: None
    call.world.tick()
    call.report(rtcp.encode(rtcp.Goodbye((call.one.ssrc,))))
    call.world.run(0.5)
    packets = reports_to(call.world, call.one.port + 1, 8)
    blocks = [b for p in packets if isinstance(p, rtcp.SenderReport) for b in p.blocks]
    assert blocks == []
    del call.world.delay[1]
    call.one.ssrc, call.one.sequence, call.one.timestamp = 0x77778888, 9, 0x50000000
    call.world.run(1)
    assert call.two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=0.5)
    after = call.world.totals(1)
    assert after.rejected_packets == before.rejected_packets == 0, "no packet is spent on probation"
    assert after.lost_packets == 0
    assert after.received_packets > before.received_packets


def test_a_goodbye_of_a_source_that_goes_on_does_no_harm() -> None:
    call = Call()
    for _ in range(100):
        call.report(rtcp.encode(rtcp.Goodbye((call.one.ssrc,))))
    call.check(2)
    assert call.world.totals(1).lost_packets == 0
    assert call.world.totals(1).rejected_packets == 0


def test_goodbyes_of_others_are_not_heeded() -> None:
    call = Call()
    call.report(rtcp.encode(rtcp.Goodbye((call.one.ssrc ^ 1, call.ours))))
    stranger = rtcp.encode(rtcp.ReceiverReport(77), rtcp.Goodbye((call.one.ssrc,)))
    call.world.throw(stranger, 2 * call.one.to_pair + 1, call.one.ip, call.one.port + 1)
    call.world.tick()
    engine = call.world.engine
    assert int(engine.received.ssrc[engine.legs.slots[1]]) == call.one.ssrc


@pytest.mark.parametrize("by_rtcp", [False, True])
def test_a_peer_with_our_ssrc_makes_us_take_another(by_rtcp: bool) -> None:
    call = Call()
    ours = call.ours
    packets: list[rtcp.RtcpPacket]
    if by_rtcp:
        body = rtcp.encode(rtcp.ReceiverReport(ours, (rtcp.ReportBlock(ours, 0, 0, 1, 1),)))
        call.world.throw(body, 2 * call.one.to_pair + 1, call.one.ip, call.one.port + 1)
    else:
        call.one.ssrc = ours
    packets = reports_to(call.world, call.one.port + 1, 6)
    gone = [packet.ssrcs for packet in packets if isinstance(packet, rtcp.Goodbye)]
    assert gone == [(ours,)]
    assert call.ours != ours
    call.check()
    # The new source's counts are its own.
    last = [packet for packet in packets if isinstance(packet, rtcp.SenderReport)][-1]
    assert last.ssrc == call.ours
    sent = [packet for packet in call.one.packets if int.from_bytes(packet[8:12], "big") == call.ours]
    assert last.packet_count <= len(sent) < len(call.one.packets)
    assert last.octet_count == 160 * last.packet_count


def test_a_reflector_of_our_own_packets_does_not_keep_us_changing() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU", 440.0))
    two = world.add(Peer(2, "PCMU", 1000.0))
    world.delay[1] = lambda at: None
    sources = set()
    for _ in range(400):
        count = len(one.packets)
        world.tick()
        for packet in one.packets[count:]:
            sources.add(packet[8:12])
            world.throw(packet, 2 * one.to_pair, one.ip, one.port)
    assert len(sources) == 2
    assert two.level(1000.0) == pytest.approx(LEVEL, abs=1), "it hears itself come back"


def test_short_and_cut_and_senseless_rtcp_does_no_harm() -> None:
    call = Call()
    chaos = random.Random(6)
    good = rtcp.encode(
        rtcp.SenderReport(call.one.ssrc, 1 << 60, 1, 2, 3, (rtcp.ReportBlock(call.ours, 1, 1, 1, 1),)),
        rtcp.SourceDescription(((call.one.ssrc, "peer@example.com"),)),
    ) + extended(call.one.ssrc, voip_metrics(call.ours))
    for step in range(150):
        for size in range(8):
            for socket in (0, 1):
                body = bytes([0x80, chaos.choice([200, 201, 203, 207])]) + chaos.randbytes(6)
                port = call.one.port + socket
                call.world.throw(body[:size], 2 * call.one.to_pair + socket, call.one.ip, port)
        cut = bytearray(good[: chaos.randrange(8, len(good))])
        cut[chaos.randrange(len(cut))] ^= 1 << chaos.randrange(8)
        source = call.one.ip if step % 3 else 0xC6336401
        call.world.throw(bytes(cut), 2 * call.one.to_pair + 1, source, call.one.port + 1)
        call.world.tick()
    call.check(2.5)
    assert not call.world.of(CommandFailed)


def test_a_flood_of_rtcp_does_not_stop_the_audio() -> None:
    call = Call()
    report = rtcp.encode(rtcp.ReceiverReport(call.one.ssrc, (rtcp.ReportBlock(call.ours, 0, 0, 1, 1),)))
    for _ in range(50):
        for _ in range(1000):
            call.world.throw(report, 2 * call.one.to_pair + 1, call.one.ip, call.one.port + 1)
        call.world.tick()
    call.check()
