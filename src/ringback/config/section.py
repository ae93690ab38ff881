"""What all sections of the settings share: frozen, strict, and errors that do not repeat what was given."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def table(value: object) -> object:
    """A table that comes by the environment is JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("must be a table; in the environment it is written as JSON") from None
    return value
