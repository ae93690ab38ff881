"""Media workers as the control process sees them: real processes, killed, stuck, or impossible to start."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ringback.media import protocol as media
from ringback.server import media_link
from ringback.server.media_link import MediaLink
from ringback.server.media_pool import MediaPool, split_ports
from ringback.webrtc.certificate import make_certificate
from tests.wire.ports import media_range


class Watch:
    """A pool of workers and what it said."""

    def __init__(self, size: int) -> None:
        self.events: list[media.Event] = []
        self.lost: list[int] = []
        self.fail_on: type | None = None
        self.pool = MediaPool(
            ("127.0.0.1",), media_range(), size, make_certificate(time.time()), self._on_event, self._on_lost
        )

    def _on_event(self, event: media.Event) -> None:
        if self.fail_on is not None and isinstance(event, self.fail_on):
            raise RuntimeError("a fault of ours")
        self.events.append(event)

    def _on_lost(self, legs: list[int]) -> None:
        self.lost += legs

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type, count: int = 1) -> Any:
        await eventually(lambda: len(self.of(kind)) >= count, 10)
        return self.of(kind)[count - 1]

    async def until_ready(self, count: int = 1) -> None:
        await eventually(lambda: len(self.pool.pids) == count and self.pool.ready, 15)


async def eventually(condition: Callable[[], bool], patience_s: float) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 - what is watched has no event to wait for
            await asyncio.sleep(0.005)


@pytest.fixture
async def watch(request: pytest.FixtureRequest) -> AsyncIterator[Watch]:
    watch = Watch(getattr(request, "param", 1))
    await watch.pool.start()
    yield watch
    await watch.pool.stop()


async def test_a_killed_worker_is_noticed_within_a_second_and_replaced(watch: Watch) -> None:
    (pid,) = watch.pool.pids
    os.kill(pid, 9)
    await eventually(lambda: not watch.pool.ready, 1)
    assert watch.pool.pids == []
    assert watch.pool.codecs, "a call that comes now need not be refused"
    watch.pool.send(media.OpenLeg(leg=7))
    opened = await watch.until(media.LegOpened)
    assert opened.leg == 7
    assert watch.pool.pids not in ([], [pid])
    assert watch.pool.restarts == 1


async def test_a_leg_keeps_its_ports_when_its_worker_is_killed(watch: Watch) -> None:
    watch.pool.send(media.OpenLeg(leg=1))
    first = await watch.until(media.LegOpened)
    os.kill(watch.pool.pids[0], 9)
    await eventually(lambda: watch.pool.takeovers == 1, 10)
    watch.pool.send(media.OpenLeg(leg=2))
    second = await watch.until(media.LegOpened, 2)
    assert second.rtp_port != first.rtp_port
    watch.pool.send(media.SendDigits(leg=1, digits="1" * 100))
    failed = await watch.until(media.CommandFailed)
    assert failed.reason == "too many digits", "the leg is there"
    assert watch.lost == []


async def test_a_fault_of_ours_with_one_event_does_not_make_us_deaf(watch: Watch) -> None:
    watch.fail_on = media.LegOpened
    watch.pool.send(media.OpenLeg(leg=1))
    await eventually(lambda: len(watch.of(media.Statistics)) >= 1, 10)
    watch.fail_on = None
    watch.pool.send(media.OpenLeg(leg=2))
    opened = await watch.until(media.LegOpened)
    assert opened.leg == 2


async def test_a_start_that_fails_for_want_of_processes_is_tried_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = 0
    real = MediaLink.start

    async def start(self: MediaLink, *given: Any) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        await real(self, *given)

    monkeypatch.setattr(MediaLink, "start", start)
    os.kill(watch.pool.pids[0], 9)
    await eventually(lambda: not watch.pool.ready, 5)
    await watch.until_ready()
    assert starts == 3


async def test_a_stuck_worker_is_replaced_like_a_dead_one(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_link, "SILENCE_S", 2.0)
    (pid,) = watch.pool.pids
    await watch.until(media.Statistics)
    os.kill(pid, 19)
    await eventually(lambda: watch.pool.restarts == 1, 8)
    await watch.until_ready()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("watch", [2], indirect=True)
async def test_another_worker_goes_on_with_the_legs_of_a_dead_one(watch: Watch) -> None:
    pool = watch.pool
    pool.send(media.OpenLeg(leg=1, group=5))
    pool.send(media.OpenLeg(leg=2, group=6))
    await watch.until(media.LegOpened, 2)
    assert [load.legs for load in pool.loads] == [1, 1]
    os.kill(pool.pids[0], 9)
    await eventually(lambda: pool.takeovers == 1, 10)
    assert [load.legs for load in pool.loads] == [0, 2]
    await watch.until_ready(2)
    pool.send(media.CloseLeg(leg=1))
    await watch.until(media.LegClosed)
    pool.send(media.OpenLeg(leg=3, group=7))
    opened = await watch.until(media.LegOpened, 3)
    assert opened.rtp_port != watch.of(media.LegOpened)[0].rtp_port, "held as long as something may come"
    assert watch.lost == []


@pytest.mark.parametrize(
    ("ports", "size", "expected"),
    [
        ((20000, 29999), 1, [(20000, 29999)]),
        ((20000, 29999), 3, [(20000, 23331), (23332, 26665), (26666, 29999)]),
        ((20001, 20007), 2, [(20002, 20003), (20004, 20007)]),
        ((20000, 20003), 8, [(20000, 20001), (20002, 20003)]),
    ],
)
def test_each_worker_has_ports_of_its_own(
    ports: tuple[int, int], size: int, expected: list[tuple[int, int]]
) -> None:
    assert split_ports(ports, size) == expected
