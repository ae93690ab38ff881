"""Sealing of values at rest: AES-256-GCM (NIST SP 800-38D) under one key file, bound to their place."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringback.governance.private import Private

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"


class SealingError(Exception):
    """The key file cannot be used, or a sealed value was not sealed by this key for this place."""


class Sealer:
    """Seals text for one place (table, column, row) and opens it again; moved elsewhere it stays shut."""

    def __init__(self, key: Private[bytes]) -> None:
        if len(key.reveal()) != KEY_BYTES:
            raise SealingError(f"a sealing key has {KEY_BYTES} bytes")
        self._key = key
        self._cipher = AESGCM(key.reveal())

    def key_for(self, purpose: str) -> Private[bytes]:
        """Another key of 32 bytes, the same after each start, that says nothing about this one."""
        return Private(hmac.new(self._key.reveal(), purpose.encode(), hashlib.sha256).digest())

    def seal(self, value: Private[str], table: str, column: str, row: str) -> bytes:
        """The value as it may be stored: version, nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return (
            _VERSION
            + nonce
            + self._cipher.encrypt(nonce, value.reveal().encode(), _place(table, column, row))
        )

    def open(self, sealed: bytes, table: str, column: str, row: str) -> Private[str]:
        """The value again; raises SealingError if key or place are not those it was sealed with."""
        if sealed[:1] != _VERSION:
            raise SealingError(f"{table}.{column} is not sealed in a form known here")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return Private(self._cipher.decrypt(nonce, ciphertext, _place(table, column, row)).decode())
        except (InvalidTag, ValueError):
            raise SealingError(f"{table}.{column} was not sealed by this key for this row") from None


def _place(table: str, column: str, row: str) -> bytes:
    # Lengths in front: no two places share an encoding.
    return b"".join(len(part.encode()).to_bytes(2, "big") + part.encode() for part in (table, column, row))


def read_key(path: Path) -> Sealer:
    """The sealer of an existing key file; raises SealingError when it is unreadable or others can read it."""
    keys = read_key_file(path)
    if len(keys) != 1:
        raise SealingError(f"the key file {path} does not hold a key of {KEY_BYTES} bytes in base64")
    return Sealer(keys[0])


def read_key_file(path: Path) -> list[Private[bytes]]:
    """The keys in a file, one a line; raises SealingError when it is unreadable or others can read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(4096)
    except OSError as error:
        raise SealingError(f"the key file {path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise SealingError(f"the key file {path} can be read by others; run: chmod 600 {path}")
    try:
        keys = [base64.b64decode(line.strip(), validate=True) for line in text.splitlines()]
    except binascii.Error:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise SealingError(f"the key file {path} does not hold a key of {KEY_BYTES} bytes in base64")
    return [Private(key) for key in keys]


def create_key(path: Path) -> Sealer:
    """Write a new key file (mode 0600) and return its sealer; an existing file is used, never overwritten."""
    create_key_file(path)
    return read_key(path)


def create_key_file(path: Path) -> None:
    """Write a file with a new key (mode 0600), unless there is one; raises SealingError."""
    with (
        _draft(path, [Private(secrets.token_bytes(KEY_BYTES))]) as draft,
        contextlib.suppress(FileExistsError),
    ):
        # A link, unlike a rename, fails when another process was first: there is only ever one key.
        os.link(draft, path)


def replace_key_file(path: Path, keys: Sequence[Private[bytes]]) -> None:
    """Put these keys in the place of those in the file, all at once; raises SealingError."""
    with _draft(path, keys) as draft:
        draft.rename(path)


@contextlib.contextmanager
def _draft(path: Path, keys: Sequence[Private[bytes]]) -> Iterator[Path]:
    """A file of the keys beside `path`, on the disk; what becomes of it is on the disk, too, afterwards."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.writelines(base64.b64encode(key.reveal()) + b"\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise SealingError(f"the key file {path} cannot be written: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
