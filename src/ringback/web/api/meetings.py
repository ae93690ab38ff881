"""/api/v1/meetings: meetings as they are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.store.directory import Admission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.shapes import Body
from ringback.web.views import MeetingView

router = APIRouter(prefix=f"{API}/meetings", tags=["meetings"], responses=PROBLEMS)

MeetingsReader = Annotated[Identity, Depends(Needs(Permission.MEETINGS_READ))]
MeetingsWriter = Annotated[Identity, Depends(Needs(Permission.MEETINGS_WRITE))]

_ADMISSION = "direct: a PIN lets people in; lobby: guests wait until the host admits them."


class NewMeeting(Body):
    """A meeting to be added."""

    name: str = Field(examples=["Weekly"])
    admission: Admission = Field("direct", description=_ADMISSION)


class MeetingChange(Body):
    """What is left out stays as it is."""

    name: str | None = None
    admission: Admission | None = Field(None, description=_ADMISSION)


class PinRotation(Body):
    """Which PIN to replace."""

    which: Literal["guest", "host", "both"] = "both"


@router.get("")
async def list_meetings(context: Context, viewer: MeetingsReader) -> list[MeetingView]:
    """All meetings, oldest first."""
    return [MeetingView.of(meeting, context.links, viewer) for meeting in context.store.meetings.all()]


@router.post("", status_code=201)
async def add_meeting(body: NewMeeting, context: Context, viewer: MeetingsWriter) -> MeetingView:
    """Add a meeting; number, PINs and links are made, and stay until they are rotated."""
    meeting = await context.store.meetings.add(body.name, body.admission)
    return MeetingView.of(meeting, context.links, viewer)


@router.get("/{number}")
async def get_meeting(number: str, context: Context, viewer: MeetingsReader) -> MeetingView:
    """One meeting."""
    return MeetingView.of(context.store.meetings.get(number), context.links, viewer)


@router.patch("/{number}")
async def change_meeting(
    number: str,
    body: MeetingChange,
    context: Context,
    viewer: MeetingsWriter,
) -> MeetingView:
    """Change a meeting; who is in it stays in it."""
    changed = await context.store.meetings.change(number, name=body.name, admission=body.admission)
    return MeetingView.of(changed, context.links, viewer)


@router.post("/{number}/rotate-pin")
async def rotate_pin(
    number: str,
    context: Context,
    viewer: MeetingsWriter,
    body: PinRotation | None = None,
) -> MeetingView:
    """Replace PINs; number and links stay."""
    meeting = await context.store.meetings.rotate_pin(number, (body or PinRotation()).which)
    return MeetingView.of(meeting, context.links, viewer)


@router.delete("/{number}", status_code=204, response_class=Response)
async def remove_meeting(number: str, context: Context, _viewer: MeetingsWriter) -> None:
    """Delete a meeting."""
    await context.store.meetings.remove(number)
