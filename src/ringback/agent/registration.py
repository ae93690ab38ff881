"""The client's side of a registration: kept fresh, tried again after failures, ended (RFC 3261 §10.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ringback.agent.account import Account
from ringback.sip.event import seconds
from ringback.sip.message import REASONS, Headers, NameAddr, Request, Response, SipUri

REFRESH_AT: Final = 0.8
"""Refreshed after so much of what was granted."""
AGAIN_S: Final = (5.0, 10.0, 30.0, 60.0, 120.0)
"""How long to wait after the first failure, the second and so on, where the server names no time."""
LEAST_S: Final = 5.0


class RegistrationState(Enum):
    """Where a registration stands."""

    NONE = "not registered"
    TRYING = "trying"
    REGISTERED = "registered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A registration was granted (`status` 200), refused, or found no answer (408, 503)."""

    state: RegistrationState
    status: int
    reason: str


class ClientRegistration:
    """One binding at a registrar, sans-IO: says what to send and when; who drives it does the sending."""

    def __init__(self, account: Account, call_id: str) -> None:
        self.account = account
        self.state = RegistrationState.NONE
        self.due: float | None = None
        """When `request` is wanted next, or None."""
        self._call_id = call_id
        self._cseq = 0
        self._expires_s = account.expires_s
        self._failures = 0
        self.wanted = False
        """Whether we are to be registered."""

    def begin(self, now: float) -> None:
        """Register, and stay so."""
        self.wanted = True
        self._failures = 0
        self.state = RegistrationState.TRYING
        self.due = now

    def end(self, now: float) -> None:
        """Take the binding back (§10.2.2), if there is one."""
        self.wanted = False
        self.due = now if self.state is RegistrationState.REGISTERED else None
        if self.due is None:
            self.state = RegistrationState.NONE

    def lost(self, now: float) -> None:
        """The connection that the registration went by is gone: the server cannot reach us any more."""
        if self.wanted and self.state is RegistrationState.REGISTERED:
            self.due = now

    def request(self, contact: SipUri) -> Request:
        """The REGISTER that is due, without Via."""
        self.due = None
        self._cseq += 1
        account = self.account
        lasts_s = self._expires_s if self.wanted else 0
        headers = Headers()
        for route in account.route_set:
            headers.add("Route", str(route))
        headers.add("From", str(account.address))
        headers.add("To", str(account.address))
        headers.add("Call-ID", self._call_id)
        headers.add("CSeq", f"{self._cseq} REGISTER")
        headers.add("Contact", str(NameAddr(contact)))
        headers.add("Expires", str(lasts_s))
        return Request("REGISTER", SipUri(host=account.aor.host, port=account.aor.port), headers)

    def answered(self, response: Response, contact: SipUri, now: float) -> RegistrationChanged | None:
        """The final answer; None where the next try is due at once."""
        # Sent again with credentials it had another number.
        self._cseq = max(self._cseq, response.cseq.number)
        least_s = seconds(response.headers.get("Min-Expires")) or 0
        if response.status == 423 and least_s > self._expires_s:
            self._expires_s = least_s
            self.due = now
            return None
        if not 200 <= response.status < 300:
            return self._failed(response.status, response.reason, now, response)
        self._failures = 0
        if not self.wanted:
            self.state = RegistrationState.NONE
            return RegistrationChanged(self.state, response.status, response.reason)
        granted = _granted(response, contact) or self._expires_s
        self.state = RegistrationState.REGISTERED
        self.due = now + max(REFRESH_AT * granted, min(LEAST_S, granted / 2))
        return RegistrationChanged(self.state, response.status, response.reason)

    def unanswered(self, status: int, now: float) -> RegistrationChanged:
        """No answer in time (408), or no way to the server (503)."""
        return self._failed(status, REASONS[status], now)

    def _failed(
        self, status: int, reason: str, now: float, response: Response | None = None
    ) -> RegistrationChanged:
        self.state = RegistrationState.FAILED if self.wanted else RegistrationState.NONE
        if self.wanted and status not in (401, 403, 404, 407):
            # A wrong password does not become right by itself, and is not to be guessed at.
            waits = AGAIN_S[min(self._failures, len(AGAIN_S) - 1)]
            named = seconds(_first(response.headers.get("Retry-After"))) if response is not None else None
            self.due = now + max(named or 0, waits)
            self._failures += 1
        return RegistrationChanged(self.state, status, reason)


def _granted(response: Response, contact: SipUri) -> int | None:
    """How long our binding lasts: what its Contact says, or Expires (§10.2.4)."""
    for each in response.contacts:
        uri = each.uri
        if isinstance(uri, SipUri) and (uri.user, uri.host, uri.port) == (
            contact.user,
            contact.host,
            contact.port,
        ):
            lasts_s = seconds(each.params.get("expires"))
            if lasts_s is not None:
                return lasts_s
    return seconds(response.headers.get("Expires"))


def _first(value: str | None) -> str:
    """Retry-After without its comment and parameters (§20.33)."""
    return (value or "").partition(";")[0].partition("(")[0]
