"""What values of the plan refer to: extensions, trunks, meetings, classes of numbers, and each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.outbound import Route
from ringback.store.plan.plan import NAMES
from ringback.store.plan.safety import EmergencyTest, Location
from ringback.store.plan.target import ALONE, Target
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan, RecordingPolicy

OUTSIDE: Final = "outside"


@dataclass(frozen=True, slots=True)
class Reference:
    """`field` of a value (as `members.2`, `keys.1`) names the thing of this kind.

    `kinds` has a kind of the plan, or extension, trunk, meeting, class, permission, outside; of several one
    will do.
    """

    field: str
    kinds: tuple[str, ...]
    name: str


_Finder = Callable[[str, Any], Iterator[Reference]]


def _target(field: str, text: str) -> Iterator[Reference]:
    target = Target.parse(text)
    if target is not None and target.kind not in ALONE:
        yield Reference(field, (target.kind,), target.name)


def _targets(field: str, texts: Mapping[str, str]) -> Iterator[Reference]:
    for key, text in texts.items():
        yield from _target(f"{field}.{key}", text)


def _one(*kinds: str) -> _Finder:
    def find(field: str, name: str) -> Iterator[Reference]:
        if name:
            yield Reference(field, kinds, name)

    return find


def _each(*kinds: str) -> _Finder:
    def find(field: str, names: tuple[str, ...]) -> Iterator[Reference]:
        for place, name in enumerate(names):
            yield Reference(f"{field}.{place}", kinds, name)

    return find


FIELDS: Final[Mapping[type[Value], Mapping[str, _Finder]]] = {
    Answering: {
        "name": _one("extension"),
        "always": _target,
        "busy": _target,
        "no_answer": _target,
        "unreachable": _target,
    },
    Role: {"classes": _each("class")},
    Hours: {"open": _target, "closed": _target, "holiday": _target},
    Group: {"members": _each("extension"), "otherwise": _target},
    Queue: {"agents": _each("extension"), "otherwise": _target},
    Announcement: {"then": _target},
    Menu: {"keys": _targets, "otherwise": _target},
    Route: {"trunks": _each("trunk"), "roles": _each("role"), "hours": _one("hours")},
    Location: {"trunks": _each("trunk"), "tell": _each("extension")},
    EmergencyTest: {"extensions": _each("extension")},
    MailboxPlan: {"name": _one("extension"), "operator": _target},
    RecordingPolicy: {
        "extensions": _each("extension"),
        "groups": _each("group", "queue"),
        "players": _each("permission"),
    },
}
"""The fields that name something else. A test holds this against the types of all fields."""

OWNED: Final = tuple(NAMES[kind] for kind in (Answering, MailboxPlan))
"""Kinds whose values belong to the extension that they are named after, and go with it."""


def references(value: Value) -> tuple[Reference, ...]:
    """All that a value refers to, in the order of its fields."""
    return tuple(
        reference
        for field, find in FIELDS.get(type(value), {}).items()
        for reference in find(field, getattr(value, field))
    )
