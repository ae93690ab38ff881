"""The ways out: which numbers go by which trunks, when and for whom; and numbers that are blocked."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ringback.store.plan.value import Name, Title, Value

Pattern = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\+?[0-9XZN*#]*(\[[0-9-]+\][0-9XZN*#]*)*\.?)$",
        max_length=40,
        description="Digits, X (0-9), Z (1-9), N (2-9), [2-5], and a dot at the end for whatever follows.",
        examples=["+1NXXNXXXXXX", "00."],
    ),
]


class Route(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way out: the first in the order of `priority`, then of the longest pattern, then of the name, counts.

    Numbers are compared as they are dialled, and in E.164 form by `routing.country` of the settings.
    """

    title: Title = ""
    patterns: tuple[Pattern, ...]
    trunks: Annotated[
        tuple[str, ...], msgspec.Meta(description="Names of trunks, tried one after the other.")
    ]
    priority: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100
    roles: Annotated[
        tuple[Name, ...], msgspec.Meta(description="For people of these roles; empty: all.")
    ] = ()
    hours: Annotated[str, msgspec.Meta(description="Only while these hours are open; empty: always.")] = ""
    strip: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0
    prepend: Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9*#]{0,20}$")] = ""
    e164: Annotated[
        bool, msgspec.Meta(description="Send the number in E.164 form, before strip and prepend.")
    ] = False
    caller_id: Annotated[str, msgspec.Meta(pattern=r"^(\+?[0-9]{2,20})?$")] = ""
    enabled: bool = True


class Blocked(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers that nobody may call, or whose calls are refused. Emergency numbers cannot be blocked."""

    title: Title = ""
    patterns: tuple[Pattern, ...]
    direction: Literal["in", "out", "both"] = "both"
    until: Annotated[
        str,
        msgspec.Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="Last day; empty: for good."),
    ] = ""
