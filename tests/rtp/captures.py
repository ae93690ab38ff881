"""Reads the UDP datagrams of real captures that lie beside the project, where they are present."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CAPTURES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captures"
_LINK_HEADER = {0: 4, 1: 14, 113: 16}


class Datagram(NamedTuple):
    time: float
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


def capture(name: str) -> Path:
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"the capture {name} is not on this machine")
    return path


def index() -> list[dict[str, Any]]:
    captures: list[dict[str, Any]] = json.loads(capture("INDEX.json").read_text())["captures"]
    return captures


def datagrams(name: str) -> Iterator[Datagram]:
    """IPv4 UDP datagrams of a classic little-endian pcap file, unfragmented ones only."""
    data = capture(name).read_bytes()
    magic, link = struct.unpack_from("<I16xI", data)
    assert magic == 0xA1B2C3D4
    at = 24
    while at + 16 <= len(data):
        seconds, micros, caught, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 + _LINK_HEADER[link] : at + 16 + caught]
        at += 16 + caught
        if len(frame) < 28 or frame[0] >> 4 != 4 or frame[9] != 17:
            continue
        ip = 4 * (frame[0] & 15)
        source, destination, length = struct.unpack_from("!HHH", frame, ip)
        yield Datagram(
            seconds + micros / 1e6,
            (".".join(map(str, frame[12:16])), source),
            (".".join(map(str, frame[16:20])), destination),
            frame[ip + 8 : ip + length],
        )
