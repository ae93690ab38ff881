"""How the delay of one stream moves: its floor and its steps, ramps of a queue, packets held and let go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.causes.loss import LossShape
from ringback.diagnosis.stream.measured import Series

WINDOW_S = 0.5
"""Of which the smallest delay is taken: a queue is seldom full for all of it."""
MOST_DRIFT = 3.0
"""In ms a second: 3,000 ppm; no clock is that wrong."""
BACKWARDS_S = 1.0
"""More than packets overtake each other by."""
_STEP_WINDOWS = 6
_STEP_MS = 4.0
_NEAR = 12
"""Packets on either side of a place that are looked at to see how sharp a change is."""
_MANY = 400
"""Episodes and bursts that are looked at, evenly chosen; more tell nothing new."""
_FEWEST = 50
"""Packets with a time stamp that can be understood below which nothing is said."""

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Step:
    """The floor of the delay moved by `by_ms` within a few packets, and stayed there for seconds."""

    at_s: float
    by_ms: float
    slot: int
    lost_near: int
    """Packets lost within a second of it."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of packets with a delay far above the usual.

    `sudden`: it came between one packet and the next. `clumped`: it went with packets that arrived together.
    """

    began_s: float
    rise_s: float
    lasted_s: float
    peak_ms: float
    packets: int
    sudden: bool
    clumped: bool
    lost: int
    """Packets lost from its rise to its end."""

    @property
    def ramp(self) -> bool:
        """It grew over many packets, as a queue does."""
        return not self.sudden and self.packets >= 5 and self.rise_s >= 0.08

    @property
    def held(self) -> bool:
        """Packets were held up and let go together, as radio retries do."""
        return self.sudden and self.clumped


@dataclass(frozen=True, slots=True)
class BeforeLoss:
    """What the delay did before bursts of loss.

    `rose` of `bursts` began while the delay was `rise_ms` (median) above its floor, which it had taken
    `rise_s` (median) to reach; by chance `by_chance` of the bursts would be at such a time (a share).
    `held` of them were followed by packets that had been held up and came together. `still` had the delay
    at its floor before and after.
    """

    bursts: int = 0
    rose: int = 0
    rise_ms: float = 0.0
    rise_s: float = 0.0
    by_chance: float = 0.0
    held: int = 0
    still: int = 0


@dataclass(frozen=True, slots=True)
class DelayShape:
    """The delay of a stream above its floor; `times_s` and `excess_ms` have a row a packet that arrived.

    The floor is that between steps, without the drift of clocks. Percentiles are of `excess_ms`.
    `smooth` is how alike the delays of neighbours are (0 for independent jitter, 1 for a queue).
    `drift_ms_per_s` is positive where the delay grows (a sender's clock that is slow).
    """

    times_s: Floats
    excess_ms: Floats
    steps: tuple[Step, ...]
    drift_ms_per_s: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    spread_ms: float
    """What 99.8 % stay within."""
    largest_ms: float
    smooth: float
    together: float
    """Share of packets that came right after the one before (within a third of the packet time)."""
    over_40: float
    """Share of packets more than 40 ms above the floor."""
    episodes: tuple[Episode, ...]
    before_loss: BeforeLoss
    backwards: int
    """Places where the capture's clock runs back by more than BACKWARDS_S."""

    @property
    def lost_in_episodes(self) -> int:
        """Packets lost while the delay was up."""
        return sum(e.lost for e in self.episodes)

    @property
    def episode_share(self) -> float:
        """Share of all packets, lost ones too, that fall into episodes."""
        slots = sum(e.packets + e.lost for e in self.episodes)
        return min(1.0, slots / (len(self.times_s) + self.lost_in_episodes))

    @property
    def in_turns(self) -> bool:
        """Packets come in groups all the time, as by a sender or a link that is served in turns."""
        return self.together > 0.25

    @property
    def unlike(self) -> float:
        """How much the heights of what was held differ: the 90th percentile over the 10th."""
        peaks = [e.peak_ms for e in self.episodes if e.held]
        return float(np.percentile(peaks, 90) / np.percentile(peaks, 10)) if len(peaks) >= 4 else 1.0

    @property
    def ramps(self) -> int:
        """Episodes that grew like a queue."""
        return sum(e.ramp for e in self.episodes)

    @property
    def holds(self) -> int:
        """Episodes of packets held and let go together."""
        return sum(e.held for e in self.episodes)


def shape_of(series: Series, loss: LossShape, ptime_ms: float) -> DelayShape | None:
    """Describe the delay of a stream; None without a clock or with too few packets."""
    slots = np.flatnonzero(~series.lost & np.isfinite(series.transit_ms))
    if len(slots) < _FEWEST:
        return None
    times, transit = loss.times_s[slots], series.transit_ms[slots]
    backwards = int((np.diff(times) < -BACKWARDS_S).sum())
    order = np.maximum.accumulate(times)
    steps = _steps(order, transit, slots, loss)
    plateau = np.searchsorted(np.array([s.slot for s in steps], np.intp), slots, side="right")
    drift = _drift(order, transit, plateau)
    excess = transit - drift * order
    for number in range(len(steps) + 1):
        here = plateau == number
        if here.any():
            excess[here] -= np.percentile(excess[here], 2)
    excess = np.maximum(excess, 0.0)
    median, p95, p99, p998 = (float(v) for v in np.percentile(excess, (50, 95, 99, 99.8)))
    # Against what neighbours differ by: a queue that stands is no jitter.
    high = max(10.0, 4.0 * float(np.median(np.abs(np.diff(excess)))))
    return DelayShape(
        times_s=order,
        excess_ms=excess,
        steps=steps,
        drift_ms_per_s=drift,
        median_ms=median,
        p95_ms=p95,
        p99_ms=p99,
        spread_ms=p998,
        largest_ms=float(excess.max()),
        smooth=_smoothness(excess),
        together=float((np.diff(times) < 0.35 * ptime_ms / 1e3).mean()),
        over_40=float((excess > 40.0).mean()),
        episodes=_episodes(times, excess, slots, high, ptime_ms),
        before_loss=_before_loss(times, excess, slots, loss, high, ptime_ms),
        backwards=backwards,
    )


def _window_floors(times: Floats, transit: Floats) -> tuple[Floats, Floats]:
    """When each window began and the smallest delay in it, of windows that have packets."""
    window = np.floor(times / WINDOW_S)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(window)) + 1))
    return window[starts] * WINDOW_S, np.minimum.reduceat(transit, starts)


def _steps(times: Floats, transit: Floats, slots: Places, loss: LossShape) -> tuple[Step, ...]:
    began, floors = _window_floors(times, transit)
    size = _STEP_WINDOWS
    if len(floors) < 2 * size + 1:
        return ()
    medians = np.median(np.lib.stride_tricks.sliding_window_view(floors, size), axis=1)
    change = medians[size:] - medians[:-size]  # of the windows from i + size on against those before
    usual = float(np.median(np.abs(np.diff(floors))))
    least = max(_STEP_MS, 6.0 * usual)
    unsteady = np.median(
        np.abs(np.lib.stride_tricks.sliding_window_view(floors, size) - medians[:, None]), axis=1
    )
    steps: list[Step] = []
    left = np.abs(change)
    while len(steps) < 50:
        best = int(np.argmax(left))
        if left[best] < least:
            break
        step = _sharp_step(times, transit, slots, loss, began[best + size], float(change[best]))
        steady = max(unsteady[best], unsteady[best + size]) < 0.3 * left[best]
        if step is not None and steady:
            steps.append(step)
        left[max(0, best - size + 1) : best + size] = 0.0
    return tuple(sorted(steps, key=lambda step: step.slot))


def _sharp_step(
    times: Floats, transit: Floats, slots: Places, loss: LossShape, near_s: float, by_ms: float
) -> Step | None:
    low = max(int(np.searchsorted(times, near_s - 2 * WINDOW_S)), _NEAR)
    high = min(int(np.searchsorted(times, near_s + 2 * WINDOW_S)), len(times) - _NEAR)
    if low >= high:
        return None
    around = np.lib.stride_tricks.sliding_window_view(transit[low - _NEAR : high + _NEAR], _NEAR)
    lows = np.percentile(around, 25, axis=1)
    jump = (lows[_NEAR:] - lows[:-_NEAR]) * np.sign(by_ms)
    height = float(jump.max())
    if not 0.6 * abs(by_ms) <= height <= 1.7 * abs(by_ms):
        return None
    # The lower quarters are as far apart for some packets around the edge, which is where fewest are astray.
    places = (low + np.flatnonzero(jump >= 0.9 * height)).tolist()
    place = min(places, key=lambda place: sum(_astray(transit, place, by_ms)))
    before, after = transit[place - _NEAR : place], transit[place : place + _NEAR]
    # Sharp: the packets before lie on one side of half-way, those after on the other, and neither half moves
    # by itself, as it does while a queue fills.
    if max(_astray(transit, place, by_ms)) > 0.3:
        return None
    if not _instant(times, transit, slots, place, height * float(np.sign(by_ms))):
        return None
    half = _NEAR // 2
    for side in (before, after):
        if abs(float(np.median(side[:half]) - np.median(side[half:]))) > 0.35 * height:
            return None
    begins, ends = loss.times_s[loss.run_at], loss.times_s[loss.run_at + loss.run_length - 1]
    lost_near = int(np.sum((begins < times[place] + 1.0) & (ends > times[place] - 1.0)))
    return Step(float(times[place]), by_ms, int(slots[place]), lost_near)


def _astray(transit: Floats, place: int, by_ms: float) -> tuple[float, float]:
    """The shares of the packets before a place and after it that lie on the wrong side of half-way."""
    before, after = transit[place - _NEAR : place], transit[place : place + _NEAR]
    middle = (float(np.percentile(before, 25)) + float(np.percentile(after, 25))) / 2
    return float(np.mean((before - middle) * by_ms > 0)), float(np.mean((after - middle) * by_ms < 0))


def _instant(times: Floats, transit: Floats, slots: Places, place: int, by_ms: float) -> bool:
    """Whether the delay jumps between neighbours, with nothing between them but lost packets."""
    for at in range(max(2, place - 3), min(len(times) - 2, place + 4)):
        jump = float(np.median(transit[at : at + 3]) - np.median(transit[max(0, at - 3) : at]))
        one = float(transit[at] - transit[at - 1])
        if jump * by_ms < 0.6 * by_ms**2 or one * by_ms < 0.5 * by_ms**2:
            continue
        waited = float(times[at] - times[at - 1])
        missing = int(slots[at] - slots[at - 1]) - 1
        if waited < 0.3 or missing > 0:
            return True
    return False


def _drift(times: Floats, transit: Floats, plateau: Places) -> float:
    """Median slope of the floors between windows 10 s apart and more, within plateaus, in ms a second."""
    slopes: list[Floats] = []
    bends = 0.0
    for number in np.unique(plateau):
        here = plateau == number
        began, floors = _window_floors(times[here], transit[here])
        if len(floors) < 40 or began[-1] - began[0] < 20.0:
            continue
        half = len(floors) // 2
        slopes.append((floors[half:] - floors[:-half]) / (began[half:] - began[:-half]))
        line = np.median(slopes[-1]) * began
        bends = max(bends, float(np.median(np.abs(floors - line - np.median(floors - line)))))
    if not slopes:
        return 0.0
    every = np.concatenate(slopes)
    slope = float(np.median(every))
    # A floor that wanders is no clock: slopes of clocks agree with each other.
    spread = float(np.percentile(every, 75) - np.percentile(every, 25))
    straight = bends < 0.1 * abs(slope) * float(times[-1] - times[0])
    return slope if abs(slope) > spread and straight and abs(slope) < MOST_DRIFT else 0.0


def _smoothness(excess: Floats) -> float:
    if len(excess) < _FEWEST:
        return 0.0
    # Not by ranks: those of the quiet times would drown what happens in the others.
    values = np.minimum(excess, np.percentile(excess, 99.5))
    values = values - values.mean()
    power = float((values * values).mean())
    return float((values[4:] * values[:-4]).mean()) / power if power else 0.0


def _chosen(count: int) -> Places:
    return (
        np.unique(np.linspace(0, count - 1, min(count, _MANY)).astype(np.intp))
        if count
        else np.zeros(0, np.intp)
    )


def _episodes(
    times: Floats, excess: Floats, slots: Places, high: float, ptime_ms: float
) -> tuple[Episode, ...]:
    above = np.flatnonzero(excess > high)
    if not len(above):
        return ()
    breaks = np.flatnonzero(np.diff(above) > 4)
    firsts = above[np.concatenate(([0], breaks + 1))]
    lasts = above[np.concatenate((breaks, [len(above) - 1]))]
    lost_until = np.concatenate(([0], np.cumsum(np.diff(slots) - 1)))
    episodes = []
    for index in _chosen(len(firsts)):
        first, last = int(firsts[index]), int(lasts[index])
        peak = first + int(np.argmax(excess[first : last + 1]))
        top = float(excess[peak])
        onset = onset_of(excess, peak, top)
        rises = np.diff(excess[onset : peak + 1])
        sudden = bool(len(rises)) and float(rises.max()) >= 0.6 * top
        end = min(last + 2, len(times))
        together = np.diff(times[peak:end]) < 0.35 * ptime_ms / 1e3
        episodes.append(
            Episode(
                began_s=float(times[onset]),
                rise_s=float(times[peak] - times[onset]),
                lasted_s=float(times[last] - times[onset]),
                peak_ms=top,
                packets=last - first + 1,
                sudden=sudden,
                clumped=len(together) > 0 and top >= 1.5 * ptime_ms and float(together.mean()) >= 0.6,
                lost=int(lost_until[min(last + 1, len(slots) - 1)] - lost_until[onset]),
            )
        )
    return tuple(episodes)


def onset_of(excess: Floats, place: int, top: float) -> int:
    """The last packet before `place` (within 150) whose delay was near the floor."""
    begin = max(0, place - 150)
    quiet = np.flatnonzero(excess[begin:place] < 0.25 * top)
    return begin + int(quiet[-1]) if len(quiet) else begin


def _before_loss(
    times: Floats, excess: Floats, slots: Places, loss: LossShape, high: float, ptime_ms: float
) -> BeforeLoss:
    bursts = _chosen(len(loss.burst_at))
    rises: list[tuple[float, float]] = []
    looked = held = still = 0
    for index in bursts:
        place = int(np.searchsorted(slots, loss.burst_at[index]))
        after = int(np.searchsorted(slots, loss.burst_end[index]))
        if place < 5 or after > len(slots) - 3:
            continue
        looked += 1
        top = float(np.median(excess[place - 3 : place]))
        near = max(top, float(excess[after : after + 3].max()))
        if top > high:
            peak = place - 1
            onset = onset_of(excess, peak, top)
            rises.append((top, float(times[peak] - times[onset])))
        elif near > high:
            until = min(after + 12, len(times))
            together = np.diff(times[after:until]) < 0.35 * ptime_ms / 1e3
            held += bool(together[: max(2, int(near / max(ptime_ms, 1.0)) - 1)].mean() > 0.5)
        else:
            still += 1
    return BeforeLoss(
        bursts=looked,
        rose=len(rises),
        rise_ms=float(np.median([r[0] for r in rises])) if rises else 0.0,
        rise_s=float(np.median([r[1] for r in rises])) if rises else 0.0,
        by_chance=float(np.mean(excess > high)),
        held=held,
        still=still,
    )
