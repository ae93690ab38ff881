"""RTP header extensions of many packets at once: both forms, and the audio level (RFC 8285, RFC 6464)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.rtp.header import HEADER_BYTES, Octets, RtpColumns

UNKNOWN_LEVEL = 255
"""The level of a packet that tells none."""
MAX_ELEMENTS = 16
"""Elements and octets of padding looked at for the one that is wanted: who sends more is not heard out."""

_ONE_BYTE = 0xBEDE
_TWO_BYTE = 0x100
"""Of which the last four bits are the application's (RFC 8285, 4.3)."""
_STOP = 15
"""The identifier that ends reading in the one-byte form (RFC 8285, 4.2)."""


class _Reader:
    """Goes through the elements of k packets at once, one of each a turn."""

    def __init__(
        self,
        buffer: Octets,
        rows: NDArray[np.intp],
        start: NDArray[np.int32],
        end: NDArray[np.int32],
        wanted: NDArray[np.integer[Any]],
    ) -> None:
        """The extensions lie between `start` and `end` of each of `rows`."""
        self._buffer = buffer
        self._rows = rows
        self._wanted = wanted
        self._end = end
        profile = (buffer[rows, start].astype(np.int32) << 8) | buffer[rows, start + 1]
        self._wide = profile >> 4 == _TWO_BYTE
        self._at = start + 4
        self.offset = np.zeros(len(rows), np.int32)
        self.length = np.zeros(len(rows), np.int32)
        self.going = np.flatnonzero((self._wide | (profile == _ONE_BYTE)) & (self._at < end))

    def turn(self) -> None:
        """Read the next element or octet of padding of the packets that are not done."""
        going = self.going
        rows, at, end, wide = self._rows[going], self._at[going], self._end[going], self._wide[going]
        head = self._buffer[rows, at].astype(np.int32)
        # An octet of zero is padding in both forms.
        padding = head == 0
        identifier = np.where(wide, head, head >> 4)
        size = (head & 0x0F) + 1
        if wide.any():
            size = np.where(wide, self._buffer[rows, np.minimum(at + 1, end - 1)], size)
        body = at + np.where(wide, 2, 1)
        following = np.where(padding, at + 1, body + size)
        hit = ~padding & (following <= end) & (identifier == self._wanted[going])
        self.offset[going[hit]] = body[hit]
        self.length[going[hit]] = size[hit]
        self._at[going] = following
        self.going = going[~(hit | (~wide & (identifier == _STOP)) | (following >= end))]


def find(
    buffer: Octets, columns: RtpColumns, rows: NDArray[np.intp], identifiers: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where in each of `rows` intp[k] the element of its `identifiers` int[k] (1 to 255) has its data.

    Returns offset int32[k] from the start of the row, 0 where the packet has no such element, and length
    int32[k] in octets. Nothing beyond an extension's own length is read.
    """
    offset = np.zeros(len(rows), np.int32)
    length = np.zeros(len(rows), np.int32)
    some = np.flatnonzero((columns.extension_offset[rows] > 0) & columns.valid[rows])
    if len(some):
        where = rows[some]
        start, end = columns.extension_offset[where], columns.payload_offset[where]
        reader = _Reader(buffer, where, start, end, identifiers[some])
        for _ in range(MAX_ELEMENTS):
            if not len(reader.going):
                break
            reader.turn()
        offset[some], length[some] = reader.offset, reader.length
    return offset, length


def audio_levels(
    buffer: Octets, columns: RtpColumns, rows: NDArray[np.intp], identifiers: NDArray[np.integer[Any]]
) -> NDArray[np.uint8]:
    """The level that each of `rows` tells of its own audio: uint8[k], 0 (loudest) to 127, in -dBov.

    `identifiers` int[k] is the element's number on each row's leg, 0 where none was agreed on. UNKNOWN_LEVEL
    where a packet tells nothing. The octet's first bit, the sender's own view of who speaks, is left out.
    """
    levels = np.full(len(rows), UNKNOWN_LEVEL, np.uint8)
    asked = np.flatnonzero((identifiers > 0) & (columns.extension_offset[rows] > 0) & columns.valid[rows])
    if not len(asked):
        return levels
    where, wanted = rows[asked], identifiers[asked]
    # Nearly all: no CSRC, the one-byte form, the level first in it, of one octet.
    head = buffer[where, HEADER_BYTES : HEADER_BYTES + 6]
    usual = (columns.extension_offset[where] == HEADER_BYTES) & (head[:, 0] == _ONE_BYTE >> 8)
    usual &= (head[:, 1] == _ONE_BYTE & 0xFF) & (head[:, 4] == wanted << 4) & (wanted < _STOP)
    usual &= columns.payload_offset[where] >= HEADER_BYTES + 8
    levels[asked[usual]] = head[usual, 5] & 0x7F
    if not usual.all():
        asked = asked[~usual]
        offset, length = find(buffer, columns, rows[asked], identifiers[asked])
        told = np.flatnonzero(length > 0)
        levels[asked[told]] = buffer[rows[asked[told]], offset[told]] & 0x7F
    return levels
