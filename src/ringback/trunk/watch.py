"""Whether a trunk's other side is there: asked again and again, at each of its addresses; sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from ringback.sip.authentication import ClientAuthentication, Refused
from ringback.sip.flow import Flow
from ringback.sip.message import REASONS, Headers, NameAddr, Request, Response, SipUri
from ringback.sip.timers import Ticket
from ringback.sip.uri import Uri, escape_user
from ringback.store.directory import Trunk

PATIENCE_S: Final = 3.5
"""How long one address has to answer before the next one is asked."""
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 300.0
"""The pause after a failure doubles from the first to the longest; a refusal gets the longest at once, for
who keeps trying a wrong password is banned."""
BACK_AFTER_S: Final = 60.0
"""How soon a better address than the one in use is asked again."""
LONGEST_UNKNOWN_PAUSE_S: Final = 30.0
"""The longest pause while no address is known: to ask servers of names costs nobody much."""
LONGEST_RETRY_AFTER_S: Final = 3_600
_ELSEWHERE: Final = frozenset({408, 430, 500, 502, 503, 504})
"""Answers after which another address may do better (RFC 3261 §21.5, RFC 3263 §4.3)."""


@dataclass(frozen=True, slots=True)
class Locate:
    """Find out where the trunk's host is, and tell by `located`."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this request by this flow, and tell what comes of it."""

    request: Request = field(repr=False)
    flow: Flow


@dataclass(frozen=True, slots=True)
class KeepOpen:
    """Keep the connection of this flow though it is silent: calls come by it."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Changed:
    """The trunk went up or down, or is down for another reason."""


Wanted = Locate | Ask | KeepOpen | Changed


@dataclass(frozen=True, slots=True)
class TrunkState:
    """`up` is None until it is known; `reason` says in words what is wrong and what to do about it. `since`
    is on the clock of `now`."""

    up: bool | None
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a watch needs of the world: our Contact by flow, unguessable tokens, numbers in [0, 1)."""

    contact_for: Callable[[Flow], SipUri]
    new_token: Callable[[], str]
    chance: Callable[[], float]


class Watch:
    """Asks by requests of one method; subclasses say which, and what an answer means.

    Addresses are asked in the order of the DNS, each time from the first: one that is back is used again.
    Calls go to the one that has answered last, then to the others.
    """

    method: ClassVar[str]

    def __init__(self, trunk: Trunk, surroundings: Surroundings, now: float) -> None:
        self.trunk = trunk
        self.state = TrunkState(None, "not asked yet", now)
        self.targets: tuple[Flow, ...] = ()
        """Where calls go, the best first."""
        self.scheduled: Ticket | None = None
        self._around = surroundings
        self._call_id = surroundings.new_token()
        self._cseq = 0
        # The addresses in the order of the DNS, and which of them is asked.
        self._order: tuple[Flow, ...] = ()
        self._at = 0
        self._works: Flow | None = None
        self._over = False
        self._failures = 0
        self._credentials: ClientAuthentication | None = None
        self._tries = 0
        self._request: Request | None = None
        self._patience: float | None = None
        self._next: float | None = None

    @property
    def asking(self) -> bool:
        """Whether an answer is waited for, of the names or of the other side."""
        return not self._over and self._next is None

    # Inputs

    def begin(self, now: float) -> list[Wanted]:
        """Ask now, whatever was planned."""
        self._next = None
        self._patience = None
        self._request = None
        return [Locate()]

    def located(self, found: tuple[Flow, ...] | str, now: float) -> list[Wanted]:
        """Where the host is, the best address first; or in words why nobody knows."""
        if isinstance(found, str) or not found:
            if not self._order:
                return self._failed(found if isinstance(found, str) and found else "DNS: no such host", now)
        else:
            self._order = found
            self._sort()
        self._at = 0
        return self._ask(now)

    def answered(self, response: Response, now: float) -> list[Wanted]:
        """An answer to the last request."""
        request = self._request
        if response.status < 200 or request is None:
            return []
        if response.status in (401, 407):
            return self._challenged(request, response, now)
        self._patience = None
        return self._judge(response, now)

    def unanswered(self, now: float) -> list[Wanted]:
        """No answer, or no way to send."""
        if self._over:
            return []
        flow = self._order[self._at]
        what = "no connection to" if flow.reliable else "no answer from"
        return self._elsewhere(f"{what} {_place(flow)}", now)

    def connection_lost(self, flow: Flow, now: float) -> None:
        """A connection broke. If it was the one that works, ask again soon: calls came by it."""
        if self._works == flow and self._next is not None:
            self._next = min(self._next, now + FIRST_PAUSE_S * (0.5 + self._around.chance() / 2))

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        if self._over:
            return None
        return min((at for at in (self._patience, self._next) if at is not None), default=None)

    def expire(self, now: float) -> list[Wanted]:
        """Do what is due."""
        if self._patience is not None and self._patience <= now:
            self._patience = None
            # Should the answer come after all, it counts: the request is not forgotten.
            return self._elsewhere(f"no answer from {_place(self._order[self._at])}", now)
        if self._next is not None and self._next <= now:
            return self.begin(now)
        return []

    def end(self, now: float) -> list[Wanted]:
        """Ask no more."""
        self._over = True
        self._next = self._patience = None
        return []

    # What subclasses say

    def fields(self, flow: Flow) -> Headers:
        """Header fields of the request, beside those that every request has."""
        return Headers()

    def _judge(self, response: Response, now: float) -> list[Wanted]:
        raise NotImplementedError

    # Steps

    def _ask(self, now: float) -> list[Wanted]:
        self._credentials = credentials_of(self.trunk)
        self._tries = 0
        flow = self._order[self._at]
        host = uri_host(self.trunk.host)
        address = NameAddr(SipUri(user=escape_user(self.trunk.username) or None, host=host))
        headers = Headers()
        headers.add("From", str(address.with_tag(self._around.new_token())))
        headers.add("To", str(address))
        headers.add("Call-ID", self._call_id)
        for name, value in self.fields(flow).items():
            headers.add(name, value)
        return self._send(SipUri(host=host, port=self.trunk.port), headers, now)

    def _challenged(self, request: Request, response: Response, now: float) -> list[Wanted]:
        if self._credentials is None:
            return self._refused(
                f"asks for a password: give the trunk a username and a password ({response.status})", now
            )
        headers = self._credentials.answer(request, response, self._tries)
        if headers is None:
            return self._refused(_UNANSWERED[self._credentials.refused].format(response.status), now)
        self._tries += 1
        # Every request is a transaction of its own.
        headers.remove("Via")
        return self._send(request.uri, headers, now)

    def _send(self, uri: Uri, headers: Headers, now: float) -> list[Wanted]:
        self._cseq += 1
        headers.set("CSeq", f"{self._cseq} {self.method}")
        self._request = Request(self.method, uri, headers)
        self._patience = now + PATIENCE_S
        return [Ask(self._request, self._order[self._at])]

    def _elsewhere(self, reason: str, now: float, retry_after: float = 0.0) -> list[Wanted]:
        """This address does not work: try the next one, or call it a failure."""
        if self._at + 1 < len(self._order):
            self._at += 1
            return self._ask(now)
        return self._failed(reason, now, retry_after)

    def _trouble(self, response: Response, now: float) -> list[Wanted]:
        """An answer that is none we can do with."""
        status = response.status
        retry_after = retry_after_s(response)
        reason = f"the other side has a fault or too much to do ({status} {REASONS.get(status, '')})"
        if status in _ELSEWHERE:
            return self._elsewhere(reason, now, retry_after)
        if status < 500:
            reason = _REFUSALS.get(status, f"refused ({{}} {REASONS.get(status, '')})").format(status)
        return self._refused(reason.replace(" )", ")"), now, retry_after)

    def _refused(self, reason: str, now: float, retry_after: float = 0.0) -> list[Wanted]:
        return self._failed(reason, now, max(retry_after, LONGEST_PAUSE_S / 2))

    def _failed(self, reason: str, now: float, least_s: float = 0.0) -> list[Wanted]:
        longest = LONGEST_PAUSE_S if self._order else LONGEST_UNKNOWN_PAUSE_S
        pause = min(longest, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._patience = None
        # Spread, so that all that failed together do not come back together.
        self._next = now + max(pause * (0.5 + self._around.chance() / 2), least_s)
        return self._become(False, reason, now)

    def _succeeded(self, next_s: float, now: float) -> list[Wanted]:
        self._failures = 0
        self._request = None
        self._works = self._order[self._at]
        self._sort()
        if self._at:
            # What does not answer is asked first: in time for this one.
            next_s = max(1.0, min(next_s - PATIENCE_S * self._at, BACK_AFTER_S))
        self._next = now + next_s
        kept: list[Wanted] = [KeepOpen(self._works)] if self._works.reliable else []
        return [*kept, *self._become(True, "", now)]

    def _sort(self) -> None:
        self.targets = tuple(sorted(self._order, key=lambda flow: flow != self._works))

    def _become(self, up: bool, reason: str, now: float) -> list[Wanted]:
        before = self.state
        if self._over or (before.up, before.reason) == (up, reason):
            return []
        since = before.since if before.up is up else now
        self.state = TrunkState(up, reason, since)
        return [Changed()]


_UNANSWERED: Final[dict[Refused, str]] = {
    "": "refused ({})",
    "realm": "asks for the password of another realm than the trunk's: correct its realm ({})",
    "unsupported": "asks for a kind of proof that is not known here ({})",
    "password": "wrong username or password ({})",
}
_REFUSALS: Final = {
    403: "wrong password, or the account is not allowed in ({})",
    404: "no such account there: check the username ({})",
}


def credentials_of(trunk: Trunk) -> ClientAuthentication | None:
    """What answers the challenges of a trunk's other side, where the trunk has an account there."""
    if not trunk.username or trunk.password is None:
        return None
    return ClientAuthentication(trunk.username, trunk.password, trunk.realm or None)


def uri_host(host: str) -> str:
    """A host as URIs have it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _place(flow: Flow) -> str:
    host, port = flow.remote
    return f"{uri_host(host)}:{port} over {flow.transport.upper()}"


def retry_after_s(response: Response) -> float:
    """How long the other side asks to be left alone (RFC 3261 §20.33), an hour at most; 0 if it does not."""
    text = (response.headers.get("Retry-After") or "").partition("(")[0].partition(";")[0].strip()
    known = text.isascii() and text.isdigit() and len(text) < 10
    return min(int(text), LONGEST_RETRY_AFTER_S) if known else 0.0
