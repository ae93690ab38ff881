"""The media workers, one a core: kept alive, and their legs kept going when one dies or is full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import structlog

from ringback.media.fleet.fleet import Fleet
from ringback.media.fleet.roster import HOMELESS_S
from ringback.media.protocol import Codec, Command, Event, Statistics
from ringback.media.worker.descriptors import SocketPair
from ringback.server.media_link import MediaLink, MediaWorkerError
from ringback.webrtc.certificate import DtlsCertificate

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_STABLE_S: Final = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """How one worker is doing; `pid` is None while it is being replaced."""

    pid: int | None
    legs: int
    busy_fraction: float
    late_ticks: int
    overdue_ticks: int
    sockets: int


class MediaPool:
    """All workers. `on_event` gets what happens to legs, `on_lost` those that no worker goes on with."""

    def __init__(
        self,
        bind: tuple[str, ...],
        ports: tuple[int, int],
        size: int,
        certificate: DtlsCertificate,
        on_event: Callable[[Event], None],
        on_lost: Callable[[list[int]], None],
        full_band: bool = False,
        music: Path | None = None,
    ) -> None:
        self.restarts = 0
        self._music = music
        self._full_band = full_band
        self._bind = bind
        self._ports = split_ports(ports, size)
        self._certificate = certificate
        self._fingerprint = certificate.fingerprint
        self._on_event = on_event
        size = len(self._ports)
        self._links: list[MediaLink | None] = [None] * size
        self._pauses = [0.0] * size
        self._started_at = [0.0] * size
        self._statistics: list[Statistics | None] = [None] * size
        self._restarting: dict[int, asyncio.Task[None]] = {}
        self._sockets = _Sockets()
        self._codecs: tuple[Codec, ...] = ()
        reach = _Reach(self._links, self._sockets, on_event, on_lost)
        self._fleet = Fleet(reach, size, time.monotonic())

    # What is

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run."""
        return [link.pid for link in self._links if link is not None and link.pid is not None]

    @property
    def ready(self) -> bool:
        """Whether a worker runs."""
        return bool(self._fleet.roster.up)

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """What the workers can code, best first; empty while none runs and none is about to."""
        return self._codecs if self._open else ()

    @property
    def dtls_fingerprint(self) -> str:
        """The workers' certificate as SDP names it; "" while browsers cannot be served."""
        return self._fingerprint if self._open else ""

    @property
    def takeovers(self) -> int:
        """Legs that went on with another worker after theirs had died."""
        return self._fleet.roster.takeovers

    @property
    def moves(self) -> int:
        """Groups of legs that went from one worker to another."""
        return self._fleet.roster.moves

    @property
    def loads(self) -> list[WorkerLoad]:
        """Each worker in turn."""
        loads = []
        for worker, link in enumerate(self._links):
            seen = self._statistics[worker] or Statistics(busy_fraction=0.0, late_ticks=0, sockets=0)
            loads.append(
                WorkerLoad(
                    pid=link.pid if link is not None else None,
                    legs=len(self._fleet.roster.on[worker]),
                    busy_fraction=seen.busy_fraction,
                    late_ticks=seen.late_ticks,
                    overdue_ticks=seen.overdue_ticks,
                    sockets=seen.sockets,
                )
            )
        return loads

    @property
    def _open(self) -> bool:
        """Whether calls have somewhere to go, or will have in a moment."""
        return bool(self._codecs) and (self.ready or self._fleet.roster.waits(time.monotonic()))

    # What is done

    async def start(self) -> None:
        """Start the workers; raises MediaWorkerError."""
        await asyncio.gather(*(self._start(worker) for worker in range(len(self._links))))

    async def _start(self, worker: int) -> None:
        link = MediaLink(
            lambda event: self._event(worker, event),
            lambda pairs: self._hold(worker, pairs),
            lambda: self._lost(worker),
        )
        await link.start(self._bind, self._ports[worker], self._certificate, self._full_band, self._music)
        self._links[worker] = link
        self._codecs = link.codecs
        self._started_at[worker] = time.monotonic()
        self._fleet.roster.started(worker)

    def send(self, command: Command) -> None:
        """Give a command to the worker that has its leg, or is to have it."""
        self._fleet.command(command, time.monotonic())

    async def stop(self) -> None:
        """End the workers for good."""
        for task in self._restarting.values():
            task.cancel()
        await asyncio.gather(*(link.stop() for link in self._links if link is not None))
        self._sockets.close()

    # What happens

    def _event(self, worker: int, event: Event) -> None:
        if isinstance(event, Statistics):
            self._statistics[worker] = event
        told = self._fleet.event(worker, event, time.monotonic())
        if told is not None:
            self._on_event(told)

    def _hold(self, worker: int, pairs: list[SocketPair]) -> None:
        self._sockets.hold(pairs)
        for pair in pairs:
            self._fleet.roster.pair_opened(worker, pair.rtp_port)

    def _lost(self, worker: int) -> None:
        link, self._links[worker] = self._links[worker], None
        self._statistics[worker] = None
        self.restarts += 1
        roster = self._fleet.roster
        log.error(
            "a media worker died; others go on with its calls, and a new one is started",
            worker=worker,
            pid=link.last_pid if link is not None else None,
            legs=len(roster.on[worker]),
        )
        roster.died(worker, time.monotonic())
        if not roster.up:
            asyncio.get_running_loop().call_later(HOMELESS_S + 0.1, self._give_up_homeless)
        self._restarting[worker] = asyncio.create_task(self._restart(worker))

    def _give_up_homeless(self) -> None:
        self._fleet.roster.expire(time.monotonic())

    async def _restart(self, worker: int) -> None:
        if time.monotonic() - self._started_at[worker] > _STABLE_S:
            self._pauses[worker] = 0.0
        while True:
            await asyncio.sleep(self._pauses[worker])
            self._pauses[worker] = min(max(2 * self._pauses[worker], _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            try:
                await self._start(worker)
            except (MediaWorkerError, OSError):
                # OSError: no process or descriptor to be had now; that passes, and calls need a worker.
                log.exception("a media worker could not be started again; trying on", worker=worker)
            else:
                log.info("a new media worker runs", worker=worker, pids=self.pids)
                return


class _Sockets:
    """Duplicates of all the sockets that workers opened, by RTP port, so that they outlive the workers."""

    def __init__(self) -> None:
        self._pairs: dict[int, SocketPair] = {}

    def hold(self, pairs: list[SocketPair]) -> None:
        for pair in pairs:
            self.drop(pair.rtp_port)
            self._pairs[pair.rtp_port] = pair

    def of(self, ports: list[int]) -> list[SocketPair]:
        return [self._pairs[port] for port in ports if port in self._pairs]

    def drop(self, port: int) -> None:
        pair = self._pairs.pop(port, None)
        if pair is not None:
            pair.close()

    def close(self) -> None:
        for port in list(self._pairs):
            self.drop(port)


class _Reach:
    """How the fleet reaches workers and the control process. What it tells the latter comes a moment later:
    whoever gave a command is in the middle of something, and so is the fleet."""

    def __init__(
        self,
        links: list[MediaLink | None],
        sockets: _Sockets,
        on_event: Callable[[Event], None],
        on_lost: Callable[[list[int]], None],
    ) -> None:
        self._links = links
        self._sockets = sockets
        self._on_event = on_event
        self._on_lost = on_lost

    def send(self, worker: int, command: Command) -> None:
        link = self._links[worker]
        if link is not None:
            link.send(command)

    def give(self, worker: int, ports: list[int]) -> None:
        link = self._links[worker]
        if link is not None:
            link.give(self._sockets.of(ports))

    def drop(self, port: int) -> None:
        self._sockets.drop(port)

    def tell(self, event: Event) -> None:
        asyncio.get_running_loop().call_soon(self._on_event, event)

    def lost(self, legs: list[int]) -> None:
        asyncio.get_running_loop().call_soon(self._on_lost, legs)


def split_ports(ports: tuple[int, int], size: int) -> list[tuple[int, int]]:
    """The range of each worker: as many pairs of an even and an odd port for each, or fewer workers than
    asked for."""
    first = ports[0] + ports[0] % 2
    pairs = (ports[1] + 1 - first) // 2
    size = max(1, min(size, pairs))
    starts = [first + 2 * (pairs * worker // size) for worker in range(size + 1)]
    return [(start, following - 1) for start, following in pairwise(starts)]
