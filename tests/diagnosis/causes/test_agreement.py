"""Causes in the signalling: timers, ACK, codecs, sizes; and what the ends themselves report."""

from __future__ import annotations

import struct

import numpy as np

from ringback.diagnosis.capture.captured import Fragmentation, IcmpNotice, RtcpPacket
from ringback.diagnosis.causes.judge import judge
from ringback.diagnosis.causes.reports import read_reports
from ringback.diagnosis.signalling.call import Finding
from ringback.diagnosis.stream.measured import Sound
from tests.diagnosis.causes.made import (
    CALLED,
    CALLER,
    START_NS,
    back,
    call,
    chance,
    evidence,
    queue,
    quiet,
    stream,
)

NTP_OFFSET_S = 2_208_988_800


def sender_report(ssrc: int, at_ns: int, *blocks: bytes) -> bytes:
    seconds, rest = divmod(at_ns, 10**9)
    ntp = ((seconds + NTP_OFFSET_S) << 32) | (rest << 32) // 10**9
    body = struct.pack("!IQIII", ssrc, ntp, 0, 100, 16_000) + b"".join(blocks)
    return struct.pack("!BBH", 0x80 | len(blocks), 200, len(body) // 4) + body


def block(ssrc: int, fraction: int, lost: int, highest: int, last_sr: int = 0, delay: int = 0) -> bytes:
    return struct.pack("!IIIIII", ssrc, fraction << 24 | lost, highest, 40, last_sr, delay)


def reports(lost_share: float, trip_ms: float = 20.0) -> tuple[RtcpPacket, ...]:
    """Every 5 s the caller's sender report, and 1 s later the called side's about the caller's stream."""
    packets = []
    for number in range(1, 12):
        at = START_NS + number * 5 * 10**9
        packets.append(RtcpPacket(at, CALLER.endpoints, sender_report(CALLER.ssrc, at)))
        seconds, rest = divmod(at, 10**9)
        last = ((seconds + NTP_OFFSET_S) & 0xFFFF) << 16 | (rest << 16) // 10**9
        said = block(
            CALLER.ssrc,
            int(lost_share * 256),
            int(lost_share * 250 * number),
            1000 + 250 * number,
            last,
            1 << 16,
        )
        answer = at + 10**9 + int(trip_ms * 1e6)
        packets.append(RtcpPacket(answer, CALLED.endpoints, sender_report(CALLED.ssrc, answer, said)))
    return tuple(packets)


def test_a_session_that_was_not_refreshed() -> None:
    finding = Finding(
        "session-timer-expired",
        "No refresh came by 90 s, and the called side ended the call",
        START_NS,
        "fault",
    )
    record = call(90, (finding,), session_expires_s=90)
    verdict = judge(evidence(stream(quiet(90)), back(90), record=record))
    assert verdict.causes[0].cause == "session-timer"
    assert verdict.causes[0].confidence > 0.9
    assert any("Session-Expires was 90 s" in text for text in verdict.causes[0].for_)


def test_a_call_that_ends_after_64_t1_without_its_ack() -> None:
    finding = Finding("ack-missing", "200 was sent 11 times in 32 s and no ACK came", START_NS, "fault")
    verdict = judge(evidence(stream(quiet(32)), back(32), record=call(32, (finding,))))
    assert verdict.causes[0].cause == "missing-ack-or-contact-fault"
    assert verdict.causes[0].confidence > 0.9
    assert any("64 T1 is 32 s" in text for text in verdict.causes[0].for_)


def test_no_codec_in_common() -> None:
    finding = Finding("codec-mismatch", "488: g729 was offered, pcmu is supported", START_NS, "fault")
    record = call(
        0,
        (finding,),
        outcome="failed",
        status=488,
        answered_ns=None,
        negotiated=(),
        media=(),
        offered=("g729",),
    )
    verdict = judge(evidence(record=record))
    assert verdict.causes[0].cause == "codec-mismatch"
    assert verdict.causes[0].confidence > 0.8
    assert verdict.refused is None


def test_a_codec_that_was_never_accepted_is_no_silence_of_the_device() -> None:
    verdict = judge(evidence(stream(quiet(60), payload_types={18: 3000}), back(60), record=call(60)))
    assert verdict.causes[0].cause == "codec-mismatch"
    assert "3,000 of 3,000 packets of payload type 18" in verdict.causes[0].for_[0]
    assert all(cause.cause != "endpoint-audio" for cause in verdict.causes)


def test_a_muted_device_is_no_codec_mismatch() -> None:
    mute = Sound(-127.0, -127.0, 1.0, 0.0, 1.0)
    verdict = judge(evidence(stream(quiet(60), sound=mute), back(60), record=call(60)))
    assert verdict.causes[0].cause == "endpoint-audio"
    assert verdict.causes[0].confidence > 0.9
    assert all(cause.cause != "codec-mismatch" for cause in verdict.causes)


def test_a_clipped_and_a_faint_device() -> None:
    loud, faint = Sound(-6.0, -3.0, 0.3, 0.05, 0.0), Sound(-48.0, -40.0, 0.5, 0.0, 0.0)
    for sound, words in ((loud, "5.0 % of the samples"), (faint, "is at -48 dBov")):
        verdict = judge(evidence(stream(quiet(60), sound=sound), back(60), record=call(60)))
        assert verdict.causes[0].cause == "endpoint-audio"
        assert any(words in text for text in verdict.causes[0].for_)


def test_a_link_that_is_too_small_tells_by_icmp() -> None:
    notices = (IcmpNotice(START_NS, "fragmentation-needed", "203.0.113.1", CALLER.endpoints, 1400),)
    lossy = stream(quiet(60), chance(60, 0.03))
    fragments = Fragmentation(10, 90, ((START_NS, CALLER.src, CALLER.dst),) * 90, 1600)
    verdict = judge(evidence(lossy, back(60), record=call(60), notices=notices, fragmentation=fragments))
    assert verdict.causes[0].cause == "mtu-or-fragmentation"
    assert any("for a link of 1400 octets" in text for text in verdict.causes[0].for_)
    assert any("90 datagrams came without one of their fragments" in text for text in verdict.causes[0].for_)


def test_reports_are_counted_by_what_they_are_about() -> None:
    found = read_reports(reports(0.04, 60.0)).about[CALLER.ssrc]
    assert found.reports == 11
    assert found.lost_share is not None
    assert abs(found.lost_share - 0.04) < 0.002
    assert found.half_trip_ms is not None
    assert abs(found.half_trip_ms - 60.0) < 0.1


def test_reports_captured_twice_count_once() -> None:
    twice = tuple(packet for packet in reports(0.04) for _ in range(2))
    assert read_reports(twice).about[CALLER.ssrc].reports == 11


def test_loss_that_only_the_receiver_sees_lies_beyond_the_capture() -> None:
    verdict = judge(evidence(stream(quiet(60)), back(60), record=call(60), control=reports(0.05)))
    first = verdict.causes[0]
    assert first.cause == "carrier-or-interconnect"
    assert first.confidence > 0.8
    assert any("11 reports" in text and "only 0 % of it were missing here" in text for text in first.for_)
    assert any("local network would not help" in text for text in first.useless)


def test_a_capture_that_missed_packets_is_cleared_by_the_receivers_reports() -> None:
    lost = np.zeros(3000, np.bool_)
    lost[1000:1200] = True
    verdict = judge(evidence(stream(quiet(60), lost), back(60), record=call(60), control=reports(0.0)))
    assert verdict.causes[0].cause == "measurement-artefact"


def test_a_long_round_trip() -> None:
    verdict = judge(evidence(stream(quiet(60)), back(60), record=call(60), control=reports(0.0, 700.0)))
    assert verdict.causes[0].cause == "latency-or-echo-risk"
    assert any("takes 700 ms" in text for text in verdict.causes[0].for_)


def test_a_mark_that_changes_within_the_stream_was_changed_by_a_hop() -> None:
    verdict = judge(evidence(stream(quiet(60), dscp={46: 1500, 0: 1500}), back(60), record=call(60)))
    assert verdict.causes[0].cause == "qos-rewritten-at-a-hop"
    assert "DSCP 46 on 1,500 and 0 on 1,500 packets" in " ".join(verdict.causes[0].for_)


def test_a_sender_that_never_marks_and_queues() -> None:
    delay, lost = queue(60, 1005)
    bare = stream(delay, lost, dscp={0: 2990}, ttl={64: 2990})
    verdict = judge(evidence(bare, back(60), record=call(60)))
    assert verdict.causes[0].cause == "qos-marking-missing-at-source"
    assert {"congestion"} <= {cause.cause for cause in verdict.causes}
    assert all(cause.cause != "qos-rewritten-at-a-hop" for cause in verdict.causes)
    assert verdict.causes[0].next_step.startswith("Set DSCP 46")
