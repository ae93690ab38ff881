"""The client side of digest: what requests of ours carry to prove who sends them (RFC 3261 §22.2, §22.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ringback.governance.private import Private
from ringback.sip.digest import Challenge, authorize, parse_challenge, parse_digest
from ringback.sip.message import Headers, Request, Response

MOST_TRIES: Final = 2
"""How many challenges one request answers: the second only when the nonce is another one."""

Refused = Literal["", "realm", "unsupported", "password"]
"""Why a challenge was not answered: of another realm, in a way not known here, or answered in vain."""

_FIELDS: Final = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


@dataclass(slots=True)
class _Known:
    """A challenge that was answered; later requests use its nonce again, with the next count."""

    challenge: Challenge
    count: int = 0


class ClientAuthentication:
    """The name and password of one account, and the nonces that are in use with them.

    One object may serve all calls and registrations of the account. `realm` is whom the password is for:
    challenges of any other are not answered. Without it the first that challenges is taken, and none after.
    """

    def __init__(self, username: str, password: Private[str], realm: str | None = None) -> None:
        self.username = username
        self.realm = realm
        self.refused: Refused = ""
        """Why the last challenge that was looked at was not answered; empty: it was."""
        self._password = password
        self._known: dict[str, _Known] = {}

    def authorize(self, request: Request) -> None:
        """Put credentials for the challenges met before into a request (§22.3), which saves it a refusal."""
        for field, known in self._known.items():
            value = self._credentials(known, request)
            if value is not None:
                request.headers.set(field, value)

    def answer(self, request: Request, response: Response, tries: int = 0) -> Headers | None:
        """The header fields of a refused request with credentials put in; None when the refusal stands.

        `tries` says how many challenges this request has answered already. The refusal stands for a realm
        that is not ours, for a scheme or algorithm that we do not know, after `MOST_TRIES`, and when the
        nonce is the one just tried: then the password is wrong.
        """
        names = _FIELDS.get(response.status)
        if names is None:
            return None
        asked, field = names
        challenge = self._ours(response.headers.get_all(asked))
        if challenge is None:
            return None
        tried = tries and challenge.nonce == _nonce_in(request.headers.get(field))
        if tried or tries >= MOST_TRIES:
            self.refused = "password"
            return None
        self.realm = challenge.realm
        known = self._known.get(field)
        if known is None or known.challenge.nonce != challenge.nonce:
            known = self._known[field] = _Known(challenge)
        value = self._credentials(known, request)
        if value is None:
            return None
        headers = request.headers.copy()
        headers.set(field, value)
        return headers

    def _ours(self, values: list[str]) -> Challenge | None:
        """Of several challenges the first that we can answer: servers put the one they prefer first
        (RFC 8760 §2.3)."""
        self.refused = "unsupported"
        for value in values:
            challenge = parse_challenge(value)
            if challenge is None:
                continue
            if self.realm in (None, challenge.realm):
                self.refused = ""
                return challenge
            self.refused = "realm"
        return None

    def _credentials(self, known: _Known, request: Request) -> str | None:
        known.count += 1
        return authorize(
            known.challenge,
            request.method,
            request.uri,
            self.username,
            self._password,
            realm=self.realm,
            nonce_count=known.count,
        )


def credentials_of(invite: Request, ack: Request) -> None:
    """Give the ACK to a 2xx the credentials of its INVITE (RFC 3261 §13.2.2.4, §22.1)."""
    ack.headers.copy_from(invite.headers, *(field for _, field in _FIELDS.values()))


def _nonce_in(value: str | None) -> str | None:
    given = parse_digest(value) if value is not None else None
    return None if given is None else given.get("nonce")
