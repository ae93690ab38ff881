"""The plans of the tests' offices: the shapes that many have, and how they come into a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group
from ringback.store.plan.hours import Day, Hours, Span
from ringback.store.plan.outbound import Route
from ringback.store.plan.safety import Location
from ringback.store.plan.toml import write_plan
from ringback.store.plan.value import Value
from ringback.store.store import Store


async def apply_plan(store: Store, plan: Iterable[Value]) -> None:
    """Apply it as the file that an administrator would write."""
    await store.objects.apply(write_plan(plan), "test")


def to(number: str) -> str:
    """The target that is an extension."""
    return f"extension:{number}"


def standard_role(**fields: Any) -> Role:
    """What everybody may: call in the country, if nothing else is said."""
    return Role(**{"name": "standard", "classes": ("national",), **fields})


def answering(number: str, **fields: Any) -> Answering:
    """How an extension answers; where it says that nobody does, after five seconds."""
    patience = {"no_answer_after_s": 5} if "no_answer" in fields else {}
    return Answering(name=number, **{**patience, **fields})


def group(name: str, number: str, *members: str, **fields: Any) -> Group:
    """A hunt group."""
    return Group(name=name, number=number, members=members, **fields)


def in_order(name: str, number: str, *members: str) -> Group:
    """A hunt group whose members ring one after the other, five seconds each."""
    return group(name, number, *members, strategy="in-order", ring_s=5)


def all_week(name: str, number: str, **leads: str) -> Hours:
    """Hours that are open at all times, unless they are switched."""
    span = Span(days=get_args(Day), from_="00:00", to="24:00")
    return Hours(name=name, number=number, spans=(span,), **leads)


def route(name: str, pattern: str, *trunks: str, **fields: Any) -> Route:
    """A way out for one pattern of numbers."""
    return Route(name=name, patterns=(pattern,), trunks=trunks, **fields)


def instead_of(digit: str, name: str, pattern: str, *trunks: str) -> Route:
    """A way out for numbers that begin with another digit, which becomes this one."""
    return route(name, pattern, *trunks, strip=1, prepend=digit)


def site(name: str, callback: str, *tell: str, **fields: Any) -> Location:
    """Where phones stand, whom to call back there, and who is told of emergencies."""
    where = {"title": "The shop", "address": "1 Main Street, Springfield"}
    return Location(name=name, callback=callback, tell=tell, **{**where, **fields})
