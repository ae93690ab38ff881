"""Dial plans as nobody would set them up, and callers for them: made from a seed, the same each time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from ringback.governance.private import Private
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.steps import Asked
from ringback.store.directory import Directory, Extension, Meeting, Person, Trunk
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Holiday, Hours, Span
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.outbound import Blocked, Route
from ringback.store.plan.plan import Plan
from ringback.store.plan.safety import EmergencyTest, Location
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan

Behaviour = Literal["answers", "busy", "no answer", "unreachable", "declined"]
"""What the one phone of an extension does when it rings; `unreachable` has registered none."""

BEHAVIOURS: Final[tuple[Behaviour, ...]] = ("answers", "busy", "no answer", "unreachable", "declined")
ECHO: Final = "600"
DIAL_IN: Final = "700"
OUTSIDE: Final = tuple(f"+1415555{number:04}" for number in range(100, 112))
"""Numbers that nobody has (ATIS-0300115: 555-0100 to 555-0199)."""
_ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DIRECTIONS: Final[tuple[Literal["in", "out", "both"], ...]] = ("in", "out", "both")
_MADE_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MISSING: Final = ("extension:1999", "group:gone", "mailbox:1998", "meeting:999999999", "menu:gone")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DialPlan:
    """A plan with its callers; `phones` says what the phone of each extension does."""

    seed: int
    directory: Directory
    services: ServiceNumbers
    at: datetime
    callers: tuple[Asked, ...]
    phones: Mapping[str, Behaviour] = field(default_factory=dict)


def dial_plan(seed: int) -> DialPlan:
    """The plan of this seed; what it refers to exists mostly, and circles are common in it."""
    return _Author(random.Random(seed)).write(seed)


class _Author:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._extensions = [str(1001 + each) for each in range(rng.randint(2, 7))]
        self._names = {
            kind: [f"{kind}{each}" for each in range(rng.randint(0, most))]
            for kind, most in (("group", 3), ("queue", 2), ("menu", 2), ("hours", 3), ("announcement", 2))
        }
        self._mailboxes = self._some(self._extensions, 0.4)
        self._meetings = ["481516234"] if rng.random() < 0.5 else []
        self._trunks = [f"trunk{each}" for each in range(rng.randint(0, 3))]
        self._roles = [f"role{each}" for each in range(rng.randint(0, 2))]

    def write(self, seed: int) -> DialPlan:
        rng = self._rng
        trunks = [self._trunk(name, priority) for priority, name in enumerate(self._trunks)]
        people = [
            Person(f"p{number}", f"Person {number}", _MADE_AT, rng.choice([*self._roles, "standard"]))
            for number in self._extensions
        ]
        directory = Directory.of(
            [self._extension(number) for number in self._extensions],
            [self._meeting(number) for number in self._meetings],
            trunks,
            Plan.of(self._values()),
            people,
        )
        at = datetime(2026, 1, 1, tzinfo=ZoneInfo(rng.choice(_ZONES))) + timedelta(
            minutes=rng.randrange(365 * 24 * 60)
        )
        return DialPlan(
            seed=seed,
            directory=directory,
            services=ServiceNumbers(ECHO, frozenset({DIAL_IN}), country=rng.choice(["", "US", "US"])),
            at=at,
            callers=tuple(self._caller(trunks) for _ in range(rng.randint(2, 6))),
            phones={number: rng.choice(BEHAVIOURS) for number in self._extensions},
        )

    # What there is

    def _extension(self, number: str) -> Extension:
        nothing = Private("")
        return Extension(
            id=f"e{number}",
            number=number,
            display_name=f"Phone {number}",
            ha1_md5=nothing,
            ha1_sha256=nothing,
            person_id=f"p{number}" if self._rng.random() < 0.8 else None,
            enabled=self._rng.random() < 0.9,
            created_at=_MADE_AT,
        )

    def _meeting(self, number: str) -> Meeting:
        nothing = Private("")
        return Meeting(
            f"m{number}", number, "Generated", "direct", nothing, nothing, nothing, nothing, _MADE_AT
        )

    def _trunk(self, name: str, priority: int) -> Trunk:
        rng = self._rng
        dids = {
            number: rng.choice([rng.choice(self._extensions), self._target(), ECHO])
            for number in self._some(OUTSIDE[:6], 0.3)
        }
        return Trunk(
            id=name,
            name=name,
            host="192.0.2.1",
            created_at=_MADE_AT,
            prefixes=rng.choice([(), ("+",), ("+1415",), ("",)]),
            priority=priority,
            dids={number: to or "busy" for number, to in dids.items()},
            transit=rng.random() < 0.3,
            enabled=rng.random() < 0.9,
        )

    def _values(self) -> list[Value]:
        rng = self._rng
        values: list[Value] = [self._answering(number) for number in self._some(self._extensions, 0.9)]
        values += [MailboxPlan(name=number) for number in self._mailboxes]
        makers = {
            "group": self._group,
            "queue": self._queue,
            "menu": self._menu,
            "hours": self._hours,
            "announcement": self._announcement,
        }
        for base, (kind, make) in enumerate(makers.items(), 2):
            values += [make(name, f"{base}{each:03}") for each, name in enumerate(self._names[kind])]
        values += [self._route(f"route{each}") for each in range(rng.choice([0, 0, 1, 3]))]
        values += [
            Role(
                name=name,
                classes=tuple(self._some(["national", "international", "premium"], 0.5)),
                forward_outside=rng.random() < 0.5,
            )
            for name in self._roles
        ]
        if rng.random() < 0.3:
            patterns = tuple(self._some(OUTSIDE, 0.2))
            values.append(Blocked(name="blocked", patterns=patterns, direction=rng.choice(_DIRECTIONS)))
        if rng.random() < 0.3:
            values.append(Location(name="here", address="1 Example Street", trunks=tuple(self._trunks[:1])))
        if rng.random() < 0.2:
            tested = tuple(self._some(self._extensions, 0.5))
            target = rng.choice([*self._extensions, OUTSIDE[0]])
            values.append(EmergencyTest(name="test", extensions=tested, target=target))
        return values

    def _answering(self, number: str) -> Answering:
        rng = self._rng
        return Answering(
            name=number,
            always=self._target() if rng.random() < 0.15 else "",
            busy=self._target() if rng.random() < 0.7 else "",
            no_answer=self._target() if rng.random() < 0.7 else "",
            unreachable=self._target() if rng.random() < 0.6 else "",
            no_answer_after_s=rng.choice([5, 20]),
            do_not_disturb=rng.random() < 0.15,
            call_waiting=rng.random() < 0.7,
        )

    def _group(self, name: str, number: str) -> Group:
        rng = self._rng
        return Group(
            name=name,
            number=number,
            members=tuple(self._some(self._extensions, 0.5)),
            strategy=rng.choice(["all", "in-order", "round-robin"]),
            ring_s=rng.choice([5, 20]),
            rounds=rng.randint(1, 2),
            otherwise=self._target() if rng.random() < 0.7 else "",
        )

    def _queue(self, name: str, number: str) -> Queue:
        return Queue(
            name=name,
            number=number,
            agents=tuple(self._some(self._extensions, 0.5)),
            max_wait_s=30,
            otherwise=self._target() if self._rng.random() < 0.7 else "",
        )

    def _menu(self, name: str, number: str) -> Menu:
        rng = self._rng
        return Menu(
            name=name,
            number=number,
            words="Press a key.",
            keys={key: self._target() for key in self._some(list("0123456789*"), 0.2)},
            dial_extensions=rng.random() < 0.3,
            otherwise=self._target() if rng.random() < 0.7 else "hangup",
        )

    def _announcement(self, name: str, number: str) -> Announcement:
        return Announcement(name=name, number=number, words="Hello.", then=self._target())

    def _hours(self, name: str, number: str) -> Hours:
        rng = self._rng
        return Hours(
            name=name,
            number=number,
            time_zone=rng.choice(_ZONES),
            spans=(
                Span(days=tuple(day for day in _DAYS if rng.random() < 0.6), from_="08:00", to="18:00"),
                Span(days=tuple(day for day in _DAYS if rng.random() < 0.2), from_="22:00", to="02:00"),
            ),
            holidays=(Holiday(date="12-25"), Holiday(date=f"2026-{rng.randint(1, 12):02}-15")),
            switch=rng.choice(["", "", "", "open", "closed", "holiday"]),
            open=self._target() if rng.random() < 0.9 else "",
            closed=self._target() if rng.random() < 0.9 else "",
            holiday=self._target() if rng.random() < 0.5 else "",
        )

    def _route(self, name: str) -> Route:
        rng = self._rng
        return Route(
            name=name,
            patterns=(rng.choice(["+1NXXNXXXXXX", "+1.", ".", "00.", "+1415555[0-4]1XX"]),),
            trunks=tuple(self._some([*self._trunks, "gone"], 0.6)),
            priority=rng.choice([50, 100]),
            roles=tuple(self._some(self._roles, 0.3)),
            hours=rng.choice(["", "", *self._names["hours"]]),
            strip=rng.choice([0, 0, 1]),
            e164=rng.random() < 0.5,
            enabled=rng.random() < 0.9,
        )

    # Who calls, and where to

    def _caller(self, trunks: Sequence[Trunk]) -> Asked:
        rng = self._rng
        if trunks and rng.random() < 0.3:
            trunk = rng.choice(trunks)
            dialled = rng.choice([*trunk.dids, rng.choice(OUTSIDE)])
            return Asked(Private(dialled), Private(rng.choice(OUTSIDE)), trunk=trunk.name)
        own = [f"{base}000" for base in range(2, 7)]
        numbers = [
            *self._extensions,
            *own,
            *self._meetings,
            *OUTSIDE[:3],
            "911",
            ECHO,
            DIAL_IN,
            "*97",
            "1999",
        ]
        caller = rng.choice(self._extensions)
        return Asked(Private(rng.choice(numbers)), Private(caller), account=caller)

    def _target(self) -> str:
        rng = self._rng
        named = [f"{kind}:{name}" for kind, names in self._names.items() for name in names]
        choices = [
            *[f"extension:{number}" for number in self._extensions * 3],
            *named,
            *named,
            *[f"mailbox:{number}" for number in self._mailboxes],
            *[f"meeting:{number}" for number in self._meetings],
            f"outside:{rng.choice(OUTSIDE)}",
            rng.choice(["busy", "hangup", rng.choice(_MISSING)]),
        ]
        return rng.choice(choices)

    def _some(self, things: Sequence[_T], share: float) -> list[_T]:
        return [thing for thing in things if self._rng.random() < share]
