"""What callers are told and asked: announcements and menus (IVR)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringback.store.plan.target import TargetText
from ringback.store.plan.value import Number, Title, Value

Words = Annotated[str, msgspec.Meta(max_length=1000, description="What a voice says.")]
Key = Annotated[str, msgspec.Meta(pattern=r"^[0-9*#]$")]


class Announcement(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is said, before the call goes on or ends."""

    title: Title = ""
    number: Number = ""
    words: Words
    then: TargetText = "hangup"


class Menu(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A menu: what it says, and where each key leads."""

    title: Title = ""
    number: Number = ""
    words: Words
    keys: Annotated[dict[Key, TargetText], msgspec.Meta(description="Where each key leads.")]
    dial_extensions: Annotated[
        bool, msgspec.Meta(description="Whether callers may dial an extension's number in place of a key.")
    ] = False
    wait_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 6
    tries: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    otherwise: Annotated[TargetText, msgspec.Meta(description="After too many wrong keys, or none.")] = (
        "hangup"
    )
