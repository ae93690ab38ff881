"""What the sans-IO part of an agent wants done or has to tell."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.agent.events import CallEvent
from ringback.agent.registration import RegistrationChanged
from ringback.media.protocol import Command
from ringback.sip.effects import Transmit


@dataclass(frozen=True, slots=True)
class ToMedia:
    """A command to the engine."""

    command: Command


@dataclass(frozen=True, slots=True)
class CallArrived:
    """Somebody calls us; the call rings."""

    call: int


@dataclass(frozen=True, slots=True)
class Told:
    """Something happened in a call."""

    call: int
    event: CallEvent


@dataclass(frozen=True, slots=True)
class PlayOver:
    """What was being played in a call ended."""

    call: int
    play: int


@dataclass(frozen=True, slots=True)
class MediaGone:
    """The engine has closed the call's leg: nothing more is heard or counted."""

    call: int


Output = Transmit | ToMedia | CallArrived | Told | PlayOver | MediaGone | RegistrationChanged
