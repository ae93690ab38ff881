"""STUN as the keep-alive of SIP over UDP: Binding requests without credentials (RFC 5626 §4.4.2)."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from ringback.sip.flow import Address

_REQUEST: Final = 0x0001
_SUCCESS: Final = 0x0101
_XOR_MAPPED_ADDRESS: Final = 0x0020
_COOKIE: Final = 0x2112A442
_HEADER: Final = struct.Struct("!HHI12s")
_LARGEST: Final = 548


def stun_answer(datagram: bytes, source: Address) -> bytes | None:
    """The answer to a Binding request, which names its source; None when `datagram` is none.

    It is hardly larger than the shortest request, so that nobody is flooded through us.
    """
    size = len(datagram)
    if not _HEADER.size <= size <= _LARGEST or datagram[0] != 0:
        return None
    kind, length, cookie, transaction_id = _HEADER.unpack_from(datagram)
    if (kind, cookie, length) != (_REQUEST, _COOKIE, size - _HEADER.size) or length % 4:
        return None
    address = ipaddress.ip_address(source[0].partition("%")[0])
    mask = (_COOKIE.to_bytes(4, "big") + transaction_id)[: len(address.packed)]
    hidden = bytes(one ^ other for one, other in zip(address.packed, mask, strict=True))
    family = 1 if address.version == 4 else 2
    value = struct.pack("!BBH", 0, family, source[1] ^ _COOKIE >> 16) + hidden
    attribute = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(value)) + value
    return _HEADER.pack(_SUCCESS, len(attribute), _COOKIE, transaction_id) + attribute
