"""How a number outside is reached: what blocks it, which route it goes by, and who may call its class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ringback.routing.classes import class_of
from ringback.routing.outbound import WayOut, goes_out, ways_out
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import GoOut, Refuse
from ringback.routing.trail import Trail
from ringback.store.plan.answering import Role
from ringback.store.plan.outbound import Route

_TOLD: Final = 20
"""Of so many routes that fit and do not count it is said why; more would tell nobody anything."""


def leave(number: str, snapshot: Snapshot, trail: Trail, *, payer: str, restricted: bool) -> GoOut | Refuse:
    """The ways out for `number`, or why there are none.

    `payer` is the extension that it is counted for, or `trunk:NAME`; with `restricted` its role says which
    classes may be called: of what people dial, and of where they forward to. Where the plan itself sends a
    call is for who made the plan to say.
    """
    if not goes_out(number):
        return trail.refuse(404, "nothing has this number", dead_end=True)
    refusal = _blocked((number,), snapshot, trail)
    if refusal is not None:
        return refusal
    if snapshot.plan.all(Route):
        ways = _by_route(number, snapshot, trail, payer)
    else:
        ways = _by_prefixes(number, snapshot, trail)
    if isinstance(ways, Refuse):
        return ways
    # What is dialled to get a line hides nothing.
    refusal = _blocked(dict.fromkeys(way.number for way in ways), snapshot, trail)
    if refusal is not None:
        return refusal
    known = [replace(way, call_class=_class(way, number, snapshot)) for way in ways]
    role = snapshot.role(payer) if snapshot.directory.extension(payer) is not None else None
    if role is not None:
        known = [replace(way, caller_id=way.caller_id or role.caller_id) for way in known]
    if restricted and role is not None:
        allowed = [way for way in known if way.call_class in role.classes]
        if not allowed:
            said = f"may not call numbers of the class {known[0].call_class}"
            if snapshot.plan.get(Role, role.name) is None:
                said = f"{said}: the plan does not have it, so it may call the class {role.classes[0]} alone"
            trail.say("role", role.name, said)
            return trail.refuse(403, f"the role {role.name} {said}")
        known = allowed
        trail.say("role", role.name, f"may call numbers of the class {known[0].call_class}")
    return GoOut(ways=tuple(known), call_class=known[0].call_class, payer=payer, path=trail.path)


def _blocked(numbers: Iterable[str], snapshot: Snapshot, trail: Trail) -> Refuse | None:
    found = (snapshot.blocked("out", number) for number in numbers)
    blocked = next((each for each in found if each is not None), None)
    if blocked is None:
        return None
    trail.say("blocked", blocked.name, "this number may not be called")
    return trail.refuse(403, f"the number is blocked ({blocked.title or blocked.name})")


def _by_route(number: str, snapshot: Snapshot, trail: Trail, payer: str) -> list[WayOut] | Refuse:
    told = 0
    for route in snapshot.routes(number):
        reason = _does_not_count(route, snapshot, payer)
        if not reason:
            return _by(route, number, snapshot, trail)
        if told < _TOLD:
            trail.say("route", route.name, f"fits, but {reason}")
            told += 1
    unknown = not snapshot.services.country and not number.startswith("+")
    hint = " (without routing.country it has no E.164 form to compare)" if unknown else ""
    return trail.refuse(404, f"no route fits this number{hint}", dead_end=True)


def _does_not_count(route: Route, snapshot: Snapshot, payer: str) -> str:
    if not route.enabled:
        return "is disabled"
    if route.roles and (payer.startswith("trunk:") or snapshot.role_name(payer) not in route.roles):
        return f"is for the role {' or '.join(route.roles)}"
    if route.hours:
        standing = snapshot.hours(route.hours)
        if standing is None:
            return f"its hours {route.hours} do not exist"
        if standing.state != "open":
            return f"its hours {route.hours} are not open ({standing.said})"
    return ""


def _by(route: Route, number: str, snapshot: Snapshot, trail: Trail) -> list[WayOut] | Refuse:
    base = snapshot.forms(number)[-1] if route.e164 else number
    sent = route.prepend + base[route.strip :]
    trunks = [snapshot.directory.trunks.get(name) for name in dict.fromkeys(route.trunks)]
    usable = [trunk for trunk in trunks if trunk is not None and trunk.enabled]
    if not usable or not sent:
        why = "none of its trunks exists and is enabled" if sent else "nothing is left of the number"
        trail.say("route", route.name, f"fits, and {why}")
        return trail.refuse(503, f"route {route.name}: {why}", dead_end=True)
    by = ", then ".join(trunk.name for trunk in usable)
    trail.say("route", route.name, f"fits {' or '.join(route.patterns)}: goes out by {by}")
    return [WayOut(trunk, sent, caller_id=route.caller_id) for trunk in usable]


def _by_prefixes(number: str, snapshot: Snapshot, trail: Trail) -> list[WayOut] | Refuse:
    ways = list(ways_out(number, snapshot.directory))
    if not ways:
        return trail.refuse(404, "no trunk has a prefix that this number begins with", dead_end=True)
    by = ", then ".join(way.trunk.name for way in ways)
    trail.say("trunk", ways[0].trunk.name, f"the number begins with its prefix: goes out by {by}")
    return ways


def _class(way: WayOut, number: str, snapshot: Snapshot) -> str:
    """The class of the number as it goes out; where it is known in E.164 form, of that as well."""
    services = snapshot.services
    return class_of(services.classes, services.country, way.number, *_known_form(number, snapshot))


def _known_form(number: str, snapshot: Snapshot) -> Iterator[str]:
    return (form for form in snapshot.forms(number) if form.startswith("+"))
