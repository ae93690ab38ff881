"""Captures of real calls are read to the counts that another program found, whatever they are wrapped in."""

from __future__ import annotations

import gzip
import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.diagnosis.capture.captured import Capture, Packets, StreamKey
from ringback.diagnosis.capture.read import read_capture

from .written import (
    BEGAN_NS,
    Record,
    block,
    call,
    enhanced,
    ethernet,
    interface,
    option,
    pcap,
    pcapng,
    rtp,
    section,
    udp,
)

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"
CAPTURES: list[dict[str, Any]] = json.loads(INDEX.read_text())["captures"] if INDEX.exists() else []
KEY = StreamKey("192.0.2.1", 4000, "192.0.2.2", 5000, 0x343FFA34)

RESUMED = {"fax-t38.pcap": (0x0EAF0EAF, 159, 1871)}
"""Audio that goes on after a fax: its packets, and how many are expected. tshark takes all that comes
after the fax for T.38, though the next INVITE makes it audio again with the same SSRC and count."""


def read(tmp_path: Path, *files: bytes, **options: Any) -> Capture:
    paths = [tmp_path / f"{number}.pcap" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return read_capture(paths, **options)


def only(capture: Capture) -> Packets:
    (stream,) = capture.streams
    assert stream.key not in capture.uncertain
    packets = stream.packets()
    assert len(packets) == stream.count
    return packets


@pytest.mark.parametrize("entry", CAPTURES, ids=lambda entry: entry["file"])
def test_streams_of_real_captures(entry: dict[str, Any]) -> None:
    capture = read_capture([FOLDER / entry["file"]])
    assert capture.packets == entry["frames"]
    assert capture.problems == ()
    streams = {stream.key: stream for stream in capture.streams}
    told = [told for told in entry["rtp_streams"] if "independent" in told]
    marks: Counter[int] = Counter()
    for told_stream in told:
        place = [told_stream[name] for name in ("src", "sport", "dst", "dport")]
        key = StreamKey(*place, int(told_stream["ssrc"], 16))
        packets = streams[key].packets()
        independent = told_stream["independent"]
        count, unique = told_stream["pkts"], independent["unique"]
        if RESUMED.get(entry["file"], (0,))[0] == key.ssrc:
            _, count, expected = RESUMED[entry["file"]]
            unique = count
            assert int(packets.sequence.max()) + 1 == expected
        else:
            types = {int(kind): n for kind, n in independent["payload_types"].items()}
            assert Counter(packets.payload_type.tolist()) == types
        assert streams[key].count == len(packets) == count
        assert len(np.unique(packets.sequence)) == unique
        assert (key in capture.uncertain) == (count < 4)
        marks.update(packets.dscp.tolist())
    dscp = {int(mark): count for mark, count in entry["rtp_dscp"].items()}
    if len(told) == len(entry["rtp_streams"]):
        assert len(streams) == len(told)
        if entry["file"] not in RESUMED:
            # In some captures tshark counts a datagram of five octets, too, which is no RTP.
            assert set(marks) == set(dscp)
            assert sum(dscp.values()) - marks.total() in (0, 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_classic_files_of_all_kinds(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    records = [record._replace(at_ns=record.at_ns + 123_456) for record in call(10)]
    capture = read(tmp_path, pcap(records, order=order, nanoseconds=nanoseconds))
    packets = only(capture)
    kept = 123_456 if nanoseconds else 123_000
    assert packets.arrived_ns.tolist() == [BEGAN_NS + kept + i * 20_000_000 for i in range(10)]
    assert (capture.began_ns, capture.ended_ns) == (packets.arrived_ns[0], packets.arrived_ns[-1])
    assert capture.problems == ()


def test_patched_files_have_longer_headers(tmp_path: Path) -> None:
    assert len(only(read(tmp_path, pcap(call(10), magic=0xA1B2CD34)))) == 10


def test_all_that_a_packet_says(tmp_path: Path) -> None:
    extension = bytes(4) + struct.pack("!HH", 0xBEDE, 1) + bytes(4)
    frames = [
        rtp(7, b"\x00" * 100 + b"\x80" * 60, payload_type=0, marker=True, first=0x91, between=extension)
    ]
    frames += [rtp(i, bytes(20) + b"\0\0\0\x04", payload_type=18, first=0xA0) for i in range(8, 12)]
    records = [Record(BEGAN_NS + i, ethernet(udp(frame))) for i, frame in enumerate(frames)]
    packets = only(read(tmp_path, pcap(records, nanoseconds=True)))
    assert packets.sequence.tolist() == [7, 8, 9, 10, 11]
    assert packets.timestamp[0] == 7 * 160
    assert packets.payload_type.tolist() == [0, 18, 18, 18, 18]
    assert packets.marker.tolist() == [True, False, False, False, False]
    assert packets.payload_bytes.tolist() == [160, 20, 20, 20, 20]
    assert packets.wire_bytes.tolist() == [20 + 8 + 12 + 4 + 8 + 160] + [20 + 8 + 12 + 24] * 4
    assert (packets.dscp[0], packets.ttl[0], packets.ip_id[0]) == (46, 61, 4711)
    # The outermost codes of μ-law are 8031 of 8192.
    assert packets.clipped.tolist() == [160, 0, 0, 0, 0]
    assert packets.level_dbov[0] == pytest.approx(20 * np.log10(8031 / 8192), abs=1e-4)
    assert np.isnan(packets.level_dbov[1:]).all()


@pytest.mark.parametrize(("law", "silence"), [(0, b"\xff\x7f"), (8, b"\xd5\x55")])
def test_digital_silence_has_the_lowest_level(tmp_path: Path, law: int, silence: bytes) -> None:
    records = [Record(BEGAN_NS + i, ethernet(udp(rtp(i, silence * 80, payload_type=law)))) for i in range(5)]
    packets = only(read(tmp_path, pcap(records)))
    assert packets.level_dbov.tolist() == [-127.0] * 5
    assert packets.clipped.tolist() == [0] * 5


PACKET = udp(rtp(0))
PACKET_6 = udp(rtp(0), "2001:db8::1", 4000, "2001:db8:0:0:1::2", 5000)


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (1, bytes(12) + b"\x08\x00"),
        (1, bytes(12) + b"\x81\x00\x00\x07\x08\x00"),
        (1, bytes(12) + b"\x88\xa8\x00\x01\x81\x00\x00\x07\x08\x00"),
        (113, bytes(14) + b"\x08\x00"),
        (113, bytes(14) + b"\x81\x00\x00\x05\x08\x00"),
        (276, b"\x08\x00" + bytes(18)),
        (9, b"\xff\x03\x00\x21"),
        (0, b"\x02\0\0\0"),
        (108, b"\0\0\0\x02"),
        (101, b""),
        (12, b""),
        (228, b""),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
def test_link_layers(tmp_path: Path, link: int, before: bytes) -> None:
    records = [Record(BEGAN_NS + i, before + udp(rtp(i))) for i in range(6)]
    capture = read(tmp_path, pcap(records, link=link))
    assert only(capture).sequence.tolist() == [0, 1, 2, 3, 4, 5]
    assert capture.streams[0].key == KEY


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (1, bytes(12) + b"\x86\xdd"),
        (113, bytes(14) + b"\x86\xdd"),
        (229, b""),
        (101, b""),
        (0, b"\x1e\0\0\0"),
    ],
)
def test_ipv6(tmp_path: Path, link: int, before: bytes) -> None:
    records = [
        Record(BEGAN_NS + i, before + udp(rtp(i), "2001:db8:0:0::1", 4000, "2001:db8:0:0:1::2", 5000))
        for i in range(6)
    ]
    capture = read(tmp_path, pcap(records, link=link))
    packets = only(capture)
    assert capture.streams[0].key == StreamKey("2001:db8::1", 4000, "2001:db8::1:0:0:2", 5000, 0x343FFA34)
    assert (packets.dscp[0], packets.ttl[0], packets.ip_id[0]) == (46, 61, 0)
    assert packets.wire_bytes[0] == 40 + 8 + 172


def test_cut_packets_count_whole_and_have_no_level(tmp_path: Path) -> None:
    records = [Record(at_ns, frame[:96], len(frame)) for at_ns, frame, _ in call(6)]
    capture = read(tmp_path, pcap(records))
    packets = only(capture)
    assert capture.snap_length == 96
    assert packets.payload_bytes.tolist() == [160] * 6
    assert np.isnan(packets.level_dbov).all()


def test_fragments_and_tunnels_keep_their_places_in_a_stream(tmp_path: Path) -> None:
    records = []
    for i in range(12):
        packet = udp(rtp(i))
        halves = tuple(
            packet[:2] + struct.pack("!HHH", 20 + len(part), i, flags) + packet[8:20] + part
            for part, flags in ((packet[20:116], 0x2000), (packet[116:], 96 // 8))
        )
        tunnel = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(packet), 1, 0, 64, 4, 0) + bytes(8) + packet
        for part in ((packet,), halves, (tunnel,))[i % 3]:
            records.append(Record(BEGAN_NS + i * 20_000_000, ethernet(part)))
    capture = read(tmp_path, pcap(records))
    packets = only(capture)
    assert packets.sequence.tolist() == list(range(12))
    assert packets.payload_bytes.tolist() == [160] * 12
    assert packets.wire_bytes[0] == packets.wire_bytes[2] == 200
    assert packets.level_dbov.tolist() == [-127.0] * 12
    assert packets.arrived_ns.tolist() == [BEGAN_NS + i * 20_000_000 for i in range(12)]
    assert capture.fragmentation.whole == 4


def test_rtp_in_a_turn_channel(tmp_path: Path) -> None:
    packets = [rtp(i) for i in range(6)]
    wrapped = [struct.pack("!HH", 0x4001, len(packet)) + packet for packet in packets]
    records = [Record(BEGAN_NS + i, ethernet(udp(data))) for i, data in enumerate(wrapped)]
    capture = read(tmp_path, pcap(records))
    assert only(capture).payload_bytes.tolist() == [160] * 6
    assert capture.streams[0].key == KEY


def test_sections_interfaces_and_clocks_of_pcapng(tmp_path: Path) -> None:
    records = call(8)
    nanoseconds = option(9, b"\x09")
    coarse = option(9, b"\x8a")  # 2^-10 s
    late = option(14, struct.pack("<q", 100))
    early = records[2]._replace(at_ns=records[2].at_ns - 100_000_000_000)
    file = (
        section()
        + interface(options=nanoseconds)
        + interface(options=late + option(0, b""))
        + block(5, bytes(12))
        + enhanced(records[0], 0, 1_000_000_000)
        + block(0x0BAD, b"unknown!")
        + enhanced(records[1], 0, 1_000_000_000)
        + enhanced(early, 1)
        + section(">")
        + interface(101, order=">")
        + enhanced(Record(records[3].at_ns, records[3].frame[14:]), order=">")
        + section()
        + interface(options=coarse)
        + enhanced(records[4], 0, 1024)
        + block(2, _old(records[5]))
        + block(3, struct.pack("<I", len(records[6].frame)) + records[6].frame)
    )
    # The old block has µs in a file with other ticks: give it the same.
    capture = read(tmp_path, file)
    packets = only(capture)
    assert packets.sequence.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert packets.arrived_ns[:4].tolist() == [record.at_ns for record in records[:4]]
    assert abs(int(packets.arrived_ns[4]) - records[4].at_ns) < 1_000_000
    assert packets.arrived_ns[6] == packets.arrived_ns[5], "a simple packet has no time of its own"
    assert capture.problems == ()


def _old(record: Record) -> bytes:
    ticks = record.at_ns * 1024 // 1_000_000_000
    head = struct.pack("<HHIIII", 0, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(record.frame), len(record.frame))
    return head + record.frame


def test_simple_packets_obey_the_snap_length(tmp_path: Path) -> None:
    records = call(6)
    simple = b"".join(block(3, struct.pack("<I", len(frame)) + frame[:64]) for _, frame, _ in records)
    capture = read(tmp_path, section() + interface(snap_length=64) + simple)
    assert only(capture).payload_bytes.tolist() == [160] * 6
    assert capture.snap_length == 64


def test_packed_files(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    file = gzip.compress(pcapng(call(20)))
    capture = read(tmp_path, file, progress=lambda octets, of: done.append((octets, of)))
    assert len(only(capture)) == 20
    assert done[-1] == (len(file), len(file))


def test_a_packed_file_that_is_cut_is_read_up_to_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    records = [Record(BEGAN_NS + i, ethernet(udp(rtp(i, noise.bytes(160))))) for i in range(500)]
    capture = read(tmp_path, gzip.compress(pcap(records))[:-2000])
    assert 0 < len(only(capture)) < 500
    assert any("reading ended here" in problem.problem for problem in capture.problems)


def test_files_follow_each_other_by_their_beginnings(tmp_path: Path) -> None:
    records = call(30)
    parts = [pcap(records[20:]), pcapng(records[:10]), pcap(records[10:20], order=">")]
    capture = read(tmp_path, *parts, point="edge")
    assert only(capture).sequence.tolist() == list(range(1, 31))
    assert capture.files == ("1.pcap", "2.pcap", "0.pcap")
    assert (capture.point, capture.packets) == ("edge", 30)


def test_what_is_no_capture_is_told(tmp_path: Path) -> None:
    capture = read(tmp_path, b"", b"From: somebody\r\n" * 100)
    assert (capture.packets, capture.streams) == (0, ())
    assert [(problem.file, problem.offset) for problem in capture.problems] == [("0.pcap", 0), ("1.pcap", 0)]


def test_a_file_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        read_capture([tmp_path / "missing.pcap"])
