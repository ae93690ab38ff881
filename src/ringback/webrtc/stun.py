"""STUN messages as ICE needs them: Binding requests read and checked, answers written (RFC 8489)."""

from __future__ import annotations

import binascii
import hmac
import struct
from dataclasses import dataclass

BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A

HEADER_BYTES = 20
MAX_ATTRIBUTES = 32
_COOKIE = 0x2112A442
_FINGERPRINT_XOR = 0x5354554E
_INTEGRITY_BYTES = 24
_FINGERPRINT_BYTES = 8
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_UNDERSTOOD = frozenset(
    {USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE}
    # MESSAGE-INTEGRITY-SHA256, REALM and NONCE change nothing for short-term credentials.
    | {0x001C, 0x0014, 0x0015}
)
_OPTIONAL = 0x8000
"""Attributes from here on may be ignored by who does not understand them."""


@dataclass(frozen=True, slots=True)
class StunMessage:
    """A message whose FINGERPRINT was right.

    `attributes` are those that integrity covers, or all when there is none; of several of a type the first.
    `unknown` are the types that must be understood and are not. `signed` is what MESSAGE-INTEGRITY is over,
    empty without it.
    """

    kind: int
    transaction_id: bytes
    attributes: dict[int, bytes]
    unknown: tuple[int, ...]
    signed: bytes

    def is_authentic(self, password: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there and right (RFC 8489 14.5)."""
        if not self.signed:
            return False
        digest = hmac.digest(password, self.signed, "sha1")
        return hmac.compare_digest(self.attributes[MESSAGE_INTEGRITY], digest)


def parse(datagram: bytes) -> StunMessage | None:
    """Read a message; None for what is none, is malformed, or has no right FINGERPRINT as its last attribute.

    ICE demands the FINGERPRINT (RFC 8445 7.1); it is cheap to look at and keeps out most of what is only
    noise.
    """
    size = len(datagram)
    if size < HEADER_BYTES + _FINGERPRINT_BYTES or size % 4:
        return None
    kind, length, cookie, transaction_id = _HEADER.unpack_from(datagram)
    if kind >= 0x4000 or cookie != _COOKIE or length != size - HEADER_BYTES:
        return None
    end = size - _FINGERPRINT_BYTES
    last_type, last_length, check = struct.unpack_from("!HHI", datagram, end)
    if (last_type, last_length) != (FINGERPRINT, 4):
        return None
    if binascii.crc32(datagram[:end]) ^ _FINGERPRINT_XOR != check:
        return None
    attributes: dict[int, bytes] = {}
    signed = b""
    position = HEADER_BYTES
    for _ in range(MAX_ATTRIBUTES):
        if position + 4 > end:
            break
        attribute, octets = _ATTRIBUTE.unpack_from(datagram, position)
        start = position + 4
        if start + octets > end:
            return None
        attributes.setdefault(attribute, datagram[start : start + octets])
        if attribute == MESSAGE_INTEGRITY:
            # The length that was signed ends with this attribute; what follows is nobody's word.
            counted = position + _INTEGRITY_BYTES - HEADER_BYTES
            signed = datagram[:2] + counted.to_bytes(2, "big") + datagram[4:position]
            position = end
            break
        position = start + (octets + 3 & ~3)
    if position != end:
        return None
    unknown = tuple(a for a in attributes if a < _OPTIONAL and a not in _UNDERSTOOD)
    return StunMessage(kind, transaction_id, attributes, unknown, signed)


def encode(
    kind: int, transaction_id: bytes, attributes: list[tuple[int, bytes]], password: bytes | None = None
) -> bytes:
    """A message with MESSAGE-INTEGRITY, when there is a password, and FINGERPRINT."""
    body = b"".join(
        _ATTRIBUTE.pack(attribute, len(value)) + value + bytes(-len(value) % 4)
        for attribute, value in attributes
    )
    if password is not None:
        signed = _HEADER.pack(kind, len(body) + _INTEGRITY_BYTES, _COOKIE, transaction_id) + body
        digest = hmac.digest(password, signed, "sha1")
        body += _ATTRIBUTE.pack(MESSAGE_INTEGRITY, len(digest)) + digest
    message = _HEADER.pack(kind, len(body) + _FINGERPRINT_BYTES, _COOKIE, transaction_id) + body
    check = binascii.crc32(message) ^ _FINGERPRINT_XOR
    return message + struct.pack("!HHI", FINGERPRINT, 4, check)


def success(request: StunMessage, address: bytes, port: int, password: bytes) -> bytes:
    """The answer to a good Binding request: where it came from, 4 octets of IPv4 or 16 of IPv6 in network
    order (RFC 8489 14.2)."""
    pattern = _COOKIE.to_bytes(4, "big") + request.transaction_id
    family = 1 if len(address) == 4 else 2
    masked = bytes(octet ^ mask for octet, mask in zip(address, pattern, strict=False))
    mapped = struct.pack("!BBH", 0, family, port ^ _COOKIE >> 16) + masked
    return encode(BINDING_SUCCESS, request.transaction_id, [(XOR_MAPPED_ADDRESS, mapped)], password)


def error(request: StunMessage, code: int, reason: str, password: bytes | None = None) -> bytes:
    """An error answer (RFC 8489 14.8); with 420 it names what was not understood."""
    value = struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()
    attributes = [(ERROR_CODE, value)]
    if code == 420:
        attributes.append((UNKNOWN_ATTRIBUTES, b"".join(a.to_bytes(2, "big") for a in request.unknown)))
    return encode(BINDING_ERROR, request.transaction_id, attributes, password)
