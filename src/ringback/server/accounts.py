"""Who sends a request: the account that its credentials prove, and what to ask for where they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ringback.conference.visits import Visits
from ringback.governance.identity import SIP_REALM
from ringback.governance.sources import SipSources
from ringback.server.challenges import ALGORITHMS, DigestChoice
from ringback.sip.digest import (
    Accepted,
    Credential,
    DigestAuthenticator,
    Rejected,
    make_ha1,
    parse_digest,
)
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.identity import is_anonymous
from ringback.sip.message import Request, Response, make_response
from ringback.sip.uri import NameAddr, SipUri
from ringback.store.directory import Device, Directory, Extension, Trunk


@dataclass(frozen=True, slots=True)
class Denied:
    """The request may not go on: the status and headers to answer with."""

    status: int
    headers: Headers
    reason: str | None = None

    def response(self, request: Request) -> Response:
        """The answer to `request`."""
        response = make_response(request, self.status, self.reason)
        for name, value in self.headers.items():
            response.headers.add(name, value)
        return response


@dataclass(frozen=True, slots=True)
class Proved:
    """An account that has proved itself: an extension's number or a visit's name. `device` is set where one
    logged in with credentials of its own."""

    account: str
    device: Device | None = None


class Pages(Protocol):
    """Knows the phones of pages that are somebody's extension."""

    def device(self, username: str, now: float) -> Device | None:
        """The phone that logs in with that name, while it may."""

    def came(self, username: str, flow: Flow) -> None:
        """It has logged in, by that connection."""


class _NoPages:
    def device(self, username: str, now: float) -> Device | None:
        """Nobody's."""

    def came(self, username: str, flow: Flow) -> None:
        """Nobody's."""


class Accounts:
    """Checks credentials, and remembers which sources had right and wrong ones; sans-IO."""

    def __init__(
        self,
        *,
        authenticator: DigestAuthenticator,
        digests: DigestChoice,
        sources: SipSources,
        visits: Visits,
        directory: Callable[[], Directory],
        pages: Pages | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._digests = digests
        self._sources = sources
        self._visits = visits
        self._directory = directory
        self._pages = pages if pages is not None else _NoPages()

    def shows_credentials(self, request: Request) -> bool:
        """Whether there are credentials for here; what a guest has for another server is none of our
        business."""
        return self._authenticator.find(request.headers.get_all("Authorization")) is not None

    def without_proof(self, request: Request, flow: Flow, now: float) -> Response | None:
        """The challenge for a request that shows no nonce of ours, made without memory; None for one that
        does."""
        value = self._authenticator.find(request.headers.get_all("Authorization"))
        proof = value is not None and self._authenticator.proves_source(value, now, flow.remote[0])
        if proof is True:
            return None
        stale = isinstance(proof, Rejected) and proof.stale
        return self.challenge(request, flow, now, stale=stale).response(request)

    def account(self, request: Request, flow: Flow, now: float) -> Proved | Denied:
        """As `authenticate`, for what trunks have no business with."""
        proof = self.authenticate(request, flow, now)
        return Denied(403, Headers(), "Not as a trunk") if isinstance(proof, Trunk) else proof

    def authenticate(
        self, request: Request, flow: Flow, now: float, *, urgent: bool = False
    ) -> Proved | Trunk | Denied:
        """The account whose credentials the request carries, bound to its From; else what to answer.

        A trunk's account is shown for calls of anybody beyond it: its From is whoever calls. `urgent`: for
        help a phone is good that is disabled, whose extension is, or that has none.

        Nothing about the account is looked at before the credentials are checked, and unknown accounts are
        checked like known ones, so that neither code nor time tells which extensions exist.
        """
        value = self._authenticator.find(request.headers.get_all("Authorization"))
        if value is None:
            return self.challenge(request, flow, now, stale=False)
        banned_s = self._sources.banned_for(flow.remote[0], now)
        if banned_s > 0 and not self._sources.knows(flow.remote, now):
            return Denied(403, Headers(("Retry-After", str(int(banned_s) + 1))), "Too many wrong passwords")
        verdict = self._authenticator.check(
            value,
            request.method,
            request.uri,
            lambda username: self._credential(username, flow, now, urgent=urgent),
            now,
            source=flow.remote[0],
        )
        if not isinstance(verdict, Accepted):
            if verdict.reason == "credentials":
                self._sources.wrong_password(flow.remote, now)
            return self.challenge(request, flow, now, stale=verdict.stale)
        self._sources.proved(flow.remote, now)
        trunk = self._trunk_account(verdict.username, now)
        if trunk is not None:
            return trunk
        device = self._device(verdict.username, flow, now)
        account = verdict.username if device is None else device.extension
        anonymous = request.method == "INVITE" and is_anonymous(request.from_)
        if user_of(request.from_) not in (account, verdict.username) and not anonymous:
            return Denied(403, Headers(), "From is not the authenticated account")
        if flow.by_page:
            self._pages.came(verdict.username, flow)
        return Proved(account, device)

    def challenge(self, request: Request, flow: Flow, now: float, *, stale: bool) -> Denied:
        """401 with a challenge for each digest that the account's devices log in with."""
        value = self._authenticator.find(request.headers.get_all("Authorization"))
        given = parse_digest(value) if value is not None else None
        username = (given or {}).get("username") or user_of(request.from_)
        algorithms = self._digests.algorithms(username, self._directory())
        if flow.by_page or self._visits.account(username, now) is not None:
            # Pages know no other.
            algorithms = ALGORITHMS["md5"]
        headers = Headers()
        for algorithm in algorithms:
            challenge = self._authenticator.challenge(
                now, stale=stale, algorithm=algorithm, source=flow.remote[0]
            )
            headers.add("WWW-Authenticate", challenge)
        return Denied(401, headers)

    def _device(self, username: str, flow: Flow, now: float) -> Device | None:
        device = self._directory().devices.get(username)
        if device is None and flow.by_page:
            # Only a page's connection can be closed when its session is over.
            device = self._pages.device(username, now)
        return device

    def _credential(self, username: str, flow: Flow, now: float, *, urgent: bool) -> Credential | None:
        directory = self._directory()
        device = self._device(username, flow, now)
        extension = directory.extension(username if device is None else device.extension)
        account: Extension | Device | None = device or extension
        enabled = extension is not None and extension.enabled and account is not None and account.enabled
        if account is None or not (enabled or urgent):
            visit = self._visits.account(username, now)
            if visit is not None:
                return visit.credential
            trunk = self._trunk_account(username, now)
            return _credential_of(trunk) if trunk is not None else None
        return Credential(
            username,
            account.ha1_md5 if account.digest != "sha-256" else None,
            account.ha1_sha256 if account.digest != "md5" else None,
        )

    def _trunk_account(self, username: str, now: float) -> Trunk | None:
        """The trunk whose account this is; extensions, devices and visits come first."""
        directory = self._directory()
        if directory.extension(username) is not None or username in directory.devices:
            return None
        return directory.trunk_of(username) if self._visits.account(username, now) is None else None


def _credential_of(trunk: Trunk) -> Credential | None:
    if trunk.password is None:
        return None
    password = trunk.password.reveal()
    return Credential(
        trunk.username,
        make_ha1(trunk.username, SIP_REALM, password),
        make_ha1(trunk.username, SIP_REALM, password, "SHA-256"),
    )


def user_of(address: NameAddr) -> str:
    """The user part of a SIP address; telephone URIs are nobody's here."""
    return address.uri.username if isinstance(address.uri, SipUri) else ""
