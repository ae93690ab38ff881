"""Streams are told apart and kept, in memory or on disk, and floods cost no more than their bounds."""

from __future__ import annotations

import struct
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from ringback.diagnosis.capture import datagram_counts, streams
from ringback.diagnosis.capture.captured import Capture, Endpoints, Packets
from ringback.diagnosis.capture.read import read_capture
from ringback.diagnosis.capture.rows import ROW
from ringback.diagnosis.capture.streams import Shelf, StreamGatherer, stable_order

from .written import BEGAN_NS, Record, ethernet, pcap, rtp, udp


def read(tmp_path: Path, records: list[Record], **options: int) -> Capture:
    path = tmp_path / "some.pcap"
    path.write_bytes(pcap(records))
    return read_capture([path], **options)


def rows(sequence: list[int], step: int = 160) -> np.ndarray:
    made = np.zeros(len(sequence), ROW)
    made["sequence"] = sequence
    made["timestamp"] = np.array(sequence, np.int64) * step & 0xFFFFFFFF
    made["arrived_ns"] = np.arange(len(sequence)) * 20_000_000
    return made


def certain(made: np.ndarray) -> bool:
    gatherer = StreamGatherer()
    gatherer.add(made, np.zeros((len(made), 40), np.uint8))
    return not gatherer.finish().uncertain


def test_what_looks_like_rtp_by_its_numbers() -> None:
    assert certain(rows([1, 2, 3, 4]))
    assert not certain(rows([1, 2, 3])), "too few"
    assert certain(rows([65534, 65535, 0, 1])), "around the end"
    assert certain(rows([1, 1, 2, 2, 3, 3])), "seen twice"
    assert certain(rows([1, 3, 2, 4, 5, 6, 8, 7, 9])), "reordered"
    assert certain(rows(list(range(0, 400, 40)))), "of a capture that lacks most"
    assert certain(rows([1, 2, 3, 4, 30_000, 30_001, 30_002])), "begins anew"
    random = np.random.default_rng(1)
    assert not certain(rows(random.integers(0, 65536, 200).tolist()))
    clock = rows(list(range(50)))
    clock["timestamp"] = random.integers(0, 2**32, 50)
    assert not certain(clock), "a counter that is no clock's"
    assert not certain(rows([7] * 50)), "one number"


def several(streams_: int, packets: int) -> list[Record]:
    """Streams side by side, of the same addresses, with G.711 of different loudness."""
    frames = [
        ethernet(udp(rtp(i, bytes([i % 256]) * 160, ssrc=source, payload_type=0, timestamp=i * 160)))
        for i in range(packets)
        for source in range(streams_)
    ]
    return [Record(BEGAN_NS + i * 1_000_000, frame) for i, frame in enumerate(frames)]


def test_packets_on_disk_are_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = several(7, 300)
    in_memory = read(tmp_path, records)
    monkeypatch.setattr(StreamGatherer.__init__, "__defaults__", (streams.MEMORY_BYTES, 100))
    half = read(tmp_path, records, memory_bytes=10 * 100 * ROW.itemsize)
    on_disk = read(tmp_path, records, memory_bytes=0)
    for capture in (half, on_disk):
        assert [stream.key for stream in capture.streams] == [stream.key for stream in in_memory.streams]
        for one, other in zip(capture.streams, in_memory.streams, strict=True):
            assert (one.count, one.began_ns, one.ended_ns) == (other.count, other.began_ns, other.ended_ns)
            mine, theirs = one.packets(), other.packets()
            for field in fields(Packets):
                assert np.array_equal(getattr(mine, field.name), getattr(theirs, field.name))
    assert in_memory.streams[3].packets().sequence.tolist() == list(range(300))


def test_a_temporary_file_that_is_cut_is_told() -> None:
    shelf = Shelf(0)
    segment = shelf.put(rows([1, 2, 3]))
    with pytest.raises(OSError, match="was cut"):
        shelf.take(segment, 2, rows([0, 0, 0]))


def test_single_packets_are_uncertain_and_kept(tmp_path: Path) -> None:
    records = [*several(1, 10), Record(BEGAN_NS, ethernet(udp(rtp(5), sport=9000)))]
    capture = read(tmp_path, records)
    assert [stream.count for stream in capture.streams] == [10, 1]
    assert capture.uncertain == {capture.streams[1].key}


def test_a_flood_of_single_packets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 1000)
    monkeypatch.setattr(streams, "MOST_UNCERTAIN", 100)
    gatherer = StreamGatherer(segment_rows=256)
    real = rows(list(range(240)))
    real_key, keys = np.full((4, 40), 7, np.uint8), np.zeros((500, 40), np.uint8)
    for i in range(60):
        gatherer.add(real[4 * i : 4 * i + 4], real_key)
        keys[:, 36:] = (np.arange(500, dtype=">u4") + i * 500)[:, None].view(np.uint8)
        gatherer.add(rows(list(range(500))), keys)
    found = gatherer.finish()
    assert len(found.streams) == 101
    assert len(found.uncertain) == 100
    assert found.forgotten_packets == 30_000 - 100
    assert found.streams[0].packets().sequence.tolist() == list(range(240))


def test_more_streams_than_are_followed_leave_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 100)
    gatherer = StreamGatherer(segment_rows=256)
    for i in range(300):
        keys = np.zeros((4 + i % 3, 40), np.uint8)
        keys[:, :2] = struct.unpack("BB", struct.pack("!H", i))
        gatherer.add(rows(list(range(len(keys)))), keys)
    found = gatherer.finish()
    assert 50 <= len(found.streams) <= 101
    assert found.forgotten_packets == sum(4 + i % 3 for i in range(300)) - sum(s.count for s in found.streams)
    for stream in found.streams:
        assert stream.packets().sequence.tolist() == list(range(stream.count))


def test_other_udp_is_counted_by_flow(tmp_path: Path) -> None:
    records = [Record(BEGAN_NS + i, ethernet(udp(bytes(30), sport=30_000))) for i in range(500)]
    records += [Record(BEGAN_NS + i, ethernet(udp(b"\x80\x01" + bytes(28), dport=53))) for i in range(300)]
    capture = read(tmp_path, records)
    counts = {flow.endpoints: (flow.kind, flow.packets, flow.octets) for flow in capture.other}
    assert counts == {
        Endpoints("192.0.2.1", 30_000, "192.0.2.2", 5000): ("unknown", 500, 15_000),
        Endpoints("192.0.2.1", 4000, "192.0.2.2", 53): ("dns", 300, 9000),
    }
    assert capture.streams == ()


def test_a_flood_of_flows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_counts, "MOST_FLOWS", 100)
    monkeypatch.setattr(datagram_counts, "MOST_LOOKED_AT", 50)
    counts = datagram_counts.DatagramCounts()
    keys = np.zeros((90, 40), np.uint8)
    looked_at = 0
    for i in range(20):
        keys[:, 32:36] = (np.arange(90, dtype=">u4") + i * 90)[:, None].view(np.uint8)
        look = counts.add(keys, np.ones(90, np.bool_), np.full(90, 5, np.uint16), np.arange(90))
        looked_at += int(look.sum())
    flows = counts.merged(())
    assert looked_at == 50
    assert len(flows) <= 190
    assert sum(flow.packets for flow in flows) + counts.uncounted == 20 * 90 - 50


def test_order_of_many_numbers() -> None:
    numbers = np.random.default_rng(3).integers(0, 1 << 20, 5000).astype(np.int32)
    assert np.array_equal(stable_order(numbers), np.argsort(numbers, kind="stable"))
