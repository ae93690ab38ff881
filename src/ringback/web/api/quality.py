"""How lines were, second by second: of participants and of calls. docs/statistics.md defines the columns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.views import LineSeriesView

router = APIRouter(prefix=API, responses=PROBLEMS)

ParticipantsReader = Annotated[Identity, Depends(Needs(Permission.PARTICIPANTS_READ))]
CallsReader = Annotated[Identity, Depends(Needs(Permission.CALLS_READ))]
Seconds = Annotated[int, Query(ge=1, le=300, description="How many of the last seconds.")]


@router.get("/meetings/{number}/participants/{participant}/quality", tags=["participants"])
async def participant_quality(
    number: str, participant: str, context: Context, _viewer: ParticipantsReader, seconds: Seconds = 60
) -> LineSeriesView:
    """How a participant's line was in each of the last seconds, at most 300."""
    meeting = context.store.meetings.get(number)
    line = context.operations.participant_quality(meeting.number, participant, seconds)
    return LineSeriesView.model_validate(line)


@router.get("/calls/{call}/quality", tags=["system"])
async def call_quality(
    call: str, context: Context, _viewer: CallsReader, seconds: Seconds = 60
) -> LineSeriesView:
    """How a call's line was in each of the last seconds, at most 300."""
    return LineSeriesView.model_validate(context.operations.call_quality(call, seconds))
