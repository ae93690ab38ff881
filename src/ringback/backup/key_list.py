"""The key list beside backups: the wrapped data keys of the voices whose files are in them.

It is one small file, `voices.keys`, sealed under a key of its own that the vault key wraps. Every change
writes it anew: to a temporary name, to the disk, then in the place of the old one, whose octets are
overwritten. A power cut at any moment leaves a whole list, the old one or the new one.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringback.backup.errors import AwayError, BackupError
from ringback.governance.private import Private
from ringback.governance.sealing import KEY_BYTES, sync_folder
from ringback.governance.vault import KeyEncryptionKey, VaultError, WrappedKey

NAME: Final = "voices.keys"
Keys = dict[str, WrappedKey]

_DRAFT: Final = ".voices.keys.new"
_OLD: Final = ".voices.keys.old"
_LOCK: Final = ".voices.keys.lock"
_PURPOSE: Final = "list of voices in backups"
_HEAD: Final = struct.Struct("<4s16s60s12s")
_MAGIC: Final = b"RBKL"
_PIECE: Final = 1 << 16


def read_keys(path: Path, vault_key: KeyEncryptionKey) -> Keys:
    """The keys in a list, by voice; raises BackupError, AwayError where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AwayError(f"{path} cannot be read: {error.strerror}") from None
    head, body = data[: _HEAD.size], data[_HEAD.size :]
    if len(head) < _HEAD.size or head[:4] != _MAGIC:
        raise BackupError(f"{path} is no list of keys, or it was cut")
    _, key_id, sealed, nonce = _HEAD.unpack(head)
    try:
        wrapped = WrappedKey(key_id.decode("ascii", "replace"), sealed)
        own = vault_key.unwrap(wrapped, _PURPOSE)
        plain = AESGCM(own.reveal()).decrypt(nonce, body, head)
    except (VaultError, InvalidTag):
        raise BackupError(
            f"{path} was changed, or sealed by another vault key than security.vault_key_file holds; put the "
            "right file back, or name another folder for backups"
        ) from None
    listed: dict[str, list[str]] = json.loads(plain)
    return {voice: WrappedKey(by, base64.b64decode(key)) for voice, (by, key) in listed.items()}


def change_keys(folder: Path, vault_key: KeyEncryptionKey, change: Callable[[Keys], Keys]) -> bool:
    """Have another list in a folder, made from the one that is there; whether it had to be written.

    It is sealed by the current vault key. Changes of several processes follow each other. Raises
    BackupError, OSError.
    """
    with _locked(folder):
        _wipe(folder / _OLD)
        _wipe(folder / _DRAFT)
        path = folder / NAME
        there = path.exists()
        before = read_keys(path, vault_key) if there else {}
        after = change(dict(before))
        if there and after == before and sealed_by(path) == vault_key.current:
            return False
        _replace(folder, _sealed(after, vault_key))
        return True


def rewrap_keys(keys: Mapping[str, WrappedKey], vault_key: KeyEncryptionKey) -> Keys:
    """All keys wrapped by the current vault key, but for those whose key is lost; raises VaultError."""
    return {
        voice: vault_key.wrap(vault_key.unwrap(key, voice), voice)
        if key.key_id != vault_key.current and vault_key.knows(key.key_id)
        else key
        for voice, key in keys.items()
    }


def sealed_by(path: Path) -> str:
    """The identifier of the vault key that a list is sealed by; raises OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    return _HEAD.unpack(head)[1].decode("ascii", "replace") if len(head) == _HEAD.size else ""


def _sealed(keys: Keys, vault_key: KeyEncryptionKey) -> bytes:
    listed = {voice: [key.key_id, base64.b64encode(key.sealed).decode()] for voice, key in keys.items()}
    own = Private(secrets.token_bytes(KEY_BYTES))
    wrapped = vault_key.wrap(own, _PURPOSE)
    nonce = os.urandom(12)
    head = _HEAD.pack(_MAGIC, wrapped.key_id.encode(), wrapped.sealed, nonce)
    return head + AESGCM(own.reveal()).encrypt(nonce, json.dumps(listed).encode(), head)


def _replace(folder: Path, data: bytes) -> None:
    path, draft, old = folder / NAME, folder / _DRAFT, folder / _OLD
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    before = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW) if path.exists() else None
    try:
        # A second name: after a power cut the next change finds what is still to be overwritten. Not every
        # file system has these.
        with contextlib.suppress(OSError):
            if before is not None:
                os.link(path, old)
        draft.rename(path)
        sync_folder(folder)
        if before is not None:
            _overwrite(before)
    finally:
        if before is not None:
            os.close(before)
    old.unlink(missing_ok=True)


def _wipe(path: Path) -> None:
    """Overwrite and remove what a power cut has left."""
    if not path.exists():
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # It may be the list itself, still under its second name: then it is not to be overwritten.
        listed = path.with_name(NAME)
        if not (listed.exists() and os.path.samestat(os.fstat(descriptor), listed.stat())):
            _overwrite(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()


def _overwrite(descriptor: int) -> None:
    left, at = os.fstat(descriptor).st_size, 0
    while left:
        written = os.pwrite(descriptor, bytes(min(left, _PIECE)), at)
        at += written
        left -= written
    os.fsync(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # Some network shares have no locks; there it is for whoever runs two servers to keep them apart.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
