"""How a stream sounds where its codec is open: level, silence and clipping of G.711."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.measured import Sound

SILENT_DBOV: Final = -50.0
DIGITAL_SILENCE_DBOV: Final = -127.0

CIPHER_DBOV: Final = -10.2
"""About the level of octets that mean nothing, by either law of G.711; such packets hardly differ."""

_CIPHER_NEAR_DB: Final = 0.7
_CIPHER_SPREAD_DB: Final = 2.4
_CIPHER_CLIPPED: Final = (0.003, 0.016)
"""Two codes of 256 are outermost."""

_FEWEST: Final = 25


@dataclass(frozen=True, slots=True)
class Heard:
    """The h packets that could be decoded: `rows` intp[h], with level, and clipped and all samples of each.

    `loud` intp[l] are the places among them of those that are not silent, `power` float64[l] is theirs.
    """

    rows: NDArray[np.intp]
    level_dbov: NDArray[np.float32]
    clipped: NDArray[np.uint16]
    samples: NDArray[np.uint16]
    loud: NDArray[np.intp]
    power: NDArray[np.float64]


def legible(packets: Packets) -> Packets:
    """The packets without levels where what was decoded is ciphertext (SRTP, RFC 3711) and no sound.

    Its octets are as good as random, so that all packets are equally loud and equally often at the limit,
    which nothing is that anybody says. Signalling that is encrypted, too, could not tell.
    """
    known = np.isfinite(packets.level_dbov)
    levels = packets.level_dbov[known]
    if len(levels) < _FEWEST:
        return packets
    low, middle, high = np.percentile(levels, (5, 50, 95))
    if abs(middle - CIPHER_DBOV) > _CIPHER_NEAR_DB or max(middle - low, high - middle) > _CIPHER_SPREAD_DB:
        return packets
    samples = int(packets.payload_bytes[known].sum(dtype=np.int64))
    share = int(packets.clipped[known].sum(dtype=np.int64)) / max(samples, 1)
    if not _CIPHER_CLIPPED[0] <= share <= _CIPHER_CLIPPED[1]:
        return packets
    nothing = np.full(len(packets), np.nan, np.float32)
    return replace(packets, level_dbov=nothing, clipped=np.zeros(len(packets), np.uint16))


def hear(packets: Packets, rows: NDArray[np.intp]) -> Heard | None:
    """The packets at `rows` whose payload was decoded; None where there is none."""
    levels = packets.level_dbov[rows]
    dark = np.isnan(levels)
    if dark.any():
        rows, levels = rows[~dark], levels[~dark]
    if not len(rows):
        return None
    loud = np.flatnonzero(levels >= SILENT_DBOV)
    power = np.exp(levels[loud] * (np.log(10) / 10), dtype=np.float64)
    return Heard(rows, levels, packets.clipped[rows], packets.payload_bytes[rows], loud, power)


def sound(heard: Heard) -> Sound:
    """What was spoken over the whole stream."""
    count, samples = len(heard.rows), int(heard.samples.sum(dtype=np.int64))
    lowest = float(heard.level_dbov.min())
    digital = np.count_nonzero(heard.level_dbov <= DIGITAL_SILENCE_DBOV) if lowest < SILENT_DBOV else 0
    return Sound(
        level_dbov=level(float(heard.power.mean())) if len(heard.loud) else DIGITAL_SILENCE_DBOV,
        peak_packet_dbov=float(heard.level_dbov.max()),
        silent_share=1 - len(heard.loud) / count,
        clipped_share=int(heard.clipped.sum(dtype=np.int64)) / samples if samples else 0.0,
        digital_silence_share=int(digital) / count,
    )


def level(power: float) -> float:
    """A power in dBov."""
    return float(10 * np.log10(power))
