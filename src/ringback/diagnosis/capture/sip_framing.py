"""SIP messages out of the bytes of a stream, found again after gaps and wrong lengths (RFC 3261, 18.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ringback.diagnosis.capture.reassembly import Seen
from ringback.sip.message import KNOWN_METHODS

MOST_HEADER_BYTES: Final = 65_536
MOST_BODY_BYTES: Final = 1_048_576
_LONGEST_START_LINE: Final = 8_192

_METHODS: Final = b"|".join(method.encode() for method in sorted(KNOWN_METHODS))
_ADDRESSED: Final = rb" [A-Za-z][A-Za-z0-9+.-]*:[^\r\n ]+ SIP/2\.0\r?\n"
_STATUS: Final = rb"SIP/2\.0 [1-6][0-9]{2}[ \r]"
_FIRST_START: Final = re.compile(rb"(?:" + _METHODS + rb")" + _ADDRESSED + rb"|" + _STATUS)
"""Where bytes begin, perhaps in the middle of a line: methods that exist."""
_NEXT_START: Final = re.compile(_STATUS + rb"|[!-~]+" + _ADDRESSED)
"""Where a message or a line must begin: any method."""
_LATER_START: Final = re.compile(rb"\n(?:" + _NEXT_START.pattern + rb")")
_VERSION: Final = b"SIP/2.0"
_CONTENT_LENGTH: Final = re.compile(
    rb"\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE
)
_END: Final = b"\r\n\r\n"

TakeMessage = Callable[[bytes, Seen, bool], None]
"""Is given a message, the packet that ended it, and whether a part of it is missing."""


def find_start_line(data: bytes | bytearray, *, known: int = 0) -> int:
    """Where a SIP message begins; -1 where none does. In the first `known` octets by themselves none did."""
    # The line that ended what is known may have gone on.
    since = max(data.rfind(b"\n", 0, known), known - _LONGEST_START_LINE, 0)
    if data.find(_VERSION, since) < 0:
        return -1
    if since == 0 and _FIRST_START.match(data):
        return 0
    found = _LATER_START.search(data, since)
    return found.start() + 1 if found else -1


class SipFraming:
    """Cuts one direction of a connection into messages.

    What begins elsewhere than with a start line is passed over until one comes: a capture may begin in the
    middle of a message, a gap take its beginning, a length be wrong.
    """

    def __init__(self, take: TakeMessage) -> None:
        self._take = take
        self._buffer = bytearray()
        self._needed = 0
        """Octets of the message in work once its header is complete."""
        self._scanned = 0
        self._follows = False
        """The buffer begins right behind a message."""
        self._seen = Seen(0, 0, 0)

    @property
    def held_bytes(self) -> int:
        """What is kept of a message in work."""
        return len(self._buffer)

    def feed(self, data: bytes, seen: Seen) -> None:
        """Take bytes; each message that they complete is handed on."""
        self._buffer += data
        self._seen = seen
        while self._step():
            pass

    def gap(self) -> None:
        """Hand on what is there of a message in work, as cut, and begin anew."""
        if self._scanned or (_NEXT_START if self._follows else _FIRST_START).match(self._buffer):
            self._take(bytes(self._buffer), self._seen, True)
        self._restart(len(self._buffer))
        self._follows = False

    def finish(self) -> None:
        """The same, at the end."""
        self.gap()

    def _step(self) -> bool:
        """Go on by a message or by its header; False when more bytes are needed for that."""
        if not self._needed:
            return self._read_header()
        if len(self._buffer) < self._needed:
            return False
        message = bytes(self._buffer[: self._needed])
        self._restart(self._needed)
        self._follows = True
        self._take(message, self._seen, False)
        return True

    def _read_header(self) -> bool:
        buffer = self._buffer
        if not self._scanned and not self._find_start():
            return False
        end = buffer.find(_END, self._scanned)
        self._scanned = max(1, len(buffer) - 3)
        if end < 0:
            if len(buffer) > MOST_HEADER_BYTES:
                self.gap()
            return False
        # A start line among the header fields: the first was a piece of a message, as NOTIFY carries them.
        other = _LATER_START.search(buffer, 0, end)
        if other is not None:
            self._restart(other.start() + 1)
            return True
        length = _CONTENT_LENGTH.search(buffer, 0, end + 2)
        body = int(length[1]) if length else 0
        if body > MOST_BODY_BYTES:
            self._take(bytes(buffer[: end + 4]), self._seen, True)
            self._restart(end + 4)
        else:
            self._needed = end + 4 + body
        return True

    def _find_start(self) -> bool:
        buffer = self._buffer
        if self._follows and _NEXT_START.match(buffer):
            return True
        at = find_start_line(buffer)
        if at >= 0:
            del buffer[:at]
            return True
        # The beginning of a start line may be at the end.
        line = buffer.rfind(b"\n") + 1
        if line:
            # What is before it was no message, what is behind it begins a line.
            self._follows = True
        elif len(buffer) > _LONGEST_START_LINE:
            line, self._follows = len(buffer), False
        del buffer[:line]
        return False

    def _restart(self, octets: int) -> None:
        del self._buffer[:octets]
        self._needed = self._scanned = 0
