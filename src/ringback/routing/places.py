"""What happens at each place of the plan: it is a step for the call, or sends it on to another place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import (
    Ask,
    EnterMeeting,
    LeaveMessage,
    Outcome,
    Ring,
    Round,
    Say,
    Step,
    Wait,
)
from ringback.routing.trail import Trail, named
from ringback.store.plan.answering import Answering
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.target import Target
from ringback.store.plan.voice import MailboxPlan

RING_S: Final = 60.0
"""How long an extension rings whose calls go nowhere afterwards."""

Place = Callable[[Target, Snapshot, Trail], Step | Target]


def _onward(**ways: Target | None) -> Mapping[Outcome, Target]:
    return MappingProxyType({Outcome[key]: target for key, target in ways.items() if target is not None})


def _always(text: str) -> Mapping[Outcome, Target]:
    target = Target.parse(text)
    return MappingProxyType({} if target is None else dict.fromkeys(Outcome, target))


def extension(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Forwarding always, do not disturb, devices, then what is set for the outcome, then the mailbox."""
    number = target.name
    known = snapshot.directory.extension(number)
    if known is None or not known.enabled:
        state = "is disabled" if known is not None else "does not exist"
        trail.say("extension", number, state)
        return trail.refuse(404, f"extension {number} {state}", dead_end=True)
    answering = snapshot.plan.get(Answering, number) or Answering(name=number)
    always = Target.parse(answering.always)
    if always is not None:
        trail.say("answering", number, f"all calls are forwarded to {named(always)}")
        return always
    mailbox = Target("mailbox", number) if snapshot.plan.get(MailboxPlan, number) is not None else None
    busy = Target.parse(answering.busy) or mailbox
    if answering.do_not_disturb:
        onward = f"goes on to {named(busy)}" if busy is not None else "is refused"
        trail.say("answering", number, f"does not want to be disturbed: the call {onward}, as when busy")
        trail.why = Outcome.BUSY
        return busy if busy is not None else trail.refuse(486, f"extension {number} does not take calls now")
    no_answer = Target.parse(answering.no_answer) or mailbox
    for_s = float(answering.no_answer_after_s) if no_answer is not None else RING_S
    trail.say("extension", number, f"its devices ring for {for_s:.0f} s")
    return Ring(
        rounds=(Round((number,), for_s),),
        called=target,
        call_waiting=answering.call_waiting,
        onward=_onward(
            BUSY=busy,
            DECLINED=busy,
            NO_ANSWER=no_answer,
            UNREACHABLE=Target.parse(answering.unreachable) or mailbox,
        ),
        path=trail.path,
    )


def group(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Its members' devices ring; who is disabled, calls, or does not want to be disturbed is left out."""
    value = snapshot.plan.get(Group, target.name)
    if value is None:
        return _missing(target, trail)
    members = list(dict.fromkeys(value.members))
    first = snapshot.turns.get(value.name, 0) % len(members) if members else 0
    if value.strategy == "round-robin":
        members = members[first:] + members[:first]
    members = [number for number in members if _may_ring(number, snapshot, trail)]
    otherwise = Target.parse(value.otherwise)
    if not members:
        trail.say("group", value.name, "has nobody to ring")
        return otherwise or trail.refuse(480, f"group {value.name} has nobody to ring", dead_end=True)
    once = [tuple(members)] if value.strategy == "all" else [(number,) for number in members]
    order = "all at once" if value.strategy == "all" else "one after the other"
    trail.say("group", value.name, f"rings {', '.join(members)} {order}, {value.ring_s} s each time")
    return Ring(
        rounds=tuple(Round(each, float(value.ring_s)) for each in once * value.rounds),
        called=target,
        call_waiting=False,
        onward=_onward(BUSY=otherwise, DECLINED=otherwise, NO_ANSWER=otherwise, UNREACHABLE=otherwise),
        path=trail.path,
    )


def _may_ring(number: str, snapshot: Snapshot, trail: Trail) -> bool:
    answering = snapshot.plan.get(Answering, number)
    undisturbed = answering is not None and answering.do_not_disturb
    return snapshot.extension(number) is not None and not undisturbed and number != trail.asked.account


def queue(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Callers wait; without any agent who has an extension they go on at once."""
    value = snapshot.plan.get(Queue, target.name)
    if value is None:
        return _missing(target, trail)
    agents = [number for number in value.agents if snapshot.extension(number) is not None]
    if not agents:
        trail.say("queue", value.name, "has no agents")
        otherwise = Target.parse(value.otherwise)
        return otherwise or trail.refuse(480, f"queue {value.name} has no agents", dead_end=True)
    trail.say("queue", value.name, f"callers wait for {', '.join(agents)}")
    return Wait(queue=value, onward=_always(value.otherwise), path=trail.path)


def menu(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Callers are asked; keys lead onward by themselves."""
    value = snapshot.plan.get(Menu, target.name)
    if value is None:
        return _missing(target, trail)
    trail.say("menu", value.name, "asks for a key")
    return Ask(menu=value, onward=_always(value.otherwise), path=trail.path)


def announcement(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Something is said."""
    value = snapshot.plan.get(Announcement, target.name)
    if value is None:
        return _missing(target, trail)
    trail.say("announcement", value.name, "is said")
    return Say(announcement=value, onward=_always(value.then), path=trail.path)


def hours(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Onward by the time; a holiday that leads nowhere is as closed."""
    value = snapshot.plan.get(Hours, target.name)
    standing = snapshot.hours(target.name)
    if value is None or standing is None:
        return _missing(target, trail)
    trail.say("hours", value.name, standing.said)
    leads = {"open": value.open, "closed": value.closed, "holiday": value.holiday or value.closed}
    onward = Target.parse(leads[standing.state])
    return onward or trail.refuse(480, f"hours {value.name} lead nowhere ({standing.state})", dead_end=True)


def mailbox(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Leave a message."""
    if snapshot.plan.get(MailboxPlan, target.name) is None:
        return _missing(target, trail)
    trail.say("mailbox", target.name, "takes a message")
    return LeaveMessage(extension=target.name, why=trail.why, path=trail.path)


def meeting(target: Target, snapshot: Snapshot, trail: Trail) -> Step | Target:
    """Enter a meeting; its PIN decides who may."""
    value = snapshot.directory.meeting(target.name)
    if value is None:
        return _missing(target, trail)
    trail.say("meeting", value.number, "is entered")
    return EnterMeeting(meeting=value, path=trail.path)


def busy(_target: Target, _snapshot: Snapshot, trail: Trail) -> Step | Target:
    """The caller hears that it is busy."""
    trail.say("busy", "", "the caller hears that it is busy")
    return trail.refuse(486, "the plan says busy")


def hangup(_target: Target, _snapshot: Snapshot, trail: Trail) -> Step | Target:
    """The call ends."""
    trail.say("hangup", "", "the call ends")
    return trail.refuse(603, "the plan ends the call")


def _missing(target: Target, trail: Trail) -> Step:
    trail.say(target.kind, target.name, "does not exist")
    return trail.refuse(404, f"{target} does not exist", dead_end=True)


PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "extension": extension,
        "group": group,
        "queue": queue,
        "menu": menu,
        "announcement": announcement,
        "hours": hours,
        "mailbox": mailbox,
        "meeting": meeting,
        "busy": busy,
        "hangup": hangup,
    }
)
"""By the kind of target; numbers outside are the router's own."""
