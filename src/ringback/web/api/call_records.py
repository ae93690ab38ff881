"""/api/v1/call-records: calls that are over. Numbers are asked for by POST, so that no URL holds one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import AwareDatetime, Field

from ringback.governance.roles import Identity, Permission
from ringback.store.call_query import CallQuery, Held
from ringback.store.call_record import CallRecord, Direction, Outcome, Quality, call_name
from ringback.store.errors import NotFoundError
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, WebContext, bearer, identify
from ringback.web.events import Event
from ringback.web.problems import ProblemError
from ringback.web.record_rows import MEDIA_TYPES, Format, Rows, head, lines
from ringback.web.record_views import (
    MOST_AT_ONCE,
    CallDetailView,
    CallRecordView,
    CallSearch,
    PagedSearch,
    PageView,
    Reader,
)

_log = structlog.get_logger("ringback.web")
router = APIRouter(prefix=f"{API}/call-records", tags=["call records"], responses=PROBLEMS)


class NeedsCalls(Needs):
    """Lets in who may read the records of all calls, and who has an extension: to those of its own."""

    def __call__(
        self,
        request: Request,
        context: Context,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Identity:
        """The identity; raises 401, 403 or 429."""
        identity = identify(request, context, credentials)
        return identity if identity.extensions else super().__call__(request, context, credentials)


Viewer = Annotated[Identity, Depends(NeedsCalls(Permission.CALLS_READ))]


class ExportSearch(CallSearch):
    """What to export, and as what."""

    format: Format = "csv"
    rows: Rows = Field("calls", description="Of CSV: a row a call, or a row a leg.")


def _own(identity: Identity, context: WebContext) -> tuple[Held, ...] | None:
    """None for who may see all; else the person's extensions, each since it became the person's."""
    if identity.may(Permission.CALLS_READ):
        return None
    return context.store.call_records.held(identity.extensions)


def _asked(search: CallSearch, identity: Identity, context: WebContext) -> CallQuery:
    own = _own(identity, context)
    by_number = search.number is not None or search.extension is not None
    if by_number and own is None and not identity.may(Permission.NUMBERS_READ):
        # Who may not see numbers could try them out.
        raise ProblemError(403, f"the role {identity.role.value} may not look for numbers")
    return search.query(own)


async def _page(search: PagedSearch, context: WebContext, identity: Identity) -> PageView:
    query = _asked(search, identity, context)
    page = await context.store.call_records.find(query, before=search.before(), limit=search.limit)
    return PageView.of(page, Reader.of(identity), legs=search.legs)


@router.get("")
async def list_calls(
    context: Context,
    viewer: Viewer,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    trunk: Annotated[str | None, Query(max_length=32)] = None,
    direction: Direction | None = None,
    outcome: Outcome | None = None,
    cause: Annotated[int | None, Query(ge=100, le=699)] = None,
    quality: Annotated[Quality | None, Query(description="This or worse.")] = None,
    emergency: bool | None = None,
    recorded: bool | None = None,
    after: Annotated[str | None, Query(max_length=16)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 50,
    legs: bool = False,
) -> PageView:
    """Calls, newest first."""
    given = {name: value for name, value in locals().items() if name in PagedSearch.model_fields}
    search = PagedSearch.model_validate(given)
    return await _page(search, context, viewer)


@router.post("/search")
async def search_calls(search: PagedSearch, context: Context, viewer: Viewer) -> PageView:
    """Calls by what is known of them, numbers too; newest first."""
    return await _page(search, context, viewer)


@router.post(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/jsonl": {}}}},
)
async def export_calls(search: ExportSearch, context: Context, viewer: Viewer) -> StreamingResponse:
    """All calls that are found, as a file; numbers as the reader may see them."""
    query, reader = _asked(search, viewer, context), Reader.of(viewer)
    told: dict[str, str | bool] = {"by": viewer.name, "numbers": reader.all_numbers}
    context.operations.events.publish(Event("records.exported", details=told))
    _log.info("records.exported", by=viewer.id, numbers=reader.all_numbers)
    legs = search.format == "jsonl" or search.rows == "legs"

    def written(records: Iterable[CallRecord]) -> str:
        shown = (CallRecordView.of(record, reader, legs=legs) for record in records)
        return "".join(lines(shown, search.format, search.rows))

    async def stream() -> AsyncIterator[str]:
        yield head(search.format, search.rows)
        before: int | None = None
        while True:
            page = await context.store.call_records.find(query, before=before, limit=MOST_AT_ONCE)
            # In a thread: calls are handled by the loop, and this is a lot of work.
            yield await asyncio.to_thread(written, page.records)
            before = page.next
            if before is None:
                return

    name = f"calls.{search.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(stream(), media_type=MEDIA_TYPES[search.format], headers=headers)


@router.get("/{call}")
async def get_call(call: str, context: Context, viewer: Viewer) -> CallDetailView:
    """One call with its legs, the rules it passed, what was done to it, and its story."""
    record = await context.store.call_records.get(call)
    own = _own(viewer, context)
    if own is not None and not any(held.has(record) for held in own):
        # Whether there is such a call is nobody else's business.
        raise NotFoundError("there is no record of such a call")
    assert call == call_name(record.id)
    return CallDetailView.of(record, Reader.of(viewer))
