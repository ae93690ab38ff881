"""How an extension answers: do not disturb, forwarding, call waiting; and what its holder may call."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringback.store.plan.target import TargetText
from ringback.store.plan.value import Title, Value


class Answering(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of calls to one extension; named by its number. Without one its devices ring.

    Precedence: `always` comes first, then `do_not_disturb` (as if busy), then the devices, then `busy`,
    `unreachable` or `no_answer`, then the extension's mailbox if it has one, then a refusal.
    """

    always: TargetText = ""
    busy: TargetText = ""
    no_answer: TargetText = ""
    unreachable: TargetText = ""
    no_answer_after_s: Annotated[int, msgspec.Meta(ge=5, le=120)] = 20
    do_not_disturb: bool = False
    call_waiting: Annotated[
        bool, msgspec.Meta(description="Whether a second call rings while one is under way.")
    ] = True


class Role(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people of one kind may call beside emergency and internal numbers, and what is shown outside."""

    title: Title = ""
    classes: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Classes of numbers (`routing.classes` of the settings) that may be called."
        ),
    ] = ("national",)
    caller_id: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(\+?[0-9]{2,20})?$",
            description="The number shown outside in place of the trunk's; empty: the trunk decides.",
        ),
    ] = ""
    forward_outside: Annotated[
        bool, msgspec.Meta(description="Whether calls to them may be forwarded to numbers outside.")
    ] = False
    night_switch: Annotated[
        bool, msgspec.Meta(description="Whether they may switch hours by hand, by dialling `*28`.")
    ] = True
