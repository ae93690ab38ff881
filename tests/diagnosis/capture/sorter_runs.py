"""Runs frames through a sorter, one every millisecond."""

from __future__ import annotations

from collections.abc import Iterable

from ringback.diagnosis.capture.sorting import MediaDatagram, Sorted, Sorter
from tests.diagnosis.capture.packets import ETHERNET, ethernet

MILLISECOND = 1_000_000


def sort_frames(
    frames: Iterable[bytes], link_type: int = ETHERNET, *, every_ns: int = MILLISECOND, snap: int = 1 << 20
) -> tuple[Sorted, list[MediaDatagram]]:
    """What is in frames, cut to `snap` octets, of which the n-th (from 0) came at n * `every_ns`."""
    sorter = Sorter()
    media: list[MediaDatagram] = []
    for n, frame in enumerate(frames):
        sorter.frame(n * every_ns, link_type, frame[:snap], len(frame), n + 1)
        media += sorter.reassembled()
    found = sorter.finish()
    return found, [*media, *sorter.reassembled()]


def sort_packets(
    packets: Iterable[bytes], *, every_ns: int = MILLISECOND, snap: int = 1 << 20
) -> tuple[Sorted, list[MediaDatagram]]:
    """The same for IP packets, in frames of Ethernet."""
    return sort_frames((ethernet(packet) for packet in packets), every_ns=every_ns, snap=snap)


def messages(found: Sorted) -> list[bytes]:
    """The SIP messages."""
    return [packet.data for packet in found.signalling]
