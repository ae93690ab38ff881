"""Real captures cut at 200 places and with 1,000 flipped octets: what came before the damage is all told."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from ringback.diagnosis.capture.captured import Capture, Packets, SipPacket
from ringback.diagnosis.capture.read import read_capture

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the captures are not beside the checkout", allow_module_level=True)

FILES = [entry["file"] for entry in json.loads(INDEX.read_text())["captures"]]
CUTS = 200
EXACTLY = 8
"""Of so many cuts one is compared with the file that ends before the damaged packet."""
FLIPS = 1_000
_ENHANCED_PACKET = 6


def record_ends(data: bytes) -> list[int]:
    """Where each packet's record ends in a file that is whole: pcap, pcapng or Network Monitor 2."""
    ends, at = [], 0
    if data.startswith(b"\x0a\x0d\x0d\x0a"):
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            at += size
            if kind == _ENHANCED_PACKET:
                ends.append(at)
        return ends
    end, at, header, length = len(data), 24, 16, "<8xI"
    if data.startswith(b"GMBU"):
        # Behind the packets there is a table of where they are.
        end, at, length = struct.unpack_from("<24xI", data)[0], 128, "<12xI"
    elif 0xCD in data[:4]:
        # Old Linux systems wrote a longer record header.
        header = 24
    while at < end:
        at += header + struct.unpack_from(length, data, at)[0]
        ends.append(at)
    return ends


def read(path: Path, data: bytes) -> Capture:
    path.write_bytes(data)
    return read_capture([path])


def messages(capture: Capture, frames: int) -> list[SipPacket]:
    """Those that were complete within the first frames."""
    kept = [packet for packet in capture.signalling if packet.frame <= frames and not packet.cut]
    return sorted(kept, key=lambda packet: packet.frame)


def contents(capture: Capture) -> list[object]:
    """All that is told of a capture but what is wrong with its file."""
    streams = [
        (stream.key, [getattr(stream.packets(), name).tobytes() for name in Packets.__slots__])
        for stream in capture.streams
    ]
    return [
        (capture.packets, capture.began_ns, capture.ended_ns, capture.uncertain),
        streams,
        capture.signalling,
        capture.control,
        capture.other,
        capture.notices,
        capture.fragmentation,
    ]


def assert_begins_with(damaged: Capture, beginning: Capture) -> None:
    """What the frames before the damage tell is told, and told first."""
    assert damaged.packets >= beginning.packets
    assert messages(damaged, beginning.packets) == messages(beginning, beginning.packets)
    assert damaged.control[: len(beginning.control)] == beginning.control
    streams = {stream.key: stream for stream in damaged.streams}
    for stream in beginning.streams:
        packets, found = stream.packets(), streams[stream.key].packets()
        for name in Packets.__slots__:
            expected, got = getattr(packets, name), getattr(found, name)[: len(packets)]
            assert np.array_equal(got, expected, equal_nan=name == "level_dbov"), (stream.key, name)


@pytest.mark.parametrize("name", FILES)
def test_a_capture_cut_anywhere(tmp_path: Path, name: str) -> None:
    data = (FOLDER / name).read_bytes()
    ends = record_ends(data)
    path = tmp_path / name
    assert read(path, data).packets == len(ends)
    chance = np.random.default_rng(200)
    for n, cut in enumerate(chance.integers(0, len(data), CUTS).tolist()):
        capture = read(path, data[:cut])
        frames = sum(end <= cut for end in ends)
        assert capture.packets == frames
        assert capture.problems or cut in (*ends, 24)
        if frames and n % EXACTLY == 0:
            assert contents(capture) == contents(read(path, data[: ends[frames - 1]]))


@pytest.mark.parametrize("name", FILES)
def test_a_capture_with_flipped_octets(tmp_path: Path, name: str) -> None:
    data = (FOLDER / name).read_bytes()
    ends = record_ends(data)
    path = tmp_path / name
    for flips in (1, 10, 100, FLIPS):
        chance = np.random.default_rng(flips)
        damaged = np.frombuffer(data, np.uint8).copy()
        places = np.unique(chance.integers(0, len(data), flips))
        damaged[places] ^= chance.integers(1, 256, len(places)).astype(np.uint8)
        capture = read(path, damaged.tobytes())
        frames = sum(end <= places[0] for end in ends)
        if frames:
            assert_begins_with(capture, read(path, data[: ends[frames - 1]]))


@pytest.mark.parametrize("name", FILES)
def test_a_capture_with_damage_in_its_second_half(tmp_path: Path, name: str) -> None:
    data = (FOLDER / name).read_bytes()
    ends = record_ends(data)
    path = tmp_path / name
    half = ends[(len(ends) - 1) // 2]
    beginning = read(path, data[:half])
    for seed in range(5):
        chance = np.random.default_rng(seed)
        damaged = np.frombuffer(data, np.uint8).copy()
        places = np.unique(chance.integers(half, len(data), FLIPS))
        damaged[places] ^= chance.integers(1, 256, len(places)).astype(np.uint8)
        assert_begins_with(read(path, damaged.tobytes()), beginning)


@pytest.mark.parametrize(("at", "octets"), [(8, b"\xff\x26"), (136 + 6, b"\x00"), (128 + 6, b"\x0f")])
def test_a_time_of_network_monitor_that_cannot_be(tmp_path: Path, at: int, octets: bytes) -> None:
    name = "protos-malformed.cap"
    data = (FOLDER / name).read_bytes()
    capture = read(tmp_path / name, data[:at] + octets + data[at + len(octets) :])
    assert capture.packets >= len(record_ends(data)) - 1
