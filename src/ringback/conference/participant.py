"""A person in a meeting, or on the way into it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from ringback.conference.roles import Role

if TYPE_CHECKING:
    from ringback.call.leg import Leg


class Presence(Enum):
    """How far a participant has come; nothing of the room is heard or spoken before IN."""

    ARRIVING = "prompt"
    LOBBY = "lobby"
    IN = "in"
    GONE = "gone"


class Guidance(Protocol):
    """What steers a participant's leg: told by the room when others decide about the participant."""

    def admitted(self, now: float) -> None:
        """The host opens the door."""

    def refused(self, why: str, now: float) -> None:
        """The participant has to go, and hears why ("removed" or "ended", a prompt's name)."""

    def replaced(self, now: float) -> None:
        """The same person has come again by another call, which takes this one's place."""


@dataclass(slots=True, eq=False)
class Participant:
    """One seat: its leg, role, presence and what the person did. `since` is when it came IN (or arrived).

    `admitted` is who has been in before, and need not wait or find an open door again.
    """

    leg: Leg
    role: Role
    guidance: Guidance
    since: float
    presence: Presence = Presence.ARRIVING
    muted: bool = False
    hand: bool = False
    admitted: bool = False
    talking: bool = False
    level_dbfs: float = -100.0

    @property
    def id(self) -> str:
        """The participant's name in the API and on the command line; as stable as the leg."""
        return str(self.leg.id)
