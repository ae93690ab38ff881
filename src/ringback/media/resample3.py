"""Between 16 and 48 kHz, many streams at once, by one linear-phase filter: flat to 7.2 kHz, gone from 8.4 on.

Being linear and the same both ways, what `up3(down3(x))` leaves of x can be added to it again: x comes back
to the sample, ROUND_TRIP samples later.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Samples = NDArray[np.float32]

TAPS = 145
CUT_HZ, RATE = 7800, 48000
KAISER_BETA = 5.8
BLOCK = 16
BRANCH = (TAPS + 2) // 3
UP3_TAIL = BRANCH - 1
"""Samples at 16 kHz that up3 keeps of the frames before."""
DOWN3_TAIL = TAPS - 1
"""Samples at 48 kHz that down3 keeps of the frames before."""
ROUND_TRIP = TAPS - 1
"""Delay of down3 and up3 together in samples at 48 kHz: 3 ms."""


def low_pass() -> NDArray[np.float64]:
    """Impulse response float64[TAPS] at 48 kHz, its sum one."""
    k = np.arange(TAPS) - (TAPS - 1) // 2
    response = np.sinc(2 * CUT_HZ / RATE * k) * np.kaiser(TAPS, KAISER_BETA)
    normal: NDArray[np.float64] = response / response.sum()
    return normal


def _up_matrix() -> Samples:
    """BLOCK + UP3_TAIL samples at 16 kHz to 3 * BLOCK at 48 kHz."""
    matrix, response = np.zeros((BLOCK + UP3_TAIL, 3 * BLOCK)), 3 * low_pass()
    for column in range(3 * BLOCK):
        taps = response[column % 3 :: 3]
        last = column // 3 + UP3_TAIL
        matrix[last - len(taps) + 1 : last + 1, column] = taps[::-1]
    return matrix.astype(np.float32)


def _down_matrix() -> Samples:
    """DOWN3_TAIL + 3 * BLOCK - 2 samples at 48 kHz to BLOCK at 16 kHz."""
    matrix, response = np.zeros((DOWN3_TAIL + 3 * BLOCK - 2, BLOCK)), low_pass()
    for column in range(BLOCK):
        matrix[3 * column : 3 * column + TAPS, column] = response[::-1]
    return matrix.astype(np.float32)


_UP3, _DOWN3 = _up_matrix(), _down_matrix()


def up3(x: Samples, tail: Samples) -> tuple[Samples, Samples]:
    """Three times the rate: x float32[n, m] at 16 kHz to float32[n, 3m]; m must be a multiple of BLOCK.

    `tail` float32[n, UP3_TAIL] are the samples before `x`, zeros at first; the second result is the next.
    """
    joined = np.concatenate((tail, x), axis=1)
    return _filter(joined, _UP3, BLOCK, x.shape[1] // BLOCK), joined[:, x.shape[1] :]


def down3(x: Samples, tail: Samples) -> tuple[Samples, Samples]:
    """A third of the rate: x float32[n, 3m] at 48 kHz to float32[n, m]; m must be a multiple of BLOCK.

    `tail` float32[n, DOWN3_TAIL] are the samples before `x`, zeros at first; the second result is the next.
    """
    joined = np.concatenate((tail, x), axis=1)
    return _filter(joined, _DOWN3, 3 * BLOCK, x.shape[1] // (3 * BLOCK)), joined[:, x.shape[1] :]


def _filter(joined: Samples, matrix: Samples, step: int, count: int) -> Samples:
    """Filter rows that begin with their tail, `count` blocks that lie `step` samples apart."""
    row, sample = joined.strides
    width, out = matrix.shape
    shape = (len(joined), count, width)
    blocks = np.ascontiguousarray(as_strided(joined, shape, (row, step * sample, sample), writeable=False))
    filtered: Samples = blocks.reshape(-1, width) @ matrix
    return filtered.reshape(len(joined), count * out)
