"""The event loop's end of the media thread: commands down, events up, taps and sounds beside them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import msgspec

from ringback.media.protocol import Codec, Command, Event, Ready, Shutdown
from ringback.media.taps import Tap
from ringback.media.worker.control import ControlChannel, ControlLostError, control_end
from ringback.media.worker.thread import WorkerThread

_START_S = 15.0
_STOP_S = 3.0


class Media:
    """One engine for all calls of a station, on a thread with its own 20 ms clock."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self.codecs: tuple[Codec, ...] = ()
        self._on_event = on_event
        self._channel: ControlChannel[Event, Command] | None = None
        self._socket: socket.socket | None = None
        self._thread: WorkerThread | None = None
        self._ready: asyncio.Future[tuple[Codec, ...]] | None = None
        self._queue: list[Command] = []

    @property
    def thread(self) -> WorkerThread:
        """The thread; only after `start`."""
        assert self._thread is not None
        return self._thread

    async def start(self, bind: str, ports: tuple[int, int]) -> None:
        """Prepare the engine and wait until it keeps time."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._socket, self._channel = ours, control_end(ours)
        self._ready = loop.create_future()
        four, six = ("", bind) if ":" in bind else (bind, "")
        self._thread = await asyncio.to_thread(WorkerThread, theirs, four, ports, six)
        loop.add_reader(ours.fileno(), self._read)
        self._thread.start()
        async with asyncio.timeout(_START_S):
            self.codecs = await self._ready

    def send(self, command: Command) -> None:
        """Give a command to the engine."""
        if self._channel is None:
            return
        if not self._queue:
            # Together with all other commands of this moment.
            asyncio.get_running_loop().call_soon(self._flush)
        self._queue.append(command)

    def tap(self, tap: Tap) -> None:
        """Listen to a leg."""
        self.thread.taps.open(tap)

    async def stop(self) -> None:
        """End the engine."""
        if self._channel is None:
            return
        self.send(Shutdown())
        self._flush()
        self._close()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_S)

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        if self._channel is None or self._socket is None:
            return
        try:
            self._channel.send(queue)
        except ControlLostError:
            self._close()
            return
        if self._channel.unsent:
            asyncio.get_running_loop().add_writer(self._socket.fileno(), self._write_rest)

    def _write_rest(self) -> None:
        if self._channel is None or self._socket is None:
            return
        self._channel.flush()
        if not self._channel.unsent:
            asyncio.get_running_loop().remove_writer(self._socket.fileno())

    def _read(self) -> None:
        if self._channel is None:
            return
        try:
            events = self._channel.receive()
        except ControlLostError:
            self._close()
            return
        for event in events:
            if isinstance(event, msgspec.ValidationError):
                continue
            if isinstance(event, Ready) and self._ready is not None and not self._ready.done():
                self._ready.set_result(tuple(event.codecs))
            else:
                self._on_event(event)

    def _close(self) -> None:
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        loop.remove_writer(self._socket.fileno())
        if self._channel is not None and self._channel.unsent:
            self._channel.flush()
        self._socket.close()
        self._socket = self._channel = None
