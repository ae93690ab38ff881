"""RTCP: what is written is read back, by us and by Wireshark; what is hostile is passed over and said."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp import rtcp
from ringback.rtp.rtcp import (
    Compound,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
)
from ringback.rtp.rtcp_xr import DelaySinceReference, ReferenceTime, StatisticsSummary, VoipMetrics

from . import captures

words = st.integers(0, 2**32 - 1)
blocks = st.lists(
    st.builds(
        ReportBlock, words, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), words, words, words, words
    ),
    max_size=31,
).map(tuple)
packets = st.one_of(
    st.builds(SenderReport, words, st.integers(0, 2**64 - 1), words, words, words, blocks),
    st.builds(ReceiverReport, words, blocks),
    st.builds(
        SourceDescription,
        st.lists(st.tuples(words, st.text(st.characters(codec="ascii"), max_size=255)), max_size=5).map(
            tuple
        ),
    ),
    st.builds(ReferenceTime, words, st.integers(0, 2**64 - 1)),
    st.builds(DelaySinceReference, words, words, words, words),
    st.builds(
        Goodbye, st.lists(words, max_size=31).map(tuple), st.text(st.characters(codec="ascii"), max_size=255)
    ),
)


@given(st.lists(packets, max_size=5))
def test_what_is_written_is_read_back(compound: list[rtcp.RtcpPacket]) -> None:
    data = rtcp.encode(*compound)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == Compound(tuple(compound))


@given(st.binary(max_size=200))
def test_anything_at_all_gives_packets_or_findings(data: bytes) -> None:
    result = rtcp.parse(data)
    assert result.packets or result.findings or len(data) % 4 == 0


@given(st.lists(packets, min_size=1, max_size=3), st.data())
def test_damage_never_raises(compound: list[rtcp.RtcpPacket], data: st.DataObject) -> None:
    damaged = bytearray(rtcp.encode(*compound))
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    rtcp.parse(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def test_octets_are_those_of_the_rfc() -> None:
    block = ReportBlock(0x11223344, 64, -2, 0x10005, 7, 0xAABBCCDD, 65536)
    data = rtcp.encode(
        SenderReport(1, 0xE0000000_80000000, 2, 3, 4, (block,)), SourceDescription(((1, "a@b"),))
    )
    assert data.hex(" ", 4) == (
        "81c8000c 00000001 e0000000 80000000 00000002 00000003 00000004 "
        "11223344 40fffffe 00010005 00000007 aabbccdd 00010000 "
        "81ca0003 00000001 01036140 62000000"
    )


def test_wireshark_reads_what_we_write(tmp_path: Path) -> None:
    if not (shutil.which("tshark") and shutil.which("text2pcap")):
        pytest.skip("tshark is not installed")
    data = rtcp.encode(
        SenderReport(
            7, rtcp.ntp_time(1_790_000_000.5), 8, 9, 10, (ReportBlock(5, 25, 300, 70000, 40, 1, 2),)
        ),
        SourceDescription(((7, "leg@example.com"),)),
        ReferenceTime(7, rtcp.ntp_time(1_790_000_000.5)),
        DelaySinceReference(7, 5, 1, 2),
        Goodbye((7,), "over"),
    )
    text, capture = tmp_path / "rtcp.txt", tmp_path / "rtcp.pcap"
    text.write_text("000000 " + data.hex(" ") + "\n")
    subprocess.run(
        ["text2pcap", "-q", "-u", "5005,5005", str(text), str(capture)], check=True, capture_output=True
    )
    fields = ["rtcp.pt", "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr", "rtcp.sdes.text", "rtcp.ssrc.jitter"]
    shown = subprocess.run(
        ["tshark", "-n", "-r", str(capture), "-d", "udp.port==5005,rtcp", "-T", "fields"]
        + [part for name in fields for part in ("-e", name)]
        + ["-e", "_ws.malformed"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown.rstrip("\n").split("\t")[:5] == [
        "200,202,207,207,203",
        "25",
        "300",
        "leg@example.com,over",
        "40",
    ]
    assert "alformed" not in shown


def test_voip_metrics_are_read() -> None:
    block = struct.pack(
        "!I4B4Hbb6BBx3H",
        0x55,
        10,
        20,
        30,
        40,
        500,
        600,
        70,
        80,
        -18,
        -60,
        30,
        16,
        93,
        127,
        41,
        40,
        0x80,
        60,
        120,
        200,
    )
    other = struct.pack("!BBHI", 99, 0, 1, 0)
    body = struct.pack("!I", 0x44) + other + struct.pack("!BBH", 7, 0, 8) + block
    data = struct.pack("!BBH", 0x80, 207, len(body) // 4) + body
    (metrics,) = rtcp.parse(data).packets
    assert isinstance(metrics, VoipMetrics)
    assert (metrics.reporter, metrics.ssrc, metrics.loss_rate, metrics.gap_density) == (0x44, 0x55, 10, 40)
    assert (metrics.signal_level_dbm, metrics.noise_level_dbm) == (-18, -60)
    assert (metrics.r_factor, metrics.mos_lq, metrics.mos_cq) == (93, 41, 40)
    assert (metrics.buffer_nominal_ms, metrics.buffer_absolute_maximum_ms) == (60, 200)


@pytest.mark.parametrize("flags", [0xE0, 0x80, 0x40, 0x20, 0x18])
def test_a_summary_of_statistics_says_what_its_flags_say(flags: int) -> None:
    fields = (0x55, 1000, 1250, 7, 2, 10, 90, 30, 12, 0, 0, 0, 0)
    body = struct.pack("!IBBH", 0x44, 6, flags, 9) + struct.pack("!IHH6I4B", *fields)
    (summary,) = rtcp.parse(struct.pack("!BBH", 0x80, 207, len(body) // 4) + body).packets
    jitter = (10, 90, 30, 12) if flags & 0x20 else (None,) * 4
    assert summary == StatisticsSummary(
        0x44, 0x55, 1000, 1250, 7 if flags & 0x80 else None, 2 if flags & 0x40 else None, *jitter
    )


def test_delays_of_several_sources_are_read_from_one_block() -> None:
    body = struct.pack("!IBBH6I", 0x44, 5, 0, 6, 1, 2, 3, 4, 5, 6)
    packets = rtcp.parse(struct.pack("!BBH", 0x80, 207, len(body) // 4) + body).packets
    assert packets == (DelaySinceReference(0x44, 1, 2, 3), DelaySinceReference(0x44, 4, 5, 6))


REPORT = rtcp.encode(ReceiverReport(1))


@pytest.mark.parametrize(
    ("data", "readable", "finding"),
    [
        (REPORT + b"\x80", 1, "after the last"),
        (REPORT + REPORT[:4], 1, "longer than the datagram"),
        (REPORT + bytes([0x40]) + REPORT[1:], 1, "version"),
        (bytes([0x82]) + REPORT[1:] + REPORT, 1, "fewer report blocks"),
        (struct.pack("!BBH", 0x80, 200, 0), 0, "too short"),
        (struct.pack("!BBHI", 0x82, 203, 1, 9), 0, "goodbye"),
        (struct.pack("!BBHIBB2x", 0x81, 202, 2, 9, 1, 200), 0, "longer than its packet"),
        (bytes([0xA0]) + REPORT[1:] + REPORT, 1, "padding"),
        (struct.pack("!BBHII", 0xA0, 201, 2, 9, 200), 0, "padding"),
        (struct.pack("!BBHIBBH", 0x80, 207, 2, 9, 7, 0, 8), 0, "extended"),
        (struct.pack("!BBHIBBHI", 0x80, 207, 3, 9, 7, 0, 1, 0), 0, "VoIP"),
        (struct.pack("!BBHIBBHI", 0x80, 207, 3, 9, 6, 0, 1, 0), 0, "summary"),
        (struct.pack("!BBHIBBHI", 0x80, 207, 3, 9, 4, 0, 1, 0), 0, "reference time"),
        (struct.pack("!BBHIBBHI", 0x80, 207, 3, 9, 5, 0, 1, 0), 0, "reference times"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_is_read(data: bytes, readable: int, finding: str) -> None:
    result = rtcp.parse(data)
    assert len(result.packets) == readable
    assert finding in " ".join(result.findings)


def test_padding_and_unknown_types_are_passed_over() -> None:
    padded = struct.pack("!BBHI", 0xA0, 201, 2, 9) + bytes([0, 0, 0, 4])
    application = struct.pack("!BBHI4s", 0x80, 204, 2, 9, b"name")
    assert rtcp.parse(application + padded) == Compound((ReceiverReport(9),))


def test_no_more_parts_than_can_be_counted() -> None:
    with pytest.raises(ValueError, match="31"):
        rtcp.encode(Goodbye(tuple(range(32))))


@pytest.mark.parametrize("seconds", [0.0, 1_790_000_000.25, 2_085_978_496.5, 3_000_000_000.0])
def test_ntp_and_back(seconds: float) -> None:
    assert rtcp.unix_time(rtcp.ntp_time(seconds)) == pytest.approx(seconds, abs=1e-6)
    assert rtcp.ntp_time(0) >> 32 == 2_208_988_800


@pytest.mark.parametrize(
    ("way_s", "measured"), [(0.04, 0.04), (0.0, 0.0), (-0.01, 0.0), (1.5, 1.5), (-5.0, None), (3600.0, None)]
)
def test_round_trip(way_s: float, measured: float | None) -> None:
    # The report went out just before the 16 bit of seconds wrap.
    sent = 65536 * 30000 - 1.0
    held = 2.5
    block = ReportBlock(1, last_sr=rtcp.middle(rtcp.ntp_time(sent)), delay_since_last_sr=rtcp.delay(held))
    arrival = rtcp.ntp_time(sent + held + way_s)
    assert rtcp.round_trip_s(block, arrival) == pytest.approx(measured, abs=1e-3)
    assert rtcp.round_trip_s(ReportBlock(1), arrival) is None
    answer = DelaySinceReference(1, 2, block.last_sr, block.delay_since_last_sr)
    assert rtcp.round_trip_s(answer, arrival) == pytest.approx(measured, abs=1e-3)
    assert rtcp.round_trip_s(DelaySinceReference(1, 2, 0, 0), arrival) is None


def test_reads_the_reports_of_a_real_call() -> None:
    results = [
        rtcp.parse(datagram.payload)
        for datagram in captures.datagrams("rtcp-malformed.pcap")
        if len(datagram.payload) > 4 and 192 <= datagram.payload[1] <= 223
    ]
    assert len(results) == 2
    assert not any(result.findings for result in results)
    first, second = (result.packets[0] for result in results)
    assert isinstance(first, SenderReport)
    assert (first.packet_count, first.blocks[0].delay_since_last_sr) == (121, 161873)
    assert results[0].packets[-1] == SourceDescription(((0x6A1B26D7, "nr"),))
    assert isinstance(second, SenderReport)
    assert second.blocks[0].delay_since_last_sr == 489619


word = st.integers(0, 2**32 - 1)


@given(
    ssrc=word,
    info=st.none() | st.tuples(st.integers(0, 2**64 - 1), word, word, word),
    block=st.none()
    | st.tuples(word, st.integers(0, 300), st.integers(-(2**25), 2**25), word, word, word, word),
    name=st.text(max_size=40),
)
def test_the_quick_report_is_the_same_to_the_octet(
    ssrc: int, info: rtcp.SenderInfo | None, block: rtcp.Received | None, name: str
) -> None:
    blocks = () if block is None else (rtcp.ReportBlock(*block),)
    first: rtcp.OwnPacket = rtcp.ReceiverReport(ssrc, blocks)
    if info is not None:
        first = rtcp.SenderReport(ssrc, *info, blocks)
    whole = rtcp.encode(first, rtcp.SourceDescription(((ssrc, name),)))
    assert rtcp.report(ssrc, info, block, rtcp.name_chunk(name)) == whole
