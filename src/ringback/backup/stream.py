"""What is inside a backup: files one after the other, in the vault's sealed chunks behind the head.

An entry is the length of its name, the name, the length of its content, the content. The first is
`manifest.json`.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from ringback.backup.errors import BackupError
from ringback.backup.head import HEAD_BYTES, Head, read_head
from ringback.governance.private import Private
from ringback.governance.vault import KeyEncryptionKey, VaultError, VaultReader, VaultWriter

CHUNK_BYTES: Final = 1 << 20
PIECE_BYTES: Final = 1 << 20
MANIFEST: Final = "manifest.json"
DATABASE: Final = "ringback.db"
Told = Callable[[int, int], None]

_NAME_LENGTH: Final = struct.Struct(">H")
_LENGTH: Final = struct.Struct(">Q")
_MOST_MANIFEST: Final = 1 << 30
_NAMES: Final = re.compile(
    r"manifest\.json|ringback\.db|tls/[A-Za-z0-9_-][A-Za-z0-9._-]{0,80}"
    r"|voices/[0-9a-f]{16}(/[a-z0-9][a-z0-9-]{0,31})?\.rbv"
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `voices` are those whose files may be in it, `settings` those that were
    not left as they are by default."""

    version: str
    created_at: datetime
    voices: tuple[str, ...]
    settings: dict[str, Any]

    def packed(self) -> bytes:
        """As JSON."""
        facts = {
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "voices": list(self.voices),
            "settings": self.settings,
        }
        return json.dumps(facts).encode()

    @classmethod
    def of(cls, data: bytes) -> Manifest:
        """The manifest in this JSON; raises BackupError."""
        try:
            facts = json.loads(data)
            at = datetime.fromisoformat(facts["created_at"])
            return cls(facts["version"], at, tuple(facts["voices"]), facts["settings"])
        except (ValueError, KeyError, TypeError):
            raise BackupError("the backup was made by another version of Ringback") from None


class BackupWriter:
    """Writes the inside of a backup, after room for its head; raises OSError."""

    def __init__(self, path: Path, head: Head, data_key: Private[bytes], told: Callable[[int], None]) -> None:
        """`path` must not be there; `told` hears how many octets were written since."""
        self._writer = VaultWriter(path, head.id, data_key, CHUNK_BYTES, preface=bytes(HEAD_BYTES))
        self._told = told

    def add(self, name: str, content: bytes) -> None:
        """An entry from memory."""
        self._begin(name, len(content))
        self._writer.write(content)

    def copy(self, name: str, file: BinaryIO, octets: int) -> None:
        """An entry from a file that is open; raises BackupError if it is shorter than that."""
        self._begin(name, octets)
        while octets:
            piece = file.read(min(octets, PIECE_BYTES))
            if not piece:
                raise BackupError(f"{name} was changed while it was read")
            self._writer.write(piece)
            octets -= len(piece)
            self._told(len(piece))

    def close(self) -> None:
        """Have all of it on the disk."""
        self._writer.close()

    def abandon(self) -> None:
        """Remove it."""
        self._writer.abandon()

    def _begin(self, name: str, octets: int) -> None:
        encoded = name.encode()
        self._writer.write(_NAME_LENGTH.pack(len(encoded)) + encoded + _LENGTH.pack(octets))


class BackupReader:
    """Reads a backup from its beginning; raises BackupError for whatever is not as it was written."""

    def __init__(self, path: Path, key: KeyEncryptionKey | Private[bytes]) -> None:
        """`key` is the vault key, or the backup's own data key."""
        self.head = head = read_head(path)
        if not head.octets or path.stat().st_size != head.octets:
            raise BackupError("the backup was cut, or has grown")
        data_key = key if isinstance(key, Private) else head.data_key(key)
        try:
            self._reader = VaultReader(path, head.id, data_key, begin=HEAD_BYTES, what="backup")
        except VaultError as error:
            raise BackupError(str(error)) from None
        self._at = 0
        try:
            self.manifest = self._read_manifest()
        except BaseException:
            self._reader.close()
            raise

    def __enter__(self) -> BackupReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    @property
    def size(self) -> int:
        """Octets inside of it."""
        size: int = self._reader.size
        return size

    @property
    def at(self) -> int:
        """How far it was read."""
        return self._at

    def entries(self) -> Iterator[tuple[str, int]]:
        """Names and lengths of what follows; ask `pieces` for the content of each before the next."""
        while self._at < self._reader.size:
            yield self._entry()

    def pieces(self, octets: int) -> Iterator[bytes]:
        """The content of the entry that was just told of."""
        while octets:
            piece = self._take(min(octets, PIECE_BYTES))
            octets -= len(piece)
            yield piece

    def _read_manifest(self) -> Manifest:
        name, octets = self._entry()
        if name != MANIFEST or octets > _MOST_MANIFEST:
            raise BackupError("the backup was made by another version of Ringback")
        return Manifest.of(b"".join(self.pieces(octets)))

    def _entry(self) -> tuple[str, int]:
        (length,) = _NAME_LENGTH.unpack(self._take(_NAME_LENGTH.size))
        name = self._take(length).decode("ascii", "replace")
        (octets,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if not _NAMES.fullmatch(name) or octets > self._reader.size - self._at:
            raise BackupError("the backup was made by another version of Ringback")
        return name, octets

    def _take(self, octets: int) -> bytes:
        try:
            data = self._reader.read(self._at, octets)
        except VaultError as error:
            raise BackupError(str(error)) from None
        if len(data) != octets:
            raise BackupError("the backup was made by another version of Ringback")
        self._at += octets
        return data
