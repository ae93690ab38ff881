"""PINs of mailboxes, as Argon2id hashes (RFC 9106) of what the key file makes of them, sealed.

A PIN has so few digits that a hash alone could be tried out: without the key file nobody can begin to.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError
from ringback.store.errors import InvalidError
from ringback.store.rules import is_trivial_pin

LONGEST: Final = 12

# A hash takes 64 MiB and a whole core for a moment: guesses from everywhere wait for each other.
_hashing = ThreadPoolExecutor(1, "pins")


def checked_pin(pin: Private[str], extension: str, least_digits: int) -> Private[str]:
    """A PIN that may be kept; raises InvalidError for one that is too short or would be guessed first."""
    text = pin.reveal()
    if not (least_digits <= len(text) <= LONGEST and text.isascii() and text.isdigit()):
        raise InvalidError(f"a PIN has {least_digits} to {LONGEST} digits")
    if is_trivial_pin(text) or extension in text:
        raise InvalidError(
            "this PIN would be guessed first; take one without runs, repeats and the extension"
        )
    return pin


class Pins:
    """Makes and checks what is stored of a PIN; both take a tenth of a second, and no time of the loop."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._pepper = sealer.key_for("PINs of mailboxes")

    async def hashed(self, pin: Private[str], mailbox: str) -> bytes:
        """What is stored of a new PIN."""
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(_hashing, _hash, self._peppered(pin, mailbox))
        return self._sealer.seal(Private(text), "mailboxes", "pin", mailbox)

    async def is_pin(self, pin: Private[str], mailbox: str, stored: bytes | None) -> bool:
        """Whether this is the PIN of a mailbox; where there is none the answer takes as long."""
        text = NOBODY
        if stored is not None:
            try:
                text = self._sealer.open(stored, "mailboxes", "pin", mailbox).reveal()
            except SealingError:
                stored = None
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(_hashing, _verify, text, self._peppered(pin, mailbox))
        return right and stored is not None

    def _peppered(self, pin: Private[str], mailbox: str) -> bytes:
        place = f"{mailbox} {pin.reveal()}".encode()
        return hmac.new(self._pepper.reveal(), place, hashlib.sha256).digest()


NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$MkMOeaGgz2Kp78kbWCpmgQ$It9aHBgqZPpVoAA6KYQY2DLS5t+nZkuhTSTM5PIOb64"
)


def _hash(secret: bytes) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415 - loaded with the first PIN, not at every start

    return PasswordHasher().hash(secret)


def _verify(hashed: str, secret: bytes) -> bool:
    from argon2 import PasswordHasher  # noqa: PLC0415
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(hashed, secret)
    except (Argon2Error, InvalidHashError):
        return False
