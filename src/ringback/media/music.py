"""Music for those who wait: a calm loop of four chords, made by formula and so free of rights."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ringback.media.resample import UP2_TAIL, up2

Samples = NDArray[np.float32]

RATE = 8000
"""The rate it is made at: nothing in it lies above 2 kHz, and half the samples are half the work."""
LEVEL_DBFS = -24.0
"""Mean level of the loop, as in `media.level` (mean square)."""
CHORD_SECONDS = 6.0
CHORDS = ((48, 55, 64, 71), (45, 52, 60, 67), (41, 53, 60, 64), (43, 55, 59, 64))
"""C major 7, A minor 7, F major 7, G 6, as MIDI notes from the bass up."""
ARPEGGIO = (0, 1, 2, 3, 2, 1, 3, 2)
"""Which note of the chord is plucked, an octave higher, on each of its beats."""
PLUCK_SECONDS = 1.6


@cache
def music() -> Samples:
    """The loop as float32[m] at 16 kHz, read-only; its end goes on in its beginning."""
    length = int(RATE * CHORD_SECONDS * len(CHORDS))
    loop = np.zeros(length, dtype=np.float32)
    for i, chord in enumerate(CHORDS):
        start = int(i * CHORD_SECONDS * RATE)
        for number, note in enumerate(chord):
            _add(loop, start, _pad(_frequency(note)) * np.float32(0.5 if number else 0.7))
        for beat, number in enumerate(ARPEGGIO):
            at = start + int(beat * CHORD_SECONDS / len(ARPEGGIO) * RATE)
            # An uneven touch, so that it does not sound like a machine.
            touch = 0.55 + 0.15 * ((beat * 5 + i * 3) % 4) / 3
            _add(loop, at, _pluck(_frequency(chord[number] + 12)) * np.float32(touch))
    loop *= np.float32(10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(loop * loop)))
    # The filter begins with the end of the loop, so that the seam is as smooth as the rest.
    doubled: Samples = up2(loop[None], loop[None, -UP2_TAIL:])[0][0]
    doubled.flags.writeable = False
    return doubled


def _frequency(note: int) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _phase(frequency: float, seconds: float) -> Samples:
    """Radians, kept within a turn as float32 is too coarse for many of them."""
    turns = np.arange(int(RATE * seconds)) * (frequency / RATE)
    radians: Samples = ((turns - np.floor(turns)) * (2 * np.pi)).astype(np.float32)
    return radians


def _pad(frequency: float) -> Samples:
    """A soft sustained note that swells over two seconds and fades while the next chord swells."""
    seconds, swell = CHORD_SECONDS + 2.0, 2.0
    first, second = _phase(frequency, seconds), _phase(frequency * 1.002, seconds)
    sound = np.sin(first) + np.sin(second) + np.float32(0.25) * np.sin(2 * first)
    length = int(RATE * swell)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)).astype(np.float32)
    sound[:length] *= ramp
    sound[-length:] *= ramp[::-1]
    sound *= np.float32(0.4)
    return sound


def _pluck(frequency: float) -> Samples:
    """A note that is struck softly and dies away."""
    phase = _phase(frequency, PLUCK_SECONDS)
    time = np.arange(len(phase), dtype=np.float32) / RATE
    fall = np.exp(-3 * time) * np.minimum(time / np.float32(0.012), 1)
    end = np.minimum((PLUCK_SECONDS - time) / np.float32(0.2), 1)
    sound: Samples = np.sin(phase) + np.float32(0.3) * np.sin(2 * phase) * np.exp(-4 * time)
    sound *= fall * end
    return sound


def _add(loop: Samples, start: int, sound: Samples) -> None:
    """Lay a sound into the loop; what goes over its end comes in at its beginning."""
    before_end = min(len(sound), len(loop) - start)
    loop[start : start + before_end] += sound[:before_end]
    loop[: len(sound) - before_end] += sound[before_end:]
