"""An append-only journal of calls, in sealed lines on the disk: what the database has not taken yet.

A line is written and synchronised before anybody is told that a record is safe. Files are begun anew from
time to time, so that those can be deleted of which the database has everything.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError
from ringback.store.call_record import CallRecord

FILE_BYTES: Final = 4_000_000
"""A file that is so long is begun anew."""
_NAME: Final = re.compile(r"(\d{12})\.spool")
_LINE_ENTRIES: Final = 200
_LONGEST_LINE: Final = 16_000_000


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A call of which something is known: `over` with its record, before that with what there was."""

    over: bool
    record: CallRecord


class SpoolFullError(Exception):
    """The journal is as large as it may be."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Entry]).decode


class Spool:
    """The files of one folder. All methods wait for the disk: they belong in a thread, one at a time."""

    def __init__(self, folder: Path, sealer: Sealer, most_bytes: int) -> None:
        self._folder = folder
        self._sealer = sealer
        self._most_bytes = most_bytes
        self._current: int | None = None
        self._descriptor = -1
        self._size = 0
        self._earlier: dict[int, int] = {}
        self.damaged = 0
        """Lines that could not be read, torn by a power cut or changed, and files that somebody removed."""

    @property
    def earlier(self) -> list[int]:
        """The files before the one that is written now, oldest first."""
        return sorted(self._earlier)

    @property
    def size(self) -> int:
        """Octets in the file that is written now."""
        return self._size

    @property
    def total(self) -> int:
        """Octets of all files."""
        return self._size + sum(self._earlier.values())

    def open(self) -> list[int]:
        """Look for what an earlier run left; its files, oldest first. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._earlier = {
            int(match[1]): entry.stat().st_size
            for entry in os.scandir(self._folder)
            if (match := _NAME.fullmatch(entry.name))
        }
        return self.earlier

    def append(self, entries: Sequence[Entry], *, bounded: bool = True) -> None:
        """Keep these: when this returns they are on the disk. Raises OSError or SpoolFullError, and then
        nothing of them is kept. Unless `bounded` there is room for them in any case."""
        if not entries:
            return
        if self._current is None or self._size >= FILE_BYTES:
            self.begin_anew()
        data = b"".join(
            self._line(entries[at : at + _LINE_ENTRIES]) for at in range(0, len(entries), _LINE_ENTRIES)
        )
        if bounded and self.total + len(data) > self._most_bytes:
            raise SpoolFullError
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fdatasync(self._descriptor)
        except OSError:
            # Half a line would spoil the next one.
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def _line(self, entries: Sequence[Entry]) -> bytes:
        text = Private(_encode(entries).decode())
        return base64.b64encode(self._sealer.seal(text, "call_spool", "line", str(self._current))) + b"\n"

    def begin_anew(self) -> None:
        """Let a new file follow the one that is written now. Raises OSError."""
        number = 1 + max([*self._earlier, self._current or 0])
        descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._sync_folder()
        except OSError:
            os.close(descriptor)
            raise
        self._leave()
        self._current, self._descriptor, self._size = number, descriptor, 0

    def _leave(self) -> None:
        if self._current is not None:
            os.close(self._descriptor)
            self._earlier[self._current] = self._size
            self._current, self._descriptor, self._size = None, -1, 0

    def entries(self, number: int) -> list[Entry]:
        """What a file holds, in order; damaged lines, and a file that is gone, are counted and left out.
        Raises OSError."""
        found: list[Entry] = []
        try:
            file = self._path(number).open("rb")
        except FileNotFoundError:
            self.damaged += 1
            return found
        with file:
            while line := file.readline(_LONGEST_LINE):
                try:
                    sealed = base64.b64decode(line.strip(), validate=True)
                    text = self._sealer.open(sealed, "call_spool", "line", str(number))
                    found += _decode(text.reveal())
                except (binascii.Error, SealingError, msgspec.MsgspecError):
                    self.damaged += 1
        return found

    def remove(self, number: int) -> None:
        """Delete an earlier file. Raises OSError."""
        self._path(number).unlink(missing_ok=True)
        self._earlier.pop(number, None)

    def close(self) -> None:
        """Write no more."""
        self._leave()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}.spool"

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
