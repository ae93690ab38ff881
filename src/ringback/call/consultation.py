"""Transfers by key: who was sent on and may come back, who waits while a colleague is asked (RFC 5589)."""

from __future__ import annotations

from typing import Protocol

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.leg import Leg
from ringback.call.party import Party
from ringback.governance.private import Private


class Returns(Protocol):
    """Where somebody goes whom nobody took, when who sent it on has hung up."""

    def give_back(self, account: str | None, leg: Leg, now: float) -> None:
        """Ring the account's devices again for the leg."""


class SentOn:
    """A blind transfer by key, or one completed before the colleague answered.

    Who asked for it leaves as soon as somebody rings, and gets the other back when nobody answers: at once
    while still there, by a call after that.
    """

    def __init__(
        self, returns: Returns, account: str | None, transferor: Leg, remaining: Leg, bridge: Bridge | None
    ) -> None:
        """Without `bridge` the transferor is gone already."""
        self._returns = returns
        self._account = account
        self._transferor = transferor
        self._remaining = remaining
        self._bridge = bridge
        self._dialled = remaining.dialled

    @property
    def by(self) -> Party | None:
        """The transferor."""
        return self._transferor.party

    def ringing(self, now: float) -> None:
        """The number is a good one: the transferor's part is over."""
        self._transferor.hangup(now, "Transferred")

    def taken(self, now: float) -> None:
        """The other has a new partner."""
        to = self._remaining.dialled.reveal() if self._remaining.dialled is not None else ""
        self._remaining.call.note("transferred", now, by=self._transferor.party, to=to)
        self._transferor.hangup(now, "Transferred")

    def failed(self, status: int, now: float) -> None:
        """Nobody takes the other."""
        self._remaining.dialled = self._dialled
        if self._bridge is not None and not self._transferor.over:
            self._bridge.take_back(self._remaining, now)
            self._transferor.play(["tone:error"])
        else:
            self._returns.give_back(self._account, self._remaining, now)


class Consultation:
    """One of two asks a third, while the other hears music: `waiting` stays in `bridge`, `leg` is away."""

    def __init__(self, returns: Returns, bridge: Bridge, leg: Leg, waiting: Leg, number: str) -> None:
        self.leg = leg
        self.waiting = waiting
        self.over = False
        self._returns = returns
        self._bridge = bridge
        self._number = Private(number)

    # As the handover of who asks

    @property
    def by(self) -> Party | None:
        """It calls for itself."""
        return None

    def ringing(self, now: float) -> None:
        """It hears that by itself."""

    def taken(self, now: float) -> None:
        """They talk."""

    def failed(self, status: int, now: float) -> None:
        """The third does not answer: back to the first."""
        self.over = True
        self._bridge.take_back(self.leg, now)
        self.leg.play(["tone:error"])

    # How it ends

    @property
    def third(self) -> Application:
        """What the third is reached by."""
        return self.leg.application

    @property
    def waits(self) -> bool:
        """Whether the other is still there: it may have gone back to somebody who waits for it in turn."""
        return not self.waiting.over and self.waiting.application is self._bridge

    def back(self, now: float) -> None:
        """Leave the third and talk with the first again."""
        self.over = True
        self.third.release(self.leg, now)
        self._bridge.take_back(self.leg, now)

    def left_by_third(self, now: float) -> None:
        """The third has hung up: back to the first."""
        self.over = True
        third = self.third
        if isinstance(third, Bridge):
            third.let_go(self.leg)
        self._bridge.take_back(self.leg, now)

    def complete(self, now: float) -> bool:
        """Who asked has hung up: the two others are connected, or will be. False where that cannot be."""
        third = self.third
        if not isinstance(third, Bridge) or not third.has_partner(self.leg):
            return False
        self.over = True
        self._bridge.let_go(self.waiting)
        account = self.leg.party.account
        way = None
        if third.partner(self.leg) is None:
            way = SentOn(self._returns, account, self.leg, self.waiting, None)
        else:
            self.waiting.call.note("transferred", now, by=self.leg.party, to=self._number.reveal())
        third.replace(self.leg, self.waiting, now, way)
        self.waiting.dialled = self._number
        return True

    def pass_on(self, now: float) -> None:
        """Who asked is hanging up in a queue or a mailbox: the waiting one goes on there, if that can be."""
        if not self.third.stand_in(self.leg, self.waiting, now):
            return
        self.over = True
        self._bridge.let_go(self.waiting)
        self.waiting.call.note("transferred", now, by=self.leg.party, to=self._number.reveal())
        self.waiting.dialled = self._number

    def abandoned(self, now: float) -> None:
        """Who asked has hung up while it talked with nobody: the first comes back to it by a call."""
        self.over = True
        if self.waits:
            self._bridge.let_go(self.waiting)
            self._returns.give_back(self.leg.party.account, self.waiting, now)

    def joined(self) -> list[Leg] | None:
        """All three, let go by what they are connected to; None while the third does not talk yet."""
        third = self.third
        other = third.partner(self.leg) if isinstance(third, Bridge) else None
        if not isinstance(third, Bridge) or other is None:
            return None
        self.over = True
        for bridge, leg in ((third, self.leg), (third, other), (self._bridge, self.waiting)):
            bridge.let_go(leg)
        return [self.leg, other, self.waiting]
