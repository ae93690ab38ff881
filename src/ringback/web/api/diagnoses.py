"""/api/v1/diagnoses: a capture is uploaded and diagnosed; the answer comes as JSON and as a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.web.api import DIAGNOSES, PROBLEMS
from ringback.web.context import Context, Needs, WebContext, still_may
from ringback.web.diagnosing import Asked, Diagnosing, DiagnosisState, Stage
from ringback.web.problems import ProblemError
from ringback.web.server_sent import message, server_sent
from ringback.web.shapes import View

router = APIRouter(prefix=DIAGNOSES, tags=["diagnoses"], responses=PROBLEMS)

Diagnoser = Annotated[Identity, Depends(Needs(Permission.DIAGNOSES_WRITE))]


class DiagnosisView(View):
    """How far a diagnosis is."""

    id: str
    stage: Stage
    done: int = Field(description="Octets read, or packets judged.")
    total: int
    problem: str = Field(description="Why it failed, empty otherwise.")
    expires_at: datetime = Field(description="When all of it is deleted.")

    @classmethod
    def of(cls, state: DiagnosisState) -> DiagnosisView:
        """A state as it is shown."""
        return cls.model_validate(state)


def _diagnosing(context: WebContext) -> Diagnosing:
    if context.diagnosing is None:
        raise ProblemError(503, "captures are not diagnosed here")
    return context.diagnosing


@router.post(
    "",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
    responses={413: {"description": "Larger than `web.upload_limit_mb`."}},
)
async def diagnose(
    request: Request,
    context: Context,
    who: Diagnoser,
    complaint: Annotated[str, Query(max_length=64, description="When it was bad: 14:02:10-14:02:40.")] = "",
    time_zone: Annotated[str, Query(max_length=64, description="Of times said and shown; UTC if none.")] = "",
    x_file_name: Annotated[
        str, Header(max_length=1024, description="Its name, percent-encoded. No URL holds names.")
    ] = "",
) -> DiagnosisView:
    """Upload a capture (the body, as it is) and have it diagnosed; one at a time for each token."""
    asked = Asked(who.name, unquote(x_file_name), complaint, time_zone)
    return DiagnosisView.of(await _diagnosing(context).receive(asked, request.stream()))


@router.get("/{diagnosis}")
async def state(diagnosis: str, context: Context, _: Diagnoser) -> DiagnosisView:
    """How far it is."""
    return DiagnosisView.of(_diagnosing(context).state(diagnosis))


@router.get(
    "/{diagnosis}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "model": DiagnosisView,
            "content": {"text/event-stream": {}},
            "description": "Events named `state`, until it has ended.",
        }
    },
)
async def follow(diagnosis: str, request: Request, context: Context, _: Diagnoser) -> StreamingResponse:
    """How far it is, whenever that changes."""
    diagnosing = _diagnosing(context)
    diagnosing.state(diagnosis)
    states: AsyncIterator[DiagnosisState] = diagnosing.follow(diagnosis)
    return server_sent(
        states,
        lambda one: message("state", DiagnosisView.of(one).model_dump_json()),
        still_may(request, context, Permission.DIAGNOSES_WRITE),
    )


@router.get("/{diagnosis}/result", response_model=None, responses={200: {"model": dict[str, Any]}})
async def result(diagnosis: str, context: Context, _: Diagnoser) -> FileResponse:
    """The answer as JSON, as `ringback diagnose --json` gives it, numbers masked."""
    return FileResponse(_diagnosing(context).result(diagnosis, "json"), media_type="application/json")


@router.get("/{diagnosis}/report", response_model=None, response_class=FileResponse)
async def report(diagnosis: str, context: Context, _: Diagnoser) -> FileResponse:
    """The report: one page that opens offline, numbers masked."""
    diagnosing = _diagnosing(context)
    headers = {"Content-Security-Policy": f"{diagnosing.report_policy}; frame-ancestors 'none'"}
    file = diagnosing.result(diagnosis, "html")
    return FileResponse(file, media_type="text/html; charset=utf-8", headers=headers)


@router.delete("/{diagnosis}", status_code=204)
async def remove(diagnosis: str, context: Context, _: Diagnoser) -> Response:
    """Stop it if it is not done yet, and delete all of it."""
    await _diagnosing(context).remove(diagnosis)
    return Response(status_code=204)
