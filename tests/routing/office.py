"""An office to route calls in: extensions 1001 to 1004, two trunks, and whatever a test adds to the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from ringback.governance.private import Private
from ringback.routing.explore import Explored, explore
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.router import Router
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import Asked, Decision, Outcome
from ringback.store.directory import Directory, Extension, Meeting, Person, Trunk
from ringback.store.plan.plan import Plan
from ringback.store.plan.target import Target
from ringback.store.plan.value import Value

MADE = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
"""A Wednesday."""
_NOTHING = Private("")


def extension(number: str, *, enabled: bool = True, person: str | None = None) -> Extension:
    return Extension(f"e{number}", number, f"Phone {number}", _NOTHING, _NOTHING, person, enabled, MADE)


def meeting(number: str) -> Meeting:
    return Meeting(f"m{number}", number, "Weekly", "direct", *[_NOTHING] * 4, MADE)


def trunk(name: str, **details: object) -> Trunk:
    return replace(Trunk(name, name, "192.0.2.1", MADE, prefixes=("+", "0"), priority=10), **details)


class Office:
    """The office with these values in its plan."""

    def __init__(
        self,
        *values: Value,
        trunks: tuple[Trunk, ...] | None = None,
        roles: Mapping[str, str] | None = None,
        country: str = "US",
        at: datetime = NOON,
        turns: Mapping[str, int] | None = None,
        disabled: tuple[str, ...] = (),
        site: str = "",
    ) -> None:
        numbers = ("1001", "1002", "1003", "1004")
        if trunks is None:
            trunks = (trunk("first"), trunk("second", priority=20))
        self.directory = Directory.of(
            [extension(number, enabled=number not in disabled, person=f"p{number}") for number in numbers],
            [meeting("481516234")],
            trunks,
            Plan.of(values),
            [
                Person(f"p{number}", "Somebody", MADE, (roles or {}).get(number, "standard"), site=site)
                for number in numbers
            ],
        )
        self.services = ServiceNumbers("600", frozenset({"700"}), country=country)
        self.at = at
        self.turns = turns or {}

    @property
    def router(self) -> Router:
        return Router(self.directory, self.services, self.at, self.turns)

    def asked(
        self, dialled: str, by: str | None = "1001", trunk: str | None = None, number: str = ""
    ) -> Asked:
        account = None if trunk is not None else by
        return Asked(Private(dialled), Private(number or account or ""), account=account, trunk=trunk)

    def call(
        self, dialled: str, by: str | None = "1001", trunk: str | None = None, number: str = ""
    ) -> Decision:
        return self.router.start(self.asked(dialled, by, trunk, number))

    def onward(self, before: Decision, outcome: Outcome, dialled: str = "1002", by: str = "1001") -> Decision:
        target = before.step.onward[outcome]
        return self.router.go(target, self.asked(dialled, by), before.step.path, outcome)

    def go(self, target: str, *path: str, by: str | None = "1001") -> Decision:
        passed = tuple(filter(None, map(Target.parse, path)))
        parsed = Target.parse(target)
        assert parsed is not None
        return self.router.go(parsed, self.asked("1002", by), passed)

    def explore(self, dialled: str, by: str | None = "1001", trunk: str | None = None) -> Explored:
        snapshot = Snapshot(self.directory, self.services, self.at, self.turns)
        return explore(snapshot, self.asked(dialled, by, trunk))


def said(decision: Decision) -> list[str]:
    return [f"{rule.kind} {rule.name.reveal()}: {rule.said.reveal()}" for rule in decision.rules]
