"""What may be stored of voices: mailboxes, and recording by policy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ringback.store.plan.target import TargetText
from ringback.store.plan.value import ExtensionNumber, Title, Value


class MailboxPlan(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An extension has a mailbox; named by its number. PIN and messages are kept elsewhere, sealed."""

    e_mail: Annotated[
        str, msgspec.Meta(max_length=200, description="Who is told of a message; empty: nobody.")
    ] = ""
    tell: Annotated[
        Literal["notice", "audio"], msgspec.Meta(description="A notice holds neither voice nor number.")
    ] = "notice"
    operator: Annotated[
        TargetText, msgspec.Meta(description="Where 0 leads while a message is left; empty: nowhere.")
    ] = ""
    trust_own_phone: Annotated[
        bool,
        msgspec.Meta(description="Whether the extension's own phones hear messages without the PIN."),
    ] = False
    max_messages: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    max_message_s: Annotated[int, msgspec.Meta(ge=10, le=900)] = 180
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=3650, description="0: until deleted.")] = 90


class RecordingPolicy(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose calls are recorded. Of several that apply to a call the strictest counts, from off, opt-in and
    opt-out to always.

    Nothing is recorded before `approved_by` is set by somebody else than who wrote it.
    """

    title: Title = ""
    extensions: tuple[ExtensionNumber, ...] = ()
    groups: Annotated[tuple[str, ...], msgspec.Meta(description="Names of groups and queues.")] = ()
    everybody: bool = False
    direction: Literal["internal", "inbound", "outbound", "all"] = "all"
    mode: Literal["off", "opt-in", "opt-out", "always"] = "opt-out"
    notice: Annotated[str, msgspec.Meta(max_length=300, description="What every side hears first.")] = (
        "This call is recorded. Press 9 if you do not want that."
    )
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 90
    players: Annotated[tuple[str, ...], msgspec.Meta(description="Roles of the system that may play it.")] = (
        "auditor",
    )
    approved_by: str = ""
