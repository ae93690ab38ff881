"""One-time passwords by time (RFC 6238, over HOTP, RFC 4226): what authenticator apps show."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import quote, urlencode

from ringback.governance.private import Private

STEP_S: Final = 30
DIGITS: Final = 6
SECRET_BYTES: Final = 20
"""As long as the digest of HMAC-SHA-1 (RFC 4226 §4, R6)."""

_APART: Final = 1


def new_secret() -> Private[str]:
    """A random secret in base32, as apps take it."""
    return Private(base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode())


def code_at(secret: Private[str], step: int) -> str:
    """The code of a time step (RFC 4226 §5.3)."""
    key = base64.b32decode(secret.reveal())
    # SHA-1 is what all apps know; nothing of HMAC is broken by its collisions.
    digest = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(seconds: float) -> int:
    """The time step of a moment, in seconds of Unix time (RFC 6238 §4.2)."""
    return int(seconds // STEP_S)


def matching_step(secret: Private[str], code: str, seconds: float, used: int) -> int | None:
    """The step whose code this is, one to either side of now at most (RFC 6238 §5.2); None: of none.

    Steps up to `used` are refused: no code is good twice.
    """
    now, found = step_of(seconds), None
    for step in range(now - _APART, now + _APART + 1):
        # All are looked at: time tells nothing.
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > used:
            found = step
    return found


def uri(secret: Private[str], name: str, issuer: str = "Ringback") -> Private[str]:
    """What an app reads to know the secret (Key Uri Format, otpauth)."""
    label = f"{quote(issuer)}:{quote(name)}"
    query = urlencode({"secret": secret.reveal(), "issuer": issuer}, quote_via=quote)
    return Private(f"otpauth://totp/{label}?{query}")
