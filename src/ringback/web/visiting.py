"""What the web needs from the running system for those who come by a meeting's link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ringback.governance.private import Private
from ringback.store.directory import Meeting
from ringback.web.operations import OperationError, Participant

Act = Literal[
    "mute",
    "unmute",
    "hand",
    "lower",
    "leave",
    "admit",
    "admit_all",
    "mute_other",
    "remove",
    "lock",
    "unlock",
]


class NotAllowedError(OperationError):
    """Only hosts may do this."""

    status = 403


class TooManyError(OperationError):
    """Too many visits already."""

    status = 503


@dataclass(frozen=True, slots=True)
class NewVisit:
    """A visit as it begins: its id, the secret for the API, and the account for SIP."""

    id: str
    secret: Private[str]
    password: Private[str]
    realm: str
    expires_in_s: float
    name: str


@dataclass(frozen=True, slots=True)
class You:
    """The visitor: `participant` is None while no call is in the meeting; `why` what ended the last one."""

    name: str
    role: Literal["host", "guest"]
    state: Literal["outside", "prompt", "lobby", "in"]
    participant: str | None = None
    muted: bool = False
    hand: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RoomPicture:
    """Everybody in a meeting at one moment; all who look at that moment get the same object."""

    locked: bool = False
    present: tuple[Participant, ...] = ()
    waiting: tuple[Participant, ...] = ()


@dataclass(frozen=True, slots=True)
class VisitState:
    """What a visitor may see; who is not in sees nobody, and only hosts see who waits."""

    you: You
    room: RoomPicture


class Visiting(Protocol):
    """Visits in the running system. None of the methods waits.

    Visits are named by their id; `knows` is asked first, so that the others need not be told the secret.
    """

    def open(
        self,
        meeting: Meeting,
        role: Literal["host", "guest"],
        name: str,
        source: str,
        seat: Private[str] | None,
    ) -> NewVisit:
        """Let somebody with a right link in as far as the door; raises TooManyError."""

    def knows(self, visit: str, secret: Private[str]) -> bool:
        """Whether there is such a visit with this secret."""

    def renew(self, visit: str) -> float:
        """Begin its time anew; seconds until it is over."""

    def state(self, visit: str) -> VisitState | None:
        """What its visitor may see now; None when it is over."""

    def changed(self, visit: str) -> asyncio.Event:
        """Set when something in its meeting changes after this call."""

    def act(self, visit: str, act: Act, participant: str | None) -> None:
        """Do what the visitor asks for; raises one of the OperationErrors."""


class SipDoor(Protocol):
    """Where SIP messages of pages go; implemented by the server. None of the methods waits."""

    def connected(
        self,
        remote: tuple[str, int],
        secure: bool,
        send: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> int | None:
        """A page has connected: the number of its connection, None when there are too many already.

        `send` and `close` never wait and may be called at any time.
        """

    def received(self, connection: int, data: bytes) -> None:
        """A message, or a keep-alive, came."""

    def closed(self, connection: int) -> None:
        """The connection is gone."""
