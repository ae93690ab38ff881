"""SRTP keys in a session description: the crypto attribute (RFC 4568, RFC 7714 §14)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

from ringback.media.protocol import SrtpSuite
from ringback.sdp.description import Attribute, MediaDescription

KEY_BYTES: Final[Mapping[SrtpSuite, int]] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""Length of master key and salt together, by suite (RFC 4568 §6.2, RFC 7714 §12)."""

MAX_LIFETIME: Final = 1 << 48
"""Packets that one key may protect at most (RFC 3711 §9.2)."""
WEAK: Final[SrtpSuite] = "AES_CM_128_HMAC_SHA1_32"
"""Its tag can be guessed in 2^32 packets: the last choice, whatever the order."""

_SUITES: Final[Mapping[str, SrtpSuite]] = {suite: suite for suite in get_args(SrtpSuite)}
_CRYPTO = re.compile(r"([0-9]{1,9}) +([A-Za-z0-9_]+) +([^ ]+)((?: +[^ ]+)*) *")
_INLINE = re.compile(
    r"inline:(?P<key>[A-Za-z0-9+/]+={0,2})"
    r"(?:\|(?P<lifetime>2\^[0-9]{1,2}|[0-9]{1,15}))?"
    r"(?:\|(?P<mki>[0-9]{1,40}):(?P<mki_bytes>[0-9]{1,3}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Crypto:
    """One crypto attribute we can use: its tag, its suite, and master key and salt joined."""

    tag: int
    suite: SrtpSuite
    key: bytes = field(repr=False)

    def attribute(self) -> Attribute:
        """The attribute as it is sent: one inline key, no lifetime, no MKI."""
        return Attribute("crypto", f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}")


def read_crypto(media: MediaDescription) -> list[Crypto]:
    """The usable crypto attributes of a section, in its order."""
    return [crypto for value in media.values("crypto") if (crypto := parse_crypto(value)) is not None]


def parse_crypto(value: str) -> Crypto | None:
    """Read a crypto attribute's value; None when it is malformed or asks for what we do not do.

    Not done: several keys, an MKI (RFC 4568 §6.1), session parameters that change the packets (§6.3). A
    lifetime up to MAX_LIFETIME is accepted: it is for its sender to change the key in time. Parameters with
    a leading "-" are optional.
    """
    match = _CRYPTO.fullmatch(value)
    if match is None:
        return None
    suite = _SUITES.get(match[2].upper())
    if suite is None or not _parameters_acceptable(match[4]):
        return None
    inline = _INLINE.fullmatch(match[3])
    if inline is None or inline["mki"] is not None or not _lifetime_possible(inline["lifetime"]):
        return None
    text = inline["key"].rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Crypto(int(match[1]), suite, key) if len(key) == KEY_BYTES[suite] else None


def preferred_crypto(offered: Iterable[Crypto]) -> Crypto | None:
    """The attribute to answer with: the offerer's first, but WEAK only for want of another."""
    return min(offered, key=lambda crypto: crypto.suite == WEAK, default=None)


def _lifetime_possible(text: str | None) -> bool:
    if text is None:
        return True
    # A power of two is written with its exponent.
    packets = 1 << int(text[2:]) if text.startswith("2^") else int(text)
    return 0 < packets <= MAX_LIFETIME


def _parameters_acceptable(text: str) -> bool:
    # A replay window hint (WSH) is about the sender's own receiver and may be passed over.
    return all(p.startswith("-") or p.upper().startswith("WSH=") for p in text.split())
