"""/api/v1/phone: how a page becomes a phone of one's own extension."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, OwnSession, host_of, identity_of
from ringback.web.places import found_places
from ringback.web.problems import ProblemError
from ringback.web.shapes import Body, View
from ringback.web.visit_views import SipAccountView

router = APIRouter(prefix=f"{API}/phone", tags=["phone"], responses=PROBLEMS)


class PhoneRequest(Body):
    """Which of one's extensions; left out: the first."""

    extension: str | None = Field(None, examples=["1001"])


class PhoneView(View):
    """An extension, and the account with which the page that asks registers for it."""

    extension: str = Field(examples=["1001"])
    name: str = Field(description="What others are shown.", examples=["Ada Example"])
    sip: SipAccountView


@router.post("", status_code=201)
async def open_phone(body: PhoneRequest, request: Request, context: Context, own: OwnSession) -> PhoneView:
    """Get an account for SIP over the WebSocket /sip, for a session's own page: good while the session lasts
    and the extension is one's own."""
    session, login = own
    if context.phoning is None:
        raise ProblemError(503, "no calls can be taken here")
    identity = identity_of(login, context)
    number = body.extension or identity.account
    if number is None:
        raise ProblemError(403, "you have no extension; ask whoever runs this system for one")
    if not identity.owns(number):
        raise ProblemError(403, "this is not your extension")
    phone = context.phoning.open(session.id, number)
    host = host_of(request)
    extension = context.store.extensions.get(number)
    return PhoneView(
        extension=number,
        name=extension.display_name,
        sip=SipAccountView(
            uri=f"sip:{number}@{host}",
            username=phone.username,
            password=phone.password.reveal(),
            realm=phone.realm,
            expires_in_s=phone.expires_in_s,
            target=f"sip:{number}@{host}",
            echo_target=f"sip:{context.settings.routing.echo_number}@{host}",
        ),
    )


class PlaceSearch(Body):
    """Who or what is looked for, by a text in name or number; or which one a target is."""

    search: str = Field(default="", max_length=80)
    target: str = Field(default="", max_length=60, examples=["group:sales"])
    limit: int = Field(default=20, ge=1, le=100)


class PlaceView(View):
    """Somebody or something in the house that can be called."""

    kind: str = Field(examples=["group"])
    target: str = Field(description="As the plan writes it.", examples=["group:sales"])
    title: str = Field(examples=["Sales team"])
    number: str = Field(examples=["620"])


@router.post("/places")
async def find_places(
    body: PlaceSearch,
    context: Context,
    _viewer: Annotated[Identity, Depends(Needs(Permission.PEOPLE_READ))],
) -> list[PlaceView]:
    """People, groups, queues, menus and the like with a number, the best fit first."""
    found = found_places(context.store.directory, body.search, body.target, body.limit)
    return [PlaceView.model_validate(place) for place in found]
