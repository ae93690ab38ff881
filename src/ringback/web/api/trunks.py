"""/api/v1/trunks: ways to and from other telephone systems, and what is called by them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.store.directory import Trunk
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, ForGood, Needs, WebContext, who
from ringback.web.trunk_views import NewTrunk, TollUsageView, TrunkChange, TrunkView

router = APIRouter(prefix=f"{API}/trunks", tags=["trunks"], responses=PROBLEMS)
tolls = APIRouter(prefix=f"{API}/tolls", tags=["trunks"], responses=PROBLEMS)

TrunksReader = Annotated[Identity, Depends(Needs(Permission.TRUNKS_READ))]
TrunksWriter = Annotated[Identity, Depends(Needs(Permission.TRUNKS_WRITE))]

_ANSWER_PATIENCE_S: Final = 12.0
_LOOK_EVERY_S: Final = 0.1


def _view(context: WebContext, trunk: Trunk) -> TrunkView:
    lines = {line.name: line for line in context.operations.outside.trunks()}
    return TrunkView.of(trunk, lines.get(trunk.name))


@router.get("")
async def list_trunks(context: Context, _viewer: TrunksReader) -> list[TrunkView]:
    """All trunks, by name."""
    lines = {line.name: line for line in context.operations.outside.trunks()}
    return [TrunkView.of(trunk, lines.get(trunk.name)) for trunk in context.store.trunks.all()]


@router.post("", status_code=201)
async def add_trunk(body: NewTrunk, context: Context, _viewer: TrunksWriter) -> TrunkView:
    """Add a trunk; it registers, or is asked whether it is there, at once."""
    password = None if body.password is None else Private(body.password)
    return _view(context, await context.store.trunks.add(body.name, body.details(), password))


@router.get("/{name}")
async def get_trunk(name: str, context: Context, _viewer: TrunksReader) -> TrunkView:
    """One trunk."""
    return _view(context, context.store.trunks.get(name))


@router.patch("/{name}")
async def change_trunk(name: str, body: TrunkChange, context: Context, viewer: TrunksWriter) -> TrunkView:
    """Change a trunk; calls by it go on."""
    password = None if body.password is None else Private(body.password)
    return _view(context, await context.store.trunks.change(name, body.details(), password, who(viewer)))


@router.post("/{name}/test")
async def check_trunk(name: str, context: Context, _viewer: TrunksWriter) -> TrunkView:
    """Ask the other side now, and wait for what comes of it."""
    trunk = context.store.trunks.get(name)
    outside = context.operations.outside
    outside.check(name)
    for _ in range(round(_ANSWER_PATIENCE_S / _LOOK_EVERY_S)):
        await asyncio.sleep(_LOOK_EVERY_S)
        if not outside.checking(name):
            break
    return _view(context, trunk)


@router.delete("/{name}", status_code=204, response_class=Response)
async def remove_trunk(name: str, context: Context, viewer: TrunksWriter, for_good: ForGood = False) -> None:
    """Delete a trunk."""
    await context.store.trunks.remove(name, who(viewer), for_good=for_good)


@tolls.get("")
async def list_tolls(context: Context, _viewer: TrunksReader) -> list[TollUsageView]:
    """What was called by trunks today, by account and class of numbers."""
    return [TollUsageView.of(usage) for usage in context.operations.outside.usage()]


@tolls.delete("", status_code=204, response_class=Response)
async def reset_tolls(context: Context, _viewer: TrunksWriter) -> None:
    """Let everybody begin the day anew."""
    context.operations.outside.reset(None)


@tolls.delete("/{account}", status_code=204, response_class=Response)
async def reset_toll(account: str, context: Context, _viewer: TrunksWriter) -> None:
    """Let one account begin the day anew."""
    context.operations.outside.reset(account)
