"""/api/v1/visits: how a page gets into one meeting by its link, and what its visitor sees and does there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ringback.governance.private import Private, same_secret
from ringback.governance.shown import fit_to_show
from ringback.store.directory import Meeting
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, WebContext, host_of, source_of
from ringback.web.problems import ProblemError
from ringback.web.visit_views import (
    RenewalView,
    SipAccountView,
    StateView,
    VisitAct,
    VisitedMeetingView,
    VisitRequest,
    VisitView,
    state_json,
)
from ringback.web.visiting import Visiting

router = APIRouter(prefix=f"{API}/visits", tags=["visits"], responses=PROBLEMS)

HEARTBEAT_S: Final = 15.0
SHORTEST_PAUSE_S: Final = 0.2
"""Between two states: changes that come faster are told together."""

secret_bearer = HTTPBearer(
    auto_error=False, scheme_name="visit", description="The `secret` of the visit, from POST /api/v1/visits."
)


def _visiting(context: WebContext) -> Visiting:
    if context.visiting is None:
        raise ProblemError(503, "no calls can be taken here")
    return context.visiting


def _own_visit(
    visit: str,
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(secret_bearer)],
) -> str:
    """The id of the visit whose secret the request carries; raises 401, for secrets cannot be guessed."""
    challenge = {"WWW-Authenticate": 'Bearer realm="visit"'}
    if credentials is None:
        raise ProblemError(401, "send the header Authorization: Bearer SECRET of this visit", challenge)
    if not _visiting(context).knows(visit, Private(credentials.credentials)):
        raise ProblemError(401, "this visit is over; open the link again", challenge)
    return visit


OwnVisit = Annotated[str, Depends(_own_visit)]


@router.post("", status_code=201)
async def open_visit(body: VisitRequest, request: Request, context: Context) -> VisitView:
    """Come to a meeting by its link: an account to call it with, for ten minutes or as long as you are in.

    Whoever has the token may do this; wrong tokens are limited by source.
    """
    context.refuse_if_banned(request)
    meeting = context.store.directory.meeting(body.meeting)
    role = _role_of(meeting, Private(body.token))
    if meeting is None or role is None:
        context.note_failure(request)
        raise ProblemError(404, "this link is not valid any more; ask for a new one")
    name = fit_to_show(body.name)
    seat = Private(body.seat) if body.seat else None
    if not name and seat is None:
        raise ProblemError(422, "name: say who you are")
    visit = _visiting(context).open(meeting, role, name, source_of(request), seat)
    host = host_of(request)
    return VisitView(
        visit=visit.id,
        secret=visit.secret.reveal(),
        role=role,
        name=visit.name,
        sip=SipAccountView(
            uri=f"sip:{visit.id}@{host}",
            username=visit.id,
            password=visit.password.reveal(),
            realm=visit.realm,
            expires_in_s=visit.expires_in_s,
            target=f"sip:{meeting.number}@{host}",
            echo_target=f"sip:{context.settings.routing.echo_number}@{host}",
        ),
        meeting=VisitedMeetingView(
            number=meeting.number,
            name=meeting.name,
            admission=meeting.admission,
            dial_in=context.links.dial_in(meeting.number),
            guest_pin=meeting.guest_pin.reveal(),
            host_pin=meeting.host_pin.reveal() if role == "host" else None,
        ),
    )


@router.post("/{visit}/renew")
async def renew_visit(own: OwnVisit, context: Context) -> RenewalView:
    """Begin the visit's ten minutes anew."""
    return RenewalView(expires_in_s=_visiting(context).renew(own))


@router.get(
    "/{visit}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "model": StateView,
            "content": {"text/event-stream": {}},
            "description": "Events named `state`, each with the whole picture as `data`.",
        }
    },
)
async def visit_events(own: OwnVisit, context: Context) -> StreamingResponse:
    """What goes on in the meeting: the whole picture at once, and again when it changes (five a second).

    Who is in the lobby or outside sees nobody; only hosts see who waits. The stream ends with the visit.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _states(_visiting(context), context, own), media_type="text/event-stream", headers=headers
    )


@router.post("/{visit}/actions", status_code=204, response_class=Response)
async def act(body: VisitAct, own: OwnVisit, context: Context) -> None:
    """Mute, unmute, raise or lower your hand, leave; hosts admit, mute, remove others, lock and unlock."""
    _visiting(context).act(own, body.act, body.participant)


async def _states(visiting: Visiting, context: WebContext, visit: str) -> AsyncIterator[bytes]:
    told, quiet_since = "", context.now()
    while not context.operations.events.closed:
        changed = visiting.changed(visit)
        state = visiting.state(visit)
        if state is None:
            return
        text = state_json(state)
        if text != told:
            told, quiet_since = text, context.now()
            yield f"event: state\ndata: {text}\n\n".encode()
        elif context.now() - quiet_since >= HEARTBEAT_S:
            quiet_since = context.now()
            yield b": still here\n\n"
        await asyncio.sleep(SHORTEST_PAUSE_S)
        # Looked at now and then even so: a visit ends by time alone.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await changed.wait()


def _role_of(meeting: Meeting | None, token: Private[str]) -> Literal["host", "guest"] | None:
    if meeting is None:
        return None
    host = same_secret(token, meeting.host_link_token)
    guest = same_secret(token, meeting.link_token)
    return "host" if host else "guest" if guest else None
