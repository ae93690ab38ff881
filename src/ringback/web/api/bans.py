"""/api/v1/bans: sources of SIP that are shut out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.shapes import Body
from ringback.web.views import BanView

router = APIRouter(prefix=f"{API}/bans", tags=["bans"], responses=PROBLEMS)

BansReader = Annotated[Identity, Depends(Needs(Permission.BANS_READ))]
BansWriter = Annotated[Identity, Depends(Needs(Permission.BANS_WRITE))]


class NewBan(Body):
    """A source to be shut out, its phones too."""

    source: str = Field(
        description="An IP address; of an IPv6 one the whole /64.", examples=["192.0.2.7"], max_length=64
    )
    minutes: float = Field(60.0, gt=0, le=525_600)


@router.get("")
async def list_bans(context: Context, _viewer: BansReader) -> list[BanView]:
    """The sources that are shut out now, longest first."""
    return [BanView.model_validate(ban) for ban in context.operations.bans()]


@router.post("", status_code=201)
async def add_ban(body: NewBan, context: Context, _viewer: BansWriter) -> BanView:
    """Shut a source out until its time is over or the server starts again."""
    return BanView.model_validate(context.operations.ban(body.source, body.minutes))


@router.delete("/{source:path}", status_code=204, response_class=Response)
async def lift_ban(source: str, context: Context, _viewer: BansWriter) -> None:
    """Let a source in again, and forgive what led to its ban."""
    context.operations.lift(source)
