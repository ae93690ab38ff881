"""The simulator in the API: what is asked, and what can become of a call, in words and as data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import AliasGenerator, ConfigDict, Field

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.roles import Identity
from ringback.routing.explore import Node, explore
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.numbers import parse_dial_string
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import (
    Ask,
    Asked,
    CheckMessages,
    Echo,
    EnterMeeting,
    Feature,
    GoOut,
    LeaveMessage,
    Refuse,
    Ring,
    Rule,
    Say,
    Step,
    Wait,
)
from ringback.store.directory import Directory
from ringback.store.errors import FieldProblem, InvalidValueError
from ringback.store.plan.target import Target
from ringback.web.shapes import Body, View, shown_number

_YEARS: Final = range(1970, 2200)


class Simulation(Body):
    """A call that is not made. `from` is an extension; with `from_trunk` the caller's number outside."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: name.rstrip("_")),
    )

    from_: str = Field("", max_length=64, description="Empty: a guest.", examples=["1001"])
    to: str = Field(max_length=64, description="What is dialled.", examples=["+14155550100"])
    at: datetime | None = Field(None, description="When; left out: now.", examples=["2026-12-24T19:00"])
    time_zone: str = Field(
        "", max_length=64, description="Of `at`, as in the IANA database; empty: the server's."
    )
    from_trunk: str = Field("", max_length=32, description="The trunk that the call comes in by.")
    location: str = Field("", max_length=32, description="Location of the caller's device.")


class RuleView(View):
    """A rule that was passed."""

    kind: str = Field(examples=["route"])
    name: str = Field(examples=["national"])
    said: str = Field(examples=["fits +1NXXNXXXXXX: goes out by carrier"])


class SimulatedLeg(View):
    """A leg that would ring: an extension's devices, or a number beyond a trunk; those of a `round` ring
    together, or are tried one after the other where they are beyond trunks."""

    round: int
    for_s: float | None = None
    extension: str | None = None
    trunk: str | None = None
    number: str | None = Field(
        default=None, description="As the trunk is sent it; masked by the reader's role."
    )
    caller_id: str | None = None


class SimulatedStep(View):
    """What happens to the call, in words as `said`."""

    kind: str = Field(examples=["ring"])
    said: str
    legs: tuple[SimulatedLeg, ...] = ()
    status: int | None = Field(default=None, description="SIP status of a refusal.")
    loop: bool = False
    dead_end: bool = False
    call_class: str | None = None
    payer: str | None = None
    emergency: bool = False
    test: bool = False
    location: str | None = None


class SimulatedNode(View):
    """A step of the call and how it comes there; `seen` means that the place is among the nodes already."""

    id: int
    parent: int | None = Field(description="The node that it is reached from; none: where the call begins.")
    came_by: tuple[str, ...] = Field(description="Outcomes or the key that lead here from the parent.")
    target: str | None = None
    rules: tuple[RuleView, ...] = ()
    step: SimulatedStep | None = None
    seen: bool = False


class SimulatedRoute(View):
    """What can become of the call, and what is wrong with the plan on its way."""

    at: datetime
    time_zone: str
    nodes: tuple[SimulatedNode, ...] = Field(description="A tree, each node after its parent.")
    loops: tuple[str, ...]
    dead_ends: tuple[str, ...]
    cut: bool = Field(description="There were too many nodes to go through.")


def simulate(
    directory: Directory, settings: Settings, asked: Simulation, viewer: Identity, now: datetime
) -> SimulatedRoute:
    """What becomes of a call by the rules in force; `now` knows its time zone. Raises InvalidValueError."""
    dialled = parse_dial_string(asked.to)
    if dialled is None:
        raise _wrong("to", "this cannot be dialled")
    at = _moment(asked, now)
    trunk = asked.from_trunk or None
    caller = Asked(
        dialled=Private(dialled.number),
        number=Private(asked.from_),
        account=(asked.from_ or None) if trunk is None else None,
        trunk=trunk,
        emergency_location=asked.location,
    )
    found = explore(Snapshot(directory, ServiceNumbers.of(settings), at), caller)
    return SimulatedRoute(
        at=at,
        time_zone=str(at.tzinfo),
        nodes=tuple(_nodes(found.root, viewer)),
        loops=found.loops,
        dead_ends=found.dead_ends,
        cut=found.cut,
    )


def _moment(asked: Simulation, now: datetime) -> datetime:
    zone = now.tzinfo
    if asked.time_zone:
        try:
            zone = ZoneInfo(asked.time_zone)
        except (ValueError, OSError, LookupError):
            raise _wrong("time_zone", "there is no such time zone; one is Europe/Berlin") from None
    if asked.at is None:
        return now.astimezone(zone)
    if asked.at.year not in _YEARS:
        raise _wrong("at", "the year is 1970 to 2199")
    return asked.at.astimezone(zone) if asked.at.tzinfo is not None else asked.at.replace(tzinfo=zone)


def _wrong(field: str, message: str) -> InvalidValueError:
    return InvalidValueError("the call", [FieldProblem(field, message)])


def _nodes(root: Node, viewer: Identity) -> Iterator[SimulatedNode]:
    waiting: list[tuple[Node, int | None]] = [(root, None)]
    for number in count():
        if not waiting:
            return
        node, parent = waiting.pop()
        yield SimulatedNode(
            id=number,
            parent=parent,
            came_by=node.came_by,
            target=_target(node.target, viewer) if node.target is not None else None,
            rules=tuple(map(_rule, node.rules)),
            step=_step(node.step, viewer) if node.step is not None else None,
            seen=node.seen,
        )
        waiting += [(child, number) for child in reversed(node.children)]


def _rule(rule: Rule) -> RuleView:
    return RuleView(kind=rule.kind, name=rule.name.reveal(), said=rule.said.reveal())


def _target(target: Target, viewer: Identity) -> str:
    if target.kind != "outside":
        return str(target)
    return f"outside:{shown_number(Private(target.name), viewer)}"


def _step(step: Step, viewer: Identity) -> SimulatedStep:
    match step:
        case Ring():
            return _ring(step)
        case GoOut():
            return _out(step, viewer)
        case Refuse(status=status, why=why, loop=loop, dead_end=dead_end):
            return SimulatedStep(
                kind="refuse",
                said=f"refused with {status}: {why}",
                status=status,
                loop=loop,
                dead_end=dead_end,
            )
    return SimulatedStep(kind=_KINDS[type(step)], said=_said(step))


_KINDS: Final[dict[type[Step], str]] = {
    Ask: "menu",
    CheckMessages: "check-messages",
    Echo: "echo",
    EnterMeeting: "meeting",
    Feature: "feature",
    LeaveMessage: "mailbox",
    Say: "announcement",
    Wait: "queue",
}


def _said(step: Step) -> str:
    match step:
        case Wait(queue=queue):
            return f"waits in the queue {queue.name}"
        case Ask(menu=menu):
            return f"is asked by the menu {menu.name}"
        case Say(announcement=announcement):
            return f"hears the announcement {announcement.name}"
        case LeaveMessage(extension=extension):
            return f"leaves a message in the mailbox of {extension}"
        case CheckMessages(extension=extension):
            return f"hears the messages of {extension}" if extension else "is asked whose messages to hear"
        case EnterMeeting(meeting=meeting):
            return f"enters the meeting {meeting.number}" if meeting else "is asked for a meeting's number"
        case Feature(name=name, argument=argument):
            return f"does {name}" + (" with what was dialled after it" if argument else "")
    return "hears an echo"


def _ring(step: Ring) -> SimulatedStep:
    legs = tuple(
        SimulatedLeg(round=place, for_s=each.for_s, extension=number)
        for place, each in enumerate(step.rounds, 1)
        for number in each.extensions
    )
    rounds = [f"{' and '.join(each.extensions)} for {each.for_s:.0f} s" for each in step.rounds]
    shown = ", then ".join(rounds[:12]) + (f", and {len(rounds) - 12} more" if len(rounds) > 12 else "")
    return SimulatedStep(
        kind="ring", said=f"rings {shown}{' (a test)' if step.test else ''}", legs=legs, test=step.test
    )


def _out(step: GoOut, viewer: Identity) -> SimulatedStep:
    legs = tuple(
        SimulatedLeg(
            round=place,
            trunk=way.trunk.name,
            number=shown_number(Private(way.number), viewer) if not way.emergency else way.number,
            caller_id=way.caller_id or way.trunk.caller_id or None,
        )
        for place, way in enumerate(step.ways, 1)
    )
    by = ", then ".join(f"{leg.number} by {leg.trunk}" for leg in legs)
    kind = "an emergency call to " if step.emergency else "a test of emergency calls to " if step.test else ""
    return SimulatedStep(
        kind="go-out",
        said=f"goes out: {kind}{by}",
        legs=legs,
        call_class=step.call_class or None,
        payer=step.payer or None,
        emergency=step.emergency,
        test=step.test,
        location=step.location.name if step.location is not None else None,
    )
