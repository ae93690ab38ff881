"""How a call goes on when what it was connected to is done with it: to the next step of its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ringback.call.leg import Leg
from ringback.routing.steps import Outcome
from ringback.store.plan.target import Target

if TYPE_CHECKING:
    from ringback.call.transfer import Handover

_OUTCOMES: Final = {
    408: Outcome.UNREACHABLE,
    480: Outcome.NO_ANSWER,
    486: Outcome.BUSY,
    487: Outcome.NO_ANSWER,
    600: Outcome.BUSY,
    603: Outcome.DECLINED,
}


class Onward(Protocol):
    """Given to applications that can end without anybody to talk to."""

    def __call__(
        self,
        leg: Leg,
        outcome: Outcome,
        now: float,
        target: Target | None = None,
        *,
        handover: Handover | None = None,
    ) -> bool:
        """Hand over the caller's leg, offered or connected, to what `outcome` (or a key's `target`) leads to.

        False when that is nowhere: the application refuses the leg, or hangs up, as it would have done. After
        True the leg is another application's; this one must forget it. `handover` is for a leg that is still
        on its way from a call of its own, and goes back there when nobody takes it.
        """


def nowhere(
    leg: Leg,
    outcome: Outcome,
    now: float,
    target: Target | None = None,
    *,
    handover: Handover | None = None,
) -> bool:
    """The way that ends here."""
    del leg, outcome, now, target, handover
    return False


def outcome_of(status: int) -> Outcome:
    """What a SIP status of who was called means for the way of the call: 480 is said by phones that rang for
    long, 408 and all else by those that could not ring."""
    return _OUTCOMES.get(status, Outcome.UNREACHABLE)
