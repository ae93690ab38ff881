"""How a call goes on when what it was connected to is done with it: to the next step of its way."""

from __future__ import annotations

from typing import Protocol

from ringback.call.leg import Leg
from ringback.routing.steps import Outcome
from ringback.store.plan.target import Target


class Onward(Protocol):
    """Given to applications that can end without anybody to talk to."""

    def __call__(self, leg: Leg, outcome: Outcome, now: float, target: Target | None = None) -> bool:
        """Hand over the caller's leg, offered or connected, to what `outcome` (or a key's `target`) leads to.

        False when that is nowhere: the application refuses the leg, or hangs up, as it would have done. After
        True the leg is another application's; this one must forget it.
        """


def nowhere(leg: Leg, outcome: Outcome, now: float, target: Target | None = None) -> bool:
    """The way that ends here."""
    del leg, outcome, now, target
    return False
