"""/api/v1/session and /api/v1/logins: logging in to the pages, and who may."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import Annotated, Final, Literal

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import Field

from ringback import __version__
from ringback.governance.private import Private
from ringback.governance.roles import PERMISSIONS, Identity, Permission, Role
from ringback.store.logins import Login
from ringback.store.sessions import LONGEST, Session
from ringback.web.api import API, PROBLEMS
from ringback.web.context import (
    SESSION_COOKIE,
    Context,
    Needs,
    OwnSession,
    WebContext,
    bearer,
    identify,
    identity_of,
    refuse_foreign_page,
    session_of,
)
from ringback.web.events import Event
from ringback.web.operations import UnavailableError
from ringback.web.problems import FieldError, ProblemError
from ringback.web.shapes import Body, View

_log = structlog.get_logger("ringback.web")
router = APIRouter(prefix=API, tags=["logins"], responses=PROBLEMS)

LoginsReader = Annotated[Identity, Depends(Needs(Permission.LOGINS_READ))]
LoginsWriter = Annotated[Identity, Depends(Needs(Permission.LOGINS_WRITE))]
RoleName = Literal["admin", "helpdesk", "auditor", "user"]

_WRONG: Final = "name or password is not right"
_CODE_NEEDED: Final = "the code that your authenticator app shows is needed, too"
_CODE_WRONG: Final = "this code is not right, or was used already"


class Credentials(Body):
    """Name and password."""

    name: str = Field(max_length=200, examples=["ada@example.com"])
    password: str = Field(max_length=1024)
    code: str = Field("", max_length=40, description="Of the authenticator app, where the login needs one.")


class You(View):
    """Who makes the request, and what the pages may show."""

    name: str = Field(examples=["ada@example.com"])
    role: RoleName
    permissions: list[str]
    person_id: str | None
    extensions: list[str] = Field(description="The numbers that are your own.")
    extension_ids: list[str] = Field(description="What does for each of them in a URL.")
    version: str
    echo_number: str
    second_factor: bool = Field(description="Whether logging in needs the code of an app, too.")


class SessionView(View):
    """Where somebody is logged in."""

    id: str
    browser: str = Field(examples=["Firefox on Linux"])
    created_at: datetime
    seen_at: datetime
    this: bool = Field(description="Whether it is the one that asks.")


class PasswordChange(Body):
    """Another password for oneself."""

    old: str = Field(max_length=1024)
    new: str = Field(max_length=1024)


class LoginView(View):
    """A name to log in with."""

    id: str
    name: str
    role: RoleName
    person_id: str | None
    has_password: bool = Field(description="Whether the one-time link was used.")
    second_factor: bool = Field(description="Whether it needs the code of an app, too.")
    created_at: datetime
    sessions: int

    @classmethod
    def of(cls, login: Login, context: WebContext) -> LoginView:
        """A login as JSON."""
        return cls(
            id=login.id,
            name=login.name,
            role=login.role.value,
            person_id=login.person_id,
            has_password=login.has_password,
            second_factor=context.store.second_factors.has(login.id),
            created_at=login.created_at,
            sessions=len(context.store.sessions.of(login.id)),
        )


class LoginWithLink(LoginView):
    """A login with the page on which its password is chosen; works once, for 24 hours."""

    link: str


class NewLogin(Body):
    """A login to be added."""

    name: str = Field(examples=["ada@example.com"])
    role: RoleName = "user"
    person_id: str | None = None


class LoginChange(Body):
    """What is left out stays as it is."""

    name: str | None = None
    role: RoleName | None = None
    person_id: str | None = Field(None, description="Whose it is.")


# Oneself


@router.post("/session", status_code=201)
async def log_in(body: Credentials, request: Request, response: Response, context: Context) -> You:
    """Begin a session: its secret comes as a cookie that no script can read.

    Guesses are slowed down by name and limited by source. A session ends after twelve hours without a
    request, and after seven days.
    """
    refuse_foreign_page(request, context)
    context.refuse_if_banned(request)
    name = body.name.strip().lower()
    await asyncio.sleep(context.login_delay.delay_s(name, context.now()))
    login = await context.store.logins.check_password(body.name, Private(body.password))
    if login is None:
        context.note_failure(request)
        context.login_delay.wrong(name, context.now())
        raise ProblemError(401, _WRONG)
    if context.store.second_factors.has(login.id):
        await check_code(login, body.code, request, context, 401)
    browser = browser_of(request.headers.get("user-agent", ""))
    _, secret = await context.store.sessions.begin(login, browser)
    web = context.settings.web
    response.set_cookie(
        SESSION_COOKIE,
        secret.reveal(),
        max_age=int(LONGEST.total_seconds()),
        # Browsers take a secure cookie over plain HTTP from some of the names of this machine only.
        secure=request.url.scheme == "https" or web.public_url.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    return _you(identity_of(login, context), context)


async def check_code(
    login: Login, code: str, request: Request, context: WebContext, status: int = 422
) -> None:
    """Raise a problem unless this is the code of the login's app, or one of its recovery codes.

    `status` says that one is needed, or that it is not right; 429 that there were too many.
    """
    if not code.strip():
        raise ProblemError(status, _CODE_NEEDED, errors=[FieldError(field="code", message=_CODE_NEEDED)])
    wait_s = context.code_pause.wait_s(login.id, context.now())
    if wait_s > 0:
        words = f"too many wrong codes; try again in {wait_s:.0f} s"
        raise ProblemError(429, words, {"Retry-After": f"{wait_s:.0f}"})
    context.code_pause.guess(login.id, context.now())
    if not await context.store.second_factors.check(login.id, code, context.clock()):
        context.note_failure(request)
        raise ProblemError(status, _CODE_WRONG, errors=[FieldError(field="code", message=_CODE_WRONG)])
    context.code_pause.right(login.id)


async def check_own_password(
    login: Login, password: str, request: Request, context: WebContext, field: str = "password"
) -> None:
    """Raise 422 unless this is the password of who is logged in; guesses are slowed down."""
    context.refuse_if_banned(request)
    await asyncio.sleep(context.login_delay.delay_s(login.name, context.now()))
    if await context.store.logins.check_password(login.name, Private(password)) is None:
        context.note_failure(request)
        context.login_delay.wrong(login.name, context.now())
        raise ProblemError(422, f"{field}: the password is not right")


@router.get("/session")
async def who_am_i(
    request: Request,
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> You:
    """Who makes the request, by session or by token."""
    identity = identify(request, context, credentials)
    if credentials is None and SESSION_COOKIE in request.cookies:
        await context.store.sessions.keep(session_of(request, context)[0])
    return _you(identity, context)


@router.delete("/session", status_code=204, response_class=Response)
async def log_out(response: Response, context: Context, own: OwnSession) -> None:
    """End the session that asks."""
    session, login = own
    await context.store.sessions.end(session.id, login.id)
    response.delete_cookie(SESSION_COOKIE)


@router.put("/session/password", status_code=204, response_class=Response)
async def change_password(body: PasswordChange, request: Request, context: Context, own: OwnSession) -> None:
    """Choose another password; all sessions end."""
    _, login = own
    await check_own_password(login, body.old, request, context, "old")
    await context.store.logins.set_password(login.id, Private(body.new))
    await context.store.sessions.end_all(login.id)


@router.get("/session/all")
async def my_sessions(context: Context, own: OwnSession) -> list[SessionView]:
    """Where one is logged in, the session used last first."""
    current, login = own
    return [_session_view(one, current) for one in context.store.sessions.of(login.id)]


@router.delete("/session/all/{session_id}", status_code=204, response_class=Response)
async def end_session(session_id: str, context: Context, own: OwnSession) -> None:
    """End one of one's own sessions."""
    _, login = own
    await context.store.sessions.end(session_id, login.id)


# Others


@router.get("/logins")
async def list_logins(context: Context, _viewer: LoginsReader) -> list[LoginView]:
    """Who may log in, by name."""
    return [LoginView.of(login, context) for login in context.store.logins.all()]


@router.post("/logins", status_code=201)
async def add_login(body: NewLogin, context: Context, viewer: LoginsWriter) -> LoginWithLink:
    """Let somebody log in; give them the link, on which they choose a password."""
    login, secret = await context.store.logins.add(body.name, Role(body.role), body.person_id)
    _tell(context, viewer, login, "added")
    return _with_link(login, secret, context)


@router.patch("/logins/{login_id}")
async def change_login(login_id: str, body: LoginChange, context: Context, viewer: LoginsWriter) -> LoginView:
    """Change name, role or person, at once for sessions that go on. Nobody becomes another person alone."""
    before = context.store.logins.need(login_id)
    if before.name == viewer.name and before.person_id not in (None, body.person_id or before.person_id):
        raise ProblemError(403, "this login is somebody's already; another administrator changes whose")
    role = Role(body.role) if body.role is not None else None
    changed = await context.store.logins.change(login_id, name=body.name, role=role, person_id=body.person_id)
    for field in ("name", "role", "person_id"):
        if getattr(changed, field) != getattr(before, field):
            _tell(context, viewer, changed, field.removesuffix("_id"))
    return LoginView.of(changed, context)


@router.post("/logins/{login_id}/link", status_code=201)
async def new_link(login_id: str, context: Context, viewer: LoginsWriter) -> LoginWithLink:
    """Make a one-time link with which another password is chosen; older links end."""
    secret = await context.store.logins.link_for(login_id)
    login = context.store.logins.need(login_id)
    _tell(context, viewer, login, "link")
    return _with_link(login, secret, context)


@router.delete("/logins/{login_id}/sessions", status_code=204, response_class=Response)
async def end_sessions(login_id: str, context: Context, _viewer: LoginsWriter) -> None:
    """End all sessions of a login."""
    await context.store.sessions.end_all(context.store.logins.need(login_id).id)


@router.delete("/logins/{login_id}", status_code=204, response_class=Response)
async def remove_login(login_id: str, context: Context, _viewer: LoginsWriter) -> None:
    """Let somebody not log in any more; sessions end at once."""
    await context.store.logins.remove(login_id)


def browser_of(user_agent: str) -> str:
    """What a person recognises a browser by: "Firefox on Linux"; the rest is not kept."""
    browsers = {
        "Edg/": "Edge",
        "OPR/": "Opera",
        "Firefox/": "Firefox",
        "Chrome/": "Chrome",
        "Safari/": "Safari",
    }
    systems = {
        "Android": "Android",
        "iPhone": "iPhone",
        "iPad": "iPad",
        "Windows": "Windows",
        "Mac OS": "macOS",
        "Linux": "Linux",
    }
    browser = next((name for mark, name in browsers.items() if mark in user_agent), "A program")
    system = next((name for mark, name in systems.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def _you(identity: Identity, context: WebContext) -> You:
    return You(
        name=identity.name,
        role=identity.role.value,
        permissions=sorted(permission.value for permission in PERMISSIONS[identity.role]),
        person_id=identity.person_id,
        extensions=list(identity.extensions),
        extension_ids=[context.store.extensions.get(number).id for number in identity.extensions],
        version=__version__,
        echo_number=context.settings.routing.echo_number,
        second_factor=context.store.second_factors.has(identity.id.removeprefix("login ")),
    )


def _tell(context: WebContext, viewer: Identity, login: Login, what: str) -> None:
    """Nobody takes somebody's place unseen: all who watch the system are told."""
    told = {"login": login.id, "person": login.person_id, "by": viewer.name, "what": what}
    # By the command line, without a server, nobody watches.
    with contextlib.suppress(UnavailableError):
        context.operations.events.publish(Event("login.changed", details=told))
        _log.info("login.changed", **told)


def _with_link(login: Login, secret: Private[str], context: WebContext) -> LoginWithLink:
    view = LoginView.of(login, context)
    return LoginWithLink(**view.model_dump(), link=context.links.setup(secret))


def _session_view(session: Session, current: Session) -> SessionView:
    return SessionView(
        id=session.id,
        browser=session.browser,
        created_at=session.created_at,
        seen_at=session.seen_at,
        this=session.id == current.id,
    )
