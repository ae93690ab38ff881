"""/api/v1/people: who holds extensions; one by one, or from a table."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, ForGood, Needs, WebContext, who
from ringback.web.kept_out import KeptOut
from ringback.web.people_views import ImportView, NewPerson, PeopleView, PersonChange, PersonView
from ringback.web.shapes import Search

router = APIRouter(prefix=f"{API}/people", tags=["people"], responses=PROBLEMS)

PeopleReader = Annotated[Identity, Depends(Needs(Permission.PEOPLE_READ))]
PeopleWriter = Annotated[Identity, Depends(Needs(Permission.PEOPLE_WRITE))]


def _view(context: WebContext, person_id: str, viewer: Identity) -> PersonView:
    people = context.store.people
    return PersonView.of(people.get(person_id), people.numbers(person_id), viewer)


@router.get("", dependencies=[Depends(KeptOut("search", instead=f"{API}/people/search"))])
async def list_people(
    context: Context,
    viewer: PeopleReader,
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> PeopleView:
    """People by name."""
    return _found(Search(after=after, limit=limit), context, viewer)


@router.post("/search")
async def search_people(body: Search, context: Context, viewer: PeopleReader) -> PeopleView:
    """People by name, those with `search` in name, extension, address, site or role."""
    return _found(body, context, viewer)


def _found(asked: Search, context: WebContext, viewer: Identity) -> PeopleView:
    # Who is shown no addresses could try them out.
    addresses = viewer.may(Permission.EXTENSIONS_READ)
    page = context.store.people.page(asked.search, asked.after, asked.limit, addresses=addresses)
    items = [PersonView.of(person, numbers, viewer) for person, numbers in page.people]
    return PeopleView(items=items, total=page.total, next=page.next)


@router.post("", status_code=201)
async def add_person(body: NewPerson, context: Context, viewer: PeopleWriter) -> PersonView:
    """Add a person."""
    person = await context.store.people.add(**body.model_dump())
    return PersonView.of(person, (), viewer)


@router.post("/import")
async def import_people(
    request: Request,
    context: Context,
    _viewer: Annotated[Identity, Depends(Needs(Permission.EXTENSIONS_WRITE))],
    dry_run: Annotated[bool, Query(description="Only say what is wrong.")] = True,
) -> ImportView:
    """People from CSV, with extensions and phones: all of them, or none where a row has a problem.

    The first row names the columns: name, and of extension, role, e_mail, site, model, mac those there are.
    The passwords in the answer are shown this once.
    """
    rows = await context.store.importing.run(await request.body(), dry_run=dry_run)
    return ImportView.of(rows, dry_run)


@router.get("/{person_id}")
async def get_person(person_id: str, context: Context, viewer: PeopleReader) -> PersonView:
    """One person."""
    return _view(context, person_id, viewer)


@router.patch("/{person_id}")
async def change_person(
    person_id: str, body: PersonChange, context: Context, viewer: PeopleWriter
) -> PersonView:
    """Change a person; what is left out stays as it is."""
    await context.store.people.change(person_id, who(viewer), **body.model_dump(exclude_none=True))
    return _view(context, person_id, viewer)


@router.delete("/{person_id}", status_code=204, response_class=Response)
async def remove_person(
    person_id: str, context: Context, viewer: PeopleWriter, for_good: ForGood = False
) -> None:
    """Delete a person, their login with them; their extensions stay and belong to nobody."""
    await context.store.people.remove(person_id, who(viewer), for_good=for_good)
