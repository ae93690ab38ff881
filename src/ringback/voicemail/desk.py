"""What the phone side of voicemail asks of the server: mailboxes, the vault, recordings. None of it waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.governance.private import Private
from ringback.voicemail.mailbox import Box, GreetingKind, Message, MessageState, Voice, VoiceKind


class Shut(Enum):
    """Why a mailbox stays shut."""

    WRONG = "the PIN is wrong, or there is no mailbox or no PIN"
    AWAY = "what is kept of it cannot be read now"


class Listener(Protocol):
    """Told of a recording that it began."""

    def speaking(self, speaks: bool, now: float) -> None:
        """Somebody begins to speak, or stops."""

    def over(self, voice: Voice | None, now: float) -> None:
        """The file is complete; None: it could not be made."""


class Alarm(Protocol):
    """Asks for `Application.expire` at a time."""

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""


class Desk(Protocol):
    """`then` is called once, later, with what came of it and the time; never from within the call."""

    def box(self, extension: str) -> Box | None:
        """The mailbox of an extension as it is now; None if it has none."""

    def local(self, at: datetime | None = None) -> datetime:
        """A time as clocks on the wall show it; None is now."""

    def play(self, leg: Leg, voice: Voice, from_ms: int = 0) -> int:
        """Play a voice of the vault to a leg, as `Leg.play`."""

    def reserve(
        self, leg: Leg, box: Box, kind: VoiceKind, then: Callable[[Voice | None, float], None]
    ) -> None:
        """A place in the vault for what a leg is going to say; None if that cannot be kept now."""

    def record(self, leg: Leg, voice: Voice, listener: Listener) -> None:
        """Record what a leg says, alone in a room, into its place in the vault."""

    def stop(self, voice: Voice) -> None:
        """End a recording; the listener is told by `over`."""

    def drop(self, voice: Voice) -> None:
        """A place or what was recorded there is not wanted; a recording is over before."""

    def deliver(self, voice: Voice, box: Box, *, urgent: bool, then: Callable[[bool, float], None]) -> None:
        """Make a message of what was recorded; True once it is on the disk and in the database."""

    def greet(
        self, box: Box, kind: GreetingKind, voice: Voice | None, then: Callable[[bool, float], None]
    ) -> None:
        """Use what was recorded as a greeting; None takes the greeting away."""

    def open(
        self, extension: str, pin: Private[str] | None, then: Callable[[Box | Shut, float], None]
    ) -> None:
        """The mailbox, for a right PIN; without one it is opened for who has proved to be its holder."""

    def choose_pin(self, box: Box, pin: Private[str], then: Callable[[bool, float], None]) -> None:
        """Keep another PIN; False for one that would be guessed first."""

    def messages(self, box: Box, then: Callable[[list[Message], float], None]) -> None:
        """What lies in the mailbox, in the order in which it is listened to."""

    def mark(self, message: Message, state: MessageState) -> None:
        """Keep that a message was heard, or is to be saved."""

    def delete(self, messages: list[Message]) -> None:
        """Delete messages for good."""
