"""Emergency calls: where people are, and who is told."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringback.store.plan.value import ExtensionNumber, Title, Value


class Location(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place that help can be sent to."""

    title: Title = ""
    address: Annotated[str, msgspec.Meta(max_length=300, description="Street, number, town.")]
    details: Annotated[str, msgspec.Meta(max_length=200, description="Building, floor, room.")] = ""
    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")] = "US"
    callback: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(\+?[0-9]{2,20})?$", description="Number to call back; empty: the caller's own."
        ),
    ] = ""
    trunks: Annotated[
        tuple[str, ...], msgspec.Meta(description="By which to call; empty: all that go out.")
    ] = ()
    tell: Annotated[
        tuple[ExtensionNumber, ...], msgspec.Meta(description="Extensions that are rung and told.")
    ] = ()
    e_mail: Annotated[tuple[str, ...], msgspec.Meta(description="Addresses that are written to.")] = ()


class EmergencyTest(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Test mode: emergency calls of these extensions go to `target`, and say that they are tests."""

    extensions: tuple[ExtensionNumber, ...]
    target: Annotated[
        str, msgspec.Meta(description="An extension, or a number outside.", pattern=r"^\+?[0-9]{2,20}$")
    ]
