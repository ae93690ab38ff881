"""Pickup: somebody takes a call that rings at another's phone."""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.leg import Leg
from ringback.call.transfer import Handover

Ringing = Callable[[], Leg | None]
"""The leg to a device that rings and whose call may be taken, as it is now."""


class PickUp(Application):
    """Takes the call that rings when the taker is connected."""

    def __init__(self, ringing: Ringing) -> None:
        self._ringing = ringing
        rings = ringing()
        self.call = rings.call if rings is not None else None

    def offered(self, leg: Leg, now: float) -> None:
        """Answer, if something rings."""
        if self._ringing() is None:
            leg.reject(404, now, "Nothing rings there")
        else:
            leg.answer(now)

    def take_over(self, leg: Leg, handover: Handover, now: float) -> None:
        """Somebody is transferred to the call that rings."""
        if self._ringing() is None:
            handover.failed(404, now)
        else:
            handover.taken(now)
            self.connected(leg, now)

    def connected(self, leg: Leg, now: float) -> None:
        """Take the call."""
        ringing = self._ringing()
        bridge = ringing.application if ringing is not None else None
        if ringing is not None and isinstance(bridge, Bridge):
            bridge.pick_up(ringing, leg, now)
        else:
            leg.hangup(now, "Nothing rings there")
