"""What the switchboard asks of the outside: media commands and news, beside Transmit."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.media.protocol import Command
from ringback.sip.effects import Transmit
from ringback.sip.flow import Flow


@dataclass(frozen=True, slots=True)
class ToMedia:
    """Give a command to the media engine."""

    command: Command


@dataclass(frozen=True, slots=True)
class KeepOpen:
    """Keep the connection of this flow though it is silent: a call goes on over it."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened that people may watch: for the event stream and the log. Carries no private data."""

    kind: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken invariant that cost one call: what to log."""

    leg: int | None
    error: BaseException


Outgoing = Transmit | ToMedia | KeepOpen | Notice | Fault
