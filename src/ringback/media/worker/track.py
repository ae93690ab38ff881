"""One file of a recording: sealed as the vault keeps voices, or plain WAV where a tool asked for that."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from ringback.governance import wav
from ringback.governance.private import Private

SILENCE = bytes(1 << 16)


class Track(Protocol):
    """A file that grows; positions are in octets of samples. Every method but `close` raises OSError."""

    def put(self, samples: memoryview, at: int) -> None:
        """Take samples that belong at a position after those before."""

    def flush(self) -> None:
        """Hand over what waits."""

    def settle(self, size: int) -> None:
        """Make the file so many octets of samples long: what is missing is silence."""

    def close(self, *, whole: bool) -> None:
        """Close the file, on the disk; not `whole` where the last `settle` failed."""


class WavTrack:
    """A WAV file; silence is left out (the file is sparse)."""

    def __init__(self, path: Path, rate: int) -> None:
        """Raises OSError; a file of that name must not be there."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self._rate = rate
        self._waiting = bytearray()
        self._at = 0
        try:
            _write(self._fd, wav.header(rate, 0), 0)
        except OSError:
            os.close(self._fd)
            path.unlink(missing_ok=True)
            raise

    def put(self, samples: memoryview, at: int) -> None:
        """Take samples; what lies between them and those before is left out."""
        if at != self._at + len(self._waiting):
            self.flush()
            self._at = at
        self._waiting += samples

    def flush(self) -> None:
        """Hand over what waits."""
        if self._waiting:
            _write(self._fd, self._waiting, wav.HEADER_BYTES + self._at)
            self._at += len(self._waiting)
            self._waiting.clear()

    def settle(self, size: int) -> None:
        """Make the file so many octets of samples long, and say so in its head."""
        os.ftruncate(self._fd, wav.HEADER_BYTES + size)
        _write(self._fd, wav.header(self._rate, size), 0)

    def close(self, *, whole: bool) -> None:
        """Close the file, on the disk."""
        del whole
        with contextlib.suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)


class SealedTrack:
    """A file of the vault. Silence is written like everything else: how a file grows says nothing of who
    speaks when.
    """

    def __init__(self, path: Path, voice: str, key: bytes) -> None:
        """Raises OSError; a file of that name must not be there."""
        # Only with the first one: who records nothing sealed does not load OpenSSL.
        from ringback.governance.vault import VaultWriter, label  # noqa: PLC0415

        self._writer = VaultWriter(path, label(voice, path.stem), Private(key))
        self._size = 0

    def put(self, samples: memoryview, at: int) -> None:
        """Take samples, after as much silence as there was."""
        self.settle(at)
        self._size += len(samples)
        self._writer.write(samples)

    def flush(self) -> None:
        """The writer hands over every chunk as soon as it is full."""

    def settle(self, size: int) -> None:
        """Append the silence that is missing."""
        while self._size < size:
            silence = SILENCE[: size - self._size]
            self._size += len(silence)
            self._writer.write(silence)

    def close(self, *, whole: bool) -> None:
        """Close the file: with its end, if it has one; what a full disk has no room for is left out."""
        with contextlib.suppress(OSError):
            if whole:
                self._writer.close()
        self._writer.leave()


def _write(fd: int, data: bytes | bytearray, at: int) -> None:
    view = memoryview(data)
    try:
        while view:
            written = os.pwrite(fd, view, at)
            at += written
            view = view[written:]
    finally:
        view.release()
