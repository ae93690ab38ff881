"""/api/v1/events: what happens, as server-sent events (WHATWG HTML §9.2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, still_may
from ringback.web.events import Event
from ringback.web.server_sent import message, server_sent
from ringback.web.views import EventView

router = APIRouter(prefix=API, tags=["events"], responses=PROBLEMS)

EventsReader = Annotated[Identity, Depends(Needs(Permission.EVENTS_READ))]


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event a message."}},
)
async def events(
    request: Request,
    context: Context,
    viewer: EventsReader,
    meeting: Annotated[str | None, Query(description="Only events of this meeting.")] = None,
) -> StreamingResponse:
    """What happens from now on, until you close the connection, or may not see it any more.

    `event` is the kind, `data` the event as JSON. A comment comes every 15 s to keep the connection open; a
    listener too slow to keep up gets `events.missed` with a count.
    """

    def show(event: Event) -> bytes:
        if meeting is not None and event.meeting not in {meeting, None}:
            return b""
        return message(event.kind, EventView.of(event, viewer).model_dump_json(exclude_none=True))

    return server_sent(
        context.operations.events.subscribe(), show, still_may(request, context, Permission.EVENTS_READ)
    )
