"""What is wanted of desk phones."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringback.store.plan.value import Title, Value


class Firmware(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The firmware that phones of a model should run; the words of its name are the model, as yealink-t46u.

    It counts in place of what the settings say of the same model.
    """

    title: Title = ""
    version: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[0-9]{1,6}(\.[0-9]{1,8}){1,5}$",
            description="As the phone says it, e.g. 108.86.0.70.",
            examples=["108.86.0.70"],
        ),
    ]
