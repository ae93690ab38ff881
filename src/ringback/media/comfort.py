"""Comfort noise: what is heard in the pauses of a peer that sends nothing in them (RFC 3389)."""

from __future__ import annotations

import numpy as np

from ringback.media.columns import Floats

LOOP_SAMPLES = 4096
"""Half a second at 8 kHz; it ends as it begins."""
MAX_ORDER = 12
"""More reflection coefficients than this are no finer picture of noise."""
SILENT_DBOV = 127

_WHITE = np.fft.rfft(np.random.default_rng(3389).standard_normal(LOOP_SAMPLES))


class ComfortNoise:
    """The noise of one leg, from a packet's payload: its level and the shape of its spectrum.

    `energy` is its mean square, 1 at full scale.
    """

    __slots__ = ("_at", "_loops", "_payload", "_spectrum", "energy")

    def __init__(self) -> None:
        self.energy = 0.0
        self._payload: bytes | None = None
        self._spectrum = _WHITE
        self._loops: dict[int, Floats] = {}
        self._at = 0

    def hear(self, payload: bytes) -> None:
        """Take a packet: the level in −dBov, and reflection coefficients if any (RFC 3389, 3)."""
        if not payload or payload == self._payload:
            return
        self._payload = payload
        level = payload[0] & 0x7F
        self.energy = 0.0 if level == SILENT_DBOV else 10.0 ** (-level / 10)
        self._spectrum = _WHITE / _whitening(payload[1 : 1 + MAX_ORDER])
        self._loops.clear()

    def next(self, rate: int) -> Floats:
        """The next 20 ms at 8000 or 16000 Hz, float32; nothing is above 4 kHz."""
        loop = self._loops.get(rate)
        if loop is None:
            loop = self._loops[rate] = self._loop(rate)
        size = rate // 50
        begin = self._at * size % len(loop)
        self._at += 1
        return loop.take(np.arange(begin, begin + size), mode="wrap")

    def _loop(self, rate: int) -> Floats:
        loop = np.fft.irfft(self._spectrum, LOOP_SAMPLES * rate // 8000)
        loop *= np.sqrt(self.energy / np.mean(loop * loop))
        return loop.astype(np.float32)


def _whitening(octets: bytes) -> np.ndarray[tuple[int], np.dtype[np.complex128]]:
    """The response, at the frequencies of a loop, of the filter that would make the noise white.

    Octets are reflection coefficients of a lattice, quantised as RFC 3389 3.2 says.
    """
    direct = np.ones(1)
    for octet in octets:
        reflection = 258 * (octet - 127) / 32768
        reflection = min(max(reflection, -0.99), 0.99)
        longer = np.append(direct, 0)
        direct = longer + reflection * longer[::-1]
    return np.asarray(np.fft.rfft(direct, LOOP_SAMPLES), np.complex128)
