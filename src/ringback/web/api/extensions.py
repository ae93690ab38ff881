"""/api/v1/extensions: the numbers that devices register to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.store.directory import Digest
from ringback.store.errors import InvalidError
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, ForGood, Needs, who
from ringback.web.kept_out import KeptOut
from ringback.web.shapes import Body, Search
from ringback.web.views import ExtensionsView, ExtensionView, ExtensionWithPassword

router = APIRouter(prefix=f"{API}/extensions", tags=["extensions"], responses=PROBLEMS)

ExtensionsReader = Annotated[Identity, Depends(Needs(Permission.EXTENSIONS_READ))]
ExtensionsWriter = Annotated[Identity, Depends(Needs(Permission.EXTENSIONS_WRITE))]


_DIGEST = "What its devices log in with (RFC 8760); many phones know md5 only."


class NewExtension(Body):
    """An extension to be added."""

    number: str = Field(description="2 to 6 digits.", examples=["1001"])
    display_name: str = Field("", examples=["Ada Example"])
    person_id: str | None = None
    password: str | None = Field(None, description="Left out: a good one is made and returned, this once.")
    digest: Digest = Field("md5", description=_DIGEST)


class ExtensionChange(Body):
    """What is left out stays as it is; `person_id` null takes the extension from its holder."""

    display_name: str | None = None
    person_id: str | None = None
    enabled: bool | None = Field(None, description="A disabled extension cannot register, call or be called.")
    digest: Digest | None = Field(None, description=_DIGEST)


class NewPassword(Body):
    """Another password."""

    password: str | None = Field(None, description="Left out: a good one is made and returned, this once.")


@router.get("", dependencies=[Depends(KeptOut("search", "after", instead=f"{API}/extensions/search"))])
async def list_extensions(
    response: Response,
    context: Context,
    _viewer: ExtensionsReader,
    limit: Annotated[int | None, Query(ge=1, le=10_000, description="Left out: all.")] = None,
) -> list[ExtensionView]:
    """Extensions by number; the header X-Total-Count says how many there are."""
    found = context.store.extensions.all()
    response.headers["X-Total-Count"] = str(len(found))
    return [ExtensionView.of(extension, context.links) for extension in found[:limit]]


@router.post("/search")
async def search_extensions(body: Search, context: Context, _viewer: ExtensionsReader) -> ExtensionsView:
    """Extensions by number, those with `search` in number or name."""
    wanted = body.search.strip().casefold()
    found = [
        extension
        for extension in context.store.extensions.all()
        if not wanted or wanted in extension.number or wanted in extension.display_name.casefold()
    ]
    if body.after and not body.after.isdecimal():
        raise InvalidError("after is the number that `next` of the page before says")
    rest = [extension for extension in found if int(extension.number) > int(body.after or 0)]
    shown = rest[: body.limit]
    return ExtensionsView(
        items=[ExtensionView.of(extension, context.links) for extension in shown],
        total=len(found),
        next=shown[-1].number if len(rest) > len(shown) else None,
    )


@router.post("", status_code=201)
async def add_extension(
    body: NewExtension, context: Context, _viewer: ExtensionsWriter
) -> ExtensionWithPassword:
    """Add an extension."""
    extension, password = await context.store.extensions.add(
        body.number,
        display_name=body.display_name,
        password=None if body.password is None else Private(body.password),
        person_id=body.person_id,
        digest=body.digest,
    )
    return ExtensionWithPassword.shown(extension, password, context.links)


@router.get("/{number}")
async def get_extension(number: str, context: Context, _viewer: ExtensionsReader) -> ExtensionView:
    """One extension."""
    return ExtensionView.of(context.store.extensions.get(number), context.links)


@router.patch("/{number}")
async def change_extension(
    number: str,
    body: ExtensionChange,
    context: Context,
    viewer: ExtensionsWriter,
) -> ExtensionView:
    """Change an extension."""
    changed = await context.store.extensions.change(
        number,
        display_name=body.display_name,
        enabled=body.enabled,
        person_id=body.person_id,
        no_person="person_id" in body.model_fields_set and body.person_id is None,
        digest=body.digest,
        by=who(viewer),
    )
    return ExtensionView.of(changed, context.links)


@router.post("/{number}/password")
async def set_password(
    number: str, body: NewPassword, context: Context, _viewer: ExtensionsWriter
) -> ExtensionWithPassword:
    """Give an extension another password; its devices need it from then on."""
    given = None if body.password is None else Private(body.password)
    password = await context.store.extensions.set_password(number, given)
    return ExtensionWithPassword.shown(context.store.extensions.get(number), password, context.links)


@router.delete("/{number}", status_code=204, response_class=Response)
async def remove_extension(
    number: str, context: Context, viewer: ExtensionsWriter, for_good: ForGood = False
) -> None:
    """Delete an extension with its devices and its mailbox."""
    await context.store.extensions.remove(number, who(viewer), for_good=for_good)
