"""Somebody is rung to be told something: whoever answers hears it, and the other phones stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringback.call.application import Application
from ringback.call.bridge import Device, Line
from ringback.call.leg import Leg
from ringback.call.party import Party
from ringback.call.terms import Terms
from ringback.sip.uri import NameAddr

RING_S: Final = 60.0


class Alert(Application):
    """Rings all devices at once, and hangs up when what there is to say has been said; sans-IO."""

    def __init__(self, line: Line, sounds: Sequence[str]) -> None:
        self._line = line
        self._sounds = list(sounds)
        self._ringing: dict[int, Leg] = {}
        self._give_up_at = 0.0

    def ring(
        self, devices: Sequence[Device], to: NameAddr, from_: NameAddr, called: Party, now: float
    ) -> None:
        """Begin."""
        for device in devices:
            terms = Terms(headers=device.headers, route_set=device.route_set)
            leg = self._line.dial(device.contact, device.flow, to, from_, called, self, now, terms)
            self._ringing[leg.id] = leg
        self._give_up_at = now + RING_S
        self._line.wake(self._give_up_at, self)

    def connected(self, leg: Leg, now: float) -> None:
        """Say it to the first who answers."""
        if self._ringing.pop(leg.id, None) is None:
            leg.hangup(now)
            return
        self._stop(now, elsewhere=True)
        leg.play(self._sounds)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """It has been said."""
        if play == leg.playing:
            leg.hangup(now)

    def failed(self, leg: Leg, status: int, now: float) -> None:
        """A device does not answer."""
        del status, now
        self._ringing.pop(leg.id, None)

    def ended(self, leg: Leg, now: float) -> None:
        """A device is gone."""
        del now
        self._ringing.pop(leg.id, None)

    def expire(self, now: float) -> None:
        """Nobody answers."""
        if now >= self._give_up_at:
            self._stop(now, elsewhere=False)

    def _stop(self, now: float, *, elsewhere: bool) -> None:
        ringing, self._ringing = self._ringing, {}
        for leg in ringing.values():
            leg.hangup(now, elsewhere=elsewhere)
