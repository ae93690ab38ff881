"""The application: routes of the API, pages, health, metrics, and what applies to all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel

from ringback import __version__
from ringback.config import Settings
from ringback.governance.roles import Permission
from ringback.governance.throttle import SourceGuard, SourceList
from ringback.store.store import Store
from ringback.web import pages, phone_files, problems, sip_socket
from ringback.web.api import DIAGNOSES, LARGER
from ringback.web.backing_up import BackingUp
from ringback.web.context import Context, Needs, WebContext, bearer
from ringback.web.diagnosing import Diagnosing
from ringback.web.kept_out import ByExtensionId
from ringback.web.limits import Limits
from ringback.web.links import Links
from ringback.web.metrics import CONTENT_TYPE, CountRequests, Metrics
from ringback.web.operations import Operations
from ringback.web.phoning import Phoning
from ringback.web.provisioning import Provisioning
from ringback.web.subjects import Application
from ringback.web.visiting import SipDoor, Visiting
from ringback.web.voicemailing import Voicemailing

_DESCRIPTION: Final = """\
People, extensions, meetings and what goes on in them. Every request carries `Authorization: Bearer TOKEN`;
`ringback token add --role admin` makes a token. Our own pages come with the cookie of a session instead.
Errors are problem details (RFC 9457), and `detail` says what to do.
"""

_TAGS: Final = [
    {"name": "meetings", "description": "Meetings as they are kept: number, PINs, links, admission."},
    {"name": "participants", "description": "Who is in a meeting now, and what a host can do about it."},
    {"name": "extensions", "description": "The numbers that devices register to."},
    {"name": "trunks", "description": "Ways to and from other telephone systems, and what is called there."},
    {"name": "routing", "description": "Where calls go."},
    {"name": "people", "description": "Who holds extensions, and when."},
    {"name": "devices", "description": "Phones with accounts of their own, and the files that set them up."},
    {"name": "plan", "description": "How calls go: groups, queues, menus, hours, routes; and every change."},
    {"name": "history", "description": "What was changed of all that is set up, and back."},
    {"name": "visits", "description": "How a page gets into a meeting by its link, without a token."},
    {"name": "phone", "description": "How a page becomes a phone of one's own extension."},
    {"name": "system", "description": "What the system does now."},
    {"name": "call records", "description": "Calls that are over, with their legs and their quality."},
    {"name": "bans", "description": "Sources of SIP that are shut out."},
    {"name": "voicemail", "description": "Mailboxes, and for their holders the messages in them."},
    {"name": "events", "description": "What happens, as it happens."},
    {"name": "sip", "description": "The SIP messages themselves, masked."},
    {"name": "diagnoses", "description": "Captures that are uploaded to learn why calls were bad."},
    {"name": "recordings", "description": "What was recorded by policy: playing, legal holds, deletion."},
    {"name": "backups", "description": "Sealed copies of everything, without what was deleted since."},
    {"name": "tokens", "description": "Ways into this API."},
    {"name": "logins", "description": "Sessions of people at the pages, and who may log in there."},
    {"name": "administrators", "description": "Links with which administrators choose a password."},
    {"name": "health", "description": "For load balancers and monitoring."},
]


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether calls can be taken."""

    ready: bool
    waiting_for: list[str]


health = APIRouter(tags=["health"])


@health.get("/healthz")
async def healthz() -> Health:
    """200 as long as the control process answers."""
    return Health(status="ok")


@health.get("/readyz", responses={503: {"model": Readiness, "description": "Not yet."}})
async def readyz(context: Context) -> JSONResponse:
    """200 when SIP is bound and a media worker is ready, otherwise 503 with what is missing."""
    waiting_for = list(context.operations.status().waiting_for)
    answer = Readiness(ready=not waiting_for, waiting_for=waiting_for)
    return JSONResponse(answer.model_dump(), 503 if waiting_for else 200)


@health.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(
    request: Request,
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Response:
    """Counts for Prometheus; with `web.metrics_public` off it needs a token of role auditor or above."""
    if not context.settings.web.metrics_public:
        Needs(Permission.METRICS_READ)(request, context, credentials)
    registry: Metrics = request.app.state.metrics
    return Response(registry.text(), headers={"Content-Type": CONTENT_TYPE})


def create_app(
    store: Store,
    operations: Operations,
    settings: Settings,
    *,
    door: SipDoor | None = None,
    visiting: Visiting | None = None,
    diagnosing: Diagnosing | None = None,
    provisioning: Provisioning | None = None,
    voicemail: Voicemailing | None = None,
    phoning: Phoning | None = None,
    backups: BackingUp | None = None,
    speak: Callable[[str], Awaitable[bool]] | None = None,
) -> FastAPI:
    """The application on these parts; its links are for the configured ports until `announce` is called.

    Without `door`, `visiting` and `phoning` no browser can call, without `diagnosing` no capture is
    diagnosed, without `provisioning` no phone is set up, without `voicemail` there are no mailboxes, without
    `backups` none are made. `speak` has a notice spoken and tells whether it is there.
    """
    app = Application(
        title="Ringback",
        version=__version__,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        # The stock documentation pages load scripts from third parties; ours are in pages.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    guard = SourceGuard(SourceList(settings.security.allow_sources))
    app.state.context = WebContext(
        store,
        operations,
        settings,
        Links.of(settings),
        guard,
        door=door,
        visiting=visiting,
        diagnosing=diagnosing,
        phoning=phoning,
        provisioning=provisioning,
        voicemail=voicemail,
        backups=backups,
        speak=speak,
    )
    app.state.metrics = Metrics(operations)
    for routes in (health, pages.router, phone_files.router, sip_socket.router):
        app.router.routes.extend(routes.routes)
    problems.install(app)
    larger = {**LARGER, DIAGNOSES: settings.web.upload_limit_mb * 1_000_000}
    app.add_middleware(ByExtensionId, store=store)
    app.add_middleware(Limits, larger=larger)
    app.add_middleware(CountRequests, metrics=app.state.metrics)
    return app


def announce(app: FastAPI, *, web_port: int, sip_port: int) -> Links:
    """Make links for the ports that are really bound from now on."""
    context: WebContext = app.state.context
    context.links = Links.of(context.settings, web_port=web_port, sip_port=sip_port)
    return context.links
