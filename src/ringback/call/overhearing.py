"""What a part that follows all conversations is told, whatever the legs are connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from ringback.call.leg import Leg


class Overhearing(Protocol):
    """Told by the switchboard before the leg's application is."""

    def may_record(self, leg: Leg, room: int) -> bool:
        """Whether a leg that is about to join a media room may be in its recording from its first sample."""

    def moved(self, leg: Leg) -> None:
        """A leg is connected, has joined a media room or left one, or is on hold or not any more.

        What follows from that waits for `settle`.
        """

    def settle(self, now: float) -> None:
        """An input has run to its end."""

    def digit(self, leg: Leg, digit: str, now: float) -> bool:
        """A key was pressed; True where it was meant for this part, and nobody else is to know."""

    def play_ended(
        self,
        leg: Leg,
        play: int,
        reason: Literal["finished", "stopped", "replaced", "digit"],
        now: float,
    ) -> bool:
        """What was played to a leg has ended; True where it was this part's."""
