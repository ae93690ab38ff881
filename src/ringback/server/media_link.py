"""A media worker process and the Unix sockets to it: started, spoken to, noticed when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ringback.config.values import of_family
from ringback.media.protocol import Codec, Command, Event, Ready, Shutdown, UseCertificate
from ringback.media.worker.descriptors import DescriptorChannel, SocketPair, channel
from ringback.webrtc.certificate import DtlsCertificate

_LENGTH_BYTES: Final = 4
_MAX_FRAME: Final = 16 * 1024 * 1024
_START_PATIENCE_S: Final = 15.0
_STOP_PATIENCE_S: Final = 3.0
_LOOK_EVERY_S: Final = 0.5

SILENCE_S = 3.0
"""A worker tells its statistics every second: one that says nothing for so long is stuck, and of no use."""

log = structlog.get_logger(__name__)


class MediaWorkerError(RuntimeError):
    """The media worker did not start."""


class MediaLink:
    """One worker process. `on_event` gets its events, `on_pairs` the sockets that it opened (duplicates, for
    who gets them to close); `on_lost` is called once if it dies unasked, after all that it has said.
    """

    def __init__(
        self,
        on_event: Callable[[Event], None],
        on_pairs: Callable[[list[SocketPair]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.codecs: tuple[Codec, ...] = ()
        self._on_event = on_event
        self._on_pairs = on_pairs
        self._on_lost = on_lost
        self._process: Process | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._descriptors: DescriptorChannel | None = None
        self._ready: asyncio.Future[Event] | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Event)
        self._outgoing = bytearray()
        self._flushing = False
        self._waits_for_descriptors = False
        self._heard_at = 0.0
        self._stuck = False
        self._running = False
        self._over = False

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def last_pid(self) -> int | None:
        """The worker's process id, also after its end."""
        return self._process.pid if self._process is not None else None

    async def start(
        self,
        bind: tuple[str, ...],
        ports: tuple[int, int],
        certificate: DtlsCertificate,
        full_band: bool = False,
        music: Path | None = None,
    ) -> None:
        """Start the process and wait until it is ready; raises MediaWorkerError.

        `bind` is an IPv4 address, an IPv6 one or both; `certificate` is what it shows to browsers, whose key
        goes over the socket and nowhere else. `full_band` lets those who send Opus hear each other up to
        20 kHz; `music` is a file in place of the built-in one.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        our_channel, their_channel = channel()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        ours.setblocking(False)
        with theirs, their_channel:
            inherited = theirs.fileno(), their_channel.fileno()
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "ringback.media.worker", "--ports", f"{ports[0]}-{ports[1]}"),
                    *("--bind", of_family(bind, 4), "--bind-ipv6", of_family(bind, 6)),
                    *("--fd", str(inherited[0]), "--descriptors", str(inherited[1])),
                    *(("--full-band",) if full_band else ()),
                    *(("--music", str(music)) if music is not None else ()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=inherited,
                    # Ctrl-C is meant for the server, which ends the calls first.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                our_channel.close()
                raise
        self._descriptors = DescriptorChannel(our_channel)
        loop.add_reader(our_channel.fileno(), self._receive_pairs)
        self._transport, _ = await loop.create_unix_connection(lambda: _Frames(self), sock=ours)
        self.send(UseCertificate(certificate=certificate.der, private_key=certificate.private_key))
        try:
            async with asyncio.timeout(_START_PATIENCE_S):
                ready = await self._ready
        except (TimeoutError, OSError) as error:
            self._give_up()
            raise MediaWorkerError("the media worker did not start; see its message above") from error
        except BaseException:
            self._give_up()
            raise
        if not isinstance(ready, Ready):
            self._give_up()
            raise MediaWorkerError("the media worker spoke out of turn")
        if self._over:
            raise MediaWorkerError("the media worker ended as soon as it was ready")
        self._running = True
        self.codecs = tuple(ready.codecs)
        self._watching = loop.call_later(_LOOK_EVERY_S, self._watch)

    def send(self, command: Command) -> None:
        """Give a command to the worker; silently nothing when it is gone (on_lost says so)."""
        if self._transport is None or self._over:
            return
        frame = self._encoder.encode(command)
        self._outgoing += len(frame).to_bytes(_LENGTH_BYTES, "big")
        self._outgoing += frame
        if not self._flushing:
            # Together with all other commands of this moment.
            self._flushing = True
            assert self._loop is not None
            self._loop.call_soon(self._flush)

    def give(self, pairs: list[SocketPair]) -> None:
        """Hand duplicates of sockets to the worker, before any command that is sent later."""
        if self._descriptors is None or self._over:
            return
        with contextlib.suppress(OSError):
            if not self._descriptors.send(pairs) and not self._waits_for_descriptors:
                self._waits_for_descriptors = True
                asyncio.get_running_loop().add_writer(self._descriptors.fileno(), self._give_rest)

    async def stop(self) -> None:
        """End the worker: ask, wait, then insist."""
        self.send(Shutdown())
        self._flush()
        self._over = True
        if self._process is not None:
            try:
                async with asyncio.timeout(_STOP_PATIENCE_S):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()
        self._close()

    def kill(self) -> None:
        """End the worker at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, 9)

    # What the socket does

    def hear(self, frame: bytearray | memoryview) -> None:
        """Take one frame; a fault of ours with one event must not make us deaf to all that follow."""
        try:
            event = self._decoder.decode(frame)
        except msgspec.MsgspecError:
            log.exception("media worker sent something that is not an event")
            self._fail()
            return
        self._heard_at = time.monotonic()
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(event)
            return
        try:
            self._on_event(event)
        except Exception:
            log.exception("an event of the media worker could not be handled", kind=type(event).__name__)

    def ended(self) -> None:
        """The socket to the worker is closed: so is the worker, or will be."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ConnectionResetError("the worker ended"))
        elif not self._over:
            self._fail()

    def _fail(self) -> None:
        if self._over:
            return
        self._receive_pairs()
        self._give_up()
        if self._running:
            self._on_lost()

    def _give_up(self) -> None:
        self._over = True
        self.kill()
        self._close()

    def _close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._descriptors is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._descriptors.fileno())
            loop.remove_writer(self._descriptors.fileno())
            self._descriptors.close()
            self._descriptors = None

    def _flush(self) -> None:
        self._flushing = False
        if self._waits_for_descriptors or self._transport is None or not self._outgoing:
            return
        self._transport.write(bytes(self._outgoing))
        self._outgoing.clear()

    def _give_rest(self) -> None:
        if self._descriptors is None:
            return
        with contextlib.suppress(OSError):
            if not self._descriptors.flush():
                return
        self._waits_for_descriptors = False
        asyncio.get_running_loop().remove_writer(self._descriptors.fileno())
        self._flush()

    def _receive_pairs(self) -> None:
        if self._descriptors is not None:
            pairs = self._descriptors.receive()
            if pairs:
                self._on_pairs(pairs)

    def _watch(self) -> None:
        """Notice that nothing came for too long, nor in the moment since that was noticed: it may have been
        we who did not listen."""
        silent = time.monotonic() - self._heard_at > SILENCE_S
        if silent and self._stuck:
            log.error("the media worker is stuck", pid=self.pid)
            self._fail()
            return
        self._stuck = silent
        self._watching = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._watch)


class _Frames(asyncio.Protocol):
    """Cuts what comes from the worker into frames."""

    def __init__(self, link: MediaLink) -> None:
        self._link = link
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        received = self._received
        received += data
        start = 0
        while len(received) - start >= _LENGTH_BYTES:
            end = start + _LENGTH_BYTES + int.from_bytes(received[start : start + _LENGTH_BYTES], "big")
            if end - start > _MAX_FRAME:
                self._link.ended()
                return
            if end > len(received):
                break
            self._link.hear(received[start + _LENGTH_BYTES : end])
            start = end
        del received[:start]

    def connection_lost(self, error: Exception | None) -> None:
        """The other end is closed."""
        self._link.ended()
