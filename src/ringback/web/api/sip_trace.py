"""/api/v1/sip/trace: SIP messages as they come and go, as server-sent events, private things masked."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, still_may
from ringback.web.events import Event
from ringback.web.operations import Missed, SipMessage, TraceFilter
from ringback.web.problems import ProblemError
from ringback.web.server_sent import message, server_sent
from ringback.web.shapes import View

router = APIRouter(prefix=API, tags=["sip"], responses=PROBLEMS)

TraceReader = Annotated[Identity, Depends(Needs(Permission.SIP_TRACE_READ))]
Text = Annotated[str, Query(max_length=256)]

log = structlog.get_logger(__name__)


class SipMessageView(View):
    """A SIP message; unless revealed, numbers, names and secrets in it are `x`, one for each character."""

    at: datetime
    direction: Literal["in", "out"]
    transport: str = Field(examples=["udp"])
    local: tuple[str, int]
    remote: tuple[str, int]
    call_id: str
    method: str = Field(description="That of a request, or of the request that a response is for.")
    status: int | None = None
    reason: str = ""
    cseq: int | None = None
    from_user: str = ""
    to_user: str = ""
    described: bool = Field(default=False, description="Whether the body is SDP.")
    again: bool = Field(default=False, description="Whether the same message has been there before.")
    fault: str | None = Field(default=None, description="What the parser found wrong.")
    message: str | None = Field(default=None, description="The whole message, if it is UTF-8.")
    message_base64: str | None = Field(default=None, description="The whole message, if it is not.")

    @classmethod
    def of(cls, one: SipMessage) -> SipMessageView:
        """A message as it is sent to a watcher."""
        view = cls.model_validate(one)
        try:
            return view.model_copy(update={"message": one.data.decode()})
        except UnicodeDecodeError:
            return view.model_copy(update={"message_base64": base64.b64encode(one.data).decode()})


@router.get(
    "/sip/trace",
    response_class=StreamingResponse,
    responses={
        200: {
            "model": SipMessageView,
            "content": {"text/event-stream": {}},
            "description": "Events named `message`, each with a SIP message as `data`.",
        }
    },
)
async def sip_trace(
    request: Request,
    context: Context,
    viewer: TraceReader,
    call: Annotated[Text, Query(description="How the Call-ID begins.")] = "",
    source: Annotated[Text, Query(description="The peer's address, with or without port.")] = "",
    method: Annotated[Text, Query(description="Requests of this method, and responses to them.")] = "",
    last_s: Annotated[
        float, Query(ge=0, description="Begin with those of the last seconds, as far as they are kept.")
    ] = 0.0,
    follow: Annotated[bool, Query(description="Go on with what comes; else it ends after these.")] = True,
    reveal: Annotated[bool, Query(description="Mask nothing; for administrators, and told to all.")] = False,
    x_number: Annotated[
        str, Header(max_length=64, description="Only messages from or to this number. No URL holds numbers.")
    ] = "",
) -> StreamingResponse:
    """SIP messages from now on, until you close the connection.

    A watcher too slow to keep up gets `missed` with a count.
    """
    if reveal:
        if not viewer.may(Permission.SIP_TRACE_REVEAL):
            raise ProblemError(403, f"the role {viewer.role.value} may see messages masked only")
        log.warning("a SIP trace shows private data", by=viewer.id)
        context.operations.events.publish(Event("sip.trace.revealed", details={"by": viewer.name}))
    wanted = TraceFilter(call, Private(x_number), source, method)
    stream = context.operations.trace(wanted, last_s=last_s, follow=follow, reveal=reveal)
    needed = Permission.SIP_TRACE_REVEAL if reveal else Permission.SIP_TRACE_READ
    return server_sent(stream, _shown, still_may(request, context, needed))


def _shown(one: SipMessage | Missed) -> bytes:
    if isinstance(one, Missed):
        return message("missed", f'{{"count": {one.count}}}')
    return message("message", SipMessageView.of(one).model_dump_json(exclude_none=True))
