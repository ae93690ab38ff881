"""What all values of the plan share: a name that others refer to, and strict fields."""

from __future__ import annotations

from typing import Annotated

import msgspec

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="What others refer to it by: small letters, digits and dashes.",
        examples=["sales"],
    ),
]
Title = Annotated[str, msgspec.Meta(max_length=80, description="What people see.")]
Number = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([1-9][0-9]{1,5})?$",
        description="The number that leads here, 2 to 6 digits; empty: only other parts of the plan do.",
    ),
]
ExtensionNumber = Annotated[
    str, msgspec.Meta(pattern=r"^[1-9][0-9]{1,5}$", description="An extension's number.", examples=["1001"])
]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all kinds. Where a value belongs to an extension, its name is the extension's number."""

    name: Name
