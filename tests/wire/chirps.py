"""The ruler that is spoken into long and bad lines: a chirp a second over a tone that is always there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringback.quality.markers import CODES, find_markers, marker
from ringback.quality.tones import make_tones

ROUND_S = CODES
"""One chirp of each code, a second apart; then it begins anew."""
FIRST_S = 0.25
PIECE_S = 4 * ROUND_S
MAX_DELAY_S = 2.0
Times = NDArray[np.float64]


def ruler(rate: int, tone_hz: float, tone_dbfs: float) -> NDArray[np.float32]:
    """One round: float32[ROUND_S * rate]. The tone keeps a talk gate open, and a gap in it is a gap."""
    audio = make_tones(rate, ROUND_S, [tone_hz], tone_dbfs)
    for code in range(CODES):
        chirp = marker(code, rate, -10)
        start = round((code + FIRST_S) * rate)
        audio[start : start + len(chirp)] += chirp
    return audio


def chirps_of(audio: NDArray[np.floating], times: Times, rate: int) -> list[tuple[int, float]]:
    """The chirps in a recording, whose sample i was there at times[i] (NaN: never), as (code, time)."""
    found = []
    size, chirp = PIECE_S * rate, len(marker(0, rate))
    for start in range(0, len(audio), size):
        piece = audio[start : start + size + chirp]
        for code in range(CODES):
            for place in find_markers(piece, rate, code) * rate + start:
                whole = int(place)
                at = times[whole] + (place - whole) / rate
                if place < start + size and not np.isnan(at):
                    found.append((code, float(at)))
    return sorted(found, key=lambda one: one[1])


def spoken_at(sent_at: list[float], rate: int, frame: int) -> list[tuple[int, float]]:
    """The chirps of a phone that speaks the ruler from its frame 0 on: `sent_at` is when each frame went.

    A frame is sent when its last sample was spoken, so packetisation is part of every delay.
    """
    found: list[tuple[int, float]] = []
    second = 0
    while True:
        place = round((second + FIRST_S) * rate)
        if place // frame >= len(sent_at):
            return found
        found.append((second % CODES, sent_at[place // frame] - frame / rate + place % frame / rate))
        second += 1


def delays_ms(mouth: list[tuple[int, float]], ear: list[tuple[int, float]]) -> Times:
    """From mouth to ear of each chirp that was heard, in order: float64[n]. Both on one clock."""
    found = []
    for code, heard in ear:
        said = [at for other, at in mouth if other == code and heard - MAX_DELAY_S < at < heard]
        if said:
            found.append((heard - said[-1]) * 1000)
    return np.array(found)
