"""Frames of wireless LAN: where IP begins in data that is in the clear (IEEE 802.11, 9.2, 9.3.2)."""

from __future__ import annotations

from typing import Final

from ringback.diagnosis.capture.ethertypes import DAMAGED, ENCRYPTED, NO_IP, after_ethertype

_DATA: Final = 2
_NO_PAYLOAD: Final = 0x40
_QOS: Final = 0x80
_BOTH_WAYS: Final = 0x03
_PROTECTED: Final = 0x40
_ORDER: Final = 0x80
_AGGREGATE: Final = 0x80
_SNAP: Final = b"\xaa\xaa\x03"


def bare(data: bytes, at: int = 0) -> int:
    """Link type 105: the frame alone. Answers as `links.find_ip` does."""
    if len(data) < at + 24:
        return DAMAGED
    control, flags = data[at], data[at + 1]
    if control >> 2 & 3 != _DATA or control & _NO_PAYLOAD:
        return NO_IP
    if flags & _PROTECTED:
        return ENCRYPTED
    body = at + (30 if flags & _BOTH_WAYS == _BOTH_WAYS else 24)
    if control & _QOS:
        if len(data) < body + 2:
            return DAMAGED
        if data[body] & _AGGREGATE:
            # Several packets in a frame: only the first is read, behind its addresses and length.
            body += 14
        body += 6 if flags & _ORDER else 2
    if len(data) < body + 8:
        return DAMAGED
    if data[body : body + 3] != _SNAP:
        return NO_IP
    return after_ethertype(data[body + 6] << 8 | data[body + 7], data, body + 8)


def radiotap(data: bytes) -> int:
    """Link type 127: behind a header that says how long it is."""
    return DAMAGED if len(data) < 4 else bare(data, data[2] | data[3] << 8)


def prism(data: bytes) -> int:
    """Link types 119 and 163: the header of Prism or AVS, whose length is in its second word."""
    if len(data) < 8:
        return DAMAGED
    order = "big" if data[:3] == b"\x80\x21\x10" else "little"
    return bare(data, int.from_bytes(data[4:8], order))  # type: ignore[arg-type]
