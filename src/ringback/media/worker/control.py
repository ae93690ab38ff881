"""An end of the control socket: length-prefixed msgpack frames, never waiting, bounded both ways."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from ringback.media.protocol import Command, Event, LegStatistics, Statistics, Talking

MAX_MESSAGE_BYTES = 1 << 20
MAX_UNSENT_BYTES = 32 << 20
MAX_READ_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")


R = TypeVar("R")
S = TypeVar("S")


class ControlLostError(Exception):
    """The other end is gone or does not keep to the protocol: the worker ends."""


class ControlChannel(Generic[R, S]):
    """Messages of one kind in, of another out: see `worker_end` and `control_end`."""

    def __init__(self, connection: socket.socket, received: Any) -> None:
        """`received` is the type of what comes: Command or Event."""
        connection.setblocking(False)
        self._connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[R] = msgspec.msgpack.Decoder(received)
        self._received = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._connection.fileno()

    @property
    def unsent(self) -> bool:
        """Whether messages wait for the other end to read."""
        return bool(self._unsent)

    def receive(self) -> list[R | msgspec.ValidationError]:
        """Messages that have arrived (or why a frame is none); raises ControlLostError at the end of the
        stream."""
        try:
            data = self._connection.recv(MAX_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise ControlLostError from error
        if not data:
            raise ControlLostError
        self._received += data
        messages: list[R | msgspec.ValidationError] = []
        position = 0
        while len(self._received) - position >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received, position)
            if size > MAX_MESSAGE_BYTES:
                raise ControlLostError
            if len(self._received) - position - _LENGTH.size < size:
                break
            position += _LENGTH.size
            try:
                messages.append(self._decoder.decode(memoryview(self._received)[position : position + size]))
            except msgspec.ValidationError as error:
                messages.append(error)
            except msgspec.DecodeError as error:
                messages.append(msgspec.ValidationError(str(error)))
            position += size
        del self._received[:position]
        return messages

    def send(self, messages: Sequence[S]) -> None:
        """Queue messages and write what the socket takes; what is only of the moment is dropped if nobody
        reads."""
        crowded = len(self._unsent) > MAX_UNSENT_BYTES // 4
        for message in messages:
            if crowded and isinstance(message, LegStatistics | Statistics | Talking):
                continue
            frame = self._encoder.encode(message)
            self._unsent += _LENGTH.pack(len(frame))
            self._unsent += frame
        if len(self._unsent) > MAX_UNSENT_BYTES:
            raise ControlLostError
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it."""
        while self._unsent:
            try:
                written = self._connection.send(memoryview(self._unsent)[: 1 << 18])
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise ControlLostError from error
            del self._unsent[:written]


def worker_end(connection: socket.socket) -> ControlChannel[Command, Event]:
    """Commands in, events out."""
    return ControlChannel(connection, Command)


def control_end(connection: socket.socket) -> ControlChannel[Event, Command]:
    """Events in, commands out."""
    return ControlChannel(connection, Event)
