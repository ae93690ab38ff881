"""The head of a backup: what it is without any key, and its data key, wrapped by the vault key.

The wrapped key has two places, so that a power cut while it is wrapped anew leaves one of them whole: the
newer one that its checksum (CRC-32) confirms counts.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ringback.backup.errors import BackupError
from ringback.governance.private import Private
from ringback.governance.vault import KeyEncryptionKey, VaultError, WrappedKey

HEAD_BYTES: Final = 256
NO_BACKUP: Final = "this is no backup of Ringback, or it was cut"

_MAGIC: Final = b"RBBK"
_VERSION: Final = 1
_FIXED: Final = struct.Struct("<4sB3s8sQQ")
_SLOT: Final = struct.Struct("<I16s60s")
_CHECK: Final = struct.Struct("<I")
_SLOT_BYTES: Final = _SLOT.size + _CHECK.size
_SLOTS: Final = (_FIXED.size, _FIXED.size + _SLOT_BYTES)


@dataclass(frozen=True, slots=True)
class Head:
    """`id` has 16 hexadecimal digits; `octets` is how long the file is, 0 while it is written."""

    id: str
    created_ms: int
    octets: int = 0
    key: WrappedKey | None = None

    @property
    def created_at(self) -> datetime:
        """When what is in it was read."""
        return datetime.fromtimestamp(self.created_ms / 1000, UTC)

    @property
    def purpose(self) -> str:
        """What its data key is bound to when it is wrapped."""
        return f"backup {self.id} {self.created_ms}"

    def packed(self) -> bytes:
        """As it is written."""
        fixed = _FIXED.pack(_MAGIC, _VERSION, b"", bytes.fromhex(self.id), self.created_ms, self.octets)
        slot = _slot(1, self.key) if self.key is not None else b""
        return (fixed + slot).ljust(HEAD_BYTES, b"\0")

    def data_key(self, vault_key: KeyEncryptionKey) -> Private[bytes]:
        """The key of all that follows; raises BackupError."""
        if self.key is None:
            raise BackupError(NO_BACKUP)
        try:
            return vault_key.unwrap(self.key, self.purpose)
        except VaultError:
            raise BackupError(
                "the backup was sealed by another vault key than security.vault_key_file holds, or its head "
                "was changed"
            ) from None


def read_head(path: Path) -> Head:
    """The head of a file; raises BackupError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            data = os.pread(descriptor, HEAD_BYTES, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from None
    return parse_head(data)


def parse_head(data: bytes) -> Head:
    """The head in these octets; raises BackupError."""
    if len(data) < HEAD_BYTES or data[:4] != _MAGIC:
        raise BackupError(NO_BACKUP)
    _, version, unused, name, created_ms, octets = _FIXED.unpack_from(data)
    if version != _VERSION or any(unused):
        raise BackupError("the backup was made by another version of Ringback; install a newer one")
    found = [slot for at in _SLOTS if (slot := _read_slot(data, at)) is not None]
    key = max(found, key=lambda slot: slot[0])[1] if found else None
    try:
        datetime.fromtimestamp(created_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BackupError(NO_BACKUP) from None
    return Head(name.hex(), created_ms, octets, key)


def complete(path: Path, head: Head) -> None:
    """Write the head of a file whose other parts are on the disk; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.pwrite(descriptor, head.packed(), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rewrap(path: Path, vault_key: KeyEncryptionKey) -> bool:
    """Wrap a backup's data key by the current vault key; whether it was not. Raises BackupError, OSError.

    Nothing of the old form stays in the file.
    """
    head = read_head(path)
    if head.key is not None and head.key.key_id == vault_key.current:
        return False
    anew = vault_key.wrap(head.data_key(vault_key), head.purpose)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        data = os.pread(descriptor, HEAD_BYTES, 0)
        slots = [_read_slot(data, at) for at in _SLOTS]
        newest = max(slot[0] for slot in slots if slot is not None)
        kept = next(at for at, slot in zip(_SLOTS, slots, strict=True) if slot and slot[0] == newest)
        free = next(at for at in _SLOTS if at != kept)
        os.pwrite(descriptor, _slot(newest + 1, anew), free)
        os.fsync(descriptor)
        os.pwrite(descriptor, bytes(_SLOT_BYTES), kept)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def destroy(path: Path) -> None:
    """Overwrite a backup's data key, then remove the file; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.pwrite(descriptor, bytes(HEAD_BYTES), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()


def _slot(sequence: int, key: WrappedKey) -> bytes:
    data = _SLOT.pack(sequence, key.key_id.encode(), key.sealed)
    return data + _CHECK.pack(zlib.crc32(data))


def _read_slot(data: bytes, at: int) -> tuple[int, WrappedKey] | None:
    packed = data[at : at + _SLOT.size]
    (check,) = _CHECK.unpack_from(data, at + _SLOT.size)
    sequence, key_id, sealed = _SLOT.unpack(packed)
    if not sequence or check != zlib.crc32(packed):
        return None
    return sequence, WrappedKey(key_id.decode("ascii", "replace"), sealed)
