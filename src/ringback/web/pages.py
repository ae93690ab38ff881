"""The pages: start, the API's documentation, the way into a meeting, the console, a new password."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from ringback import __version__
from ringback.governance.private import Private, same_secret
from ringback.store.errors import NotFoundError
from ringback.web.bundle import NOT_BUILT, bundle
from ringback.web.context import Context
from ringback.web.limits import SECURITY_HEADERS
from ringback.web.problems import ProblemError
from ringback.web.shapes import Body, View

router = APIRouter(include_in_schema=False)

ASSETS: Final = {
    "diagnose.css": "text/css; charset=utf-8",
    "diagnose.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "setup.js": "text/javascript; charset=utf-8",
}


# Voices are played from the API; the form of a dialog sends nothing.
_CONSOLE_POLICY: Final = SECURITY_HEADERS["Content-Security-Policy"] + "; media-src 'self' blob:"


@cache
def _asset(name: str) -> str:
    return files("ringback.web").joinpath("static", name).read_text(encoding="utf-8")


def _page(name: str, **values: str) -> HTMLResponse:
    return _filled(_asset(name), **values)


def _filled(template: str, **values: str) -> HTMLResponse:
    """A page from its template; every value is escaped, except those named `..._html`."""
    safe = {key: value if key.endswith("_html") else escape(value) for key, value in values.items()}
    return HTMLResponse(Template(template).substitute(safe), headers={"Cache-Control": "no-cache"})


@router.get("/static/{name}")
async def static_file(name: str) -> Response:
    """Style and scripts of the pages."""
    if name not in ASSETS:
        raise ProblemError(404, "there is nothing at this address")
    return Response(_asset(name), headers={"Content-Type": ASSETS[name], "Cache-Control": "no-cache"})


@router.get("/static/ui/{name}")
async def bundled_file(name: str, request: Request) -> Response:
    """Script and style of the meeting page: they never change under their names."""
    built = bundle()
    asset = built.assets.get(name) if built is not None else None
    if asset is None:
        raise ProblemError(404, "there is nothing at this address")
    headers = {
        "Content-Type": asset.content_type,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.plain, headers=headers)


@router.get("/")
async def start(context: Context) -> HTMLResponse:
    """What runs here."""
    waiting_for = context.operations.status().waiting_for
    state = "Ready for calls." if not waiting_for else "Not ready yet: " + ", ".join(waiting_for) + "."
    return _page("start.html", version=__version__, state=state)


@router.get("/docs")
async def documentation(request: Request) -> HTMLResponse:
    """The routes of the API, from its own description."""
    return _page("docs.html", routes_html=_routes_as_html(request.app.openapi()))


def _routes_as_html(openapi: dict[str, dict[str, dict[str, dict[str, object]]]]) -> str:
    by_tag: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            tags = operation.get("tags")
            tag = str(tags[0]) if isinstance(tags, list) else "other"
            by_tag.setdefault(tag, []).append(
                f"<dt><code>{method.upper()} {escape(path)}</code></dt>"
                f"<dd>{escape(str(operation.get('description') or operation.get('summary') or ''))}</dd>"
            )
    sections = (f"<h2>{escape(tag)}</h2><dl>{''.join(items)}</dl>" for tag, items in by_tag.items())
    return "".join(sections)


Number = Annotated[str, Path(pattern=r"^[0-9]{9}$")]


def _built(name: str, **values: str) -> HTMLResponse:
    """A page of the bundle, which may use the microphone."""
    built = bundle()
    if built is None:
        raise ProblemError(503, NOT_BUILT)
    page = _filled(built.templates[name], **values)
    page.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(self)"
    return page


@router.get("/m/{number}")
async def meeting_page(number: Number, context: Context) -> HTMLResponse:
    """The way into a meeting; the same for every number, so that it tells nobody which meetings exist."""
    spaced = f"{number[:3]} {number[3:6]} {number[6:]}"
    return _built("index", number=number, spaced=spaced, dial_in=context.links.dial_in(number))


@router.get("/console")
@router.get("/console/{_path:path}")
@router.get("/phone")
async def console_page() -> HTMLResponse:
    """The console and the phone: one page that asks who is there, and finds its way by the address."""
    page = _built("console")
    page.headers["Content-Security-Policy"] = _CONSOLE_POLICY
    return page


class Invitation(Body):
    """The token from a meeting's link."""

    token: str = Field(max_length=128)


class Welcome(View):
    """What the holder of a meeting's link may know."""

    name: str
    role: str
    pin: str


@router.post("/m/{number}/welcome")
async def welcome(number: Number, body: Invitation, request: Request, context: Context) -> Welcome:
    """Name and PIN of a meeting, for whoever has the token of its link; the token decides the role."""
    context.refuse_if_banned(request)
    meeting = context.store.directory.meeting(number)
    token = Private(body.token)
    if meeting is not None:
        host = same_secret(token, meeting.host_link_token)
        guest = same_secret(token, meeting.link_token)
        if host or guest:
            pin = meeting.host_pin if host else meeting.guest_pin
            return Welcome(name=meeting.name, role="host" if host else "guest", pin=pin.reveal())
    context.note_failure(request)
    raise ProblemError(404, "this link is not valid any more; ask for a new one")


@router.get("/ca.pem")
async def authority(context: Context) -> Response:
    """The certificate of our own authority: what a browser or a phone is told to trust."""
    settings = context.settings
    pem = settings.tls_dir / "ca.pem"
    if settings.web.certificate is not None or not pem.is_file():
        raise ProblemError(404, "this server has no authority of its own")
    headers = {"Content-Type": "application/x-x509-ca-cert", "Cache-Control": "no-cache"}
    return Response(pem.read_bytes(), headers=headers)


@router.get("/diagnose")
async def diagnose_page(context: Context) -> HTMLResponse:
    """Where a capture is uploaded; what is found is shown in a frame that can do nothing but show it."""
    diagnosing = context.diagnosing
    if diagnosing is None:
        raise ProblemError(503, "captures are not diagnosed here")
    page = _page("diagnose.html", limit_mb=str(diagnosing.limit_bytes // 1_000_000))
    style, script = diagnosing.report_sources
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self' {style}; script-src 'self' {script}; connect-src 'self'; "
        "img-src data:; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return page


@router.get("/setup")
async def setup_page() -> HTMLResponse:
    """Where somebody with a one-time link chooses a password."""
    return _page("setup.html")


class ChosenPassword(Body):
    """The token from the one-time link, and the password."""

    token: str = Field(max_length=128)
    password: str = Field(max_length=1024)


class LoginName(View):
    """Whose password it is."""

    name: str


@router.post("/setup")
async def choose_password(body: ChosenPassword, request: Request, context: Context) -> LoginName:
    """Set the password; the link is used up."""
    context.refuse_if_banned(request)
    try:
        login = await context.store.logins.choose_password(Private(body.token), Private(body.password))
    except NotFoundError:
        context.note_failure(request)
        raise
    await context.store.sessions.end_all(login.id)
    return LoginName(name=login.name)
