"""What the switchboard asks of the outside: media commands and news, beside Transmit."""

from __future__ import annotations

import msgspec

from ringback.media.protocol import Command
from ringback.sip.effects import Transmit
from ringback.sip.flow import Flow


class ToMedia(msgspec.Struct, frozen=True, gc=False):
    """Give a command to the media engine."""

    command: Command


class KeepOpen(msgspec.Struct, frozen=True, gc=False):
    """Keep the connection of this flow though it is silent: a call goes on over it."""

    flow: Flow


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something happened that people may watch: for the event stream and the log. Carries no private data."""

    kind: str
    facts: dict[str, object] = msgspec.field(default_factory=dict)


class Fault(msgspec.Struct, frozen=True):
    """A broken invariant that cost one call: what to log."""

    leg: int | None
    error: BaseException


Outgoing = Transmit | ToMedia | KeepOpen | Notice | Fault
