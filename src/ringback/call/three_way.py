"""Three who talk with each other, after a call of two and a consultation; two who are left talk on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Line
from ringback.call.leg import Leg


class RoomLine(Line, Protocol):
    """What it asks of the switchboard."""

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        """Play sounds once to everybody in the media room."""


class ThreeWay(Application):
    """Joins legs in one media room; sans-IO."""

    def __init__(self, line: RoomLine, legs: Sequence[Leg], room: int) -> None:
        """The legs are connected, and their applications have let them go."""
        self.legs = list(legs)
        self._line = line
        self._room = room
        for leg in self.legs:
            leg.application = self
            leg.stop_play()
            leg.mute(leg.on_hold)
            if leg.room != room:
                leg.join(room)
        line.play_to_room(room, ["tone:entry"])

    @property
    def media_room(self) -> int:
        """Where they are."""
        return self._room

    def let_go(self, leg: Leg) -> None:
        """Forget a connected leg, which goes on elsewhere."""
        self.legs = [other for other in self.legs if other is not leg]
        leg.leave_room()

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Keys are for us alone: with two others there is nobody whom they are meant for."""
        if self._line.in_call is not None:
            self._line.in_call.keyed(self, leg, None, digit, now)

    def held(self, leg: Leg, on_hold: bool, now: float) -> None:
        """What the phone of who holds plays is not for the others."""
        leg.mute(on_hold)

    def ended(self, leg: Leg, now: float) -> None:
        """One went: the two others talk on."""
        self.legs = [other for other in self.legs if other is not leg and not other.over]
        if len(self.legs) == 2:
            one, other = self.legs
            Bridge.between(self._line, one, other, self._room, now)
        elif len(self.legs) == 1:
            self.legs[0].hangup(now)
