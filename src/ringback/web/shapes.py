"""What all shapes of the API share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

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
