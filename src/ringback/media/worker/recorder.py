"""The worker's end of the writer process: shared memory that is filled without ever waiting.

What the writer has not read yet stays in the memory; when that is full, a message is refused, and the engine
counts what is lost. The writer starts with the first recording and ends with the worker.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import sys
from collections.abc import Sequence

from ringback.media.recorded import CHUNK, CONSUMED, REPLY

MEMORY_BYTES = 64 << 20
"""For more than eight minutes of one recording of which four tracks sound, or five seconds of a hundred."""
MAX_REPLY_BYTES = 1 << 16

Part = bytes | memoryview


class RecorderLink:
    """Implements the engine's `Recorder` with a process."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._size = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: list[subprocess.Popen[bytes]] = []
        self._memory: mmap.mmap | None = None
        self._chunks = self._replies = -1
        self._put = self._done = 0

    @property
    def pid(self) -> int | None:
        """The writer's process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the writer, unless it runs; raises OSError."""
        if self._process is not None:
            return
        self._ended = [process for process in self._ended if process.poll() is None]
        descriptor = os.memfd_create("ringback-recorder", os.MFD_CLOEXEC)
        theirs: list[int] = [descriptor]
        try:
            os.ftruncate(descriptor, self._size)
            their_chunks, self._chunks = os.pipe()
            theirs.append(their_chunks)
            self._replies, their_replies = os.pipe()
            theirs.append(their_replies)
            os.set_blocking(self._chunks, False)
            os.set_blocking(self._replies, False)
            self._memory = mmap.mmap(descriptor, self._size)
            self._put = self._done = 0
            names = [str(number) for number in (their_chunks, their_replies, descriptor, self._size)]
            self._process = subprocess.Popen(  # noqa: S603 - our own program and numbers
                [sys.executable, "-m", "ringback.media.worker.writer", *names],
                stdin=subprocess.DEVNULL,
                pass_fds=theirs,
            )
        except OSError:
            self._close()
            raise
        finally:
            for number in theirs:
                os.close(number)

    def put(self, parts: Sequence[Part]) -> bool:
        """Give the writer a message; False, and nothing done, when there is no room for it or no writer."""
        if self._memory is None:
            return False
        length = sum(map(len, parts))
        at = self._place(length)
        if at < 0:
            return False
        offset = at % self._size
        for part in parts:
            self._memory[offset : offset + len(part)] = part
            offset += len(part)
        try:
            # The pipe also makes sure that what it tells of is seen in the memory before.
            os.write(self._chunks, CHUNK.pack(at, length))
        except OSError:
            return False
        self._put = at + length
        return True

    def _place(self, length: int) -> int:
        """Where so many octets can be put in one piece, -1 if nowhere."""
        at = self._put
        offset = at % self._size
        if at == self._done:
            # All has been read: the first pages are used again, and the others never touched.
            at = self._put = self._done = at + -offset % self._size
        elif offset + length > self._size:
            at += self._size - offset
        return at if at + length - self._done <= self._size else -1

    def replies(self) -> list[tuple[int, int, int, int]] | None:
        """What the writer said since it was last asked, as REPLY; None once it is gone."""
        if self._process is None:
            return None
        try:
            data = os.read(self._replies, MAX_REPLY_BYTES)
        except BlockingIOError:
            return []
        if not data:
            self.abandon()
            return None
        told: list[tuple[int, int, int, int]] = []
        for reply in REPLY.iter_unpack(data):
            if reply[0] == CONSUMED:
                self._done = reply[2]
            else:
                told.append(reply)
        return told

    def abandon(self) -> None:
        """End a writer that does not keep up; what it has not written is lost."""
        if self._process is not None:
            self._process.kill()
            # One that hangs in a disk dies when that lets go; nobody waits for it.
            self._ended.append(self._process)
            self._process = None
        self._close()

    def close(self) -> None:
        """Let the writer write what is there and end by itself."""
        self._close()

    def _close(self) -> None:
        for number in (self._chunks, self._replies):
            if number >= 0:
                with contextlib.suppress(OSError):
                    os.close(number)
        self._chunks = self._replies = -1
        if self._memory is not None:
            self._memory.close()
            self._memory = None
