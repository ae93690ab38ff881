"""What was passed on the way to a decision: places of the plan, and the rules in words."""

from __future__ import annotations

from ringback.governance.private import Private
from ringback.routing.steps import Asked, Decision, Outcome, Refuse, Rule, Step
from ringback.store.plan.target import Target


class Trail:
    """One call's way from where it was asked to its next step; made anew for each."""

    def __init__(self, asked: Asked, path: tuple[Target, ...] = (), why: Outcome = Outcome.NO_ANSWER) -> None:
        self.asked = asked
        self.why = why
        """What became of the call before, which decides the greeting of a mailbox."""
        self.rules: list[Rule] = []
        self._path = list(path)
        self._passed = set(path)

    @property
    def path(self) -> tuple[Target, ...]:
        """Every place that was passed, in order."""
        return tuple(self._path)

    @property
    def payer(self) -> str:
        """Who a call outside counts for, unless an extension forwards it."""
        return self.asked.account or (f"trunk:{self.asked.trunk}" if self.asked.trunk is not None else "")

    @property
    def before(self) -> Target | None:
        """The place before the one that the call is at."""
        return self._path[-2] if len(self._path) > 1 else None

    def enters(self, target: Target) -> bool:
        """Go to `target`; False when it was passed already, which is a circle."""
        if target in self._passed:
            return False
        self._path.append(target)
        self._passed.add(target)
        return True

    def say(self, kind: str, name: str, said: str) -> None:
        """Note a rule that was passed."""
        self.rules.append(Rule(kind, Private(name), Private(said)))

    def circle(self, target: Target) -> Refuse:
        """The end of a call that came back to `target`."""
        around = [*self._path[self._path.index(target) :], target]
        shown = " → ".join(map(named, around))
        self.say(target.kind, named_alone(target), f"leads in a circle: {shown}")
        return Refuse(status=482, why=f"the plan leads in a circle: {shown}", loop=True)

    def refuse(self, status: int, why: str, *, dead_end: bool = False) -> Refuse:
        """Nobody takes the call."""
        return Refuse(status=status, why=why, dead_end=dead_end)

    def decided(self, step: Step) -> Decision:
        """The decision that this way leads to."""
        return Decision(step, tuple(self.rules))


def named(target: Target) -> str:
    """A place as it is written in rules, which hold no number outside."""
    return "a number outside" if target.kind == "outside" else str(target)


def named_alone(target: Target) -> str:
    """Its name without its kind."""
    return "" if target.kind == "outside" else target.name
