"""/api/v1/meetings: meetings as they are kept, who is in them, and those that were."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.store.call_query import CallQuery
from ringback.store.call_record import call_id_of, call_name
from ringback.store.directory import Admission, Meeting
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, ForGood, Needs, WebContext, who
from ringback.web.past_meetings import PastMeetingsView, past_meetings
from ringback.web.record_views import MOST_AT_ONCE, Reader
from ringback.web.shapes import Body
from ringback.web.views import MeetingNowView, MeetingView

router = APIRouter(prefix=f"{API}/meetings", tags=["meetings"], responses=PROBLEMS)

MeetingsReader = Annotated[Identity, Depends(Needs(Permission.MEETINGS_READ))]
MeetingsWriter = Annotated[Identity, Depends(Needs(Permission.MEETINGS_WRITE))]

CallsReader = Annotated[Identity, Depends(Needs(Permission.CALLS_READ))]

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


def _view(meeting: Meeting, context: WebContext, viewer: Identity) -> MeetingView:
    now = None
    if viewer.may(Permission.PARTICIPANTS_READ):
        states = [someone.state for someone in context.operations.participants(meeting.number)]
        now = MeetingNowView(
            people=states.count("in"),
            waiting=states.count("lobby"),
            locked=context.operations.locked(meeting.number),
        )
    return MeetingView.of(meeting, context.links, viewer, now)


@router.get("")
async def list_meetings(context: Context, viewer: MeetingsReader) -> list[MeetingView]:
    """All meetings, oldest first."""
    return [_view(meeting, context, viewer) for meeting in context.store.meetings.all()]


@router.post("", status_code=201)
async def add_meeting(body: NewMeeting, context: Context, viewer: MeetingsWriter) -> MeetingView:
    """Add a meeting; number, PINs and links are made, and stay until they are rotated."""
    meeting = await context.store.meetings.add(body.name, body.admission)
    return _view(meeting, context, viewer)


@router.get("/{number}")
async def get_meeting(number: str, context: Context, viewer: MeetingsReader) -> MeetingView:
    """One meeting, by its number or its id, as all of these."""
    return _view(context.store.meetings.get(number), context, viewer)


@router.get("/{number}/past")
async def past(
    number: str,
    context: Context,
    viewer: CallsReader,
    after: Annotated[str | None, Query(max_length=16, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE, description="Of calls that are looked at.")] = 200,
) -> PastMeetingsView:
    """Meetings that were, the last one first, with who called its number or opened its link."""
    meeting = context.store.meetings.get(number)
    query = CallQuery(target=f"meeting:{meeting.number}")
    before = None if after is None else call_id_of(after) or 0
    page = await context.store.call_records.find(query, before=before, limit=limit)
    return PastMeetingsView(
        items=past_meetings(page.records, Reader.of(viewer)),
        next=None if page.next is None else call_name(page.next),
    )


@router.patch("/{number}")
async def change_meeting(
    number: str,
    body: MeetingChange,
    context: Context,
    viewer: MeetingsWriter,
) -> MeetingView:
    """Change a meeting; who is in it stays in it."""
    changed = await context.store.meetings.change(
        number, who(viewer), name=body.name, admission=body.admission
    )
    return _view(changed, context, viewer)


@router.post("/{number}/rotate-pin")
async def rotate_pin(
    number: str,
    context: Context,
    viewer: MeetingsWriter,
    body: PinRotation | None = None,
) -> MeetingView:
    """Replace PINs; number and links stay."""
    meeting = await context.store.meetings.rotate_pin(number, (body or PinRotation()).which)
    return _view(meeting, context, viewer)


@router.delete("/{number}", status_code=204, response_class=Response)
async def remove_meeting(
    number: str, context: Context, viewer: MeetingsWriter, for_good: ForGood = False
) -> None:
    """Delete a meeting."""
    await context.store.meetings.remove(number, who(viewer), for_good=for_good)
