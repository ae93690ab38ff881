"""How the worker's clock behaves with more work than there is time for; the time is made up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest

from ringback.media.worker import loop
from ringback.media.worker.control import worker_end
from ringback.media.worker.rest import REST_NS
from ringback.media.worker.sockets import UdpPorts

SECOND_NS = 1_000_000_000
MS = 1_000_000
KERNEL_SHARE = 0.05
"""Of each second, what Linux takes from a real-time thread that does not leave it by itself: the fair server
of a CPU, or sched_rt_runtime_us before it."""


class Clock:
    """In place of `time` and `select`: time goes on where the worker sleeps and where it is told to."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND_NS
        self.slept: list[tuple[int, int]] = []

    def monotonic_ns(self) -> int:
        return self.now

    def time_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        ns = round(seconds * SECOND_NS)
        self.slept.append((self.now, ns))
        self.now += ns

    def select(self, _read: object, _write: object, _other: object, seconds: float) -> tuple[list[int], ...]:
        if seconds:
            self.sleep(seconds)
        return [], [], []


class Overworked(loop.Worker):
    """Every tick takes `tick_ns`, and reading the sockets before it `drain_ns`."""

    def __init__(self, control: socket.socket, clock: Clock) -> None:
        super().__init__(worker_end(control), UdpPorts("127.0.0.1", 33200, 33210))
        self.clock = clock
        self.tick_ns = self.drain_ns = 0
        self.late: list[int] = []
        self.drained = self.advanced = 0
        self.fails_in_drain = False
        self.ends_ns = clock.now + 4 * SECOND_NS

    def _advance(self, drain: bool) -> None:
        self.advanced += 1
        self._running = self.clock.now + self.tick_ns < self.ends_ns
        try:
            super()._advance(drain)
        finally:
            self.clock.now += self.tick_ns

    def _drain(self, ahead: bool = False) -> None:
        self.drained += not ahead
        self.clock.now += self.drain_ns
        if self.fails_in_drain:
            raise RuntimeError("made up")
        self._rtp_sockets()

    def _ticks(self, deadline: int) -> int:
        self.late.append(self.clock.now - deadline)
        return super()._ticks(deadline)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Overworked]:
    clock = Clock()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = Overworked(theirs, clock)
        monkeypatch.setattr(loop, "time", clock)
        monkeypatch.setattr(loop, "select", clock)
        yield worker


def test_who_is_always_late_rests_in_small_parts_all_the_same(worker: Overworked) -> None:
    worker.tick_ns = 21 * MS
    began = worker.clock.now
    worker.run()
    # The first is the wait for the first tick.
    rests = worker.clock.slept[1:]
    assert max(ns for _, ns in rests) <= REST_NS
    for second in range(began, worker.clock.now - SECOND_NS, SECOND_NS // 10):
        assert sum(ns for at, ns in rests if 0 <= at - second < SECOND_NS) >= KERNEL_SHARE * SECOND_NS - MS


def test_a_short_spell_of_too_much_work_passes_without_rest(worker: Overworked) -> None:
    worker.tick_ns = 21 * MS
    worker.ends_ns = worker.clock.now + 300 * MS
    worker.run()
    assert len(worker.clock.slept) == 1
    assert worker.late[-1] < loop.TICK_NS + 2 * MS


def test_who_was_stopped_for_long_does_not_rest_for_it(worker: Overworked) -> None:
    worker.tick_ns = 10 * SECOND_NS
    worker.ends_ns = worker.clock.now + 25 * SECOND_NS
    worker.run()
    assert max(ns for _, ns in worker.clock.slept) <= loop.TICK_NS


def test_who_has_time_is_never_late(worker: Overworked) -> None:
    worker.tick_ns = 18 * MS
    worker.run()
    assert max(worker.late) == 0


def test_sockets_are_read_once_for_ticks_that_work_made_overdue(worker: Overworked) -> None:
    worker.tick_ns, worker.drain_ns = 15 * MS, 6 * MS
    worker.run()
    assert max(worker.late) < loop.TICK_NS + 15 * MS
    assert worker.drained < worker.advanced


def test_a_tick_that_failed_has_not_read_for_the_next(worker: Overworked) -> None:
    worker.tick_ns, worker.drain_ns, worker.fails_in_drain = 45 * MS, MS, True
    worker.ends_ns = worker.clock.now + 500 * MS
    worker.run()
    assert worker.drained == worker.advanced > 8


def test_quiet_sockets_are_looked_at_each_second_though_ticks_come_in_pairs(worker: Overworked) -> None:
    worker.tick_ns, worker.drain_ns = 16 * MS, 6 * MS
    looks: list[int] = []
    worker._ports.rtp = lambda pairs: looks.append(worker._engine.tick) or []  # type: ignore[assignment,func-returns-value]
    worker._occupied = worker._engine.sources.occupied
    worker.run()
    assert worker.drained < worker.advanced
    assert len(looks) >= 3
    assert max(after - before for before, after in pairwise(looks)) <= loop.IDLE_EVERY_TICKS + 2


def stalled(worker: Overworked, after_ms: int, stall_ms: int) -> None:
    """Let every 25th wait last so much longer, once its end is reached, and the tick before it so long."""
    waited, wait = 0, worker._wait

    def stalling(ns: int) -> None:
        nonlocal waited
        waited += 1
        wait(ns)
        worker.tick_ns = (after_ms if waited % 25 == 24 else 2) * MS
        if waited % 25 == 0:
            worker.clock.now += stall_ms * MS

    worker._wait = stalling  # type: ignore[method-assign]


@pytest.mark.parametrize("after_ms", [2, 21])
def test_after_a_stall_sockets_are_read_at_each_tick_that_is_made_up_for(
    worker: Overworked, after_ms: int
) -> None:
    stalled(worker, after_ms, 45)
    worker.run()
    assert max(worker.late) >= 45 * MS
    assert worker.drained == worker.advanced
