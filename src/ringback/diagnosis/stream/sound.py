"""How a stream sounds where its codec is open: level, silence and clipping of G.711."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.measured import Sound

SILENT_DBOV: Final = -50.0
DIGITAL_SILENCE_DBOV: Final = -127.0


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
