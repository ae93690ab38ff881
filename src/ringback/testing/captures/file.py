"""Capture files: Ethernet frames as pcap or pcapng, their packets in order of their time stamps."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ETHERNET = 1
_MINIMUM = 60
_PCAP = struct.Struct("<IHHiIII")
_RECORD = np.dtype([("seconds", "<u4"), ("fraction", "<u4"), ("captured", "<u4"), ("length", "<u4")])
_BLOCK = np.dtype(
    [
        ("type", "<u4"),
        ("total", "<u4"),
        ("interface", "<u4"),
        ("high", "<u4"),
        ("low", "<u4"),
        ("captured", "<u4"),
        ("length", "<u4"),
    ]
)


@dataclass(frozen=True, slots=True)
class Link:
    """The Ethernet that a capture was taken on: the stations at both ends, and a VLAN (0 for none)."""

    caller_side: bytes
    called_side: bytes
    vlan: int = 0
    priority: int = 0

    def header(self, *, from_caller: bool) -> bytes:
        """Of a frame of IPv4."""
        ends = (self.called_side, self.caller_side) if from_caller else (self.caller_side, self.called_side)
        tag = struct.pack("!HH", 0x8100, self.priority << 13 | self.vlan) if self.vlan else b""
        return b"".join(ends) + tag + b"\x08\x00"


def write(
    at_ns: NDArray[np.int64],
    packets: Sequence[bytes],
    from_caller: NDArray[np.bool_],
    link: Link,
    *,
    form: str = "pcap",
    snap_length: int = 262144,
) -> bytes:
    """A file of IP packets, in the order given; `form` is pcap, pcap-ns or pcapng.

    Frames are as a receiver sees them: at least 60 octets, without check sequence.
    """
    heads = link.header(from_caller=False), link.header(from_caller=True)
    head_size = len(heads[0])
    count = len(packets)
    sizes = np.fromiter(map(len, packets), np.int64, count) + head_size
    padding = np.maximum(_MINIMUM - sizes, 0)
    lengths = sizes + padding
    frames = [heads[toward] + packet for toward, packet in zip(from_caller.tolist(), packets, strict=True)]
    for row in np.flatnonzero(padding):
        frames[row] += bytes(int(padding[row]))
    if (lengths > snap_length).any():
        frames = [frame[:snap_length] for frame in frames]
    captured = np.minimum(lengths, snap_length)
    if form == "pcapng":
        return _pcapng(at_ns, frames, lengths, captured, snap_length)
    nano = form == "pcap-ns"
    records = np.empty(count, _RECORD)
    records["seconds"] = at_ns // 1_000_000_000
    records["fraction"] = at_ns % 1_000_000_000 // (1 if nano else 1000)
    records["captured"], records["length"] = captured, lengths
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    return _PCAP.pack(magic, 2, 4, 0, 0, snap_length, ETHERNET) + _joined(records, frames)


def _joined(heads: NDArray[np.void], frames: list[bytes], *after: list[bytes]) -> bytes:
    data, step = heads.tobytes(), heads.dtype.itemsize
    columns = [[data[at : at + step] for at in range(0, len(data), step)], frames, *after]
    parts: list[bytes] = [b""] * (len(frames) * len(columns))
    for place, column in enumerate(columns):
        parts[place :: len(columns)] = column
    return b"".join(parts)


def _pcapng(
    at_ns: NDArray[np.int64],
    frames: list[bytes],
    lengths: NDArray[np.int64],
    captured: NDArray[np.int64],
    snap_length: int,
) -> bytes:
    """One section with one interface, whose stamps are in ns."""
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    resolution = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    total = 20 + len(resolution)
    interface = struct.pack("<IIHHI", 1, total, ETHERNET, 0, snap_length) + resolution
    interface += struct.pack("<I", total)
    blocks = np.empty(len(frames), _BLOCK)
    padding = -captured % 4
    totals = 32 + captured + padding
    blocks["type"], blocks["total"], blocks["interface"] = 6, totals, 0
    blocks["high"], blocks["low"] = at_ns >> 32, at_ns & 0xFFFFFFFF
    blocks["captured"], blocks["length"] = captured, lengths
    ends = [
        bytes(pad) + struct.pack("<I", size)
        for pad, size in zip(padding.tolist(), totals.tolist(), strict=True)
    ]
    return section + interface + _joined(blocks, frames, ends)
