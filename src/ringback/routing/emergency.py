"""Emergency calls: they go out from wherever they come, and nothing that people set up holds them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from ringback.routing.leaving import leave
from ringback.routing.outbound import WayOut, ways_out
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import GoOut, Refuse, Ring, Round
from ringback.routing.trail import Trail
from ringback.store.directory import Trunk
from ringback.store.plan.outbound import Route
from ringback.store.plan.safety import Location
from ringback.store.plan.target import Target

_TEST_RINGS_S: Final = 60.0


def call_help(number: str, snapshot: Snapshot, trail: Trail) -> GoOut | Ring | Refuse:
    """The ways to an emergency number from where the caller is.

    First come the trunks of the location, then every other trunk that anything goes out by, for a wrong
    control centre is better than none. The number is sent as it was dialled.
    """
    location = _location(snapshot, trail)
    trail.say("emergency", number, "an emergency number: nothing holds this call back")
    if location is not None:
        trail.say("location", location.name, f"the caller is here: {location.title or location.address}")
    test = _test(snapshot, trail, location)
    if test is not None:
        return test
    role = snapshot.role(trail.asked.account)
    shown = (location.callback if location is not None else "") or (role.caller_id if role else "")
    ways = tuple(WayOut(trunk, number, True, shown) for trunk in _trunks(snapshot, location))
    if not ways:
        refused = trail.refuse(503, "no enabled trunk goes out", dead_end=True)
        return replace(refused, emergency=True, location=location)
    by = ", then ".join(way.trunk.name for way in ways)
    trail.say("trunk", ways[0].trunk.name, f"goes out by {by}")
    return GoOut(
        ways=ways,
        payer=trail.payer,
        emergency=True,
        location=location,
        path=trail.path,
    )


def behind_line_prefix(number: str, snapshot: Snapshot) -> str | None:
    """The emergency number that would be sent outside of what was dialled, as 911 of 9911.

    Where a digit is dialled for a line people dial it before these numbers, too.
    """
    known = snapshot.services.emergency
    if not any(number.endswith(each) for each in known):
        return None
    if snapshot.plan.all(Route):
        sent = (r.prepend + number[r.strip :] for r in snapshot.routes(number) if r.enabled and not r.e164)
    else:
        sent = (way.number for way in ways_out(number, snapshot.directory))
    return next((each for each in sent if each in known), None)


def _location(snapshot: Snapshot, trail: Trail) -> Location | None:
    """Where the caller is: the device's location, else the site of who holds the extension."""
    device = snapshot.plan.get(Location, trail.asked.emergency_location)
    if device is not None:
        return device
    holder = snapshot.holder(trail.asked.account)
    return snapshot.plan.get(Location, holder.site) if holder is not None else None


def _trunks(snapshot: Snapshot, location: Location | None) -> Iterator[Trunk]:
    """The enabled trunks in the order in which they are tried."""
    trunks = snapshot.directory.trunks
    used = {name for route in snapshot.plan.all(Route).values() if route.enabled for name in route.trunks}
    usual = sorted(
        (trunk for trunk in trunks.values() if trunk.prefixes or trunk.name in used),
        key=lambda trunk: (trunk.priority, trunk.name),
    )
    names = dict.fromkeys((*(location.trunks if location else ()), *(trunk.name for trunk in usual)))
    return (trunks[name] for name in names if name in trunks and trunks[name].enabled)


def _test(snapshot: Snapshot, trail: Trail, location: Location | None) -> GoOut | Ring | None:
    """What a test rings in place of the control centre. One that leads nowhere is none: somebody may need
    help."""
    test = snapshot.index.tests.get(trail.asked.account or "")
    if test is None or test.target in snapshot.services.emergency:
        return None
    if snapshot.extension(test.target) is not None:
        trail.say("emergency-test", test.name, f"a test: rings extension {test.target} instead")
        return Ring(
            rounds=(Round((test.target,), _TEST_RINGS_S),),
            called=Target("extension", test.target),
            test=True,
            path=trail.path,
        )
    step = leave(test.target, snapshot, trail, payer=trail.payer, restricted=False)
    if isinstance(step, GoOut):
        trail.say("emergency-test", test.name, "a test: calls the number outside that it says instead")
        return replace(step, location=location, test=True)
    trail.say("emergency-test", test.name, f"not tested, {step.why}: this is a real call")
    return None
