"""/api/v1/events: what happens, as server-sent events (WHATWG HTML §9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API
from ringback.web.context import Context, Needs
from ringback.web.events import Event, EventHub
from ringback.web.views import EventView

router = APIRouter(prefix=API, tags=["events"])

EventsReader = Annotated[Identity, Depends(Needs(Permission.EVENTS_READ))]

HEARTBEAT_S: Final = 15.0


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event a message."}},
)
async def events(
    context: Context,
    viewer: EventsReader,
    meeting: Annotated[str | None, Query(description="Only events of this meeting.")] = None,
) -> StreamingResponse:
    """What happens from now on, until you close the connection.

    `event` is the kind, `data` the event as JSON. A comment comes every 15 s to keep the connection open; a
    listener too slow to keep up gets `events.missed` with a count.
    """
    stream = _messages(context.operations.events, viewer, meeting)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _messages(hub: EventHub, viewer: Identity, meeting: str | None) -> AsyncIterator[bytes]:
    stream = hub.subscribe()
    yield b": connected\n\n"
    following = asyncio.ensure_future(anext(stream))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=HEARTBEAT_S)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = following.result()
            except StopAsyncIteration:
                return
            following = asyncio.ensure_future(anext(stream))
            if meeting is None or event.meeting in {meeting, None}:
                yield _message(event, viewer)
    finally:
        following.cancel()


def _message(event: Event, viewer: Identity) -> bytes:
    data = EventView.of(event, viewer).model_dump_json(exclude_none=True)
    return f"event: {event.kind}\ndata: {data}\n\n".encode()
