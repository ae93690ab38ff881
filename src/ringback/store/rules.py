"""The rules that names, numbers, PINs and passwords obey, and how new ones are drawn."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Container
from itertools import pairwise
from typing import Final, get_args

from ringback.config.emergency import USUAL
from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private
from ringback.store.directory import Digest
from ringback.store.errors import ConflictError, InvalidError

MIN_PASSWORD_LENGTH: Final = 8
# No letters or digits that are mistaken for each other when read out or typed from paper.
_READABLE: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_MEETING_NUMBER_DIGITS: Final = 9
_PIN_DIGITS: Final = 6


def new_id() -> str:
    """An identifier of a row: 16 hexadecimal digits, random."""
    return secrets.token_hex(8)


def checked_name(name: str, what: str = "the name", *, may_be_empty: bool = False) -> str:
    """The name without space around it; raises InvalidError."""
    name = name.strip()
    if not name and not may_be_empty:
        raise InvalidError(f"{what} must not be empty")
    if len(name) > 80:
        raise InvalidError(f"{what} must not be longer than 80 characters")
    if not name.isprintable():
        raise InvalidError(f"{what} must not contain control characters")
    return name


def checked_extension_number(number: str, reserved: Container[str], emergency: Container[str] = USUAL) -> str:
    """A number for an extension: 2 to 6 digits, not 0 first, not an emergency or service number."""
    if not re.fullmatch(r"[1-9][0-9]{1,5}", number):
        raise InvalidError("an extension's number has 2 to 6 digits and does not start with 0")
    # Dialling it must never ring a desk.
    if number in emergency:
        raise InvalidError(f"{number} is an emergency number; choose another number")
    if number in reserved:
        raise ConflictError(f"{number} is a service number (echo, dial-in, parking); choose another number")
    return number


def checked_password(password: Private[str], number: str) -> Private[str]:
    """A password chosen by a person for an extension; raises InvalidError."""
    text = password.reveal()
    if len(text) < MIN_PASSWORD_LENGTH or text == number:
        raise InvalidError(
            f"the password needs {MIN_PASSWORD_LENGTH} characters or more; without one, one is made"
        )
    if len(text) > 128 or not text.isprintable():
        raise InvalidError("the password must be printable and not longer than 128 characters")
    return password


def new_password() -> Private[str]:
    """A password that can be read out: four groups of four, 79 bits."""
    groups = ("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(4))
    return Private("-".join(groups))


def digests_of(username: str, password: Private[str]) -> tuple[Private[str], Private[str]]:
    """The HA1 values of an account (RFC 7616 §3.4.2) by MD5 and by SHA-256, as lower-case hexadecimal."""
    text = f"{username}:{SIP_REALM}:{password.reveal()}".encode()
    md5 = hashlib.md5(text, usedforsecurity=False)
    return Private(md5.hexdigest()), Private(hashlib.sha256(text).hexdigest())


def checked_digest(digest: str) -> Digest:
    """What devices log in with; raises InvalidError."""
    known: tuple[Digest, ...] = get_args(Digest)
    for one in known:
        if digest == one:
            return one
    raise InvalidError(f"the digest is one of {', '.join(known)}")


def new_username() -> str:
    """What a device logs in as: never a number, so that no extension is meant."""
    return "d-" + "".join(secrets.choice(_READABLE) for _ in range(8))


def new_meeting_number(taken: Container[str]) -> str:
    """A random 9-digit number that does not start with 0 and is not taken."""
    while True:
        number = _random_digits(_MEETING_NUMBER_DIGITS)
        if number not in taken:
            return number


def is_trivial_pin(pin: str) -> bool:
    """Whether somebody would try this PIN first: repetitions (111111, 121212, 123123) and runs (123456)."""
    repeats = any(pin == (pin[:period] * len(pin))[: len(pin)] for period in (1, 2, 3))
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return repeats or steps in ({1}, {9}) or len(set(pin)) < 3


def new_pin(*others: Private[str]) -> Private[str]:
    """A random 6-digit PIN that is not trivial and differs from `others`."""
    while True:
        pin = Private(_random_digits(_PIN_DIGITS))
        if pin not in others and not is_trivial_pin(pin.reveal()):
            return pin


def _random_digits(count: int) -> str:
    lowest = 10 ** (count - 1)
    return str(lowest + secrets.randbelow(9 * lowest))


def new_secret() -> Private[str]:
    """A secret that only machines carry, in links and tokens: 32 characters of base64url, 192 bits."""
    return Private(secrets.token_urlsafe(24))
