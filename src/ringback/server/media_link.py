"""A media worker process and the Unix socket to it: started, spoken to, noticed when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from ringback.media.protocol import Codec, Command, Event, Ready, Shutdown, UseCertificate
from ringback.webrtc.certificate import DtlsCertificate

_LENGTH_BYTES: Final = 4
_MAX_FRAME: Final = 16 * 1024 * 1024
_START_PATIENCE_S: Final = 15.0
_STOP_PATIENCE_S: Final = 3.0

SILENCE_S = 10.0
"""A worker tells its statistics every second: one that says nothing for so long is stuck, and of no use."""

log = structlog.get_logger(__name__)


class MediaWorkerError(RuntimeError):
    """The media worker did not start."""


class MediaLink:
    """One worker process. `on_event` gets its events; `on_lost` is called once if it dies unasked."""

    def __init__(self, on_event: Callable[[Event], None], on_lost: Callable[[], None]) -> None:
        self.codecs: tuple[Codec, ...] = ()
        self._on_event = on_event
        self._on_lost = on_lost
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Event)
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, bind: str, ports: tuple[int, int], certificate: DtlsCertificate) -> None:
        """Start the process and wait until it is ready; raises MediaWorkerError.

        `certificate` is what it shows to browsers; its key goes over the socket and nowhere else.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        ours.setblocking(False)
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "ringback.media.worker",
                    *("--fd", str(theirs.fileno()), "--bind", bind, "--ports", f"{ports[0]}-{ports[1]}"),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C is meant for the server, which ends the calls first.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self.send(UseCertificate(certificate=certificate.der, private_key=certificate.private_key))
        try:
            async with asyncio.timeout(_START_PATIENCE_S):
                ready = self._decoder.decode(await _read_frame(reader))
        except (TimeoutError, asyncio.IncompleteReadError, OSError, msgspec.DecodeError) as error:
            self._give_up()
            raise MediaWorkerError("the media worker did not start; see its message above") from error
        except BaseException:
            self._give_up()
            raise
        if not isinstance(ready, Ready):
            self._give_up()
            raise MediaWorkerError("the media worker spoke out of turn")
        self.codecs = tuple(ready.codecs)
        self._reading = asyncio.create_task(self._read(reader))

    def send(self, command: Command) -> None:
        """Give a command to the worker; silently nothing when it is gone (on_lost says so)."""
        if self._writer is None or self._writer.is_closing():
            return
        frame = self._encoder.encode(command)
        self._writer.write(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)

    async def stop(self) -> None:
        """End the worker: ask, wait, then insist."""
        self._stopping = True
        self.send(Shutdown())
        if self._process is not None:
            try:
                async with asyncio.timeout(_STOP_PATIENCE_S):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    def kill(self) -> None:
        """End the worker at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, 9)

    def _give_up(self) -> None:
        self.kill()
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    frame = await _read_frame(reader)
                event = self._decoder.decode(frame)
                if not isinstance(event, Ready):
                    self._handle(event)
        except TimeoutError:
            log.error("the media worker is stuck", pid=self.pid)
        except (asyncio.IncompleteReadError, OSError):
            pass
        except msgspec.MsgspecError:
            log.exception("media worker sent something that is not an event")
        if not self._stopping:
            self._give_up()
            self._on_lost()

    def _handle(self, event: Event) -> None:
        """A fault of ours with one event must not make us deaf to all that follow."""
        try:
            self._on_event(event)
        except Exception:
            log.exception("an event of the media worker could not be handled", kind=type(event).__name__)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    if length > _MAX_FRAME:
        raise asyncio.IncompleteReadError(b"", length)
    return await reader.readexactly(length)
