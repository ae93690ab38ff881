"""What the routes work with, and who makes a request: a bearer of a token, or the owner of the machine."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.roles import LOCAL_ADMINISTRATOR, PERMISSIONS, Identity, Permission, Role
from ringback.governance.throttle import GuessDelay, GuessPause, SourceGuard, unmapped
from ringback.store.firmware import Wanted, WantedFirmware, wanted_of
from ringback.store.logins import Login
from ringback.store.plan.phones import Firmware
from ringback.store.sessions import Session
from ringback.store.store import Store
from ringback.web.backing_up import BackingUp
from ringback.web.diagnosing import Diagnosing
from ringback.web.links import Links, own_origins
from ringback.web.operations import Operations
from ringback.web.phoning import Phoning
from ringback.web.problems import ProblemError
from ringback.web.provisioning import Provisioning
from ringback.web.visiting import SipDoor, Visiting
from ringback.web.voicemailing import Voicemailing

SESSION_COOKIE: Final = "ringback_session"
FROM_PAGE: Final = "X-Ringback"
"""A header that our pages send and pages of others cannot: their browser would ask us first, in vain."""

_IDENTITY: Final = "ringback.identity"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MISSING: Final = "send the header Authorization: Bearer TOKEN; make a token: ringback token add"
_OVER: Final = "you are not logged in any more; log in again"
_WRONG: Final = "this token is unknown, revoked or expired; make a new one: ringback token add"


@dataclass(slots=True)
class WebContext:
    """The parts that routes use; `links` is replaced once the ports are known.

    Without `door`, `visiting` and `phoning` no browser can call, without `diagnosing` no capture is
    diagnosed, without `provisioning` no phone is set up, without `voicemail` there are no mailboxes, without
    `backups` none are made. `speak` has a notice spoken and tells whether it is there.
    """

    store: Store
    operations: Operations
    settings: Settings
    links: Links
    guard: SourceGuard
    door: SipDoor | None = None
    speak: Callable[[str], Awaitable[bool]] | None = None
    visiting: Visiting | None = None
    diagnosing: Diagnosing | None = None
    phoning: Phoning | None = None
    provisioning: Provisioning | None = None
    voicemail: Voicemailing | None = None
    backups: BackingUp | None = None
    now: Callable[[], float] = time.monotonic
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    login_delay: GuessDelay[str] = field(default_factory=GuessDelay)
    code_pause: GuessPause[str] = field(default_factory=GuessPause)
    _firmware: tuple[object, WantedFirmware] | None = None

    def wanted(self) -> list[Wanted]:
        """The firmware that phones should run, by the plan and the settings."""
        return wanted_of(self.settings.provisioning.firmware, self.store.directory.plan)

    @property
    def wanted_firmware(self) -> WantedFirmware:
        """The same, to be asked for one phone."""
        planned = self.store.directory.plan.all(Firmware)
        if self._firmware is None or self._firmware[0] is not planned:
            versions = {one.name: one.version for one in self.wanted()}
            self._firmware = planned, WantedFirmware(versions)
        return self._firmware[1]

    def refuse_if_banned(self, request: Request) -> None:
        """Raise 429 for a source that has guessed wrong too often."""
        wait_s = self.guard.banned_for(source_of(request), self.now())
        if wait_s > 0:
            raise ProblemError(
                429, f"too many wrong attempts; try again in {wait_s:.0f} s", {"Retry-After": f"{wait_s:.0f}"}
            )

    def note_failure(self, request: Request) -> None:
        """Count a wrong guess against its source."""
        self.guard.failed(source_of(request), self.now())


def source_of(request: Request) -> str:
    """The address that a request comes from; empty for the control socket."""
    return unmapped(request.client.host) if request.client else ""


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?")


def host_of(request: Request) -> str:
    """The host as the page knows it, for SIP URIs: nothing is resolved, all goes over the page's socket."""
    given = _HOST.fullmatch(request.headers.get("host", ""))
    return given[1] if given is not None else "localhost"


def context_of(request: Request) -> WebContext:
    """The context of the application that serves the request."""
    context: WebContext = request.app.state.context
    return context


Context = Annotated[WebContext, Depends(context_of)]


class LocalIdentity:
    """Wraps the application for the control socket: whoever could open it is the local administrator.

    The mark is put into the scope, which no client can reach; it does not depend on any header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the identity."""
        await self._app({**scope, _IDENTITY: LOCAL_ADMINISTRATOR}, receive, send)


bearer = HTTPBearer(auto_error=False, description="A token from `ringback token add` or POST /api/v1/tokens.")


class Needs:
    """A dependency that lets only those in who have a permission; its value is who they are."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(
        self,
        request: Request,
        context: Context,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Identity:
        """The identity; raises 401, 403 or 429."""
        identity = identify(request, context, credentials)
        if not identity.may(self.permission):
            raise ProblemError(
                403, f"the role {identity.role.value} lacks the permission {self.permission.value}"
            )
        return identity


def who(viewer: Identity) -> str:
    """What the history says of who changes something."""
    return viewer.name[:80]


ForGood = Annotated[bool, Query(description="Keep nothing of it: it cannot be taken back.")]


def somebody(
    request: Request,
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Identity:
    """Who makes the request, whatever they may do; raises 401 or 429."""
    return identify(request, context, credentials)


def identify(
    request: Request, context: WebContext, credentials: HTTPAuthorizationCredentials | None
) -> Identity:
    """Who makes the request; raises 401, or 429 for who keeps guessing. Right tokens always pass."""
    local = request.scope.get(_IDENTITY)
    if isinstance(local, Identity):
        return local
    challenge = {"WWW-Authenticate": 'Bearer realm="ringback"'}
    if credentials is None and SESSION_COOKIE in request.cookies:
        _, login = session_of(request, context)
        return identity_of(login, context)
    if credentials is None:
        raise ProblemError(401, _MISSING, challenge)
    token = context.store.tokens.check(Private(credentials.credentials))
    if token is None:
        context.refuse_if_banned(request)
        context.note_failure(request)
        challenge["WWW-Authenticate"] += ', error="invalid_token"'
        raise ProblemError(401, _WRONG, challenge)
    return Identity(token.name or f"token {token.id}", token.role, id=f"token {token.id}")


def still_may(request: Request, context: WebContext, permission: Permission) -> Callable[[], bool]:
    """Asks whether who made a request, and was let in, may still see it: for answers that go on.

    Tokens are revoked, sessions end and roles change meanwhile. That it is asked keeps no session in use.
    """
    local = request.scope.get(_IDENTITY)
    token = get_authorization_scheme_param(request.headers.get("Authorization"))[1]
    session = ""
    if not token and not isinstance(local, Identity):
        session = session_of(request, context)[0].id

    def role() -> Role | None:
        if isinstance(local, Identity):
            return local.role
        known = context.store.tokens.check(Private(token)) if token else None
        login = context.store.sessions.login_of(session) if session else None
        return known.role if known is not None else login.role if login is not None else None

    def look() -> bool:
        found = role()
        return found is not None and permission in PERMISSIONS[found]

    return look


def session_of(request: Request, context: WebContext) -> tuple[Session, Login]:
    """The session whose cookie the request carries, and whose it is; raises 401, and 403 for a change that a
    page of somebody else's asks for."""
    secret = Private(request.cookies.get(SESSION_COOKIE, ""))
    found = context.store.sessions.check(secret, datetime.now(UTC))
    if found is None:
        raise ProblemError(401, _OVER, {"WWW-Authenticate": 'Bearer realm="ringback"'})
    if request.method not in _SAFE:
        refuse_foreign_page(request, context)
    return found


def _own_session(request: Request, context: Context) -> tuple[Session, Login]:
    return session_of(request, context)


OwnSession = Annotated[tuple[Session, Login], Depends(_own_session)]
"""The session that asks, looked at before anything else of the request."""


def refuse_foreign_page(request: Request, context: WebContext) -> None:
    """Raise 403 for what a page of another origin may have made a browser send (CSRF)."""
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    own = own_origins(request.url.scheme, host, context.settings.web.public_url)
    if FROM_PAGE not in request.headers or (origin is not None and origin.lower() not in own):
        raise ProblemError(403, "this is for the pages of this server alone")


def identity_of(login: Login, context: WebContext) -> Identity:
    """Who a login is: with the extensions that the person holds now."""
    extensions = (
        tuple(sorted(context.store.extensions_of(login.person_id))) if login.person_id is not None else ()
    )
    return Identity(login.name, login.role, login.person_id, extensions, f"login {login.id}")
