"""Parked calls: each in a slot, where its caller hears music until somebody dials the slot, or comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Line
from ringback.call.leg import Leg
from ringback.call.records import tell_of_pickup
from ringback.call.transfer import Handover, Unasked
from ringback.governance.private import Private

BACK_AFTER_S: Final = 120.0

ComeBack = Callable[[str, Leg, str, float], Application | None]
"""`(account, leg, label, now)`: what rings the account's devices for `leg`, whose name is shown behind the
label; None where that account can be called no more."""


class Lot(Line, Protocol):
    """What parking asks of the switchboard."""

    media_rooms: count[int]

    def tell(self, kind: str, **facts: object) -> None:
        """Say what happened; no private data."""

    def touch(self, account: str) -> None:
        """Who watches this slot is to be told."""


class ParkingLot:
    """The slots; sans-IO."""

    def __init__(
        self, line: Lot, slots: Sequence[str], come_back: ComeBack, back_after_s: float = BACK_AFTER_S
    ) -> None:
        self.slots = tuple(slots)
        self.back_after_s = back_after_s
        self.line = line
        self.come_back = come_back
        self._parked: dict[str, Parked] = {}

    def free(self) -> str | None:
        """The first slot that nobody is in."""
        return next((slot for slot in self.slots if slot not in self._parked), None)

    def at(self, slot: str) -> Parked | None:
        """Who is in a slot."""
        return self._parked.get(slot)

    def park(self, leg: Leg, by: str | None, slot: str | None, now: float) -> str | None:
        """Put a connected leg that its application has let go into a slot (None: the first that is free).

        `by` is the account to which it comes back. Returns the slot, None when there is none.
        """
        slot = self.free() if slot is None else slot
        if slot is None or slot not in self.slots or slot in self._parked:
            return None
        parked = self._parked[slot] = Parked(self, leg, by, slot, now)
        leg.call.note("parked", now, by=by, to=slot)
        self.line.touch(slot)
        self.line.tell("call.parked", slot=slot)
        parked.begin(now)
        return slot

    def leave(self, slot: str) -> None:
        """Nobody is in the slot any more."""
        if self._parked.pop(slot, None) is not None:
            self.line.touch(slot)
            self.line.tell("call.unparked", slot=slot)


class Parked(Application):
    """Somebody in a slot."""

    def __init__(self, lot: ParkingLot, leg: Leg, by: str | None, slot: str, now: float) -> None:
        self.leg = leg
        self.slot = slot
        self.since = now
        self._lot = lot
        self._by = by
        self._back_at = 0.0

    def begin(self, now: float) -> None:
        """Let the leg hear music, and come back in time."""
        self.leg.application = self
        self.leg.leave_room()
        self.leg.play(["music"], loop=True)
        self._back_at = now + self._lot.back_after_s
        self._lot.line.wake(self._back_at, self)

    def expire(self, now: float) -> None:
        """Nobody came: ring who parked it."""
        if self.leg.application is not self or self.leg.over or now < self._back_at:
            return
        back = None
        if self._by is not None:
            back = self._lot.come_back(self._by, self.leg, f"Park {self.slot}", now)
        if back is None:
            self.begin(now)
            return
        self._lot.leave(self.slot)
        back.take_over(self.leg, _Return(self), now)

    def ended(self, leg: Leg, now: float) -> None:
        """The caller gave up."""
        self._lot.leave(self.slot)

    def taken(self, now: float) -> Leg:
        """Somebody takes the call: the slot is free."""
        del now
        self._lot.leave(self.slot)
        return self.leg

    def again(self, now: float) -> None:
        """Nobody was there to come back to: wait on, in the same slot if it is still free."""
        if self.leg.over:
            return
        slot = self.slot if self._lot.at(self.slot) is None else None
        if self._lot.park(self.leg, self._by, slot, now) is None:
            self.leg.hangup(now, "Nobody came back to it")


class _Return(Unasked):
    """The way back from a slot to who parked the call; when nobody answers it is parked again."""

    def __init__(self, parked: Parked) -> None:
        self._parked = parked

    def failed(self, status: int, now: float) -> None:
        """Nobody answers there."""
        self._parked.again(now)


class ParkHere(Application):
    """The target of a transfer to a slot, or to any slot: who comes is parked there."""

    def __init__(self, lot: ParkingLot, slot: str | None, by: str | None) -> None:
        self._lot = lot
        self._slot = slot
        self._by = by

    def offered(self, leg: Leg, now: float) -> None:
        """Who calls cannot park itself."""
        leg.reject(404, now, "Nobody is parked there")

    def take_over(self, leg: Leg, handover: Handover, now: float) -> None:
        """Park who was transferred here."""
        if self._lot.park(leg, self._by, self._slot, now) is None:
            handover.failed(486, now)
        else:
            leg.dialled = Private(self._slot or "")
            handover.taken(now)


class Retrieve(Application):
    """Somebody dialled a slot: it is connected with who is there."""

    def __init__(self, lot: ParkingLot, slot: str) -> None:
        self._lot = lot
        self._slot = slot
        parked = lot.at(slot)
        self.call = parked.leg.call if parked is not None else None

    def offered(self, leg: Leg, now: float) -> None:
        """Answer, if somebody is there."""
        if self._lot.at(self._slot) is None:
            leg.reject(404, now, "Nobody is parked there")
        else:
            leg.answer(now)

    def take_over(self, leg: Leg, handover: Handover, now: float) -> None:
        """Somebody is transferred to who is there."""
        if self._lot.at(self._slot) is None:
            handover.failed(404, now)
        else:
            handover.taken(now)
            self.connected(leg, now)

    def connected(self, leg: Leg, now: float) -> None:
        """Connect the two."""
        parked = self._lot.at(self._slot)
        if parked is None:
            leg.hangup(now, "Nobody is parked there")
            return
        line, other = self._lot.line, parked.taken(now)
        tell_of_pickup(leg, other, now)
        Bridge.between(line, leg, other, next(line.media_rooms), now)
