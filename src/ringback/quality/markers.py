"""Coded chirps found again after any codec: the ruler for delay (matched filter, as in ITU-T P.501)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringback.quality.tones import Audio

LOW_HZ = 400.0
BAND_HZ = 440.0
SWEEP_MS = 16

ORDERS = (
    "235014",
    "105243",
    "340215",
    "013245",
    "312405",
    "120345",
    "341520",
    "302514",
    "134205",
    "401532",
    "315042",
    "254103",
    "314250",
    "253041",
    "241305",
    "540321",
)
"""The six bands in the order in which a code sweeps them.

However far one marker is shifted against another (or against itself), at most one band in two, or two in
three and more, fall on each other: nothing but the marker itself correlates above 0.5.
"""

CODES = len(ORDERS)
MARKER_MS = SWEEP_MS * len(ORDERS[0])


def marker(code: int, rate: int, level_dbfs: float = -9.0) -> NDArray[np.float32]:
    """The marker of a code in 0..15: float32[rate * 0.096], one sweep in each of six bands.

    It stays between 400 and 3040 Hz, so that G.711 carries it whole. Raises ValueError for another code.
    """
    if not 0 <= code < CODES:
        raise ValueError(f"a marker's code is 0 to {CODES - 1}")
    size = rate * SWEEP_MS // 1000
    seconds = np.arange(size) / rate
    slope = BAND_HZ / (SWEEP_MS / 1000.0)
    # Soft edges: a click would be seen by every other code too.
    edge = np.arange(size) / (0.002 * rate)
    amplitude = np.minimum(1.0, np.minimum(edge, edge[::-1])) * 10.0 ** (level_dbfs / 20.0)
    sweeps = []
    for band in ORDERS[code]:
        start_hz = LOW_HZ + int(band) * BAND_HZ
        sweeps.append(amplitude * np.sin(2 * np.pi * (start_hz * seconds + slope * seconds * seconds / 2)))
    return np.concatenate(sweeps).astype(np.float32)


def correlation(audio: Audio, reference: Audio) -> NDArray[np.float64]:
    """Normalised cross-correlation in [-1, 1] at each start: float64[len(audio) - len(reference) + 1].

    1 means that the reference is there, whatever its level. Empty when the audio is shorter than it.
    """
    samples = np.asarray(audio, dtype=np.float64)
    pattern = np.asarray(reference, dtype=np.float64)
    count = len(samples) - len(pattern) + 1
    if count <= 0:
        return np.zeros(0)
    size = 1 << (len(samples) + len(pattern) - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(pattern, size))
    products = np.fft.irfft(spectrum, size)[:count]
    squares = np.concatenate(([0.0], np.cumsum(samples * samples)))
    energy = squares[len(pattern) :] - squares[: -len(pattern)]
    norm = np.sqrt(np.maximum(energy, 0.0) * np.dot(pattern, pattern))
    # Digital silence must not divide by zero, nor its rounding noise look like a match.
    return np.where(norm > 1e-6 * len(pattern), products / np.maximum(norm, 1e-12), 0.0)


def find_markers(audio: Audio, rate: int, code: int, at_least: float = 0.6) -> NDArray[np.float64]:
    """Where a code's markers start: float64[found] in seconds, finer than a sample, in order.

    `at_least` is the correlation that counts as found; two of one code are at least a marker's length apart.
    """
    reference = marker(code, rate)
    # A codec may turn the phase around.
    match = np.abs(correlation(audio, reference))
    found: list[float] = []
    for start in np.flatnonzero(match >= at_least):
        if found and start / rate < found[-1] + MARKER_MS / 2000.0:
            continue
        peak = int(start + np.argmax(match[start : start + len(reference) // 2]))
        found.append((peak + _vertex(match, peak)) / rate)
    return np.asarray(found)


def _vertex(values: NDArray[np.float64], peak: int) -> float:
    """How far between samples the top lies: the vertex of the parabola through a peak and its neighbours."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, top, after = values[peak - 1 : peak + 2]
    bend = before - 2 * top + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
