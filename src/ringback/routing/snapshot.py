"""All that a decision is made from: the directory, the settings, the time; and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ringback.routing.classes import usual_class
from ringback.routing.e164 import e164, forms
from ringback.routing.hours import Standing, standing
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.patterns import PatternIndex
from ringback.store.directory import Directory, Extension, Person, Trunk
from ringback.store.plan.answering import Role
from ringback.store.plan.hours import Hours
from ringback.store.plan.outbound import Blocked, Route
from ringback.store.plan.plan import Plan
from ringback.store.plan.safety import EmergencyTest

_NOBODY: Final[Mapping[str, int]] = {}


class PlanIndex:
    """What of a plan is found by number: made once for each, and kept from the one before where it can be."""

    def __init__(self, plan: Plan, before: PlanIndex | None = None) -> None:
        self.plan = plan
        routes, blocked = plan.all(Route), plan.all(Blocked)
        self.routes: PatternIndex[Route]
        self.blocked: Mapping[str, PatternIndex[Blocked]]
        if before is not None and before.plan.all(Route) == routes:
            self.routes = before.routes
        else:
            self.routes = _routes(routes)
        if before is not None and before.plan.all(Blocked) == blocked:
            self.blocked = before.blocked
        else:
            self.blocked = _blocked(blocked)
        self.tests = {
            extension: test for test in plan.all(EmergencyTest).values() for extension in test.extensions
        }


def _routes(routes: Mapping[str, Route]) -> PatternIndex[Route]:
    index: PatternIndex[Route] = PatternIndex()
    for route in routes.values():
        for pattern in dict.fromkeys(route.patterns):
            index.add(pattern, route)
    return index


def _blocked(blocked: Mapping[str, Blocked]) -> Mapping[str, PatternIndex[Blocked]]:
    index: dict[str, PatternIndex[Blocked]] = {"in": PatternIndex(), "out": PatternIndex()}
    for value in blocked.values():
        for direction in ("in", "out") if value.direction == "both" else (value.direction,):
            for pattern in dict.fromkeys(value.patterns):
                index[direction].add(pattern, value)
    return index


_KEPT: Final = 4
_plans: list[PlanIndex] = []
_numbers: list[tuple[Mapping[str, Trunk], str, Mapping[str, tuple[Trunk, str]]]] = []


def index_of(plan: Plan) -> PlanIndex:
    """The index of a plan; of the last few plans it is made once."""
    for known in _plans:
        if known.plan is plan:
            return known
    made = PlanIndex(plan, _plans[0] if _plans else None)
    _plans.insert(0, made)
    del _plans[_KEPT:]
    return made


def own_numbers(trunks: Mapping[str, Trunk], country: str) -> Mapping[str, tuple[Trunk, str]]:
    """The numbers outside that lead to us, in E.164 form: their trunk and where each leads."""
    for known, of, numbers in _numbers:
        if known is trunks and of == country:
            return numbers
    numbers = {
        form: (trunk, leads_to)
        for trunk in trunks.values()
        if trunk.enabled
        for did, leads_to in trunk.dids.items()
        if (form := e164(did, country)) is not None
    }
    _numbers.insert(0, (trunks, country, numbers))
    del _numbers[_KEPT:]
    return numbers


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The directory at a moment. `at` knows its time zone; `turns` says for each group in order of turns who
    is the next to be rung first."""

    directory: Directory
    services: ServiceNumbers
    at: datetime
    turns: Mapping[str, int] = field(default_factory=lambda: _NOBODY)

    @property
    def plan(self) -> Plan:
        """How calls go, as people set it up."""
        return self.directory.plan

    @property
    def index(self) -> PlanIndex:
        """What is found by number."""
        return index_of(self.directory.plan)

    def extension(self, number: str | None) -> Extension | None:
        """The extension with this number, if it is enabled."""
        extension = self.directory.extension(number) if number is not None else None
        return extension if extension is not None and extension.enabled else None

    def holder(self, number: str | None) -> Person | None:
        """Who holds an extension, enabled or not."""
        extension = self.directory.extension(number) if number is not None else None
        return self.directory.people.get(extension.person_id or "") if extension is not None else None

    def role_name(self, number: str | None) -> str:
        """The name of the role of who holds an extension; without a holder the usual one."""
        person = self.holder(number)
        return person.role if person is not None else "standard"

    def role(self, number: str | None) -> Role | None:
        """That role; None while the plan has no role at all: then the caps alone restrict anybody.

        As soon as it has one, a role that it does not have may call the class of all other numbers alone:
        who was forgotten is not to have more than all others.
        """
        name = self.role_name(number)
        known = self.plan.get(Role, name)
        if known is not None or not self.plan.all(Role):
            return known
        return Role(name=name, classes=(usual_class(self.services.classes),))

    def hours(self, name: str) -> Standing | None:
        """What the hours of this name say now, None where there are none."""
        hours = self.plan.get(Hours, name)
        return standing(hours, self.at) if hours is not None else None

    def forms(self, number: str) -> tuple[str, ...]:
        """A number as it is compared with patterns."""
        return forms(number, self.services.country)

    def blocked(self, direction: str, number: str) -> Blocked | None:
        """What blocks a number now, if anything does; the first by name."""
        if not self.plan.all(Blocked):
            return None
        today = self.at.date().isoformat()
        found = (
            value
            for form in self.forms(number)
            for _, value in self.index.blocked[direction].find(form)
            if not value.until or today <= value.until
        )
        return min(found, key=lambda value: value.name, default=None)

    def routes(self, number: str) -> Iterator[Route]:
        """Every route that a number fits, in the order in which they count."""
        best: dict[str, tuple[int, int, str, Route]] = {}
        for form in self.forms(number):
            for length, route in self.index.routes.find(form):
                key = (route.priority, -length, route.name, route)
                if route.name not in best or key[:2] < best[route.name][:2]:
                    best[route.name] = key
        return (route for *_, route in sorted(best.values(), key=lambda one: one[:3]))

    def own_number(self, number: str) -> tuple[Trunk, str] | None:
        """The trunk whose number outside this is, and where it leads."""
        form = e164(number, self.services.country)
        return own_numbers(self.directory.trunks, self.services.country).get(form) if form else None
