"""The vault: voices at rest, as files of AES-256-GCM chunks (NIST SP 800-38D) with a data key for each voice.

A data key is wrapped by the key-encryption key and kept away from the files, so that without it, or after
its deletion, a file says nothing but how long it is. A file is a head (format, size of a chunk, salt), then
chunks that carry their number and whether they are the last: what was cut, put in another order, exchanged
or changed is found, and what was written whole before a crash can be read. The parts of a recording share a
data key: each file has its own key, derived by its salt and by what it is (HKDF, RFC 5869).
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ringback.governance.private import Private
from ringback.governance.sealing import (
    KEY_BYTES,
    create_key_file,
    read_key_file,
    replace_key_file,
    sync_folder,
)

SUFFIX: Final = ".rbv"
_WITHDRAWN: Final = ".withdrawn"
CHUNK_BYTES: Final = 16_384
"""Of plain audio: half a second at 16 kHz, which is the most that a crash costs."""
MOST_CHUNK_BYTES: Final = 1 << 24

_MAGIC: Final = b"RBV1"
_HEAD: Final = struct.Struct("<4sI16s")
_PLACE: Final = struct.Struct(">QI")
_TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"ringback vault "
_VOICE: Final = re.compile(r"[0-9a-f]{16}")
_PART: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class VaultError(Exception):
    """A stored voice or its key cannot be read: missing, cut, changed, or sealed by another key."""


# Keys


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is kept: sealed by the key-encryption key that `key_id` names."""

    key_id: str
    sealed: bytes


class KeyEncryptionKey:
    """Wraps data keys. While keys are changed it holds those before, too, which only open."""

    def __init__(self, keys: Sequence[Private[bytes]]) -> None:
        """`keys` has 32 bytes each, the one that wraps first."""
        self._keys = {_identifier(key): AESGCM(key.reveal()) for key in keys}
        self.current = _identifier(keys[0])

    @property
    def rotating(self) -> bool:
        """Whether there are keys that only open."""
        return len(self._keys) > 1

    @property
    def known(self) -> frozenset[str]:
        """Of which keys what they wrapped can be opened."""
        return frozenset(self._keys)

    def knows(self, key_id: str) -> bool:
        """Whether what was wrapped by that key can be opened."""
        return key_id in self._keys

    def wrap(self, data_key: Private[bytes], voice: str) -> WrappedKey:
        """The data key of a voice as it may be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self.current].encrypt(nonce, data_key.reveal(), _PURPOSE + voice.encode())
        return WrappedKey(self.current, nonce + sealed)

    def unwrap(self, wrapped: WrappedKey, voice: str) -> Private[bytes]:
        """The data key again; raises VaultError where it is not that voice's or by no key known here."""
        cipher = self._keys.get(wrapped.key_id)
        if cipher is None:
            raise VaultError("the voice was sealed by a vault key that is not in the key file")
        nonce, sealed = wrapped.sealed[:_NONCE_BYTES], wrapped.sealed[_NONCE_BYTES:]
        try:
            return Private(cipher.decrypt(nonce, sealed, _PURPOSE + voice.encode()))
        except (InvalidTag, ValueError):
            raise VaultError("the key of the voice was changed, or belongs to another voice") from None


def _identifier(key: Private[bytes]) -> str:
    return hmac.new(key.reveal(), _PURPOSE + b"key", hashlib.sha256).hexdigest()[:16]


def read_vault_key(path: Path) -> KeyEncryptionKey:
    """The key-encryption key of a file; raises SealingError."""
    return KeyEncryptionKey(read_key_file(path))


def create_vault_key(path: Path) -> KeyEncryptionKey:
    """The same of a file that is made unless it is there (0600); raises SealingError, OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    create_key_file(path)
    return read_vault_key(path)


def begin_rotation(path: Path) -> KeyEncryptionKey:
    """Put a new key before those in the file, unless a rotation is under way; raises SealingError."""
    keys = read_key_file(path)
    if len(keys) == 1:
        keys.insert(0, Private(secrets.token_bytes(KEY_BYTES)))
        replace_key_file(path, keys)
    return KeyEncryptionKey(keys)


def end_rotation(path: Path) -> KeyEncryptionKey:
    """Forget all keys but the first, by which everything is wrapped now; raises SealingError."""
    keys = read_key_file(path)[:1]
    replace_key_file(path, keys)
    return KeyEncryptionKey(keys)


# Files


def _file_cipher(data_key: Private[bytes], salt: bytes, label: str) -> AESGCM:
    derived = HKDF(SHA256(), KEY_BYTES, salt, _PURPOSE + b"file " + label.encode())
    return AESGCM(derived.derive(data_key.reveal()))


class VaultWriter:
    """Writes one new file; what `write` was given is in it once a chunk is full, all of it after `close`.

    Every method raises OSError; the file can be read up to its last whole chunk even then.
    """

    def __init__(
        self,
        path: Path,
        label: str,
        data_key: Private[bytes],
        chunk_bytes: int = CHUNK_BYTES,
        *,
        preface: bytes = b"",
    ) -> None:
        """Make the file, which must not be there; `label` says which file of which voice it is.

        `preface` is written before all else, in clear and unbound.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._path = path
        self._chunk_bytes = chunk_bytes
        salt = os.urandom(16)
        self._head = _HEAD.pack(_MAGIC, chunk_bytes, salt)
        self._cipher = _file_cipher(data_key, salt, label)
        self._waiting = bytearray()
        self._chunks = 0
        self._end = 0
        self._fd = os.open(path, flags, 0o600)
        try:
            self._append(preface + self._head)
        except OSError:
            self.abandon()
            raise

    @property
    def size(self) -> int:
        """Octets of plain audio that can be read whatever happens to this process."""
        return self._chunks * self._chunk_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append plain audio."""
        self._waiting += data
        while len(self._waiting) >= self._chunk_bytes:
            self._chunk(self._waiting[: self._chunk_bytes], last=False)
            del self._waiting[: self._chunk_bytes]

    def close(self) -> None:
        """Write what waits as the last chunk, and have all of it on the disk."""
        try:
            self.write(b"")
            self._chunk(self._waiting, last=True)
            os.fsync(self._fd)
        finally:
            self.leave()
        sync_folder(self._path.parent)

    def leave(self) -> None:
        """Close the file as it is, without its last chunk; what waits is lost."""
        self._waiting.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def abandon(self) -> None:
        """Close the file and remove it."""
        self.leave()
        self._path.unlink(missing_ok=True)

    def _chunk(self, data: bytes | bytearray, *, last: bool) -> None:
        place = _PLACE.pack(self._chunks, last)
        self._append(self._cipher.encrypt(place, bytes(data), self._head + place))
        self._chunks += 1

    def _append(self, data: bytes) -> None:
        if self._fd < 0:
            raise OSError(errno.EBADF, "the file is closed")
        view = memoryview(data)
        at = self._end
        try:
            while view:
                written = os.pwrite(self._fd, view, at)
                at += written
                view = view[written:]
        except OSError:
            # Half a chunk is of no use to anybody; the next try, should there be one, writes it whole.
            os.ftruncate(self._fd, self._end)
            raise
        self._end = at


class VaultReader:
    """Reads one file anywhere; raises VaultError for everything that is not as it was written."""

    def __init__(
        self,
        path: Path,
        label: str,
        data_key: Private[bytes],
        *,
        cut: bool = False,
        begin: int = 0,
        what: str = "voice",
    ) -> None:
        """With `cut` a file without its last chunk is read as far as it goes; else that is an error.

        `begin` is the length of its preface, `what` its name in errors.
        """
        self._begin = begin
        self._what = what
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise VaultError(f"the file of the {what} cannot be read: {error.strerror}") from None
        try:
            self._open(data_key, label, cut)
        except BaseException:
            self.close()
            raise

    def _open(self, data_key: Private[bytes], label: str, cut: bool) -> None:
        self._head = os.pread(self._fd, _HEAD.size, self._begin)
        if len(self._head) < _HEAD.size or self._head[:4] != _MAGIC:
            raise VaultError(f"the file is no {self._what} of the vault")
        _, self._chunk_bytes, salt = _HEAD.unpack(self._head)
        if not 0 < self._chunk_bytes <= MOST_CHUNK_BYTES:
            raise VaultError(f"the file is no {self._what} of the vault")
        self._cipher = _file_cipher(data_key, salt, label)
        self._kept: tuple[int, bytes] | None = None
        body = os.fstat(self._fd).st_size - self._begin - _HEAD.size
        self._chunks, rest = divmod(body, self._chunk_bytes + _TAG_BYTES)
        self.size = self._chunks * self._chunk_bytes
        self.whole = False
        """Whether the file has its end."""
        try:
            self._last = self._decrypted(self._chunks, rest, last=True)
            self.size += len(self._last)
            self.whole = True
        except VaultError:
            if not cut:
                raise VaultError(f"the {self._what} was cut or changed: its end is missing") from None

    def __enter__(self) -> VaultReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, at: int, size: int) -> bytes:
        """At most `size` octets of plain audio from octet `at` on; fewer only at the end."""
        end = min(at + size, self.size)
        pieces: list[bytes] = []
        while 0 <= at < end:
            number, offset = divmod(at, self._chunk_bytes)
            piece = self._chunk(number)[offset : offset + end - at]
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    def verify(self) -> None:
        """Read everything; raises VaultError where something is not as it was written."""
        for at in range(0, self.size, self._chunk_bytes):
            self.read(at, self._chunk_bytes)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _chunk(self, number: int) -> bytes:
        if number == self._chunks:
            return self._last
        kept = self._kept
        if kept is None or kept[0] != number:
            kept = self._kept = number, self._decrypted(number, self._chunk_bytes + _TAG_BYTES, last=False)
        return kept[1]

    def _decrypted(self, number: int, size: int, *, last: bool) -> bytes:
        place = _PLACE.pack(number, last)
        try:
            at = self._begin + _HEAD.size + number * (self._chunk_bytes + _TAG_BYTES)
            data = os.pread(self._fd, size, at)
            return self._cipher.decrypt(place, data, self._head + place)
        except OSError as error:
            raise VaultError(f"the file of the {self._what} cannot be read: {error.strerror}") from None
        except (InvalidTag, ValueError):
            raise VaultError(
                f"the {self._what} was changed: chunk {number} is not as it was written"
            ) from None


class Vault:
    """The folder of all stored voices. A voice is one file, or a folder of parts with names of their own."""

    def __init__(self, folder: Path, key: KeyEncryptionKey) -> None:
        self.folder = folder
        self.key = key

    def new_key(self, voice: str) -> tuple[Private[bytes], WrappedKey]:
        """A data key for a new voice, and the form of it that is kept. It is used for this voice alone."""
        data_key = Private(secrets.token_bytes(KEY_BYTES))
        return data_key, self.key.wrap(data_key, voice)

    def path(self, voice: str, part: str = "") -> Path:
        """Where the file of a voice, or of a part of it, is; ValueError for what is no such name."""
        if not _VOICE.fullmatch(voice) or (part and not _PART.fullmatch(part)):
            raise ValueError("no name of a voice")
        return self.folder / voice / f"{part}{SUFFIX}" if part else self.folder / f"{voice}{SUFFIX}"

    def write(self, voice: str, data_key: Private[bytes], part: str = "") -> VaultWriter:
        """Begin the file of a voice, which must not be there; raises OSError."""
        path = self.path(voice, part)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return VaultWriter(path, label(voice, part), data_key)

    def read(self, voice: str, wrapped: WrappedKey, part: str = "", *, cut: bool = False) -> VaultReader:
        """Open the file of a voice; raises VaultError. With `cut` one that a crash ended is read, too."""
        data_key = self.key.unwrap(wrapped, voice)
        return VaultReader(self.path(voice, part), label(voice, part), data_key, cut=cut)

    def parts(self, voice: str) -> list[str]:
        """The parts that a voice has; one alone in its file has the part ''. Empty where there is no file."""
        found = sorted(path.stem for path in (self.folder / voice).glob(f"*{SUFFIX}"))
        return [*([""] if self.path(voice).exists() else []), *found]

    def voices(self) -> Iterator[str]:
        """The voices that have files."""
        if self.folder.is_dir():
            for entry in os.scandir(self.folder):
                name = entry.name.removesuffix(SUFFIX)
                if _VOICE.fullmatch(name):
                    yield name

    # What nobody may hear any more, though its row could not be deleted yet

    def withdraw(self, voice: str) -> None:
        """Note beside its files that a voice is to be deleted, whatever becomes of this process.

        Raises OSError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._mark(voice), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        sync_folder(self.folder)

    def is_withdrawn(self, voice: str) -> bool:
        """Whether that was noted."""
        return self._mark(voice).exists()

    def withdrawn(self) -> list[str]:
        """The voices of which it was noted."""
        return sorted(path.stem for path in self.folder.glob(f"*{_WITHDRAWN}") if _VOICE.fullmatch(path.stem))

    def settle(self, voice: str) -> None:
        """The note is not needed any more; raises OSError."""
        self._mark(voice).unlink(missing_ok=True)

    def _mark(self, voice: str) -> Path:
        return self.path(voice).with_suffix(_WITHDRAWN)

    def remove(self, voice: str) -> None:
        """Remove the files of a voice, if there are any; raises OSError."""
        self.path(voice).unlink(missing_ok=True)
        folder = self.folder / voice
        if folder.is_dir():
            shutil.rmtree(folder)
        if self.folder.is_dir():
            sync_folder(self.folder)


def label(voice: str, part: str = "") -> str:
    """What a file is bound to: exchanged with another one it does not open."""
    return f"{voice}/{part}"
