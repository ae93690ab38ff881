"""RTP packets as rows of one dtype, and the keys that tell their streams apart, on their way to `Packets`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Endpoints, Packets, StreamKey
from ringback.diagnosis.capture.internet import address_text
from ringback.media.codec import g711

ROW: Final = np.dtype(
    [
        ("arrived_ns", "i8"),
        ("power", "f4"),
        ("timestamp", "u4"),
        ("sequence", "u2"),
        ("payload_bytes", "u2"),
        ("wire_bytes", "u2"),
        ("ip_id", "u2"),
        ("clipped", "u2"),
        ("payload_type", "u1"),
        ("marker", "?"),
        ("dscp", "u1"),
        ("ttl", "u1"),
        ("unused", "u2"),
    ]
)
"""A packet: as in `Packets`, but `power` is the mean square of its samples (1 at full scale, NaN where they
are not known). `struct row` of kernels.c is the same."""

KEY_BYTES: Final = 40
"""Source and destination address of 16 octets each (IPv4 mapped into IPv6), ports, SSRC; as on the wire."""

SORT: Final = 0
"""A frame to be looked at by itself."""
RTP: Final = 1
FLOW: Final = 2
"""UDP of unknown kind: the first of a flow are to be looked at."""
COUNT: Final = 3
"""UDP at a port of something else: need only be counted."""
NOTHING: Final = 4
"""A frame that tells nothing of calls (ARP)."""

_FULL_SCALE: Final = 8192
SILENT_DBOV: Final = -127.0
_CLIP_BIT: Final = 48


def _squares(law: g711.Law) -> NDArray[np.uint64]:
    samples = g711.decode(np.arange(256, dtype=np.uint8), law).astype(np.float64) * _FULL_SCALE
    squares = (samples * samples).astype(np.uint64)
    # A-law has no zero: its smallest two values are what silence is made of.
    squares[squares == squares.min()] = 0
    squares[squares == squares.max()] |= np.uint64(1 << _CLIP_BIT)
    return squares


SQUARES: Final = np.concatenate((_squares("PCMU"), _squares("PCMA")))
"""uint64[512]: of each code of μ-law, then A-law, its square, full scale 8192, and 2^48 if outermost."""


def power(sums: NDArray[np.uint64], samples: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean square, 1 at full scale, of so many samples with such sums of SQUARES."""
    mask = np.uint64((1 << _CLIP_BIT) - 1)
    return ((sums & mask).astype(np.float64) / (float(_FULL_SCALE**2) * samples)).astype(np.float32)


def clipped(sums: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """How many samples with such sums of SQUARES are at the end of the scale."""
    return (sums >> np.uint64(_CLIP_BIT)).astype(np.uint16)


def to_packets(rows: NDArray[np.void]) -> Packets:
    """Rows of one stream as columns."""
    columns = {
        name: np.ascontiguousarray(rows[name])
        for name in Packets.__slots__
        if name not in ("level_dbov", "__dict__", "__weakref__")
    }
    with np.errstate(divide="ignore"):
        level = np.maximum(np.float32(10) * np.log10(rows["power"]), np.float32(SILENT_DBOV))
    return Packets(**columns, level_dbov=level.astype(np.float32))


def whole(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """Rows as numbers of eight octets, uint64[n, 4]: NumPy copies rows field by field, and these at once."""
    return rows.view(np.uint64).reshape(len(rows), ROW.itemsize // 8)


def address_bytes(address: bytes) -> bytes:
    """An address of 4 or 16 octets as a key has it."""
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def endpoints(key: bytes) -> Endpoints:
    """The addresses in a key."""
    return Endpoints(_text(key[:16]), _port(key, 32), _text(key[16:32]), _port(key, 34))


def stream_key(key: bytes) -> StreamKey:
    """A key as people read it."""
    return StreamKey(*endpoints(key), int.from_bytes(key[36:40], "big"))


def _text(address: bytes) -> str:
    return address_text(address[12:] if address[:12] == bytes(10) + b"\xff\xff" else address)


def _port(key: bytes, at: int) -> int:
    return key[at] << 8 | key[at + 1]
