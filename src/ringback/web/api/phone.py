"""/api/v1/phone: how a page becomes a phone of one's own extension."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field

from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, OwnSession, host_of, identity_of
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
