"""What all shapes of the API share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ringback.governance.private import Private, mask_number
from ringback.governance.roles import Identity, Permission


class View(BaseModel):
    """Base of what comes back."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Body(BaseModel):
    """Base of what is sent; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def shown_number(number: Private[str] | None, viewer: Identity) -> str | None:
    """A number as the viewer may see it."""
    if number is None:
        return None
    text = number.reveal()
    return text if viewer.may(Permission.NUMBERS_READ) else mask_number(text)


class Search(Body):
    """What is looked for, and which page of it. Never in a URL: it may be a name or a number."""

    search: str = Field(default="", max_length=200, description="A text somewhere in it.")
    after: str = Field(default="", max_length=64, description="`next` of the page before.")
    limit: int = Field(default=100, ge=1, le=10_000)
