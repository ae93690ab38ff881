"""/api/v1/plan: how calls go, as people set it up; every change is kept and can be undone."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials

from ringback.governance.roles import Identity, Permission
from ringback.store.plan.plan import KINDS
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, WebContext, bearer, identify, who
from ringback.web.kept_out import KeptOut
from ringback.web.plan_views import (
    Applied,
    HistorySearch,
    KindView,
    RevisionView,
    ShownPlan,
    Undoing,
    ValueSearch,
    ValuesPage,
    ValueView,
)
from ringback.web.problems import ProblemError

router = APIRouter(prefix=f"{API}/plan", tags=["plan"], responses=PROBLEMS)

TOML: Final = "application/toml"

_OWN: Final = "answering"
"""The kind that people may change for their own extensions."""


class NeedsUnlessOwn(Needs):
    """Lets those in, too, whose own extension the value is about."""

    def __call__(  # type: ignore[override]
        self,
        kind: str,
        name: str,
        request: Request,
        context: Context,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Identity:
        """The identity; raises 401, 403 or 429."""
        identity = identify(request, context, credentials)
        if kind == _OWN and identity.owns(name):
            return identity
        return super().__call__(request, context, credentials)


PlanReader = Annotated[Identity, Depends(Needs(Permission.PLAN_READ))]
PlanWriter = Annotated[Identity, Depends(Needs(Permission.PLAN_WRITE))]
ValueReader = Annotated[Identity, Depends(NeedsUnlessOwn(Permission.PLAN_READ))]
ValueWriter = Annotated[Identity, Depends(NeedsUnlessOwn(Permission.PLAN_WRITE))]
Fields = Annotated[dict[str, Any], Body(examples=[{"members": ["1001", "1002"], "ring_s": 20}])]


def _revision(
    if_match: Annotated[
        str | None, Header(description="The revision that is to be changed; 0: it must not be there yet.")
    ] = None,
) -> int | None:
    if if_match is None or if_match == "*":
        return None
    text = if_match.strip().strip('"')
    if not text.isdecimal() or len(text) > 15:
        raise ProblemError(422, "If-Match is the revision of the value, a number")
    return int(text)


Expected = Annotated[int | None, Depends(_revision)]


@router.get("/kinds")
async def list_kinds(_viewer: PlanReader) -> list[KindView]:
    """All kinds of values, with the JSON Schema of each."""
    return [KindView.of(kind) for kind in KINDS]


@router.get("/history", dependencies=[Depends(KeptOut("name", instead=f"{API}/plan/history/search"))])
async def history(
    context: Context,
    viewer: PlanReader,
    kind: str = "",
    before: Annotated[
        int | None, Query(description="Only revisions before this one.", ge=0, lt=1 << 63)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[RevisionView]:
    """What was changed, the last change first."""
    return await _history(HistorySearch(kind=kind, before=before, limit=limit), context, viewer)


@router.post("/history/search")
async def search_history(body: HistorySearch, context: Context, viewer: PlanReader) -> list[RevisionView]:
    """What was changed of one value, the last change first."""
    return await _history(body, context, viewer)


async def _history(asked: HistorySearch, context: WebContext, viewer: Identity) -> list[RevisionView]:
    name = asked.plain_name(context.store.directory)
    found = await context.store.objects.history(asked.kind, name, asked.before, asked.limit)
    return [RevisionView.of(revision, ShownPlan(viewer)) for revision in found]


@router.post("/undo")
async def undo(body: Undoing, context: Context, viewer: PlanWriter) -> ValueView | None:
    """Put back what was before a revision, which is a change too; null if there was nothing before."""
    entry = await context.store.objects.undo(body.revision_id, who(viewer))
    return None if entry is None else ValueView.of(entry, ShownPlan(viewer))


@router.get("/export", response_class=Response, responses={200: {"content": {TOML: {}}}})
async def export(context: Context, viewer: PlanReader) -> Response:
    """The whole plan as one TOML file, as `apply` takes it; numbers outside as the reader may see them."""
    return Response(ShownPlan(viewer).text(context.store.objects.export()), media_type=TOML)


@router.post("/apply")
async def apply(
    request: Request,
    context: Context,
    viewer: PlanWriter,
    prune: Annotated[bool, Query(description="Remove what is not in the file.")] = False,
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,
) -> Applied:
    """Make all values of a TOML file, or none; the answer says what that changes."""
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError:
        raise ProblemError(422, "the file is not UTF-8") from None
    found = await context.store.objects.apply(text, who(viewer), prune=prune, dry_run=dry_run)
    return Applied.of(found, dry_run)


@router.get("/{kind}", dependencies=[Depends(KeptOut("search", "after", instead=f"{API}/plan/KIND/search"))])
async def list_values(
    kind: str,
    context: Context,
    viewer: PlanReader,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ValuesPage:
    """The first values of a kind by name; those after them are asked for by POST, as their names are told."""
    return _found(kind, ValueSearch(limit=limit), context, viewer)


@router.post("/{kind}/search")
async def search_values(kind: str, body: ValueSearch, context: Context, viewer: PlanReader) -> ValuesPage:
    """Values of a kind by name, those with `search` somewhere in them."""
    return _found(kind, body, context, viewer)


def _found(kind: str, asked: ValueSearch, context: WebContext, viewer: Identity) -> ValuesPage:
    reader = ShownPlan(viewer, context.store.directory.extensions)
    page = context.store.objects.page(kind, asked.search, asked.after, asked.limit)
    return ValuesPage.of(reader.page(page, asked.search), reader)


@router.get("/{kind}/{name}")
async def get_value(
    kind: str, name: str, context: Context, viewer: ValueReader, response: Response
) -> ValueView:
    """One value; people see how their own extensions answer."""
    entry = context.store.objects.get(kind, name)
    response.headers["ETag"] = f'"{entry.revision}"'
    return ValueView.of(entry, ShownPlan(viewer, context.store.directory.extensions))


@router.put("/{kind}/{name}")
async def put_value(
    kind: str,
    name: str,
    fields: Fields,
    context: Context,
    viewer: ValueWriter,
    expected: Expected,
    response: Response,
) -> ValueView:
    """Make a value, or change it whole: what is left out is as by default. People change how their own
    extensions answer.
    """
    entry = await context.store.objects.put(kind, name, fields, who(viewer), expected)
    response.headers["ETag"] = f'"{entry.revision}"'
    return ValueView.of(entry, ShownPlan(viewer, context.store.directory.extensions))


@router.delete("/{kind}/{name}", status_code=204, response_class=Response)
async def remove_value(
    kind: str, name: str, context: Context, viewer: ValueWriter, expected: Expected
) -> None:
    """Delete a value; 409 names what needs it."""
    await context.store.objects.remove(kind, name, who(viewer), expected)
