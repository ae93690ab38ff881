"""What is heard in place of lost frames: the last pitch period, repeated and faded (after G.711, appendix I).

All is a function of the last real samples and of how many were concealed since, with no state of its own: the
caller keeps the real samples, not the concealed ones, until the next frame comes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.media.passages import correlations, passages, thinned
from ringback.native import at, kernels

Samples = NDArray[np.float32]
Counts = NDArray[np.integer[Any]]
Lags = NDArray[np.int64]

HISTORY_MS = 35
"""How much of the past is needed; more may be given."""
SHORTEST_PITCH_MS = 2.5
LONGEST_PITCH_MS = 15
"""Periods of voices between 66 and 400 Hz."""
WINDOW_MS = 20
"""What is compared with the past to find the period."""
FADE_FROM_MS = 10
FADE_TO_MS = 60
"""Concealment is at full level until the first, and silent from the second on."""
CROSS_FADE_MS = 8
"""How long the sound of the concealment goes over into that of the next frame."""
SETTLE_MS = 2
"""How long the step between the last real sample and the first repeated one takes to vanish."""
VOICED = 0.5
"""Correlation with the past below which there is no pitch: noise repeats by the longest, lest it buzz."""

STEP_MS = 6
"""What of a frame is compared with the concealment to bring the two in step."""
IN_STEP = 0.95
"""The first place that is nearly as good as the best is taken: waiting is delay."""

_SEARCH_RATE = 4000
_JOIN_RATE = 8000


def history_samples(rate: int) -> int:
    """How many samples at `rate` a history must have at least."""
    return rate * HISTORY_MS // 1000


def conceal(history: Samples, position: Counts, rate: int, frame: int | None = None) -> Samples:
    """Make what is heard in place of lost sound of each of n streams: float32[n, frame], by default 20 ms.

    `history` float32[n, history_samples(rate) or more] holds the last real samples before the loss, at 8000
    or 16000 Hz; `position` int[n] says how many samples were concealed since. A negative one begins so far
    before the loss, with what was real. Frames of one loss join without a step when each is asked for with
    the same history.
    """
    size = rate // 50 if frame is None else frame
    out = np.zeros((len(history), size), dtype=np.float32)
    _continue(out, history, position.astype(np.int64), rate)
    return out


def join(
    frame: Samples, history: Samples, position: Counts, least: Counts, most: Counts, rate: int
) -> tuple[Samples, Lags]:
    """The first real frame after a loss, float32[n, m], where it fits on what was concealed.

    `position` int[n] is how many samples were concealed just before. The concealment goes on until it is in
    step with the frame, by `least` to `most` int[n] samples, up to a frame and even ones at 16 kHz, and then
    goes over into it. Returns float32[n, 2m], of which the first m and the waited samples are to be used, and
    how many those are, int64[n].
    """
    m = frame.shape[1]
    fade, window = rate * CROSS_FADE_MS // 1000, rate * STEP_MS // 1000
    out = conceal(history, position, rate, 2 * m)
    wait = least.astype(np.int64)
    free = np.flatnonzero(most > least)
    if free.size:
        wait[free] = _in_step(out[free], frame[free, :window], least[free], most[free], rate)
    steps = np.arange(2 * m) - wait[:, None]
    real = passages(frame, -wait, 2 * m)
    out += (real - out) * np.clip((steps + 0.5) / fade, 0, 1).astype(np.float32)
    return out, wait


def _in_step(continued: Samples, begin: Samples, least: Counts, most: Counts, rate: int) -> Lags:
    """After how many samples what goes on resembles how a frame begins; `least` if it never does."""
    step = rate // _JOIN_RATE
    other = thinned(begin, step)
    product, energy = correlations(thinned(continued, step), other)
    energy *= np.einsum("nw,nw->n", other, other)[:, None]
    likeness = product / np.sqrt(energy + np.float32(1e-12))
    wait = np.arange(likeness.shape[1]) * step
    likeness[(wait < least[:, None]) | (wait > most[:, None])] = -1
    highest = likeness.max(axis=1, keepdims=True)
    first = (likeness >= np.float32(IN_STEP) * highest).argmax(axis=1)
    found: Lags = np.where(highest[:, 0] >= VOICED, wait[first], least)
    return found


def _continue(out: Samples, history: Samples, position: Lags, rate: int) -> None:
    """Write into the rows of `out` (zeros) how each history goes on from its position."""
    rows = np.flatnonzero(position < rate * FADE_TO_MS // 1000)
    if not rows.size:
        return
    # Mostly all of them: then nothing is copied.
    every = len(rows) == len(position)
    past, begin = (history, position) if every else (history[rows], position[rows])
    lag = pitch(past, rate)
    if kernels is None:
        out[rows] = _repeat(past, lag, begin[:, None] + np.arange(out.shape[1]), rate)
        return
    past, begin = np.ascontiguousarray(past), np.ascontiguousarray(begin)
    sound = out if every else np.empty((len(rows), out.shape[1]), np.float32)
    settle, fade_from, fade_to = (rate * ms / 1000 for ms in (SETTLE_MS, FADE_FROM_MS, FADE_TO_MS))
    kernels.rb_continue(
        *(at(past), at(lag), at(begin), len(rows), past.shape[1], out.shape[1]),
        *(settle, fade_from, fade_to, at(sound)),
    )
    if not every:
        out[rows] = sound


def pitch(history: Samples, rate: int) -> Lags:
    """Period of each row in samples: the lag of greatest normalised correlation, the longest if none is.

    Searched coarsely at 4 kHz, then to the sample.
    """
    step = rate // _SEARCH_RATE
    past = history[:, history.shape[1] - history_samples(rate) :]
    coarse = thinned(past, step)
    window = _SEARCH_RATE * WINDOW_MS // 1000
    shortest = int(_SEARCH_RATE * SHORTEST_PITCH_MS / 1000)
    # Column i is the window that lies (longest - i) samples before the last one.
    last = coarse[:, -window:]
    correlation, energy = correlations(coarse[:, :-shortest], last)
    own = np.einsum("nw,nw->n", last, last)
    likeness = correlation / np.sqrt(energy * own[:, None] + np.float32(1e-12))
    best = likeness.argmax(axis=1)
    longest = rate * LONGEST_PITCH_MS // 1000
    lag = np.clip(longest - best * step, int(rate * SHORTEST_PITCH_MS / 1000) + step - 1, longest - step + 1)
    voiced = likeness[np.arange(len(best)), best] >= VOICED
    return np.where(voiced, _refine(past, lag, rate, step), longest)


def _refine(past: Samples, lag: Lags, rate: int, step: int) -> Lags:
    """The best lag less than a coarse step from `lag`."""
    window = rate * WINDOW_MS // 2000
    spread = window + 2 * (step - 1)
    start = past.shape[1] - window - lag - (step - 1)
    earlier = passages(past, start, spread)
    correlation, energy = correlations(earlier, past[:, -window:])
    best = (correlation / np.sqrt(energy + np.float32(1e-12))).argmax(axis=1)
    refined: Lags = lag + (step - 1) - best
    return refined


def _repeat(history: Samples, lag: Lags, position: Lags, rate: int) -> Samples:
    """The last period of each row over and over, at `position` int64[n, m] samples after it, faded; at a
    negative one what was real."""
    end = history.shape[1]
    period = lag[:, None]
    index = np.where(position < 0, end + position, end - period + position % period)
    looped = np.where(
        position < 0,
        np.take_along_axis(history, np.minimum(index, end - 1), axis=1),
        np.take_along_axis(_joined(history, lag, rate), index, axis=1),
    )
    # The first period follows the last real sample, not that one of a period before.
    step = history[:, -1] - history[np.arange(len(history)), end - lag - 1]
    settle = np.clip(1 - (position + 1) / np.float32(rate * SETTLE_MS / 1000), 0, None)
    gain = (FADE_TO_MS - position * np.float32(1000 / rate)) / np.float32(FADE_TO_MS - FADE_FROM_MS)
    faded = (looped + step[:, None] * settle) * np.clip(gain, 0, 1)
    out: Samples = np.where(position < 0, looped, faded).astype(np.float32)
    return out


def _joined(history: Samples, lag: Lags, rate: int) -> Samples:
    """`history` with its end going over into what came before its last period, so that this joins itself."""
    out = history.copy()
    end = history.shape[1]
    longest = rate * LONGEST_PITCH_MS // 4000
    index = np.arange(end - longest, end)
    joint = lag[:, None] // 4
    weight = np.maximum(index + 1 - (end - joint), 0) / joint.astype(np.float32)
    earlier = passages(history, end - longest - lag, longest)
    tail = history[:, -longest:]
    out[:, -longest:] = tail + (earlier - tail) * weight.astype(np.float32)
    return out
