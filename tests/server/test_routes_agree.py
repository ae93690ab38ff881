"""Two hundred generated plans: what the simulator says of a call is what happens to it, phone by phone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.onward import Onward
from ringback.call.party import LegState
from ringback.media import protocol as media
from ringback.routing.explore import Explored, Node, explore
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import (
    Ask,
    Asked,
    CheckMessages,
    Decision,
    Echo,
    EnterMeeting,
    Feature,
    GoOut,
    LeaveMessage,
    Outcome,
    Refuse,
    Ring,
    Step,
    Wait,
)
from ringback.server.attending import Attendants
from ringback.server.destinations import Call
from ringback.server.routed import PlanRouting, Routing
from ringback.sip.effects import Effect, IncomingCall
from ringback.sip.message import NameAddr, SipUri
from ringback.store.directory import Directory
from ringback.store.plan.target import Target
from ringback.testing.dial_plans import Behaviour, DialPlan, dial_plan
from tests.server.door import SERVER, Door, Visitor, extension
from tests.server.test_outside import Carrier
from tests.server.test_routed import Desk
from tests.sip.phones import Phone

MANNERS: dict[Behaviour, str] = {"answers": "answer", "busy": "486", "declined": "603", "no answer": "ring"}
SAID: dict[Behaviour, set[Outcome]] = {
    "busy": {Outcome.BUSY},
    "declined": {Outcome.DECLINED},
    "no answer": {Outcome.NO_ANSWER},
    "unreachable": {Outcome.UNREACHABLE},
}
ENDS = (EnterMeeting, Echo, LeaveMessage, CheckMessages, Feature)
LONGEST_S = 900


class Booth(Application):
    """Stands for what this test does not look into: it answers, and is done a second later."""

    def __init__(self, onward: Onward) -> None:
        self.onward = onward
        self.leg: Leg | None = None

    def offered(self, leg: Leg, now: float) -> None:
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        self.leg = leg

    def ended(self, leg: Leg, now: float) -> None:
        self.leg = None


@dataclass
class Followed:
    """Routing that remembers what it was asked and what it said."""

    routing: Routing
    asked: Asked | None = None
    decisions: list[Decision] = field(default_factory=list)
    came: list[tuple[Target, tuple[Target, ...], Outcome]] = field(default_factory=list)

    def first(self, asked: Asked) -> Decision:
        self.asked = asked
        self.decisions = [self.routing.first(asked)]
        return self.decisions[0]

    def next(self, asked: Asked, target: Target, path: tuple[Target, ...], why: Outcome) -> Decision:
        self.came.append((target, path, why))
        self.decisions.append(self.routing.next(asked, target, path, why))
        return self.decisions[-1]

    def calls_help(self, number: str) -> bool:
        return self.routing.calls_help(number)


class LoggedDesk(Desk):
    """A phone that notes in a list, which all share, that it was rung."""

    log: list[tuple[str, str]]
    number: str

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, IncomingCall):
            self.log.append(("phone", self.number))
        return super()._on_event(phone, event)


class LoggedCarrier(Carrier):
    """A carrier that notes which number it was sent."""

    log: list[tuple[str, str]]
    name: str

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, IncomingCall):
            assert isinstance(event.request.uri, SipUri)
            self.log.append((self.name, event.request.uri.username))
        return super()._on_event(phone, event)


class Town:
    """The plan's phones and carriers around the real front door."""

    def __init__(self, plan: DialPlan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)
        self.log: list[tuple[str, str]] = []
        self.door = door = Door()
        door.clock = plan.at
        door.directory = self._directory()
        routing = PlanRouting(lambda: door.directory, plan.services, lambda: plan.at, {})
        self.followed = door.ways.routing = Followed(routing)
        self.booths: list[Booth] = []
        for kind in (Wait, LeaveMessage, CheckMessages, Feature):
            door.destinations.register(kind, self._booth)
        Attendants(door.switchboard, lambda: door.directory).register(door.destinations)
        self.desks = {number: desk for number in plan.phones if (desk := self._desk(number)) is not None}
        self.carriers: dict[str, LoggedCarrier] = {}
        for place, trunk in enumerate(plan.directory.trunks.values(), 1):
            if trunk.enabled:
                carrier = LoggedCarrier(
                    door, f"198.51.100.{place}", self.rng.choice(["answer", "486", "503"])
                )
                carrier.log, carrier.name = self.log, trunk.name
                self.carriers[trunk.name] = carrier
                door.with_trunk(replace(trunk, host=carrier.phone.address[0]))

    def _directory(self) -> Directory:
        """The plan's directory with passwords, and no trunk yet."""
        given = self.plan.directory
        extensions = [
            replace(extension(number, enabled=known.enabled), person_id=known.person_id)
            for number, known in given.extensions.items()
        ]
        return Directory.of(extensions, given.meetings.values(), (), given.plan, given.people.values())

    def _booth(self, step: Step, call: Call, onward: Onward, now: float) -> Booth:
        self.booths.append(Booth(onward))
        return self.booths[-1]

    def _desk(self, number: str) -> LoggedDesk | None:
        manner = MANNERS.get(self.plan.phones[number])
        if manner is None or not self.plan.directory.extensions[number].enabled:
            return None
        desk = LoggedDesk(self.door, number, manner, host=f"192.0.2.{int(number) - 990}")
        desk.log, desk.number = self.log, number
        return desk

    # A call

    def call(self, caller: Asked) -> int:
        """Call, and let it come to its end; the final answer to the caller, 0 if there is none."""
        visitor = self._caller(caller)
        if caller.account is not None:
            visitor.authorized_call(caller.dialled.reveal(), caller.account)
        else:
            visitor.call(
                caller.dialled.reveal(), from_=NameAddr(SipUri(user=caller.number.reveal(), host=SERVER))
            )
        for _ in range(2 * LONGEST_S):
            if self._over(visitor):
                break
            self._act()
            self.door.run(0.5)
        self.door.run(0.5)
        return visitor.status() if visitor.answers() else 0

    def _caller(self, caller: Asked) -> Visitor:
        if caller.trunk is None:
            return Visitor(self.door, "192.0.2.5")
        visitor = object.__new__(Visitor)
        visitor.door, visitor.phone = self.door, self.carriers[caller.trunk].phone
        return visitor

    def _over(self, visitor: Visitor) -> bool:
        if not self.followed.decisions or not self.door.switchboard.legs:
            return True
        step = self.followed.decisions[-1].step
        answered = bool(visitor.answers()) and visitor.status() == 200
        others = list(self.door.switchboard.legs.values())[1:]
        talking = any(leg.state is LegState.CONNECTED for leg in others)
        return answered and (isinstance(step, ENDS) or (talking and isinstance(step, Ring | GoOut)))

    def _act(self) -> None:
        """Be the caller who is asked by a menu, and the queue that takes too long."""
        door, step = self.door, self.followed.decisions[-1].step
        legs = list(door.switchboard.legs.values())
        if isinstance(step, Ask) and self.rng.random() < 0.1:
            keys = [*step.menu.keys, *"07"]
            pressed = media.Digit(leg=legs[0].id, digit=self.rng.choice(keys), duration_ms=100)
            door.switchboard.media_event(pressed, door.phone.now)
        if isinstance(step, Wait) and self.booths and (leg := self.booths[-1].leg) is not None:
            booth = self.booths.pop()
            if not booth.onward(leg, Outcome.DONE, door.phone.now):
                leg.hangup(door.phone.now)
        door.phone.do(door._flush())

    # What was to be expected

    def rings(self, step: Ring, caller: Asked) -> tuple[list[set[str]], bool]:
        """Who rings in each round, and whether somebody answers."""
        rounds: list[set[str]] = []
        for each in step.rounds:
            own = set() if step.call_waiting else {caller.account}
            ringing = {number for number in each.extensions if number in self.desks} - own
            rounds.append({str(number) for number in ringing})
            if any(self.plan.phones[number] == "answers" for number in rounds[-1]):
                return rounds, True
        return rounds, False

    def outcomes(self, step: Ring, caller: Asked) -> set[Outcome]:
        """What can come of phones that nobody answers."""
        numbers = {number for each in step.rounds for number in each.extensions}
        return {outcome for number in numbers for outcome in self._said(number, step, caller)}

    def _said(self, number: str, step: Ring, caller: Asked) -> set[Outcome]:
        if not step.call_waiting and number == caller.account:
            return {Outcome.BUSY}
        return SAID[self.plan.phones[number]] if number in self.desks else {Outcome.UNREACHABLE}

    def sends(self, step: GoOut) -> tuple[list[tuple[str, str]], bool]:
        """What carriers are sent in turn, and whether one takes it."""
        sent: list[tuple[str, str]] = []
        for way in step.ways:
            sent.append((way.trunk.name, way.number))
            manner = self.carriers[way.trunk.name].manner
            if manner == "answer":
                return sent, True
            if manner == "486" and not step.emergency:
                break
        return sent, False


def check(town: Town, caller: Asked, status: int) -> None:
    """The call against the simulator's tree, and against who was rung."""
    followed, plan = town.followed, town.plan
    found = explore(Snapshot(town.door.directory, plan.services, plan.at), caller)
    if not followed.decisions:
        step = found.root.step
        assert isinstance(step, Refuse), step
        assert step.status == status
        return
    assert followed.asked == caller
    walked = list(walk(found, followed))
    log = list(town.log)
    answered = False
    for place, (step, decision) in enumerate(walked):
        assert plain(step) == plain(decision.step)
        assert not answered, "who is connected goes nowhere else"
        if isinstance(step, Ring):
            rounds, answered = town.rings(step, caller)
            for each in rounds:
                assert {number for _, number in log[: len(each)]} == each
                del log[: len(each)]
            if not answered and place < len(followed.came):
                assert followed.came[place][2] in town.outcomes(step, caller)
        elif isinstance(step, GoOut):
            sent, answered = town.sends(step)
            assert log[: len(sent)] == sent
            del log[: len(sent)]
    assert log == [], "nobody else was rung"
    last = walked[-1][0]
    if answered or isinstance(last, ENDS) or any(isinstance(step, Ask | Wait) for step, _ in walked):
        assert status == 200
    elif isinstance(last, Refuse) and all(isinstance(step, Ring | GoOut | Refuse) for step, _ in walked):
        assert status == last.status


def plain(step: Step) -> Step:
    """A step without what depends on the way to it: what was passed, and the greeting of a mailbox."""
    step = changed(step, path=())
    return changed(step, why=Outcome.DONE) if isinstance(step, LeaveMessage) else step


def walk(found: Explored, followed: Followed) -> Sequence[tuple[Step, Decision]]:
    """The nodes of the tree that the call came by, each with what was decided then.

    Where the tree says that a place is in it already, a circle may close on one of the two ways that does not
    close on the other; that there is a circle was found all the same, and the call is followed without it.
    """
    node, again = found.root, False
    walked: list[tuple[Step, Decision]] = []
    for place, decision in enumerate(followed.decisions):
        if place:
            target, path, why = followed.came[place - 1]
            node = child_of(node, target, why if path else None)
        if node.seen:
            node, again = elsewhere(found.root, target), True
        assert node.step is not None
        if again and (closes(decision.step) or closes(node.step)):
            closed = decision.step if closes(decision.step) else node.step
            assert isinstance(closed, Refuse)
            assert any(members(why) & members(closed.why) for why in found.loops)
            return walked + [(later.step, later) for later in followed.decisions[place:]]
        assert node.rules[-len(decision.rules) :] == decision.rules
        walked.append((node.step, decision))
    return walked


def closes(step: Step) -> bool:
    return isinstance(step, Refuse) and step.loop


def members(why: str) -> frozenset[str]:
    return frozenset(why.partition(": ")[2].split(" → "))


def child_of(node: Node, target: Target, why: Outcome | None) -> Node:
    for child in node.children:
        by_key = child.came_by[0].startswith(("key ", "dialled "))
        fits = by_key if why is None else why.value in child.came_by or child.came_by == ("then",)
        if fits and child.target == target:
            return child
    raise AssertionError(f"the simulator knows no way from {node.target} to {target} by {why}")


def elsewhere(root: Node, target: Target) -> Node:
    """The node of a place that the tree has already."""
    if root.step is not None and target in root.step.path:
        return root
    waiting = [root]
    for node in waiting:
        back = node.step is not None and closes(node.step) and len(node.rules) == 1
        if node.target == target and not node.seen and not back:
            return node
        waiting += node.children
    raise AssertionError(f"{target} is said to be in the tree already, and is not")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_the_simulator_and_the_call_agree(seed: int) -> None:
    plan = dial_plan(seed)
    town = Town(plan)
    for caller in plan.callers:
        known = plan.directory.extension(caller.account or "")
        if caller.account is not None and (known is None or not known.enabled):
            continue
        if caller.trunk is not None and caller.trunk not in town.carriers:
            continue
        check(town, caller, town.call(caller))
        return
