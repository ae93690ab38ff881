"""Several people behind one number: hunt groups, which ring, and queues, in which callers wait."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ringback.store.plan.target import TargetText
from ringback.store.plan.value import ExtensionNumber, Number, Title, Value

Strategy = Literal["all", "in-order", "round-robin"]


class Group(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hunt group: its members' phones ring all at once, one after the other, or beginning with the next.

    Who does not want to be disturbed is left out; where members forward calls does not matter here.
    """

    title: Title = ""
    number: Number = ""
    members: tuple[ExtensionNumber, ...] = ()
    strategy: Strategy = "all"
    ring_s: Annotated[
        int, msgspec.Meta(ge=5, le=300, description="How long all ring, or one member before the next.")
    ] = 20
    rounds: Annotated[
        int, msgspec.Meta(ge=1, le=10, description="How often the members are gone through.")
    ] = 1
    otherwise: Annotated[TargetText, msgspec.Meta(description="When nobody answers.")] = ""


class Queue(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A queue: callers hear music and their place, and come to the next free agent in the order they came."""

    title: Title = ""
    number: Number = ""
    agents: tuple[ExtensionNumber, ...] = ()
    strategy: Strategy = "round-robin"
    ring_s: Annotated[int, msgspec.Meta(ge=5, le=120)] = 20
    wrap_up_s: Annotated[
        int, msgspec.Meta(ge=0, le=3600, description="How long an agent is left alone after a call.")
    ] = 10
    max_waiting: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 50
    max_wait_s: Annotated[int, msgspec.Meta(ge=0, le=7200, description="0: as long as they like.")] = 600
    announce_every_s: Annotated[
        int, msgspec.Meta(ge=0, le=600, description="How often callers hear their place; 0: never.")
    ] = 45
    leave_by: Annotated[
        str, msgspec.Meta(pattern=r"^[0-9*#]?$", description="The key with which callers go to `otherwise`.")
    ] = ""
    otherwise: Annotated[
        TargetText,
        msgspec.Meta(description="For who is too many, waited too long, or leaves by key; nobody there."),
    ] = ""
