"""The end of a call in which nobody is left to talk to: a tone says so, then it is hung up."""

from __future__ import annotations

from typing import Final

from ringback.call.application import Application
from ringback.call.leg import Leg

_TONE: Final = ["tone:busy"] * 4


class Farewell(Application):
    """Says by the busy tone that the call went nowhere, for four seconds."""

    def offered(self, leg: Leg, now: float) -> None:
        """Who has not been answered yet is refused."""
        leg.reject(480, now)

    def connected(self, leg: Leg, now: float) -> None:
        """Let the tone be heard."""
        leg.play(_TONE)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """Nothing more is to be heard."""
        if play == leg.playing:
            leg.hangup(now, "Nobody to talk to")
