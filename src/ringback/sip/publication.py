"""The event state compositor: what devices publish of themselves, kept as long as they say (RFC 3903)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ringback.sip.errors import SipSyntaxError
from ringback.sip.event import Event, seconds
from ringback.sip.message import Headers, Request, Response, make_response
from ringback.sip.timers import Ticket, TimerQueue

P = TypeVar("P")

DEFAULT_EXPIRES_S: Final = 3_600
MIN_EXPIRES_S: Final = 60
MOST_OF_AN_ACCOUNT: Final = 10
"""Publications of one account: as many as it may have contacts."""


@dataclass(slots=True, eq=False)
class _Published(Generic[P]):
    account: str
    tag: str
    state: P
    expires_at: float
    scheduled: Ticket | None = None

    def deadline(self) -> float | None:
        return self.expires_at


class Publications(Generic[P]):
    """Published state of one event package by account. The caller has authenticated the account.

    `read` makes a state of a body of `content_type`, or raises SipSyntaxError.
    """

    def __init__(
        self, package: str, content_type: str, read: Callable[[bytes], P], new_tag: Callable[[], str]
    ) -> None:
        self._package = package
        self._content_type = content_type
        self._read = read
        self._new_tag = new_tag
        self._accounts: dict[str, dict[str, _Published[P]]] = {}
        self._queue = TimerQueue()

    def __len__(self) -> int:
        return sum(map(len, self._accounts.values()))

    def publish(self, request: Request, account: str, now: float) -> Response:
        """Take, renew, change or remove a publication, and answer the PUBLISH (§6).

        200 has the SIP-ETag that names the publication from now on. 489 is another package, 412 an entity
        tag that is not known (any more), 415 another type, 400 a body that cannot be read or is missing,
        423 too short a time, 503 too many.
        """
        try:
            if Event.parse(request.headers.get("Event") or "").package != self._package:
                raise SipSyntaxError("another package")
        except SipSyntaxError:
            return _refuse(request, 489, Headers(("Allow-Events", self._package)))
        wanted = DEFAULT_EXPIRES_S
        if "Expires" in request.headers:
            given = seconds(request.headers.get("Expires"))
            if given is None:
                return _refuse(request, 400)
            if 0 < given < MIN_EXPIRES_S:
                return _refuse(request, 423, Headers(("Min-Expires", str(MIN_EXPIRES_S))))
            wanted = min(given, DEFAULT_EXPIRES_S)
        own = self._accounts.get(account, {})
        tag = request.headers.get("SIP-If-Match")
        known = own.get(tag) if tag is not None else None
        if tag is not None and (known is None or known.expires_at <= now):
            return _refuse(request, 412)
        if tag is None and len(own) >= MOST_OF_AN_ACCOUNT:
            return _refuse(request, 503, Headers(("Retry-After", str(MIN_EXPIRES_S))))
        state = self._state_of(request, known)
        if isinstance(state, Response):
            return state
        return self._keep(request, account, tag, state, wanted, now)

    def of(self, account: str) -> list[tuple[str, P]]:
        """What an account's devices say, by entity tag."""
        return [(tag, published.state) for tag, published in self._accounts.get(account, {}).items()]

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        return self._queue.deadline()

    def expire(self, now: float) -> set[str]:
        """Drop what was not renewed; returns whose it was."""
        accounts: set[str] = set()
        while (item := self._queue.pop_due(now)) is not None:
            # What was removed or replaced meanwhile is not there any more.
            if isinstance(item, _Published) and self._drop(item.account, item.tag):
                accounts.add(item.account)
        return accounts

    def _state_of(self, request: Request, known: _Published[P] | None) -> P | Response:
        if not request.body:
            return known.state if known is not None else _refuse(request, 400)
        if request.content_type != self._content_type:
            return _refuse(request, 415, Headers(("Accept", self._content_type)))
        try:
            return self._read(request.body)
        except SipSyntaxError:
            return _refuse(request, 400)

    def _keep(
        self, request: Request, account: str, old_tag: str | None, state: P, expires_s: int, now: float
    ) -> Response:
        if old_tag is not None:
            self._drop(account, old_tag)
        tag = self._new_tag()
        if expires_s > 0:
            published = _Published(account, tag, state, now + expires_s)
            self._accounts.setdefault(account, {})[tag] = published
            self._queue.update(published)
        response = make_response(request, 200)
        response.headers.add("SIP-ETag", tag)
        response.headers.add("Expires", str(expires_s))
        return response

    def _drop(self, account: str, tag: str) -> bool:
        own = self._accounts.get(account, {})
        known = own.pop(tag, None) is not None
        if not own:
            self._accounts.pop(account, None)
        return known


def _refuse(request: Request, status: int, headers: Headers | None = None) -> Response:
    response = make_response(request, status)
    for name, value in (headers or Headers()).items():
        response.headers.add(name, value)
    return response
