"""A transfer under way: one party asked for it, the other waits for somebody else (RFC 5589)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.party import Party

if TYPE_CHECKING:
    from ringback.call.bridge import Bridge


class Handover(Protocol):
    """Who gave a connected leg away: told how it goes there, and takes the leg back when it fails."""

    @property
    def by(self) -> Party | None:
        """Who asked for it; None where the call only goes on."""

    def ringing(self, now: float) -> None:
        """Somebody is being rung."""

    def taken(self, now: float) -> None:
        """The leg has a new partner and does not come back."""

    def failed(self, status: int, now: float) -> None:
        """Nobody took it (a SIP status says why); it belongs to who gave it again."""


class Unasked:
    """Base of handovers that nobody asked for: nobody has to be told how it goes there."""

    @property
    def by(self) -> Party | None:
        """Nobody."""
        return None

    def ringing(self, now: float) -> None:
        """The leg hears that by itself."""

    def taken(self, now: float) -> None:
        """They talk."""


class Transfer:
    """Tells the transferor by NOTIFY, and ends its call when the other party is connected elsewhere."""

    def __init__(self, bridge: Bridge, transferor: Leg, remaining: Leg) -> None:
        self._bridge = bridge
        self._transferor = transferor
        self._remaining = remaining
        self._dialled = remaining.dialled
        self._rings = False

    @property
    def by(self) -> Party:
        """The transferor."""
        return self._transferor.party

    def ringing(self, now: float) -> None:
        """180 to the transferor, once."""
        if not self._rings:
            self._rings = True
            self._transferor.notify_refer(180, now)

    def taken(self, now: float) -> None:
        """200 to the transferor, whose part is over."""
        leg, there = self._remaining, self._remaining.application.call
        to = leg.dialled.reveal() if leg.dialled is not None else ""
        joined = there if there is not leg.call else None
        leg.call.note("transferred", now, by=self._transferor.party, to=to, call=joined)
        if joined is not None:
            joined.note("joined", now, by=self._transferor.party, call=leg.call)
        self._transferor.notify_refer(200, now)
        self._transferor.hangup(now, "Transferred")

    def failed(self, status: int, now: float) -> None:
        """The transferor hears why, and the call that there was goes on."""
        self._transferor.notify_refer(status, now)
        self._remaining.dialled = self._dialled
        self._bridge.take_back(self._remaining, now)


class Takeover(Application):
    """A call that takes the place of a leg in a bridge, as soon as its audio is agreed on (RFC 3891)."""

    def __init__(self, bridge: Bridge, replaced: Leg) -> None:
        self.call = replaced.call
        self._bridge = bridge
        self._replaced = replaced

    @property
    def media_room(self) -> int:
        """The bridge's."""
        return self._bridge.media_room

    def offered(self, leg: Leg, now: float) -> None:
        """Answer at once, if the place is still there."""
        if self._bridge.may_replace(self._replaced):
            leg.answer(now)
        else:
            leg.reject(481, now)

    def connected(self, leg: Leg, now: float) -> None:
        """Take the place."""
        if self._bridge.may_replace(self._replaced):
            leg.call.note("taken-over", now, by=leg.party)
            self._bridge.replace(self._replaced, leg, now)
        else:
            leg.hangup(now, "Nothing to replace")
