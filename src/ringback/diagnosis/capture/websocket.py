"""SIP over WebSocket read from a connection's bytes, one direction (RFC 6455, RFC 7118, RFC 7692)."""

from __future__ import annotations

import re
import zlib
from typing import Final

from ringback.diagnosis.capture.reassembly import Seen
from ringback.diagnosis.capture.sip_framing import TakeMessage, find_start_line

MOST_MESSAGE_BYTES: Final = 1_048_576
_MOST_HEAD_BYTES: Final = 16_384
_CONTINUATION, _TEXT, _BINARY, _FIRST_CONTROL = 0, 1, 2, 8
_FINAL, _COMPRESSED, _OTHER_EXTENSIONS, _MASKED = 0x80, 0x40, 0x30, 0x80
_UPGRADE: Final = re.compile(rb"\r\nupgrade[ \t]*:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_HTTP: Final = re.compile(
    rb"HTTP/1\.[01] |(?:CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT) [^\r\n ]+ HTTP/1\."
)
_HANDSHAKE: Final = (b"GET ", b"HTTP/1.1 101")
_END: Final = b"\r\n\r\n"
_EMPTY_BLOCK: Final = b"\0\0\xff\xff"
"""Which the sender leaves out at the end of a message (RFC 7692, 7.2.1)."""


def is_http(data: bytes | bytearray) -> bool:
    """Whether bytes begin as a message of HTTP/1 does."""
    return _HTTP.match(data) is not None


def ends_head(data: bytes | bytearray) -> bool:
    """Whether the end of its header fields is among them."""
    return _END in data


def is_upgrade(data: bytes | bytearray) -> bool:
    """Whether a connection's first bytes are one side of the opening handshake (RFC 6455, 4.1, 4.2.2)."""
    return data.startswith(_HANDSHAKE) and is_http(data) and _UPGRADE.search(data) is not None


def is_frame_with_sip(data: bytes) -> bool:
    """Whether a frame begins here that carries a SIP message: for a capture that lacks the handshake.

    Of one that is compressed only that it is the whole of `data` can be seen.
    """
    head = _read_head(data)
    if head is None or data[0] & ~_FINAL & ~_COMPRESSED not in (_TEXT, _BINARY):
        return False
    at, length, mask = head
    if data[0] & _COMPRESSED:
        return data[0] & _FINAL != 0 and at + length == len(data)
    return find_start_line(_unmask(data[at : at + min(length, 2_048)], mask)) == 0


class WebSocketReader:
    """Messages of one direction that are SIP; after a gap it goes on where a frame shows itself."""

    def __init__(self, take: TakeMessage, *, in_handshake: bool) -> None:
        self.unreadable = 0
        """Messages whose compression refers to what is not in the capture."""
        self.messages = 0
        self._take = take
        self._in_handshake = in_handshake
        self._lost = False
        self._buffer = bytearray()
        self._message = bytearray()
        self._compressed = False
        self._inflater = _new_inflater()
        self._passing_over = 0
        self._seen = Seen(0, 0, 0)

    @property
    def held_bytes(self) -> int:
        """What is kept of a message in work."""
        return len(self._buffer) + len(self._message)

    def feed(self, data: bytes, seen: Seen) -> None:
        """Take bytes; each message that they complete is handed on."""
        if self._lost:
            if not is_frame_with_sip(data):
                return
            self._lost = False
        self._seen = seen
        self._buffer += data
        if self._in_handshake and not self._pass_handshake():
            return
        while self._buffer and self._step():
            pass

    def gap(self) -> None:
        """Hand on what is there of a message in work, as cut."""
        if not self._in_handshake:
            self._tell_cut()
        self._buffer.clear()
        self._message.clear()
        self._in_handshake = self._compressed = False
        self._inflater = _new_inflater()
        self._passing_over = 0
        self._lost = True

    def finish(self) -> None:
        """The same, at the end."""
        self.gap()

    def _pass_handshake(self) -> bool:
        end = self._buffer.find(_END)
        if end < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                self.gap()
            return False
        del self._buffer[: end + 4]
        self._in_handshake = False
        return True

    def _step(self) -> bool:
        """One frame, if it is complete."""
        buffer = self._buffer
        if self._passing_over:
            passed = min(self._passing_over, len(buffer))
            del buffer[:passed]
            self._passing_over -= passed
            return True
        head = _read_head(buffer)
        if head is None:
            return False
        at, length, mask = head
        first = buffer[0]
        if first & _OTHER_EXTENSIONS:
            self.gap()
            return False
        if length > MOST_MESSAGE_BYTES:
            del buffer[:at]
            self._passing_over = length
            return True
        if len(buffer) < at + length:
            return False
        payload = _unmask(buffer[at : at + length], mask)
        del buffer[: at + length]
        if first & 0x0F < _FIRST_CONTROL:
            self._collect(first, payload)
        return True

    def _collect(self, first: int, payload: bytes) -> None:
        if first & 0x0F != _CONTINUATION:
            self._message.clear()
            self._compressed = first & _COMPRESSED != 0
        if len(self._message) + len(payload) <= MOST_MESSAGE_BYTES:
            self._message += payload
        if not first & _FINAL:
            return
        message = bytes(self._message)
        self._message.clear()
        cut = False
        if self._compressed:
            message, cut = self._inflate(message)
        if find_start_line(message.lstrip(b"\r\n")) == 0:
            self.messages += 1
            self._take(message, self._seen, cut)

    def _inflate(self, message: bytes) -> tuple[bytes, bool]:
        """A compressed message in plain, empty when that cannot be, and whether it was too long to be whole.

        The window is kept from one message to the next (RFC 7692, 7.2.2); where the sender begins a new one
        each time nothing refers to the old, so that what was agreed on need not be known.
        """
        try:
            plain = self._inflater.decompress(message + _EMPTY_BLOCK, MOST_MESSAGE_BYTES)
        except zlib.error:
            plain = b""
            self.unreadable += 1
        cut = bool(self._inflater.unconsumed_tail)
        if not plain or self._inflater.eof or cut:
            self._inflater = _new_inflater()
        return plain, cut

    def _tell_cut(self) -> None:
        """The frames of a message before the one in work, and as much of that as there is."""
        if self._compressed or self._passing_over:
            return
        head = _read_head(self._buffer)
        rest = b""
        if head is not None and self._buffer[0] & 0x4F in (_CONTINUATION, _TEXT, _BINARY):
            rest = _unmask(self._buffer[head[0] : head[0] + head[1]], head[2])
        message = bytes(self._message) + rest
        if find_start_line(message) == 0:
            self.messages += 1
            self._take(message, self._seen, True)


def _new_inflater() -> zlib._Decompress:
    return zlib.decompressobj(-zlib.MAX_WBITS)


def _read_head(data: bytes | bytearray) -> tuple[int, int, bytes] | None:
    """Where a frame's payload begins, its length, and its mask or nothing; None while that is not known."""
    if len(data) < 2:
        return None
    masked = data[1] & _MASKED
    length, at = data[1] & 0x7F, 2
    if length >= 126:
        at = 4 if length == 126 else 10
        if len(data) < at:
            return None
        length = int.from_bytes(data[2:at], "big")
    if not masked:
        return at, length, b""
    return (at + 4, length, bytes(data[at : at + 4])) if len(data) >= at + 4 else None


def _unmask(payload: bytes | bytearray, mask: bytes) -> bytes:
    """The payload without its mask (RFC 6455, 5.3)."""
    if not mask:
        return bytes(payload)
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
