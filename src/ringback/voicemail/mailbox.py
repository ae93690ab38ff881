"""What a mailbox is to those on the phone: greetings, messages, and what is being said into it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, get_args

import msgspec

from ringback.governance.private import Private

Rate = Literal[8000, 16000]
GreetingKind = Literal["no-answer", "busy", "away", "name"]
GREETINGS: Final[tuple[GreetingKind, ...]] = get_args(GreetingKind)
MessageState = Literal["new", "old", "saved"]
VoiceKind = Literal["message", "greeting"]


class Voice(msgspec.Struct, frozen=True):
    """Something that was said, in the vault: 16-bit samples at `rate`; beyond `length_ms` nobody listens."""

    id: str
    rate: Rate
    length_ms: int


class Message(msgspec.Struct, frozen=True):
    """A message for somebody; `caller` is empty where the number was not known."""

    id: str
    voice: Voice
    received_at: datetime
    caller: Private[str]
    urgent: bool = False
    state: MessageState = "new"


class Box(msgspec.Struct, frozen=True):
    """The mailbox of an extension, as long as the same person holds it."""

    id: str
    extension: str
    has_pin: bool = False
    full: bool = False
    max_message_s: int = 180
    operator: str = ""
    """Where `0` leads, as the plan writes targets; empty: nowhere."""
    trusts_own_phone: bool = False
    greetings: Mapping[GreetingKind, Voice] = MappingProxyType({})


_RANK: Final[Mapping[MessageState, int]] = MappingProxyType({"new": 0, "old": 1, "saved": 2})


def in_order(messages: list[Message]) -> list[Message]:
    """As they are listened to: new ones first, urgent ones first among these, then by age."""
    return sorted(messages, key=lambda one: (_RANK[one.state], not one.urgent, one.received_at, one.id))
