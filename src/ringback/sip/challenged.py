"""What a user agent answers to challenges of its requests, and when it stops (RFC 3261 §22.2, RFC 8760)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from ringback.governance.private import Private
from ringback.sip.digest import Challenge, authorize, parse_challenge
from ringback.sip.headers import Headers
from ringback.sip.message import Response
from ringback.sip.uri import Uri

MOST_TRIES: Final = 2
"""Answers to a peer that challenges again and again: more would help nobody but who collects digests."""

Unanswered = Literal["", "no account", "realm", "unsupported", "password"]

_FIELDS: Final = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are to a peer. `realm` is the only one that gets digests of the password; empty: the first that
    asks, and no other for the same request."""

    username: str
    password: Private[str]
    realm: str = ""


class ChallengeAnswers:
    """Answers the challenges to one request: at most two tries, a second one only for another nonce."""

    def __init__(self, account: Account | None, new_token: Callable[[], str]) -> None:
        self._account = account
        self._new_token = new_token
        self._realm = account.realm if account is not None else ""
        self._nonces: dict[int, list[str]] = {}
        self.unanswered: Unanswered = ""
        """Why the last challenge was not answered."""

    def answer(self, response: Response, method: str, uri: Uri) -> Headers | None:
        """The field to send the request again with, after a 401 or 407; None when there is no use in it."""
        asked, given = _FIELDS[response.status]
        challenges = [parse_challenge(value) for value in response.headers.get_all(asked)]
        chosen = self._choose([challenge for challenge in challenges if challenge is not None])
        if chosen is None or self._account is None:
            return None
        tried = self._nonces.setdefault(response.status, [])
        if len(tried) >= MOST_TRIES or chosen.nonce in tried:
            self.unanswered = "password"
            return None
        tried.append(chosen.nonce)
        self._realm = chosen.realm
        value = authorize(
            chosen,
            method,
            uri,
            self._account.username,
            self._account.password,
            realm=self._realm,
            cnonce=self._new_token(),
        )
        return None if value is None else Headers((given, value))

    def _choose(self, challenges: list[Challenge]) -> Challenge | None:
        """The first one that we can answer: the peer's order is its preference (RFC 8760 §2.4)."""
        if self._account is None:
            self.unanswered = "no account"
            return None
        if not challenges:
            self.unanswered = "unsupported"
            return None
        for challenge in challenges:
            if self._realm in ("", challenge.realm):
                return challenge
        self.unanswered = "realm"
        return None
