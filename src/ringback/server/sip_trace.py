"""SIP messages for those who watch: chosen, masked, and taken apart for a ladder."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from ringback.governance.shown import fit_to_show
from ringback.routing.numbers import parse_dial_string
from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import CSeq, Headers
from ringback.sip.masking import mask
from ringback.sip.message import Message, NameAddr, Request, Response, SipUri, TelUri, Uri
from ringback.sip.parse import Malformed, parse_message
from ringback.sip.tap import Captured, Tap, Watch
from ringback.web.operations import Missed, SipMessage, TraceFilter

# Between two messages, so that masking never takes the time that calls need: 500 a second at most.
_PAUSE_S: Final = 0.002

_STATUS_LINE: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2}) ")
_REMEMBERED: Final = 2_000


class SipTrace:
    """What `Operations.trace` gives, from the tap's messages."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._closed = False
        self._wakes: set[asyncio.Event] = set()

    def close(self) -> None:
        """End every trace."""
        self._closed = True
        for wake in self._wakes:
            wake.set()

    async def messages(
        self, wanted: TraceFilter, *, last_s: float, follow: bool, reveal: bool, now: float
    ) -> AsyncIterator[SipMessage | Missed]:
        """Messages from its first step on, after the kept ones of the last seconds; `now` is the tap's."""
        choose, shown = _Choice(wanted), _Shown(reveal)
        wake = asyncio.Event()
        watch = Watch(choose, wake.set)
        try:
            # One after the other without a wait between: no message is missed or comes twice.
            kept = self._tap.since(now - last_s) if last_s else []
            if follow:
                self._wakes.add(wake)
                self._tap.watch(watch)
            for captured in kept:
                await asyncio.sleep(0)
                if choose(captured):
                    yield shown.of(captured)
                    await asyncio.sleep(_PAUSE_S)
            while follow and not self._closed:
                await wake.wait()
                wake.clear()
                taken, missed = watch.take()
                for captured in taken:
                    yield shown.of(captured)
                    await asyncio.sleep(_PAUSE_S)
                if missed:
                    yield Missed(missed)
        finally:
            self._wakes.discard(wake)
            self._tap.unwatch(watch)


class _Choice:
    """Whether a message is wanted; of what cannot be parsed only what could be read counts."""

    def __init__(self, wanted: TraceFilter) -> None:
        self._call = wanted.call
        self._source = wanted.source.lower()
        self._method = wanted.method.upper()
        self._number = _plain(wanted.number.reveal())

    def __call__(self, captured: Captured) -> bool:
        host, port = captured.flow.remote
        if self._source and self._source not in (host, f"[{host}]", f"{host}:{port}", f"[{host}]:{port}"):
            return False
        if not (self._call or self._method or self._number):
            return True
        message = parse_message(captured.data)
        headers = message.headers or Headers()
        if not (headers.get("Call-ID") or "").startswith(self._call):
            return False
        if self._method and _method(message) != self._method:
            return False
        return not self._number or self._number in _numbers(message, headers)


class _Shown:
    """Makes what is shown of messages, one watcher's: it knows which ones were there before."""

    def __init__(self, reveal: bool) -> None:
        self._reveal = reveal
        self._before: dict[int, None] = {}

    def of(self, captured: Captured) -> SipMessage:
        message = parse_message(captured.data)
        data = captured.data if self._reveal else mask(captured.data)
        shown = message if self._reveal else parse_message(data)
        headers = shown.headers or Headers()
        cseq = _cseq(headers)
        flow = captured.flow
        return SipMessage(
            at=datetime.fromtimestamp(captured.at, UTC),
            direction="out" if captured.outgoing else "in",
            transport=flow.transport,
            local=flow.local,
            remote=flow.remote,
            call_id=fit_to_show(headers.get("Call-ID") or "", 256),
            method=fit_to_show(_method(shown), 32),
            status=_status(shown, data),
            reason=fit_to_show(shown.reason) if isinstance(shown, Response) else "",
            cseq=cseq.number if cseq is not None else None,
            from_user=_user(headers.get("From")),
            to_user=_user(headers.get("To")),
            data=data,
            described=isinstance(message, Request | Response)
            and bool(message.body)
            and message.content_type == "application/sdp",
            again=self._was_there(captured),
            # Our answer to a malformed message lacks what that lacked: this is not our fault.
            fault=message.reason if isinstance(message, Malformed) and not captured.outgoing else None,
        )

    def _was_there(self, captured: Captured) -> bool:
        key = hash((captured.outgoing, captured.flow.remote, captured.data))
        if key in self._before:
            return True
        self._before[key] = None
        if len(self._before) > _REMEMBERED:
            del self._before[next(iter(self._before))]
        return False


def _method(message: Message | Malformed) -> str:
    """The method of a request and of what a response answers; empty where there is none to be read."""
    if isinstance(message, Malformed):
        cseq = _cseq(message.headers or Headers())
        return message.method or (cseq.method if cseq is not None else "")
    return message.method if isinstance(message, Request) else message.cseq.method


def _status(message: Message | Malformed, data: bytes) -> int | None:
    """The code of a response, also of one that is not usable."""
    if isinstance(message, Response):
        return message.status
    start = _STATUS_LINE.match(data) if isinstance(message, Malformed) else None
    return int(start[1]) if start is not None else None


def _cseq(headers: Headers) -> CSeq | None:
    try:
        return CSeq.parse(headers.get("CSeq") or "")
    except SipSyntaxError:
        return None


def _numbers(message: Message | Malformed, headers: Headers) -> set[str]:
    """The numbers of a message, without their PINs."""
    users = [_user(headers.get(name)) for name in ("From", "To")]
    if isinstance(message, Request):
        users.append(_user_of(message.uri))
    return {_plain(user) for user in users}


def _plain(number: str) -> str:
    """A number without separators and PIN."""
    dialled = parse_dial_string(number)
    return dialled.number if dialled is not None else ""


def _user(value: str | None) -> str:
    try:
        return fit_to_show(_user_of(NameAddr.parse(value or "").uri))
    except SipSyntaxError:
        return ""


def _user_of(uri: Uri) -> str:
    if isinstance(uri, SipUri):
        return uri.username
    return uri.number if isinstance(uri, TelUri) else ""
