"""G.711 μ-law and A-law between bytes and samples, whole columns at a time and by table (ITU-T G.711)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ringback.native import at, kernels

Law = Literal["PCMU", "PCMA"]
Samples = NDArray[np.float32]
Octets = NDArray[np.uint8]

SILENCE: dict[Law, int] = {"PCMU": 0xFF, "PCMA": 0xD5}
"""The code of a zero (for A-law: of the smallest positive value, as it has no zero)."""

# Samples are indexed as 14-bit numbers: μ-law resolves 14 bits of a sample and A-law 13, so a table of 16384
# codes loses nothing against one of 65536 and stays in the first-level cache.
_INDEX_SCALE = np.float32(8192)


def _expand_ulaw() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 1) + 33) << ((code >> 4) & 7)) - 33
    return (np.where(code & 0x80, -magnitude, magnitude) / 8192).astype(np.float32)


def _expand_alaw() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code >> 4) & 7
    magnitude = ((code & 0x0F) << 1) + 1 + np.where(segment > 0, 32, 0)
    magnitude <<= np.maximum(segment - 1, 0)
    return (np.where(code & 0x80, magnitude, -magnitude) / 4096).astype(np.float32)


def _segment(magnitude: NDArray[np.int32], first_bit: int) -> NDArray[np.int32]:
    """Number of the segment: how far the highest set bit lies above `first_bit`."""
    segment = np.zeros_like(magnitude)
    for bit in range(first_bit + 1, first_bit + 8):
        segment += magnitude >= (1 << bit)
    return segment


def _compress_ulaw() -> Octets:
    value = np.arange(-8192, 8192, dtype=np.int32)
    # One's complement mirrors the half-open intervals of negative values, as G.191 does.
    magnitude = np.minimum(np.where(value < 0, ~value, value) + 33, 0x1FFF)
    segment = _segment(magnitude, 5)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    return np.asarray(~(code | np.where(value < 0, 0x80, 0)) & 0xFF, dtype=np.uint8)


def _compress_alaw() -> Octets:
    value = np.arange(-8192, 8192, dtype=np.int32) >> 2
    magnitude = np.where(value < 0, ~value, value)
    segment = _segment(magnitude, 3)
    code = (segment << 4) | ((magnitude >> np.maximum(segment - 1, 0)) & 0x0F)
    return np.asarray((code | np.where(value < 0, 0, 0x80)) ^ 0x55, dtype=np.uint8)


_DECODE: dict[Law, Samples] = {"PCMU": _expand_ulaw(), "PCMA": _expand_alaw()}
TABLES: Samples = np.stack([_DECODE["PCMU"], _DECODE["PCMA"]])
"""Samples float32[2, 256] of mu-law and A-law, for compiled loops."""
_ENCODE: dict[Law, Octets] = {"PCMU": _compress_ulaw(), "PCMA": _compress_alaw()}
_SQUARE: dict[Law, Samples] = {law: table * table for law, table in _DECODE.items()}
_MARK = 512.0
"""Added to the square of a code at the end of the scale: more than all squares of a frame together."""
_MARKED: dict[Law, Samples] = {
    law: (square + np.where(square == square.max(), _MARK, 0)).astype(np.float32)
    for law, square in _SQUARE.items()
}


def decode(payload: Octets, law: Law, out: Samples | None = None) -> Samples:
    """Decode `payload` uint8[n, m] (any shape) to samples float32 of the same shape, full scale ±1.

    `out`, when given, takes the result. The columns of `payload` may be a view into packets.
    """
    # With mode "wrap" NumPy needs no bounds check: half the time of plain indexing.
    return np.take(_DECODE[law], payload, out=out, mode="wrap")


def encode(samples: Samples, law: Law, out: Octets | None = None) -> Octets:
    """Encode samples float32[n, m] (any shape), full scale ±1, to uint8 of that shape; louder is clipped.

    `out`, when given, takes the result; it must be contiguous.
    """
    if kernels is not None and samples.dtype == np.float32 and samples.flags.c_contiguous:
        codes = np.empty(samples.shape, np.uint8) if out is None else out
        kernels.rb_encode(at(samples), samples.size, law == "PCMA", at(codes))
        return codes
    index = samples * _INDEX_SCALE
    index += _INDEX_SCALE
    # Truncation is floor for all that is in range, and mode "clip" puts the rest to the ends.
    return np.take(_ENCODE[law], index.astype(np.intp), out=out, mode="clip")


def energy(payload: Octets, law: Law) -> Samples:
    """Mean square of each row of `payload` uint8[n, m] as float32[n], without decoding (full scale is 1)."""
    squares = np.take(_SQUARE[law], payload, mode="wrap")
    return squares @ np.full(payload.shape[-1], 1 / payload.shape[-1], dtype=np.float32)


def decode_rows(
    frames: Octets, rows: NDArray[np.int64], law: Law, out: Samples, places: NDArray[np.int64]
) -> None:
    """Decode rows int64[k] of `frames` uint8[n, m], contiguous, into places int64[k] of float32[p, m]."""
    if kernels is None:
        out[places] = decode(frames.take(rows, axis=0), law)
    else:
        columns = at(frames), at(rows), len(rows), frames.shape[1], at(_DECODE[law])
        kernels.rb_decode(*columns, at(places), at(out))


def energy_and_clipped(frames: Octets, rows: NDArray[np.int64], law: Law) -> tuple[Samples, Samples | None]:
    """Energy and clipping of the rows int64[k] of `frames` uint8[n, m], contiguous.

    The mean square of each, float32[k], 1 at full scale; and how many of its samples are at the end of the
    scale, float32[k], or None if none is. Frames have less than 512 samples. Both come from one sum, so that
    counting costs nothing.
    """
    size = frames.shape[1]
    if kernels is not None:
        energies, clipped = np.empty((2, len(rows)), np.float32)
        measure = kernels.rb_energy_ulaw if law == "PCMU" else kernels.rb_energy_alaw
        some = measure(at(frames), at(rows), len(rows), size, at(energies), at(clipped))
        return energies, clipped if some else None
    sums = np.take(_MARKED[law], frames.take(rows, axis=0), mode="wrap") @ np.full(size, 1 / size, np.float32)
    if not len(sums) or sums.max() < _MARK / size:
        return sums, None
    clipped = np.floor(sums * np.float32(size / _MARK))
    sums -= clipped * np.float32(_MARK / size)
    return np.clip(sums, 0, 1), clipped
