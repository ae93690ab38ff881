"""Every SIP message as it was on the wire: counted, the last ones kept, shown to who watches.

Without watchers a message costs a count and a place in the buffer. Nothing here looks at private things or
prints them: `masking` comes before any message is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from ringback.sip.flow import Flow, Transport
from ringback.sip.message import KNOWN_METHODS, REASONS, Message, Request, Response
from ringback.sip.parse import Malformed

BACKLOG: Final = 1_000
"""Messages that wait for a watcher who does not keep up."""

ANSWER_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Of the histogram of first answers to INVITE, in seconds; one more is for all that took longer."""

_MOST_UNANSWERED: Final = 10_000
# What a kept message costs beside its bytes.
_OVERHEAD_BYTES: Final = 400

_CSEQ: Final = b"\r\nCSeq: "
_CALL_ID: Final = b"\r\nCall-ID: "
_METHODS: Final = {method.encode(): method for method in KNOWN_METHODS}
_CODES: Final = {str(status).encode(): str(status) for status in REASONS}

Hear = Callable[[bytes, Flow, Message | Malformed], None]
"""Told by a transport of every message with its bytes, before anything else happens with it."""

CountKey = tuple[str, str, Transport]
"""Method ("other" for unknown ones), code (empty for requests, "4xx" for an unregistered one), transport."""


class Captured(msgspec.Struct, frozen=True, gc=False):
    """A message on the wire; `at` is seconds since the epoch, `data` all its bytes, decrypted."""

    at: float
    outgoing: bool
    flow: Flow
    data: bytes

    def __repr__(self) -> str:
        # What is in it is nobody's business.
        return f"Captured({'out' if self.outgoing else 'in'}, {self.flow}, {len(self.data)} bytes)"


class Watch:
    """What one watcher has not read yet, bounded; what finds no room is counted as missed.

    `wanted` chooses messages; `wake` is called whenever there is something to take.
    """

    def __init__(
        self, wanted: Callable[[Captured], bool], wake: Callable[[], object], backlog: int = BACKLOG
    ) -> None:
        self._wanted = wanted
        self._wake = wake
        self._backlog = backlog
        self._waiting: list[Captured] = []
        self._missed = 0

    def put(self, captured: Captured) -> None:
        """Take note of a message if it is wanted."""
        # A full watcher costs nothing but this.
        if len(self._waiting) >= self._backlog:
            self._missed += 1
            return
        if self._wanted(captured):
            self._waiting.append(captured)
            self._wake()

    def take(self) -> tuple[list[Captured], int]:
        """All that waits, and how many messages came since the last time and found no room."""
        taken, self._waiting = self._waiting, []
        missed, self._missed = self._missed, 0
        return taken, missed


class Tap:
    """Sees all messages between the transports and the endpoint.

    `clock` gives seconds since the epoch; at most `buffer_bytes` of the last messages are kept.
    """

    def __init__(self, clock: Callable[[], float], buffer_bytes: int) -> None:
        self.received: dict[CountKey, int] = {}
        self.sent: dict[CountKey, int] = {}
        self.malformed: dict[Transport, int] = {}
        self.answer_counts = [0] * (len(ANSWER_BOUNDS_S) + 1)
        self.answer_sum_s = 0.0
        self._clock = clock
        self._buffer_bytes = buffer_bytes
        self._kept: deque[Captured] = deque()
        self._kept_bytes = 0
        self._watches: list[Watch] = []
        self._unanswered: dict[bytes, float] = {}

    # From the transports

    def hear(self, data: bytes, flow: Flow, message: Message | Malformed) -> None:
        """A message came; `message` is what the parser made of `data`."""
        at = self._clock()
        if isinstance(message, Request):
            method = message.method if message.method in KNOWN_METHODS else "other"
            key = (method, "", flow.transport)
            if method == "INVITE":
                self._begin_wait(message.call_id, at)
        elif isinstance(message, Response):
            method = message.cseq.method
            code = str(message.status) if message.status in REASONS else f"{message.status // 100}xx"
            key = (method if method in KNOWN_METHODS else "other", code, flow.transport)
        else:
            self.malformed[flow.transport] = self.malformed.get(flow.transport, 0) + 1
            self._note(Captured(at, False, flow, data), b"SIP/" in data[:512])
            return
        self.received[key] = self.received.get(key, 0) + 1
        self._note(Captured(at, False, flow, data))

    def send(self, data: bytes, flow: Flow) -> None:
        """A message of ours went out."""
        at = self._clock()
        code = ""
        if data.startswith(b"SIP/2.0 "):
            method = _METHODS.get(_field(data, _CSEQ).rpartition(b" ")[2], "other")
            code = _CODES.get(data[8:11]) or f"{data[8:9].decode('ascii', 'replace')}xx"
            if method == "INVITE" and code != "100" and self._unanswered:
                self._end_wait(data, at)
        else:
            method = _METHODS.get(data[: data.find(b" ")], "other")
        key = (method, code, flow.transport)
        self.sent[key] = self.sent.get(key, 0) + 1
        self._note(Captured(at, True, flow, data))

    # For those who watch

    def watch(self, watch: Watch) -> None:
        """Show messages to a watcher from now on."""
        self._watches.append(watch)

    def unwatch(self, watch: Watch) -> None:
        """Stop; nothing happens for one that does not watch."""
        if watch in self._watches:
            self._watches.remove(watch)

    def since(self, at: float) -> list[Captured]:
        """The kept messages from then on, oldest first; how far they reach depends on the traffic."""
        return [captured for captured in self._kept if captured.at >= at]

    # Work

    def _note(self, captured: Captured, keep: bool = True) -> None:
        if keep and self._buffer_bytes:
            kept = self._kept
            kept.append(captured)
            size = self._kept_bytes + len(captured.data) + _OVERHEAD_BYTES
            while size > self._buffer_bytes:
                size -= len(kept.popleft().data) + _OVERHEAD_BYTES
            self._kept_bytes = size
        for watch in self._watches:
            watch.put(captured)

    def _begin_wait(self, call_id: str, at: float) -> None:
        unanswered = self._unanswered
        if len(unanswered) >= _MOST_UNANSWERED:
            # The oldest never got an answer.
            del unanswered[next(iter(unanswered))]
        unanswered.setdefault(call_id.encode("utf-8", "surrogateescape"), at)

    def _end_wait(self, data: bytes, at: float) -> None:
        began = self._unanswered.pop(_field(data, _CALL_ID), None)
        if began is None:
            return
        # The clock may have been set back meanwhile.
        took_s = max(0.0, at - began)
        self.answer_sum_s += took_s
        place = next((i for i, bound in enumerate(ANSWER_BOUNDS_S) if took_s <= bound), -1)
        self.answer_counts[place] += 1


def _field(data: bytes, begin: bytes) -> bytes:
    """The value of the first header field of a message of ours that begins so; empty where there is none."""
    at = data.find(begin)
    if at < 0:
        return b""
    at += len(begin)
    return data[at : data.find(b"\r", at)]
