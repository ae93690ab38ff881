"""The worker's end of the control socket: length-prefixed msgpack frames, never waiting, bounded both
ways."""

from __future__ import annotations

import socket
import struct

import msgspec

from ringback.media.protocol import Command, Event, LegStatistics, Statistics, Talking

MAX_COMMAND_BYTES = 1 << 20
MAX_UNSENT_BYTES = 32 << 20
MAX_READ_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")


class ControlLostError(Exception):
    """The other end is gone or does not keep to the protocol: the worker ends."""


class ControlChannel:
    """Commands in, events out."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
        self._received = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._connection.fileno()

    @property
    def unsent(self) -> bool:
        """Whether events wait for the other end to read."""
        return bool(self._unsent)

    def receive(self) -> list[Command | msgspec.ValidationError]:
        """Commands that have arrived (or why a frame is none); raises ControlLostError at the end of the
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
        commands: list[Command | msgspec.ValidationError] = []
        position = 0
        while len(self._received) - position >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received, position)
            if size > MAX_COMMAND_BYTES:
                raise ControlLostError
            if len(self._received) - position - _LENGTH.size < size:
                break
            position += _LENGTH.size
            try:
                commands.append(self._decoder.decode(memoryview(self._received)[position : position + size]))
            except msgspec.ValidationError as error:
                commands.append(error)
            except msgspec.DecodeError as error:
                commands.append(msgspec.ValidationError(str(error)))
            position += size
        del self._received[:position]
        return commands

    def send(self, events: list[Event]) -> None:
        """Queue events and write what the socket takes; what is only of the moment is dropped if nobody
        reads."""
        crowded = len(self._unsent) > MAX_UNSENT_BYTES // 4
        for event in events:
            if crowded and isinstance(event, LegStatistics | Statistics | Talking):
                continue
            frame = self._encoder.encode(event)
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
