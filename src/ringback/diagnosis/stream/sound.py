"""How a stream sounds where its codec is open: level, silence and clipping of G.711."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.measured import Sound

SILENT_DBOV: Final = -50.0
DIGITAL_SILENCE_DBOV: Final = -127.0


def hear(packets: Packets, rows: NDArray[np.intp]) -> Sound | None:
    """What was spoken in the packets at `rows`; None where none of them could be decoded."""
    levels = packets.level_dbov[rows]
    open_ = ~np.isnan(levels)
    if not open_.any():
        return None
    if not open_.all():
        rows, levels = rows[open_], levels[open_]
    voiced = levels[levels >= SILENT_DBOV]
    samples = int(packets.payload_bytes[rows].sum(dtype=np.int64))
    return Sound(
        level_dbov=power_mean(voiced),
        peak_packet_dbov=float(levels.max()),
        silent_share=1 - len(voiced) / len(levels),
        clipped_share=int(packets.clipped[rows].sum(dtype=np.int64)) / samples if samples else 0.0,
        digital_silence_share=float(np.count_nonzero(levels <= DIGITAL_SILENCE_DBOV)) / len(levels),
    )


def power_mean(levels: NDArray[np.floating]) -> float:
    """Mean of levels in dB by power; -127 of none."""
    if not len(levels):
        return DIGITAL_SILENCE_DBOV
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))
