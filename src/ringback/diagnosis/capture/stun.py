"""STUN and TURN as a bystander sees them: what was asked, what was answered, what TURN carries (RFC 8489, RFC
8656)."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

COOKIE: Final = b"\x21\x12\xa4\x42"
HEADER_BYTES: Final = 20
CHANNELS: Final = range(0x4000, 0x5000)

_BINDING: Final = 0x001
_SEND: Final = 0x006
_DATA: Final = 0x007
_NAMES: Final = {
    _BINDING: "binding",
    0x003: "allocate",
    0x004: "refresh",
    _SEND: "send",
    _DATA: "data",
    0x008: "permission",
    0x009: "channel",
    0x00A: "connect",
    0x00B: "connection",
    0x00C: "connection attempt",
}
_REQUEST, _INDICATION, _SUCCESS, _ERROR = 0x000, 0x010, 0x100, 0x110
_CLASS: Final = 0x110
_ERROR_CODE: Final = 0x0009
_DATA_ATTRIBUTE: Final = 0x0013
_MOST_ATTRIBUTES: Final = 64
_MOST_WAITING: Final = 64


def stun_kind(payload: bytes, *, cut: bool = False) -> Literal["stun", "turn"] | None:
    """Whether a datagram is STUN, with a cookie or as RFC 3489 had it without, or a method of TURN."""
    if len(payload) < HEADER_BYTES or payload[0] >> 6 or payload[3] & 3:
        return None
    length = payload[2] << 8 | payload[3]
    method = _method(payload)
    if payload[4:8] == COOKIE:
        if not cut and length + HEADER_BYTES > len(payload):
            return None
    elif method != _BINDING or length + HEADER_BYTES != len(payload):
        return None
    return "stun" if method == _BINDING or method not in _NAMES else "turn"


def is_channel_data(payload: bytes, *, cut: bool = False) -> bool:
    """Whether a datagram is TURN's channel data: its length is right but for padding (RFC 8656, 12.4)."""
    if len(payload) < 4 or payload[0] << 8 | payload[1] not in CHANNELS:
        return False
    length = payload[2] << 8 | payload[3]
    return cut or length + 4 <= len(payload) <= (length + 3 & ~3) + 4


def carried(payload: bytes) -> bytes | None:
    """What TURN carries in a message for its user: channel data, or that of a Send or Data indication."""
    if payload[0] >> 6 == 1:
        return payload[4 : 4 + (payload[2] << 8 | payload[3])]
    if _kind(payload) & _CLASS != _INDICATION or _method(payload) not in (_SEND, _DATA):
        return None
    return _attribute(payload, _DATA_ATTRIBUTE)


class StunFacts:
    """What one side asked of the other, and what came of it."""

    def __init__(self) -> None:
        self._asked: Counter[int] = Counter()
        self._granted: Counter[int] = Counter()
        self._refused: Counter[tuple[int, int]] = Counter()
        self._answers: Counter[int] = Counter()
        self._carrying = 0
        self._waiting: dict[bytes, int] = {}

    def note(self, payload: bytes, other_side: StunFacts | None) -> None:
        """Take a message of this side; its answers count for what the other side asked."""
        if payload[0] >> 6 == 1:
            self._carrying += 1
            return
        method, message_class = _method(payload), _kind(payload) & _CLASS
        transaction = payload[4:20]
        if message_class == _INDICATION:
            self._carrying += method in (_SEND, _DATA)
        elif message_class == _REQUEST:
            # A repetition has the same transaction.
            if transaction not in self._waiting:
                self._asked[method] += 1
                if len(self._waiting) >= _MOST_WAITING:
                    del self._waiting[next(iter(self._waiting))]
                self._waiting[transaction] = method
        else:
            self._answers[method] += 1
            if other_side is not None and other_side._waiting.pop(transaction, None) == method:
                if message_class == _SUCCESS:
                    other_side._granted[method] += 1
                else:
                    other_side._refused[method, _error_code(payload)] += 1

    def text(self) -> str:
        """In words: `12 binding requests without an answer`."""
        parts = []
        for method, asked in sorted(self._asked.items()):
            name = f"{asked} {_NAMES.get(method, 'other')} request{'s' if asked > 1 else ''}"
            granted = self._granted[method]
            refused = {code: n for (of, code), n in sorted(self._refused.items()) if of == method}
            if not granted and not refused:
                parts.append(f"{name} without an answer")
                continue
            parts.append(f"{name}, {granted} answered")
            parts += [f"{n} refused with {code}" for code, n in refused.items()]
        parts += [
            f"{n} {_NAMES.get(method, 'other')} answer{'s' if n > 1 else ''}"
            for method, n in sorted(self._answers.items())
        ]
        if self._carrying:
            parts.append(f"{self._carrying} with data of their user")
        return ", ".join(parts)


def _kind(payload: bytes) -> int:
    return payload[0] << 8 | payload[1]


def _method(payload: bytes) -> int:
    kind = _kind(payload)
    return kind & 0x000F | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2


def _attribute(payload: bytes, wanted: int) -> bytes | None:
    at = HEADER_BYTES
    for _ in range(_MOST_ATTRIBUTES):
        if at + 4 > len(payload):
            return None
        length = payload[at + 2] << 8 | payload[at + 3]
        if payload[at] << 8 | payload[at + 1] == wanted:
            return payload[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)
    return None


def _error_code(payload: bytes) -> int:
    value = _attribute(payload, _ERROR_CODE)
    return (value[2] & 7) * 100 + value[3] if value is not None and len(value) >= 4 else 0
