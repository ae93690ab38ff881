"""Passwords that people log in with, as Argon2id hashes (RFC 9106)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ringback.governance.private import Private
from ringback.store.errors import InvalidError

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256

NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$MkMOeaGgz2Kp78kbWCpmgQ$It9aHBgqZPpVoAA6KYQY2DLS5t+nZkuhTSTM5PIOb64"
)
"""The hash of a password nobody has, with today's parameters: an unknown name takes as long."""

# A hash takes 64 MiB and a whole core for a moment: guesses from everywhere wait for each other.
_hashing = ThreadPoolExecutor(2, "passwords")


async def hash_password(password: Private[str]) -> str:
    """The hash of a new password; raises InvalidError for one that is too short or too long."""
    length = len(password.reveal())
    if length < MIN_LENGTH:
        raise InvalidError(f"the password needs at least {MIN_LENGTH} characters")
    if length > MAX_LENGTH:
        raise InvalidError(f"the password must not be longer than {MAX_LENGTH} characters")
    return await asyncio.get_running_loop().run_in_executor(_hashing, _hash, password)


async def is_password(hashed: str, password: Private[str]) -> bool:
    """Whether this is the password of that hash."""
    return await asyncio.get_running_loop().run_in_executor(_hashing, _verify, hashed, password)


def _hash(password: Private[str]) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415 - loaded when a password is chosen, not at every start

    return PasswordHasher().hash(password.reveal())


def _verify(hashed: str, password: Private[str]) -> bool:
    from argon2 import PasswordHasher  # noqa: PLC0415
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(hashed, password.reveal())
    except (Argon2Error, InvalidHashError):
        return False
