"""What a receiver's buffer would have made of the arrivals: packets too late or too early to be played."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.stream.counting import Mask
from ringback.native import at, kernels

Times = NDArray[np.float64]

LATE: Final = 1
EARLY: Final = 2


@dataclass(frozen=True, slots=True)
class Buffer:
    """A jitter buffer: it plays a packet `depth_ms` after the one it began with would have been due.

    An adaptive one (`window` above 0) plays after the largest transit of the last `window` packets, at
    least `depth_ms` and at most `most_ms` above the smallest of them. A buffer begins anew with a packet
    that comes more than `resync_ms` too late, or when nothing has come in time for so long, and with one
    that would have to wait more than `most_ms + resync_ms`.
    """

    depth_ms: float
    most_ms: float
    resync_ms: float
    window: int = 0


FIXED_50: Final = Buffer(50, 50, 100)
FIXED_200: Final = Buffer(200, 200, 200)
ADAPTIVE: Final = Buffer(60, 500, 500, 500)


@dataclass(frozen=True, slots=True)
class Played:
    """What became of m packets, uint8[m] (0 played, LATE, EARLY); how deep the buffer was on average."""

    result: NDArray[np.uint8]
    depth_ms: float

    @property
    def late(self) -> Mask:
        """Those that came after their time."""
        return np.asarray(self.result == LATE)

    @property
    def discarded(self) -> Mask:
        """Those that were not played."""
        return np.asarray(self.result != 0)


def play(transit_ms: Times, arrived_ms: Times, restarts: Mask, buffer: Buffer) -> Played:
    """Run m packets in the order they came through a buffer; it begins anew at `restarts` bool[m]."""
    if len(transit_ms) and float(transit_ms.max() - transit_ms.min()) <= buffer.depth_ms:
        # Any buffer bears what never differs by more than it waits at the least.
        return Played(np.zeros(len(transit_ms), np.uint8), buffer.depth_ms)
    if kernels is None:
        return play_plainly(transit_ms, arrived_ms, restarts, buffer)
    m = len(transit_ms)
    ring = 1 << buffer.window.bit_length()
    result, recent = np.empty(m, np.uint8), np.empty(4 * ring)
    columns = (
        np.ascontiguousarray(transit_ms, np.float64),
        np.ascontiguousarray(arrived_ms, np.float64),
        np.ascontiguousarray(restarts, np.bool_),
    )
    limits = (buffer.depth_ms, buffer.most_ms, buffer.resync_ms, buffer.window, ring)
    depths = kernels.rb_play(m, *map(at, columns), *limits, at(recent), at(result))
    return Played(result, depths / m if m else buffer.depth_ms)


def play_plainly(transit_ms: Times, arrived_ms: Times, restarts: Mask, buffer: Buffer) -> Played:
    """As `play`, without the compiled loop."""
    result: list[int] = []
    depths = low = point = late_since = 0.0
    late = False
    highs: deque[tuple[int, float]] = deque()
    lows: deque[tuple[int, float]] = deque()
    for i, (x, now, anew) in enumerate(
        zip(transit_ms.tolist(), arrived_ms.tolist(), restarts.tolist(), strict=True)
    ):
        again = i == 0 or anew
        became = 0
        if not again and x > point:
            became = LATE
            late_since = late_since if late else now
            late = True
            again = x > point + buffer.resync_ms or now - late_since >= buffer.resync_ms
        elif not again and x < point - buffer.most_ms - buffer.resync_ms:
            became, again = EARLY, True
        else:
            late = False
        result.append(became)
        if again:
            low, point, late = x, x + buffer.depth_ms, False
            highs.clear()
            lows.clear()
        if buffer.window:
            for queue, sign in ((highs, 1), (lows, -1)):
                if queue and queue[0][0] <= i - buffer.window:
                    queue.popleft()
                while queue and sign * queue[-1][1] <= sign * x:
                    queue.pop()
                queue.append((i, x))
            low = lows[0][1]
            point = min(max(highs[0][1], low + buffer.depth_ms), low + buffer.most_ms)
        depths += point - low
    m = len(result)
    return Played(np.array(result, np.uint8), depths / m if m else buffer.depth_ms)
