"""/api/v1/holdings: who holds an extension from which day to which."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.store.errors import InvalidError
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, WebContext
from ringback.web.kept_out import KeptOut
from ringback.web.people_views import HoldingChange, HoldingsView, HoldingView, NewHolding
from ringback.web.shapes import Body

router = APIRouter(prefix=f"{API}/holdings", tags=["people"], responses=PROBLEMS)

Reader = Annotated[Identity, Depends(Needs(Permission.EXTENSIONS_READ))]
Writer = Annotated[Identity, Depends(Needs(Permission.EXTENSIONS_WRITE))]


class HoldingSearch(Body):
    """Which holdings, and which page of them."""

    extension: str | None = Field(default=None, max_length=15, description="Only of this extension.")
    person_id: str | None = Field(default=None, max_length=64, description="Only of this person.")
    after: str = Field(default="", max_length=64, description="`next` of the page before.")
    limit: int = Field(default=100, ge=1, le=1000)


@router.get("", dependencies=[Depends(KeptOut("extension", instead=f"{API}/holdings/search"))])
async def list_holdings(
    context: Context,
    _viewer: Reader,
    person_id: Annotated[str | None, Query(description="Only of this person.")] = None,
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> HoldingsView:
    """Who held, holds and will hold extensions, by number and day."""
    return _found(HoldingSearch(person_id=person_id, after=after, limit=limit), context)


@router.post("/search")
async def search_holdings(body: HoldingSearch, context: Context, _viewer: Reader) -> HoldingsView:
    """Who held, holds and will hold an extension, or any."""
    return _found(body, context)


def _found(asked: HoldingSearch, context: WebContext) -> HoldingsView:
    holdings = context.store.holdings
    found = holdings.of(asked.extension, asked.person_id)
    begin, limit = 0, asked.limit
    if asked.after:
        begin = next((place for place, (_, each) in enumerate(found, 1) if each.id == asked.after), -1)
        if begin < 0:
            raise InvalidError("the list has changed; begin it anew")
    day, shown = holdings.today(), found[begin : begin + limit]
    more = len(found) > begin + limit
    return HoldingsView(
        items=[HoldingView.of(number, holding, day) for number, holding in shown],
        total=len(found),
        next=shown[-1][1].id if shown and more else None,
    )


@router.post("", status_code=201)
async def add_holding(body: NewHolding, context: Context, _viewer: Writer) -> HoldingView:
    """Somebody holds an extension from a day on; who held it without end does so until the day before."""
    holdings = context.store.holdings
    made = await holdings.add(body.extension, body.person_id, body.first_day, body.last_day)
    return HoldingView.of(*made, holdings.today())


@router.patch("/{holding_id}")
async def end_holding(holding_id: str, body: HoldingChange, context: Context, _viewer: Writer) -> HoldingView:
    """Another last day."""
    holdings = context.store.holdings
    return HoldingView.of(*await holdings.end(holding_id, body.last_day), holdings.today())


@router.delete("/{holding_id}", status_code=204, response_class=Response)
async def remove_holding(holding_id: str, context: Context, _viewer: Writer) -> None:
    """Take one back, as if it had never been."""
    await context.store.holdings.remove(holding_id)
