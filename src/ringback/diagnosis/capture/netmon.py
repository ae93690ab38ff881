"""Captures of Microsoft Network Monitor, version 2, as far as they are small (its documented file format)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np

from ringback.diagnosis.capture.records import Batch, Problems, Window

MAGIC: Final = b"GMBU"
_HEADER: Final = struct.Struct("<4sBBH8HII")
_FRAME: Final = struct.Struct("<QII")
_FIRST_FRAME: Final = 128
_LATEST_US: Final = 1 << 50
"""After its file's beginning, that a frame may have come: 35 years, more is damage."""
_LAST_YEAR: Final = 2200
_ETHERNET: Final = 1
_LINKS: Final = {_ETHERNET: 1}


def records(window: Window, problems: Problems) -> Iterator[Batch]:
    """The frames of a file, in one batch; its table of frames is at its end, so it must fit in the window."""
    data = window.data
    if not window.ended or len(data) < _HEADER.size:
        problems.add(0, "Network Monitor's files are read up to 8 MB, and from their header on")
        return
    view = data.data
    _, _, _, network, *began, table, octets = _HEADER.unpack_from(view)
    places = range(table, min(table + octets, len(data) - 3), 4)
    if len(places) * 4 < octets:
        problems.add(table, "the file ends within its table of frames, or before it")
    starts = _starts(view, table, [struct.unpack_from("<I", view, place)[0] for place in places])
    link, began_ns = _LINKS.get(network, network), _time(began)
    columns = []
    for at in starts:
        frame = _FRAME.unpack_from(view, at) if at + _FRAME.size <= len(data) else None
        if frame is None or at + _FRAME.size + frame[2] > len(data) or frame[0] >= _LATEST_US:
            problems.add(at, "a frame of the file's table is not there", 1)
            continue
        after_us, whole, there = frame
        columns.append((at + _FRAME.size, there, max(whole, there), began_ns + after_us * 1000))
    if columns:
        offset, captured, original, at_ns = (np.array(column) for column in zip(*columns, strict=True))
        yield Batch(
            data,
            offset.astype(np.int64),
            captured.astype(np.uint32),
            original.astype(np.uint32),
            at_ns.astype(np.int64),
            np.full(len(offset), link & 0xFFFF, np.uint16),
            1,
        )


def _starts(view: memoryview, table: int, listed: list[int]) -> list[int]:
    """Where frames begin: as they follow each other up to their table, else as it lists them."""
    followed, at = [], _FIRST_FRAME
    while at + _FRAME.size <= min(table, len(view)):
        followed.append(at)
        at += _FRAME.size + _FRAME.unpack_from(view, at)[2]
    if at == table or not listed:
        return followed
    known = set(listed)
    while followed and followed[-1] not in known:
        followed.pop()
    return followed + sorted(place for place in known if not followed or place > followed[-1])


def _time(fields: list[int]) -> int:
    """The time of a file's beginning in ns; it does not say of which zone it is: taken as UTC."""
    year, month, _, day, hour, minute, second, milliseconds = fields
    if year > _LAST_YEAR:
        return 0
    try:
        began = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return 0
    return max(0, int(began.timestamp())) * 1_000_000_000 + milliseconds % 1000 * 1_000_000
