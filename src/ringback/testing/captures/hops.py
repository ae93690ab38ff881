"""What a network does to packets on their way, from its physics: lines, queues, policers, radio, faults.

A hop takes the packets of one direction in the order of their sending and gives those that come through,
in the order of their arrival. Each is made for one call and one direction, and used once.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from ringback.testing.captures.voice import Chance, Floats

EXPEDITED = 46
TICK_S = 0.01


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets under way, as arrays of n: when, IP octets, marking, TTL, and which sent packet each is."""

    at: Floats
    size: NDArray[np.int64]
    dscp: NDArray[np.uint8]
    ttl: NDArray[np.uint8]
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Traffic:
        """Some of them."""
        return Traffic(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def sorted(self) -> Traffic:
        """In order of arrival."""
        return self.take(np.argsort(self.at, kind="stable"))

    def delayed(self, delay: Floats | float, *, in_order: bool = True) -> Traffic:
        """Later; packets that may not overtake each other wait for those before."""
        at = self.at + delay
        if in_order:
            return replace(self, at=np.maximum.accumulate(at))
        return replace(self, at=at).sorted()


Hop = Callable[[Traffic, Chance], Traffic]


@dataclass(frozen=True, slots=True)
class Line:
    """A way of constant delay, with the jitter of lightly loaded equipment, over some routers."""

    delay_s: float
    jitter_s: float = 0.0001
    hops: int = 0

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        noise = rng.gamma(1.3, self.jitter_s / 1.3, len(traffic))
        return replace(traffic.delayed(self.delay_s + noise), ttl=traffic.ttl - np.uint8(self.hops))


@dataclass(frozen=True, slots=True)
class CrossTraffic:
    """What others send into a bottleneck: a share of its rate at rest, and more in busy times.

    In busy times flows that yield to loss (TCP) fill the queue and fall back, by a sawtooth, over `surge`,
    a share of the rate that yields to nothing.
    """

    busy: Sequence[tuple[float, float]]
    rest: float = 0.35
    surge: float = 0.8
    growth_per_s: float = 0.25

    def within(self, begin: float, end: float) -> CrossTraffic:
        """With the busy times moved into a stretch."""
        first = min(at for at, _ in self.busy)
        scale = (end - begin) / (max(at for _, at in self.busy) - first)
        moved = [(begin + (a - first) * scale, begin + (b - first) * scale) for a, b in self.busy]
        return replace(self, busy=moved)


@dataclass
class Bottleneck:
    """A FIFO queue of finite length before a link of fixed rate, filled by others: delay that ramps up, then
    drops at its tail.

    With `prioritised`, EF waits for one packet at most, and finds room always. `full_s` and `peak_s` say in
    the end how long it was full and how long the longest wait was.
    """

    rate_bps: float
    depth_s: float
    cross: CrossTraffic
    seconds: float
    prioritised: bool = False
    full_s: float = 0.0
    peak_s: float = 0.0

    def _fill(self, rng: Chance) -> tuple[Floats, Floats]:
        """By tick: the wait in s of who comes then, and the share that is dropped."""
        count = round(self.seconds / TICK_S) + 400
        busy = np.zeros(count, np.bool_)
        for begin, end in self.cross.busy:
            busy[max(0, int(begin / TICK_S)) : int(end / TICK_S)] = True
        noise = rng.gamma(4.0, 0.25, count).tolist()
        wait, share = [0.0] * count, [0.0] * count
        queue, yielding, react = 0.0, 0.0, 0
        rest, surge, growth = self.cross.rest, self.cross.surge, self.cross.growth_per_s * TICK_S
        for tick, is_busy in enumerate(busy.tolist()):
            if is_busy:
                yielding += growth
                load = (surge + yielding) * (0.85 + 0.15 * noise[tick])
            else:
                yielding = 0.0
                load = rest * noise[tick]
            come = load * TICK_S
            queue = max(0.0, queue + come - TICK_S)
            if queue > self.depth_s:
                share[tick] = min(1.0, (queue - self.depth_s) / come)
                queue = self.depth_s
                if react == 0:
                    react = 6  # A round trip later the senders hear of it.
            if react:
                react -= 1
                if react == 0:
                    yielding *= 0.35
            wait[tick] = queue
        return np.asarray(wait), np.asarray(share)

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        wait, share = self._fill(rng)
        self.full_s, self.peak_s = float((share > 0).sum() * TICK_S), float(wait.max())
        place = np.clip(traffic.at / TICK_S, 0, len(wait) - 2)
        tick = place.astype(np.intp)
        queued = np.interp(place, np.arange(len(wait)), wait)
        one_packet = rng.uniform(0, 1, len(traffic)) * 12000 / self.rate_bps
        served = traffic.size * 8 / self.rate_bps
        favoured = (traffic.dscp == EXPEDITED) & self.prioritised
        busy = np.where(wait[tick] > 0, one_packet, one_packet * (rng.random(len(traffic)) < 0.35))
        delay = served + busy + np.where(favoured, 0, queued)
        lost = ~favoured & (rng.random(len(traffic)) < share[tick])
        kept = np.flatnonzero(~lost)
        if not self.prioritised:
            return traffic.take(kept).delayed(delay[kept])
        return _two_queues(traffic.take(kept), delay[kept], favoured[kept])


def _two_queues(traffic: Traffic, delay: Floats, favoured: NDArray[np.bool_]) -> Traffic:
    at = traffic.at + delay
    for queue in (favoured, ~favoured):
        at[queue] = np.maximum.accumulate(at[queue])
    return replace(traffic, at=at).sorted()


@dataclass
class Policer:
    """A token bucket that drops what exceeds a contract, without delay (RFC 2697); others share it."""

    busy: Sequence[tuple[float, float]]
    excess: float
    """By how much the load exceeds the contract in busy times, as a share of it."""
    bucket_s: float
    seconds: float

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        count = round(self.seconds / TICK_S) + 400
        busy = np.zeros(count, np.bool_)
        for begin, end in self.busy:
            busy[int(begin / TICK_S) : int(end / TICK_S)] = True
        # Others come in trains; between them the bucket fills a little.
        trains = np.repeat(rng.gamma(0.8, 1.25, count // 8 + 1), 8)[:count]
        load = np.where(busy, (1 + self.excess) * (0.4 + 0.6 * trains), 0.3)
        tokens, share = self.bucket_s, [0.0] * count
        for number, come in enumerate((load * TICK_S).tolist()):
            tokens = min(self.bucket_s, tokens + TICK_S) - come
            if tokens < 0:
                share[number] = min(1.0, -tokens / come)
                tokens = 0.0
        tick = np.clip(traffic.at / TICK_S, 0, count - 1).astype(np.intp)
        return traffic.take(rng.random(len(traffic)) >= np.asarray(share)[tick])


@dataclass
class Radio:
    """A wireless link: a fading channel of two states (Gilbert-Elliott), frames repeated until they are
    acknowledged or given up, all others waiting behind; and roaming, when nothing passes.
    """

    fade_every_s: float
    fade_s: float
    fail: float
    """Of one transmission in a fade."""
    attempts: int = 7
    roams: Sequence[tuple[float, float]] = ()
    queue_s: float = 0.6
    repeated: int = field(default=0, init=False)

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        end = float(traffic.at[-1]) + 1 if len(traffic) else 1.0
        edges, at = [], rng.exponential(self.fade_every_s)
        while at < end:
            length = rng.gamma(2.0, self.fade_s / 2)
            edges.append((at, at + length))
            at += length + rng.exponential(self.fade_every_s)
        flat = [edge for pair in edges for edge in pair]
        free, kept, arrived = 0.0, [], []
        draws = rng.random((len(traffic), self.attempts)).tolist()
        slots = rng.exponential(1.0, (len(traffic), self.attempts)).tolist()
        for row, sent in enumerate(traffic.at.tolist()):
            start = max(sent, free)
            if start - sent > self.queue_s:
                continue
            now, delivered = start, False
            for attempt in range(self.attempts):
                now = self._after_roaming(now) + 0.0006
                faded = bisect.bisect(flat, now) % 2
                if draws[row][attempt] >= (self.fail if faded else 0.06):
                    delivered = True
                    break
                self.repeated += 1
                # Contention doubles with each failure, and the rate falls back.
                now += 0.0008 * slots[row][attempt] * 2**attempt
            free = now
            if delivered:
                kept.append(row)
                arrived.append(now)
        rows = np.asarray(kept, np.intp)
        return replace(traffic.take(rows), at=np.asarray(arrived, np.float64))

    def _after_roaming(self, now: float) -> float:
        for begin, end in self.roams:
            if begin <= now < end:
                return end
        return now


@dataclass(frozen=True, slots=True)
class BitErrors:
    """A way that damages frames now and then, whatever the load: each is lost by itself, long ones sooner."""

    share: float
    """Of packets of 200 octets."""

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        lost = 1 - (1 - self.share) ** (traffic.size / 200)
        return traffic.take(rng.random(len(traffic)) >= lost)


@dataclass(frozen=True, slots=True)
class Wander:
    """Delay that varies without loss: service in turns of `period_s` (polling, grants), and many small
    queues, whose sum remembers itself for some packets.
    """

    mean_s: float
    memory: float = 0.6
    period_s: float = 0.0

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        drawn = rng.gamma(0.9, self.mean_s / 0.9, len(traffic))
        kernel = (1 - self.memory) * self.memory ** np.arange(12)
        smooth = np.convolve(drawn, kernel, "full")[: len(drawn)]
        delay = 0.45 * drawn + 0.55 * smooth
        if self.period_s:
            phase = rng.uniform(0, self.period_s)
            turn = np.ceil((traffic.at + delay - phase) / self.period_s) * self.period_s + phase
            delay = turn - traffic.at + rng.uniform(0, 0.0006, len(traffic))
        return traffic.delayed(delay)


@dataclass(frozen=True, slots=True)
class Detour:
    """A route that changes: in the stretches given a longer way with other routers; at each change some
    packets meet no route, and on the way back new ones overtake old ones.
    """

    stretches: Sequence[tuple[float, float]]
    extra_s: float
    extra_hops: int
    outage_s: float

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        away = np.zeros(len(traffic), np.bool_)
        lost = np.zeros(len(traffic), np.bool_)
        for begin, end in self.stretches:
            away |= (traffic.at >= begin) & (traffic.at < end)
            for edge in (begin, end):
                outage = self.outage_s * rng.uniform(0.3, 1.7)
                lost |= (traffic.at >= edge - outage) & (traffic.at < edge)
        ttl = traffic.ttl - np.where(away, self.extra_hops, 0).astype(np.int64)
        moved = replace(traffic, ttl=ttl.astype(np.uint8))
        delay = np.where(away, self.extra_s, 0.0)
        return replace(moved, at=moved.at + delay).take(~lost).sorted()


@dataclass(frozen=True, slots=True)
class Remark:
    """A hop that writes other DSCPs, from a time on, by a table; what is not in it stays (RFC 9435, 5)."""

    table: dict[int, int]
    since_s: float = 0.0

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        dscp = traffic.dscp.copy()
        late = traffic.at >= self.since_s
        for before, after in self.table.items():
            dscp[late & (traffic.dscp == before)] = after
        return replace(traffic, dscp=dscp)


@dataclass(frozen=True, slots=True)
class Outage:
    """A way over which nothing passes in some stretches."""

    stretches: Sequence[tuple[float, float]]

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        lost = np.zeros(len(traffic), np.bool_)
        for begin, end in self.stretches:
            lost |= (traffic.at >= begin) & (traffic.at < end)
        return traffic.take(~lost)


@dataclass(frozen=True, slots=True)
class Stalls:
    """A device that stops now and then and then sends what has gathered, at once."""

    stretches: Sequence[tuple[float, float]]
    keeps: int = 1 << 30
    """How many packets it can hold back; older ones are gone."""

    def __call__(self, traffic: Traffic, rng: Chance) -> Traffic:
        """Carry packets."""
        begins, ends = (np.array([stretch[k] for stretch in self.stretches]) for k in (0, 1))
        which = np.searchsorted(begins, traffic.at, "right") - 1
        held = (which >= 0) & (traffic.at < ends[np.maximum(which, 0)])
        # The place of each in its burst, from the first and from the last.
        rows = np.flatnonzero(held)
        group = which[rows]
        first = np.searchsorted(group, group, "left")
        left = np.searchsorted(group, group, "right") - np.arange(len(rows))
        at, lost = traffic.at.copy(), np.zeros(len(traffic), np.bool_)
        at[rows] = ends[group] + 0.0002 * (np.arange(len(rows)) - first) + rng.uniform(0, 0.0001, len(rows))
        lost[rows] = left > self.keeps
        return replace(traffic, at=at).take(~lost).delayed(0.0)
