"""Cut and damaged files: what could be read is read, where it broke is told, and nothing raises."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.diagnosis.capture.captured import Capture
from ringback.diagnosis.capture.read import read_capture

from .written import (
    BEGAN_NS,
    Record,
    block,
    call,
    enhanced,
    ethernet,
    interface,
    pcap,
    pcapng,
    rtp,
    section,
    udp,
)

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"
FILES = [entry["file"] for entry in json.loads(INDEX.read_text())["captures"]] if INDEX.exists() else []
FRAME = 14 + 20 + 8 + 12 + 160
RECORD = 16 + FRAME


def read(tmp_path: Path, data: bytes) -> Capture:
    path = tmp_path / "damaged.pcap"
    path.write_bytes(data)
    return read_capture([path])


def sequences(capture: Capture) -> list[int]:
    return [number for stream in capture.streams for number in stream.packets().sequence.tolist()]


def overwritten(data: bytes, at: int, fresh: bytes) -> bytes:
    return data[:at] + fresh + data[at + len(fresh) :]


def test_a_classic_file_cut_within_a_packet(tmp_path: Path) -> None:
    capture = read(tmp_path, pcap(call(10))[:-50])
    assert sequences(capture) == list(range(1, 10))
    (problem,) = capture.problems
    assert problem.offset == 24 + 9 * RECORD
    assert problem.problem == f"the file is cut within a packet, of which {RECORD - 50} octets are left"
    assert problem.packets_affected == 1


def test_a_classic_file_cut_within_a_record_header(tmp_path: Path) -> None:
    capture = read(tmp_path, pcap(call(10))[: 24 + 9 * RECORD + 7])
    assert sequences(capture) == list(range(1, 10))
    assert [problem.offset for problem in capture.problems] == [24 + 9 * RECORD]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("length", [22, 1400, 200_000, 0xFFFFFFF0])
def test_a_wrong_length_costs_no_packet(tmp_path: Path, order: str, length: int) -> None:
    damaged = overwritten(pcap(call(20), order=order), 24 + 9 * RECORD + 8, struct.pack(f"{order}I", length))
    capture = read(tmp_path, damaged)
    assert sequences(capture) == list(range(1, 21))
    (problem,) = capture.problems
    assert problem.offset == 24 + 9 * RECORD
    assert "ends where the next one begins" in problem.problem


def test_a_wrong_length_in_the_last_record_but_one(tmp_path: Path) -> None:
    damaged = overwritten(pcap(call(20)), 24 + 18 * RECORD + 8, struct.pack("<I", 300))
    assert sequences(read(tmp_path, damaged)) == list(range(1, 21))


def test_octets_that_are_missing_are_passed_over(tmp_path: Path) -> None:
    whole = pcap(call(30))
    at = 24 + 10 * RECORD + 100
    capture = read(tmp_path, whole[:at] + whole[at + 3 * RECORD + 17 :])
    found = sequences(capture)
    assert found[:10] == list(range(1, 11))
    assert found[-15:] == list(range(16, 31))
    assert len(capture.problems) == 1


def test_rubbish_between_packets_is_skipped_and_measured(tmp_path: Path) -> None:
    whole = pcap(call(30))
    at = 24 + 10 * RECORD
    capture = read(tmp_path, whole[:at] + b"\xff" * 12345 + whole[at:])
    assert sequences(capture) == list(range(1, 31))
    (problem,) = capture.problems
    assert (problem.offset, problem.problem) == (
        at,
        "damaged: 12345 octets were skipped up to the next packet",
    )


def test_rubbish_beyond_what_is_looked_at_once(tmp_path: Path) -> None:
    whole = pcap(call(30))
    at = 24 + 10 * RECORD
    capture = read(tmp_path, whole[:at] + b"\xff" * 20_000_000 + whole[at:])
    assert sequences(capture) == list(range(1, 31))
    assert [problem.offset for problem in capture.problems] == [at]
    assert "20000000 octets" in capture.problems[0].problem


def test_rubbish_to_the_end(tmp_path: Path) -> None:
    capture = read(tmp_path, pcap(call(30)) + b"\xff" * 12_000_000)
    assert sequences(capture) == list(range(1, 31))
    assert "nothing looks like packets" in capture.problems[0].problem


def test_a_time_that_is_damaged_is_not_believed(tmp_path: Path) -> None:
    damaged = overwritten(pcap(call(20)), 24 + 9 * RECORD + 3, b"\x7f")
    capture = read(tmp_path, damaged)
    assert sequences(capture) == list(range(1, 21))
    assert capture.ended_ns == BEGAN_NS + 19 * 20_000_000
    assert [problem.offset for problem in capture.problems] == [24 + 9 * RECORD]


def test_a_clock_that_was_set_is_believed(tmp_path: Path) -> None:
    records = [record._replace(at_ns=record.at_ns - BEGAN_NS) for record in call(10)] + call(20)[10:]
    capture = read(tmp_path, pcap(records))
    assert sequences(capture) == list(range(1, 21))
    assert (capture.began_ns, capture.ended_ns) == (0, records[-1].at_ns)
    assert capture.problems == ()


def test_a_file_that_is_odd_throughout_is_read(tmp_path: Path) -> None:
    # Written by a program that leaves the length on the wire out.
    records = [
        struct.pack("<IIII", 1_700_000_000, i, FRAME, 0) + record.frame for i, record in enumerate(call(40))
    ]
    capture = read(tmp_path, pcap([]) + b"".join(records))
    assert sequences(capture) == list(range(1, 41))
    assert capture.problems == ()


@pytest.mark.parametrize("at", range(4))
def test_a_damaged_magic_number(tmp_path: Path, at: int) -> None:
    for whole in (pcap(call(20)), pcap(call(20), order=">"), pcapng(call(20))):
        capture = read(tmp_path, overwritten(whole, at, b"\x55"))
        assert sequences(capture) == list(range(1, 21))
        assert len(capture.problems) == 1


@pytest.mark.parametrize("link", [0x8301, 147, 0xFFFF])
def test_a_damaged_link_type_is_guessed(tmp_path: Path, link: int) -> None:
    capture = read(tmp_path, pcap(call(20), link=link))
    assert sequences(capture) == list(range(1, 21))
    (problem,) = capture.problems
    assert problem.problem == f"link type {link} is not known; the frames are read as Ethernet"


def test_a_wrong_time_at_the_beginning_costs_nothing(tmp_path: Path) -> None:
    damaged = overwritten(pcap(call(40)), 24, struct.pack("<I", 5))
    capture = read(tmp_path, overwritten(damaged, 24 + 20 * RECORD, b"\xff" * 12))
    found = sequences(capture)
    assert found[:20] == list(range(1, 21))
    assert found[-19:] == list(range(22, 41))
    assert capture.began_ns == BEGAN_NS + 20_000_000


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_two_wrong_times_in_a_row_are_not_believed(tmp_path: Path, form: str) -> None:
    records = call(40)
    for place, later in ((0, 10**17), (7, 10**18), (8, 2 * 10**17), (9, 10**15)):
        records[place] = records[place]._replace(at_ns=records[place].at_ns + later)
    capture = read(tmp_path, pcap(records) if form == "pcap" else pcapng(records))
    assert sequences(capture) == list(range(1, 41))
    (stream,) = capture.streams
    steps = np.diff(stream.packets().arrived_ns) / 1e6
    assert steps[:10].tolist() == [0, 20, 20, 20, 20, 20, 0, 0, 0, 80]
    assert set(steps[10:].tolist()) == {20.0}
    assert len(capture.problems) == (2 if form == "pcap" else 1)


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_two_clocks_in_one_file_are_both_believed(tmp_path: Path, form: str) -> None:
    records = [record._replace(at_ns=record.at_ns + 10**16 * (i % 2)) for i, record in enumerate(call(40))]
    capture = read(tmp_path, pcap(records) if form == "pcap" else pcapng(records))
    (stream,) = capture.streams
    assert stream.packets().arrived_ns.tolist() == [record.at_ns for record in records]
    assert capture.problems == ()


def test_a_pcapng_file_cut_within_a_block(tmp_path: Path) -> None:
    whole = pcapng(call(10))
    capture = read(tmp_path, whole[:-50])
    assert sequences(capture) == list(range(1, 10))
    assert [problem.offset for problem in capture.problems] == [len(whole) - 32 - FRAME - -FRAME % 4]


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("length", [0, 20, 23, 100, 5000, 0xFFFFFFFC])
def test_one_wrong_length_of_a_block_costs_no_packet(tmp_path: Path, from_end: bool, length: int) -> None:
    records = call(20)
    packets = [enhanced(record) for record in records]
    at = len(packets[9]) - 4 if from_end else 4
    packets[9] = overwritten(packets[9], at, struct.pack("<I", length))
    capture = read(tmp_path, section() + interface() + b"".join(packets))
    assert sequences(capture) == list(range(1, 21))
    assert len(capture.problems) == 1


def test_rubbish_between_blocks(tmp_path: Path) -> None:
    records = call(20)
    before, after = (b"".join(map(enhanced, part)) for part in (records[:10], records[10:]))
    head = section() + interface()
    for size in (400, 401, 10_000_000):
        capture = read(tmp_path, head + before + b"\xee" * size + after)
        assert sequences(capture) == list(range(1, 21))
        assert [problem.offset for problem in capture.problems] == [len(head + before)]


def test_blocks_larger_than_what_is_looked_at_once(tmp_path: Path) -> None:
    records = call(20)
    before, after = (b"".join(map(enhanced, part)) for part in (records[:10], records[10:]))
    capture = read(tmp_path, section() + interface() + before + block(0xBAD, bytes(20_000_000)) + after)
    assert sequences(capture) == list(range(1, 21))
    assert capture.problems == ()


def test_packets_without_a_described_interface(tmp_path: Path) -> None:
    packets = b"".join(map(enhanced, call(20)))
    for head in (section(), section() + overwritten(interface(), 4, b"\x55")):
        capture = read(tmp_path, head + packets)
        assert sequences(capture) == list(range(1, 21))
        assert capture.problems
    capture = read(tmp_path, section() + interface() + b"".join(enhanced(record, 7) for record in call(20)))
    assert sequences(capture) == list(range(1, 21))


def test_packets_longer_than_any_window_end_nothing(tmp_path: Path) -> None:
    jumbo = Record(BEGAN_NS, ethernet(udp(b"x" * 60_000)) + bytes(200_000))
    capture = read(tmp_path, pcap([jumbo] * 100 + call(10)))
    assert sequences(capture) == list(range(1, 11))
    assert (capture.packets, capture.problems) == (110, ())


def test_many_places_are_told_as_a_number(tmp_path: Path) -> None:
    parts = [pcap(call(3))]
    parts += [pcap(call(5))[24:] + b"\xff" * 40 for _ in range(150)]
    capture = read(tmp_path, b"".join(parts))
    assert capture.packets == 753
    assert len(capture.problems) == 101
    assert capture.problems[-1].problem == "50 more places are damaged"


@pytest.mark.parametrize("name", FILES)
def test_real_captures_cut_anywhere(tmp_path: Path, name: str) -> None:
    whole = (FOLDER / name).read_bytes()
    random = np.random.default_rng(len(whole))
    packets = read(tmp_path, whole).packets
    for size in sorted(random.integers(0, len(whole), 8).tolist(), reverse=True):
        capture = read(tmp_path, whole[:size])
        assert capture.packets <= packets
        packets = capture.packets
        for stream in capture.streams:
            assert len(stream.packets()) == stream.count


@pytest.mark.parametrize("name", FILES)
def test_real_captures_with_flipped_octets(tmp_path: Path, name: str) -> None:
    whole = np.fromfile(FOLDER / name, np.uint8)
    random = np.random.default_rng(len(whole))
    for flips in (1, 10, 1000):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), flips)] ^= random.integers(1, 256, flips).astype(np.uint8)
        capture = read(tmp_path, damaged.tobytes())
        for stream in capture.streams:
            assert len(stream.packets()) == stream.count


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.sampled_from([pcap(call(12)), pcap(call(12), order=">", nanoseconds=True), pcapng(call(12))]),
    places=st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=5)), max_size=6),
    cut=st.integers(0, 3000),
)
def test_nothing_raises(tmp_path: Path, whole: bytes, places: list[tuple[int, bytes]], cut: int) -> None:
    for at, octets in places:
        whole = overwritten(whole, at, octets)
    capture = read(tmp_path, whole[: len(whole) - cut])
    assert capture.packets <= 40
    for stream in capture.streams:
        assert len(stream.packets()) == stream.count


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), magic=st.sampled_from([b"", b"\xd4\xc3\xb2\xa1", b"\n\r\r\n", b"GMBU"]))
def test_rubbish_alone(tmp_path: Path, data: bytes, magic: bytes) -> None:
    read(tmp_path, magic + data)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=st.lists(st.binary(max_size=120), max_size=20),
    link=st.sampled_from([0, 1, 9, 101, 113, 228, 229, 276, 65535]),
)
def test_frames_of_rubbish(tmp_path: Path, frames: list[bytes], link: int) -> None:
    records = [Record(BEGAN_NS + i, frame or b"\0") for i, frame in enumerate(frames)]
    assert read(tmp_path, pcap(records, link=link)).packets == len(frames)


def test_rtp_headers_of_rubbish(tmp_path: Path) -> None:
    heads = [rtp(i, bytes(i), first=0x80 + i) for i in range(64)]
    records = [Record(BEGAN_NS + i, ethernet(udp(head))) for i, head in enumerate(heads)]
    assert read(tmp_path, pcap(records)).packets == 64
