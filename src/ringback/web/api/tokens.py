"""/api/v1/tokens and the administrator's one-time link: ways into the API."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.shapes import Body, View
from ringback.web.views import TokenView, TokenWithSecret, new_token_view, token_view

router = APIRouter(prefix=API, tags=["tokens"], responses=PROBLEMS)

TokensReader = Annotated[Identity, Depends(Needs(Permission.TOKENS_READ))]
TokensWriter = Annotated[Identity, Depends(Needs(Permission.TOKENS_WRITE))]
AdministratorsWriter = Annotated[Identity, Depends(Needs(Permission.ADMINISTRATORS_WRITE))]


class NewToken(Body):
    """A token to be made."""

    role: Literal["admin", "helpdesk", "auditor", "user"]
    name: str = Field("", description="What it is for.", examples=["ticket system"])
    valid_days: int | None = Field(None, ge=1, le=3650, description="Left out: until it is revoked.")


class SetupLink(View):
    """Where an administrator chooses a password; works once, for 24 hours."""

    link: str = Field(examples=["http://127.0.0.1:8080/setup#Jt3f..."])


class NewLink(Body):
    """For whom the link is; the administrator is created if there is none with that name."""

    name: str = "admin"


@router.get("/tokens")
async def list_tokens(context: Context, _viewer: TokensReader) -> list[TokenView]:
    """All tokens, without what they are."""
    return [token_view(token) for token in context.store.tokens.all()]


@router.post("/tokens", status_code=201)
async def add_token(body: NewToken, context: Context, _viewer: TokensWriter) -> TokenWithSecret:
    """Make a token; it is shown this once."""
    token, secret = await context.store.tokens.add(body.role, name=body.name, valid_days=body.valid_days)
    return new_token_view(token, secret)


@router.delete("/tokens/{token_id}", status_code=204, response_class=Response)
async def revoke_token(token_id: str, context: Context, _viewer: TokensWriter) -> None:
    """Make a token useless from now on."""
    await context.store.tokens.revoke(token_id)


@router.post("/administrators/link", status_code=201, tags=["administrators"])
async def new_link(body: NewLink, context: Context, _viewer: AdministratorsWriter) -> SetupLink:
    """Make a one-time link with which an administrator chooses a new password; older links end."""
    secret = await context.store.logins.administrator_link(body.name)
    return SetupLink(link=context.links.setup(secret))
