"""/api/v1/meetings/{number}/participants: who is in a meeting now, and what a host can do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field, model_validator

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, WebContext
from ringback.web.shapes import Body, View
from ringback.web.views import ParticipantView

router = APIRouter(prefix=API + "/meetings/{number}", tags=["participants"], responses=PROBLEMS)

ParticipantsReader = Annotated[Identity, Depends(Needs(Permission.PARTICIPANTS_READ))]
Chair = Annotated[Identity, Depends(Needs(Permission.PARTICIPANTS_CONTROL))]


class Whom(Body):
    """One participant by `id`, or `all` of them."""

    id: str | None = Field(None, examples=["7"])
    all: bool = False

    @model_validator(mode="after")
    def _one_or_all(self) -> Whom:
        if (self.id is None) != self.all:
            raise ValueError('give either {"id": "..."} or {"all": true}')
        return self


class Affected(View):
    """How many participants it changed."""

    count: int = Field(examples=[1])


class LockView(View):
    """Whether a meeting is locked."""

    locked: bool


class LockChange(Body):
    """Whether it shall be."""

    locked: bool = True


@router.get("/participants")
async def list_participants(
    number: str, context: Context, viewer: ParticipantsReader
) -> list[ParticipantView]:
    """Who is in the meeting, in its lobby, or being asked for the PIN."""
    meeting = context.store.meetings.get(number)
    people = context.operations.participants(meeting.number)
    return [ParticipantView.of(someone, viewer) for someone in people]


def _act(context: WebContext, number: str, whom: Whom, act: Callable[[str, str | None], int]) -> Affected:
    return Affected(count=act(context.store.meetings.get(number).number, whom.id))


@router.post("/participants/admit")
async def admit(number: str, whom: Whom, context: Context, _viewer: Chair) -> Affected:
    """Let in from the lobby."""
    return _act(context, number, whom, context.operations.admit)


@router.post("/participants/mute")
async def mute(number: str, whom: Whom, context: Context, _viewer: Chair) -> Affected:
    """Mute; `all` spares the hosts. Everybody can unmute themselves with *6."""
    return _act(context, number, whom, context.operations.mute)


@router.post("/participants/unmute")
async def unmute(number: str, whom: Whom, context: Context, _viewer: Chair) -> Affected:
    """Unmute."""
    return _act(context, number, whom, context.operations.unmute)


@router.post("/participants/remove")
async def remove(number: str, whom: Whom, context: Context, _viewer: Chair) -> Affected:
    """End the call of one or all."""
    return _act(context, number, whom, context.operations.remove)


@router.get("/lock")
async def get_lock(number: str, context: Context, _viewer: ParticipantsReader) -> LockView:
    """Whether the meeting is locked."""
    return LockView(locked=context.operations.locked(context.store.meetings.get(number).number))


@router.put("/lock")
async def set_lock(
    number: str,
    change: LockChange,
    context: Context,
    _viewer: Chair,
) -> LockView:
    """Lock or unlock a meeting that somebody is in."""
    meeting = context.store.meetings.get(number)
    context.operations.lock(meeting.number, change.locked)
    return LockView(locked=context.operations.locked(meeting.number))
