"""The head of a WAV file of 16-bit mono PCM whose length is not known yet (RIFF; RF64 by EBU Tech 3306).

The head has the same size whether the file is small or beyond 4 GiB: what RF64 needs is kept free by a chunk
that readers pass over.
"""

from __future__ import annotations

import struct

HEADER_BYTES = 80
_MOST = 0xFFFFFFFF
_RIFF = struct.Struct("<4sI4s4sI28s4sIHHIIHH4sI")
_DS64 = struct.Struct("<QQQI")


def header(rate: int, data_bytes: int) -> bytes:
    """The head of a file with so many octets of samples at so many samples a second."""
    riff = HEADER_BYTES - 8 + data_bytes
    large = riff > _MOST
    sizes = _DS64.pack(riff, data_bytes, data_bytes // 2, 0) if large else bytes(28)
    return _RIFF.pack(
        b"RF64" if large else b"RIFF",
        _MOST if large else riff,
        b"WAVE",
        b"ds64" if large else b"JUNK",
        28,
        sizes,
        b"fmt ",
        16,
        1,
        1,
        rate,
        2 * rate,
        2,
        16,
        b"data",
        _MOST if large else data_bytes,
    )
