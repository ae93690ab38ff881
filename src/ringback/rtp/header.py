"""RTP headers of many packets at once, read from and written to rows of one buffer (RFC 3550, 5.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.native import at, kernels

Octets = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Integers = int | NDArray[np.integer[Any]]

HEADER_BYTES = 12
VERSION = 2

_FIXED = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)
_PADDING = 0x20
_EXTENSION = 0x10
_CSRC_COUNT = 0x0F
_MARKER = 0x80

# The second octet of RTCP, read as marker and payload type, lies in a range RTP keeps free (RFC 5761, 4).
_RTCP_FIRST_TYPE = 192
_RTCP_LAST_TYPE = 223


class RtpColumns(NamedTuple):
    """The headers of n packets, an array each; where `valid` is false the other columns mean nothing.

    `payload_offset` and `payload_length` are in octets from the start of the row, without padding;
    a payload may be empty. `extension_offset` is where a header extension's profile begins, or 0.
    """

    valid: Mask
    payload_type: NDArray[np.uint8]
    marker: Mask
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    payload_offset: NDArray[np.int32]
    payload_length: NDArray[np.int32]
    extension_offset: NDArray[np.int32]


def parse(buffer: Octets, lengths: NDArray[np.integer[Any]]) -> RtpColumns:
    """Read the header of each row of `buffer` uint8[n, MTU], of which `lengths` int[n] octets were received.

    A row is valid when it is of version 2 and its CSRC list, extension and padding lie inside its length.
    Nothing beyond a row's length is believed, whatever an earlier packet left there.
    """
    length = lengths.astype(np.int32)
    if kernels is not None and buffer.flags.c_contiguous and buffer.shape[1] >= HEADER_BYTES:
        return _parse_compiled(kernels, buffer, length)
    fixed = np.ascontiguousarray(buffer[:, :HEADER_BYTES]).view(_FIXED)[:, 0]
    first, second = fixed["first"], fixed["second"]
    valid = (first >> 6 == VERSION) & (length >= HEADER_BYTES) & (length <= buffer.shape[1])
    offset = HEADER_BYTES + 4 * (first & _CSRC_COUNT).astype(np.int32)
    extension_offset = np.zeros_like(offset)
    end = length.copy()

    rows = np.flatnonzero(valid & (first & _EXTENSION != 0))
    if rows.size:
        _skip_extension(buffer, rows, length, offset, extension_offset)
    rows = np.flatnonzero(valid & (first & _PADDING != 0))
    if rows.size:
        # The last octet counts the padding, itself included; 0 is therefore not a count.
        padding = buffer[rows, length[rows] - 1]
        end[rows] -= padding
        valid[rows[padding == 0]] = False
    valid &= offset <= end
    return RtpColumns(
        valid,
        second & np.uint8(0x7F),
        second >= _MARKER,
        fixed["sequence"].astype(np.uint16),
        fixed["timestamp"].astype(np.uint32),
        fixed["ssrc"].astype(np.uint32),
        offset,
        end - offset,
        extension_offset,
    )


def _parse_compiled(library: Any, buffer: Octets, length: NDArray[np.int32]) -> RtpColumns:
    n = len(length)
    columns = RtpColumns(
        np.empty(n, np.bool_),
        np.empty(n, np.uint8),
        np.empty(n, np.bool_),
        np.empty(n, np.uint16),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
    )
    library.rb_parse(at(buffer), buffer.shape[1], at(length), n, *map(at, columns))
    return columns


def _skip_extension(
    buffer: Octets,
    rows: NDArray[np.intp],
    length: NDArray[np.int32],
    offset: NDArray[np.int32],
    extension_offset: NDArray[np.int32],
) -> None:
    """Move `offset` past the header extension of `rows`; past the row's end where it does not fit."""
    start = offset[rows]
    whole = start + 4 <= length[rows]
    offset[rows[~whole]] = length[rows[~whole]] + 1
    rows, start = rows[whole], start[whole]
    words = (buffer[rows, start + 2].astype(np.int32) << 8) | buffer[rows, start + 3]
    extension_offset[rows] = start
    offset[rows] = start + 4 + 4 * words


def is_rtcp(buffer: Octets, lengths: NDArray[np.integer[Any]]) -> Mask:
    """Which rows are RTCP rather than RTP, on a port that carries both (RFC 5761, 4): bool[n]."""
    second = buffer[:, 1]
    rtcp: Mask = (second >= _RTCP_FIRST_TYPE) & (second <= _RTCP_LAST_TYPE)
    rtcp &= buffer[:, 0] >> 6 == VERSION
    rtcp &= lengths >= 8
    return rtcp


def encode(
    out: Octets,
    payload_type: Integers,
    marker: bool | Mask,
    sequence: Integers,
    timestamp: Integers,
    ssrc: Integers,
) -> None:
    """Write a header of 12 octets to the front of each row of `out` uint8[n, 12 or more].

    Every other argument is an array of n or one value for all rows; sequence, timestamp and ssrc are taken
    modulo their size, so that counters may simply run on.
    """
    fixed = np.empty(len(out), dtype=_FIXED)
    fixed["first"] = VERSION << 6
    fixed["second"] = np.bitwise_or(payload_type, np.multiply(marker, _MARKER))
    fixed["sequence"] = np.bitwise_and(sequence, 0xFFFF)
    fixed["timestamp"] = np.bitwise_and(timestamp, 0xFFFFFFFF)
    fixed["ssrc"] = ssrc
    out[:, :HEADER_BYTES] = fixed.view(np.uint8).reshape(len(out), HEADER_BYTES)
