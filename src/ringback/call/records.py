"""What is noted of every call while it goes on: its legs, what was done to it, when it is over.

Nothing is worked out here: the legs are kept as they ended, and become a record elsewhere
(`call/recorded.py`), so that a call costs the call path next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ringback.media.protocol import LegTotals
from ringback.routing.steps import Rule
from ringback.store.call_record import ID_SHIFT, Happening, Passed

if TYPE_CHECKING:
    from ringback.call.leg import Leg
    from ringback.call.party import Party

TOTALS_PATIENCE_S: Final = 2.0
"""How long after a call's end the engine may take to tell what it counted."""
MOST_NOTED: Final = 100
"""Rules and happenings kept of one call each: a call may go round for hours."""
MOST_LEGS: Final = 200


class RefusedBefore(msgspec.Struct, frozen=True):
    """How a call ended that was refused before it had a session; as `Ended`."""

    status: int
    reason: str
    by: Literal["us"] = "us"
    cause: str = ""


class Call:
    """A call: what its legs have in common. Whoever has one of its legs may note what happens to it.

    `called` is what the dialled number led to, as a target: `group:sales`. `id` is that of its record.
    """

    __slots__ = (
        "abandoned",
        "began",
        "called",
        "emergency",
        "happenings",
        "id",
        "legs",
        "open",
        "over_at",
        "path",
        "recorded",
        "waited_s",
        "waiting",
    )

    def __init__(self, call_id: int, now: float) -> None:
        self.id = call_id
        self.began = now
        self.called = ""
        self.emergency = False
        self.recorded = False
        self.waited_s: float | None = None
        """How long the caller has waited in queues."""
        self.abandoned = False
        """Whether the caller left a queue by hanging up."""
        self.legs: list[Leg] = []
        self.path: list[Passed] = []
        self.happenings: list[Happening] = []
        self.open = 0
        """Legs that are not over."""
        self.waiting = 0
        """Legs of which the engine still has to tell what it counted."""
        self.over_at: float | None = None

    def let_go(self) -> None:
        """Its record is made: nothing is left in a circle for the collector."""
        self.legs.clear()

    def waited(self, seconds: float) -> None:
        """The caller waits in a queue no more."""
        self.waited_s = (self.waited_s or 0.0) + seconds

    def passed(self, rules: Iterable[Rule]) -> None:
        """The call passed these rules of the plan, in order."""
        room = MOST_NOTED - len(self.path)
        for rule in rules:
            if room <= 0:
                return
            self.path.append(Passed(rule.kind, rule.name.reveal(), rule.said.reveal()))
            room -= 1

    def note(
        self,
        kind: str,
        now: float,
        *,
        by: Party | str | None = None,
        to: str = "",
        call: Call | None = None,
        said: str = "",
    ) -> None:
        """Something was done to the call: `kind` is a word or two, `to` a number or a target."""
        if len(self.happenings) < MOST_NOTED:
            who = by if isinstance(by, str) else "" if by is None else by.account or by.number.reveal()
            at_ms = max(round((now - self.began) * 1000), 0)
            other = 0 if call is None else call.id
            self.happenings.append(Happening(at_ms=at_ms, kind=kind, by=who, to=to, call=other, said=said))


class CallLog:
    """Gives calls their identifiers, and hands each one out once when it is over; sans-IO.

    `wall` is the time in seconds since 1970: an identifier begins with it, so that records sort by time.
    """

    def __init__(self, wall: Callable[[], float] | None = None, chance: int = 0) -> None:
        """`chance` is a number below 512 that tells this process from others that begin in the same ms."""
        self.live: dict[int, Call] = {}
        self.on_news: Callable[[], None] | None = None
        """Called when a call begins while there is none, and when `take_over` has something to give;
        as long as nobody wants to know, calls that are over are forgotten."""
        self.unrecorded = 0
        """Refused calls without a record, for their source had too many."""
        self._wall = wall
        self._chance = (chance & 511) << 12
        self._last = 0
        self._over: list[Call] = []
        self._owed: dict[int, tuple[Leg, Call]] = {}

    def begin(self, now: float) -> Call:
        """A new call."""
        stamp = self._last + 1
        if self._wall is not None:
            stamp = max(stamp, int(self._wall() * 1000) << ID_SHIFT | self._chance)
        self._last = stamp
        if not self.live and self.on_news is not None:
            self.on_news()
        call = self.live[stamp] = Call(stamp, now)
        return call

    def joins(self, leg: Leg, call: Call) -> None:
        """A leg begins that belongs to the call."""
        call.open += 1
        if len(call.legs) < MOST_LEGS:
            call.legs.append(leg)

    def owes(self, leg: Leg) -> None:
        """The engine was asked what it counted of a leg that ends."""
        self._owed[leg.id] = (leg, leg.call)
        leg.call.waiting += 1

    def counted(self, leg_id: int, totals: LegTotals, now: float) -> None:
        """The engine told it."""
        leg, call = self._owed.pop(leg_id, (None, None))
        if leg is not None and call is not None:
            leg.totals = totals
            call.waiting -= 1
            self._settle(call, now)

    def ended(self, leg: Leg, now: float) -> None:
        """A leg is over; a call is with its last one."""
        leg.call.open -= 1
        self._settle(leg.call, now)

    def overdue(self, now: float, patience_s: float = TOTALS_PATIENCE_S) -> None:
        """Wait no longer for counts of calls that were over so long ago."""
        for leg_id, (_, call) in list(self._owed.items()):
            if call.over_at is not None and now - call.over_at >= patience_s:
                del self._owed[leg_id]
                call.waiting -= 1
                self._settle(call, now)

    def take_over(self) -> list[Call]:
        """The calls that are over and were not taken yet."""
        over, self._over = self._over, []
        return over

    def _settle(self, call: Call, now: float) -> None:
        if call.open > 0:
            return
        if call.over_at is None:
            call.over_at = now
        if call.waiting > 0 or self.live.pop(call.id, None) is None:
            return
        if self.on_news is None:
            call.let_go()
        else:
            self._over.append(call)
            self.on_news()


def share_emergency(*legs: Leg) -> None:
    """They talk with each other by calls of their own: where one is for help, all are."""
    if any(leg.call.emergency for leg in legs):
        for leg in legs:
            leg.call.emergency = True


def tell_of_pickup(taker: Leg, taken: Leg, now: float) -> None:
    """Somebody takes a call that rings or is parked; where that is by a call of its own, each names the
    other."""
    if taker.call is taken.call:
        taken.call.note("picked-up", now, by=taker.party)
        return
    taken.call.note("picked-up", now, by=taker.party, call=taker.call)
    taker.call.note("picked-up", now, by=taker.party, call=taken.call)
