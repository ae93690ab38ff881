"""Passages of many sounds at once: cut out, each from a place of its own, and compared at every lag."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ringback.media.columns import Floats, Longs
from ringback.native import at, kernels


def passages(sound: Floats, start: Longs, size: int) -> Floats:
    """`size` samples of each sound float32[n, m] from column start int64[n] on: float32[n, size].

    Before the first sample and after the last one it goes on with that sample.
    """
    if kernels is None:
        index = np.clip(start[:, None] + np.arange(size), 0, sound.shape[1] - 1)
        cut: Floats = np.take_along_axis(sound, index, axis=1)
        return cut
    sound, start = np.ascontiguousarray(sound), np.ascontiguousarray(start)
    out = np.empty((len(sound), size), np.float32)
    kernels.rb_passages(at(sound), at(start), len(sound), sound.shape[1], size, at(out))
    return out


def correlations(sound: Floats, passage: Floats) -> tuple[Floats, Floats]:
    """Each passage float32[n, w] along its sound float32[n, m]: float32[n, m - w + 1] of products, and of the
    energy of what it was multiplied with."""
    lags = sound.shape[1] - passage.shape[1] + 1
    if kernels is None:
        windows = sliding_window_view(sound, passage.shape[1], axis=1)
        return np.einsum("nlw,nw->nl", windows, passage), np.einsum("nlw,nlw->nl", windows, windows)
    sound, passage = np.ascontiguousarray(sound), np.ascontiguousarray(passage)
    product, energy = np.empty((2, len(sound), lags), np.float32)
    kernels.rb_correlate(
        at(sound), at(passage), len(sound), sound.shape[1], passage.shape[1], at(product), at(energy)
    )
    return product, energy


def thinned(sound: Floats, every: int) -> Floats:
    """Sums of `every` neighbouring samples, float32[n, m / every]."""
    if every == 1:
        return sound
    sums = sound[:, ::every].copy()
    for offset in range(1, every):
        sums += sound[:, offset::every]
    return sums
