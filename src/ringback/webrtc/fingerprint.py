"""Fingerprints of certificates as SDP carries them (RFC 8122 5), and which of them prove anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

_HASHES: dict[str, Callable[[bytes], Any]] = {
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}
"""Hashes that still prove anything; a fingerprint by another is as good as none."""

Fingerprints = Sequence[tuple[str, str]]
"""Pairs of a hash in lower case ("sha-256") and its value in upper case hex with colons."""


def fingerprint(der: bytes, algorithm: str = "sha-256") -> str:
    """The hash of a certificate in upper case hex with colons (RFC 8122 5); KeyError for one not trusted."""
    digest: bytes = _HASHES[algorithm](der).digest()
    return digest.hex(":").upper()


def is_trusted(algorithm: str) -> bool:
    """Whether a fingerprint by this hash counts."""
    return algorithm in _HASHES
