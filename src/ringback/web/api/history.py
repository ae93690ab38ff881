"""/api/v1/history: what was changed of all that is set up, by whom, and back."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.store.changes import AccountKind
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, WebContext, who
from ringback.web.kept_out import KeptOut
from ringback.web.plan_views import HistorySearch, RevisionView, ShownPlan, Undoing
from ringback.web.problems import ProblemError
from ringback.web.shapes import View

router = APIRouter(prefix=f"{API}/history", tags=["history"], responses=PROBLEMS)

HistoryReader = Annotated[Identity, Depends(Needs(Permission.PLAN_READ))]
HistoryWriter = Annotated[Identity, Depends(Needs(Permission.PLAN_WRITE))]

_READS: Final[dict[AccountKind, Permission]] = {
    "person": Permission.EXTENSIONS_READ,
    "extension": Permission.EXTENSIONS_READ,
    "device": Permission.DEVICES_READ,
    "trunk": Permission.TRUNKS_READ,
    "meeting": Permission.MEETINGS_READ,
}
_WRITES: Final[dict[str, Permission]] = {
    "person": Permission.PEOPLE_WRITE,
    "extension": Permission.EXTENSIONS_WRITE,
    "device": Permission.DEVICES_WRITE,
    "trunk": Permission.TRUNKS_WRITE,
    "meeting": Permission.MEETINGS_WRITE,
}


class UndoneView(View):
    """What is as it was before."""

    kind: str = Field(examples=["extension"])
    name: str = Field(examples=["1001"])
    title: str
    notes: list[str] = Field(description="What did not come back with it, and why; for people.")


@router.get("", dependencies=[Depends(KeptOut("name", instead=f"{API}/history/search"))])
async def history(
    context: Context,
    viewer: HistoryReader,
    kind: Annotated[
        str, Query(description="A kind of the plan, or person, extension, device, trunk, meeting.")
    ] = "",
    before: Annotated[
        int | None, Query(description="Only revisions before this one.", ge=0, lt=1 << 63)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[RevisionView]:
    """What was changed, the last change first: of the plan all, of people, extensions, devices, trunks and
    meetings the last 30 days, without what was added."""
    return await _page(HistorySearch(kind=kind, before=before, limit=limit), context, viewer)


@router.post("/search")
async def search_history(body: HistorySearch, context: Context, viewer: HistoryReader) -> list[RevisionView]:
    """What was changed of one thing, the last change first."""
    return await _page(body, context, viewer)


async def _page(asked: HistorySearch, context: WebContext, viewer: Identity) -> list[RevisionView]:
    kinds = [each for each, permission in _READS.items() if viewer.may(permission)]
    name = asked.plain_name(context.store.directory)
    found = await context.store.history.page(kinds, asked.kind, name, asked.before, asked.limit)
    shown = ShownPlan(viewer)
    return [RevisionView.of(revision, shown) for revision in found]


@router.post("/undo")
async def undo(body: Undoing, context: Context, viewer: HistoryWriter) -> UndoneView:
    """Put back what was before a revision, which is a change, too; 409 says why it cannot be."""
    changed = await context.store.history.kind_of(body.revision_id)
    permission = _WRITES.get(changed, Permission.PLAN_WRITE)
    if not viewer.may(permission):
        raise ProblemError(403, f"the role {viewer.role.value} lacks the permission {permission.value}")
    undone = await context.store.history.undo(body.revision_id, who(viewer))
    return UndoneView(kind=undone.kind, name=undone.name, title=undone.title, notes=list(undone.notes))
