"""/api/v1/people: who holds extensions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API
from ringback.web.context import Context, Needs
from ringback.web.views import Body, PersonView

router = APIRouter(prefix=f"{API}/people", tags=["people"])

PeopleReader = Annotated[Identity, Depends(Needs(Permission.PEOPLE_READ))]
PeopleWriter = Annotated[Identity, Depends(Needs(Permission.PEOPLE_WRITE))]


class NewPerson(Body):
    """A person to be added."""

    name: str = Field(examples=["Ada Example"])


@router.get("")
async def list_people(context: Context, _viewer: PeopleReader) -> list[PersonView]:
    """Everybody, by name."""
    return [PersonView.model_validate(person) for person in await context.store.people.all()]


@router.post("", status_code=201)
async def add_person(body: NewPerson, context: Context, _viewer: PeopleWriter) -> PersonView:
    """Add a person."""
    return PersonView.model_validate(await context.store.people.add(body.name))


@router.get("/{person_id}")
async def get_person(person_id: str, context: Context, _viewer: PeopleReader) -> PersonView:
    """One person."""
    return PersonView.model_validate(await context.store.people.get(person_id))


@router.patch("/{person_id}")
async def rename_person(
    person_id: str, body: NewPerson, context: Context, _viewer: PeopleWriter
) -> PersonView:
    """Give a person another name."""
    return PersonView.model_validate(await context.store.people.rename(person_id, body.name))


@router.delete("/{person_id}", status_code=204, response_class=Response)
async def remove_person(person_id: str, context: Context, _viewer: PeopleWriter) -> None:
    """Delete a person; their extensions stay and belong to nobody."""
    await context.store.people.remove(person_id)
