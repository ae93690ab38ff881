"""The media worker as the control process sees it: a real process, killed, stuck, or impossible to start."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable

import pytest

from ringback.media import protocol as media
from ringback.server import media_link
from ringback.server.media_link import MediaLink
from ringback.server.media_supervisor import MediaSupervisor
from ringback.webrtc.certificate import DtlsCertificate, make_certificate
from tests.wire.ports import media_range


class Watch:
    """A supervisor and what it said."""

    def __init__(self) -> None:
        self.events: list[media.Event] = []
        self.lost_at: float | None = None
        self.fail_on: type | None = None
        self.supervisor = MediaSupervisor(
            "127.0.0.1", media_range(), make_certificate(time.time()), self._on_event, self._on_lost
        )

    def _on_event(self, event: media.Event) -> None:
        if self.fail_on is not None and isinstance(event, self.fail_on):
            raise RuntimeError("a fault of ours")
        self.events.append(event)

    def _on_lost(self) -> None:
        self.lost_at = time.monotonic()

    async def until(self, kind: type) -> media.Event:
        await eventually(lambda: any(isinstance(event, kind) for event in self.events), 10)
        return next(event for event in self.events if isinstance(event, kind))

    async def until_ready(self) -> None:
        await eventually(lambda: self.supervisor.ready, 15)


async def eventually(condition: Callable[[], bool], patience_s: float) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 - what is watched has no event to wait for
            await asyncio.sleep(0.005)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    watch = Watch()
    await watch.supervisor.start()
    yield watch
    await watch.supervisor.stop()


async def test_a_killed_worker_is_noticed_within_a_second_and_replaced(watch: Watch) -> None:
    (pid,) = watch.supervisor.pids
    killed_at = time.monotonic()
    os.kill(pid, 9)
    await eventually(lambda: watch.lost_at is not None, 1)
    assert time.monotonic() - killed_at < 1
    assert not watch.supervisor.ready
    assert watch.supervisor.pids == []
    watch.supervisor.send(media.OpenLeg(leg=7))
    refused = await watch.until(media.CommandFailed)
    assert isinstance(refused, media.CommandFailed)
    assert (refused.command, refused.leg) == ("OpenLeg", 7)
    await watch.until_ready()
    assert watch.supervisor.pids not in ([], [pid])
    watch.supervisor.send(media.OpenLeg(leg=8))
    await watch.until(media.LegOpened)


async def test_a_fault_of_ours_with_one_event_does_not_make_us_deaf(watch: Watch) -> None:
    watch.fail_on = media.LegOpened
    watch.supervisor.send(media.OpenLeg(leg=1))
    await asyncio.sleep(0.3)
    watch.fail_on = None
    watch.supervisor.send(media.OpenLeg(leg=2))
    opened = await watch.until(media.LegOpened)
    assert isinstance(opened, media.LegOpened)
    assert opened.leg == 2


async def test_a_start_that_fails_for_want_of_processes_is_tried_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = 0
    real = MediaLink.start

    async def start(self: MediaLink, bind: str, ports: tuple[int, int], certificate: DtlsCertificate) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        await real(self, bind, ports, certificate)

    monkeypatch.setattr(MediaLink, "start", start)
    os.kill(watch.supervisor.pids[0], 9)
    await eventually(lambda: not watch.supervisor.ready, 5)
    await watch.until_ready()
    assert starts == 3


async def test_a_stuck_worker_is_replaced_like_a_dead_one(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_link, "SILENCE_S", 2.5)
    (pid,) = watch.supervisor.pids
    await watch.until(media.Statistics)
    os.kill(pid, 19)
    await eventually(lambda: watch.lost_at is not None, 8)
    await watch.until_ready()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
