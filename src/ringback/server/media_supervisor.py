"""Keeps a media worker alive: a dead one costs its calls, is reported at once, and is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from ringback.media.protocol import Codec, Command, CommandFailed, Event, OpenLeg
from ringback.server.media_link import MediaLink, MediaWorkerError
from ringback.webrtc.certificate import DtlsCertificate

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_STABLE_S: Final = 30.0

log = structlog.get_logger(__name__)


class MediaSupervisor:
    """One worker at a time, started again when it dies, with growing pauses when it dies young."""

    def __init__(
        self,
        bind: str,
        ports: tuple[int, int],
        certificate: DtlsCertificate,
        on_event: Callable[[Event], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.restarts = 0
        self._bind = bind
        self._ports = ports
        self._certificate = certificate
        self._on_event = on_event
        self._on_lost = on_lost
        self._link: MediaLink | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._started_at = 0.0

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run."""
        pid = self._link.pid if self._link is not None else None
        return [pid] if pid is not None else []

    @property
    def ready(self) -> bool:
        """Whether calls have somewhere to go."""
        return self._link is not None

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """What the worker can code, best first; empty while none runs."""
        return self._link.codecs if self._link is not None else ()

    @property
    def dtls_fingerprint(self) -> str:
        """The workers' certificate as SDP names it; "" while browsers cannot be served."""
        return self._certificate.fingerprint if self._link is not None else ""

    async def start(self) -> None:
        """Start the worker; raises MediaWorkerError."""
        link = MediaLink(self._on_event, self._lost)
        await link.start(self._bind, self._ports, self._certificate)
        self._link = link
        self._started_at = asyncio.get_running_loop().time()

    def send(self, command: Command) -> None:
        """Give a command to the worker; while none runs, a leg that wants to be opened is refused soon."""
        if self._link is not None:
            self._link.send(command)
        elif isinstance(command, OpenLeg):
            refused = CommandFailed(command="OpenLeg", leg=command.leg, reason="no media worker runs")
            # Not at once: whoever gives a command is in the middle of something.
            asyncio.get_running_loop().call_soon(self._on_event, refused)

    async def stop(self) -> None:
        """End the worker for good."""
        if self._restarting is not None:
            self._restarting.cancel()
        if self._link is not None:
            await self._link.stop()

    def _lost(self) -> None:
        pids, self._link = self.pids, None
        log.error("the media worker died; its calls end and a new one is started", pids=pids)
        self.restarts += 1
        self._on_lost()
        self._restarting = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._started_at > _STABLE_S:
            self._pause_s = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            try:
                await self.start()
            except (MediaWorkerError, OSError):
                # OSError: no process or descriptor to be had now; that passes, and calls need a worker.
                log.exception("the media worker could not be started again; trying on")
            else:
                log.info("a new media worker runs", pids=self.pids)
                return
