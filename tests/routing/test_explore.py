"""What can become of a call: no circle is missed, nothing is made up, and it is told in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.governance.private import Private
from ringback.routing.e164 import e164
from ringback.routing.explore import MOST_NODES, Explored, Node, explore
from ringback.routing.hours import standing
from ringback.routing.router import Router
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import Ask, Asked, GoOut, Outcome, Refuse, Ring
from ringback.store.plan.answering import Answering
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.outbound import Route
from ringback.store.plan.target import Target
from ringback.store.plan.voice import MailboxPlan
from ringback.testing.dial_plans import DialPlan, dial_plan
from tests.routing.office import Office


def test_the_tree_has_every_outcome() -> None:
    office = Office(
        Answering(name="1002", busy="group:g"), Group(name="g", members=("1003",)), MailboxPlan(name="1002")
    )
    root = office.explore("1002").root
    assert [(child.came_by, str(child.target)) for child in root.children] == [
        (("busy", "declined"), "group:g"),
        (("no answer", "unreachable"), "mailbox:1002"),
    ]
    assert isinstance(root.children[0].step, Ring)


def test_circles_and_dead_ends_are_told_once_each() -> None:
    office = Office(
        Answering(name="1002", busy="hours:h", no_answer="mailbox:1003"),
        Hours(name="h", switch="closed", closed="group:g"),
        Group(name="g", members=("1003",), otherwise="extension:1002"),
    )
    found = office.explore("1002")
    assert found.loops == ("the plan leads in a circle: extension:1002 → hours:h → group:g → extension:1002",)
    assert found.dead_ends == ("mailbox:1003 does not exist",)


def test_a_circle_beside_the_way_on_which_its_places_were_first_seen() -> None:
    office = Office(
        Answering(name="1002", busy="extension:1003", no_answer="extension:1004"),
        Answering(name="1003", busy="extension:1004"),
        Answering(name="1004", busy="extension:1003"),
    )
    assert office.explore("1002").loops == (
        "the plan leads in a circle: extension:1003 → extension:1004 → extension:1003",
    )


def test_keys_are_gone_through_and_going_back_is_no_circle() -> None:
    office = Office(
        Menu(name="main", number="200", words=".", keys={"1": "menu:sub", "2": "extension:1002"}),
        Menu(name="sub", words=".", keys={"*": "menu:main", "1": "group:gone"}),
    )
    found = office.explore("200")
    assert found.loops == ()
    assert found.dead_ends == ("group:gone does not exist",)
    assert [child.came_by[0] for child in found.root.children] == ["then", "key 1", "key 2"]
    sub = found.root.children[1]
    assert [(child.came_by[0], child.seen) for child in sub.children] == [
        ("then", True),
        ("key *", True),
        ("key 1", False),
    ]


def test_a_dead_end_outside_says_where_it_is_in_the_plan() -> None:
    office = Office(
        Menu(name="main", number="200", words=".", keys={"1": "outside:+442079460018"}, otherwise="group:g"),
        Group(name="g", members=("1002",), otherwise="outside:+442079460018"),
        Route(name="near", patterns=("+1.",), trunks=("first",)),
    )
    assert office.explore("200").dead_ends == (
        "group:g → a number outside: no route fits this number",
        "menu:main → a number outside: no route fits this number",
    )


def test_extensions_that_a_menu_lets_dial_are_gone_through() -> None:
    menu = Menu(name="main", number="200", words=".", keys={}, dial_extensions=True)
    circle = (
        Answering(name="1002", always="extension:1003"),
        Answering(name="1003", always="extension:1002"),
    )
    assert Office(menu, *circle).explore("200").loops


def test_a_plan_too_large_to_read_is_cut_and_says_so() -> None:
    keys = {key: f"menu:m{key}" for key in "0123456789"}
    menus = [Menu(name=f"m{key}", words=".", keys=keys) for key in "0123456789"]
    groups = range(MOST_NODES + 10)
    long = [Group(name=f"g{i}", members=("1002",), otherwise=f"group:g{i + 1}") for i in groups]
    assert not Office(Menu(name="m", number="200", words=".", keys=keys), *menus).explore("200").cut
    found = Office(Answering(name="1002", busy="group:g0"), *long).explore("1002")
    assert found.cut


# Against another search, written apart from the router


def targets_of(plan: DialPlan, target: Target) -> tuple[list[Target], list[Target]]:
    """Where a place leads by itself, and by keys: the graph of the plan, as its documentation has it."""
    values = plan.directory.plan
    by_itself: list[str] = []
    by_keys: list[str] = []

    def rings(numbers: tuple[str, ...]) -> bool:
        known = (plan.directory.extension(number) for number in numbers)
        return any(extension is not None and extension.enabled for extension in known)

    match target.kind:
        case "extension" if rings((target.name,)):
            answering = values.get(Answering, target.name) or Answering(name=target.name)
            box = f"mailbox:{target.name}" if values.get(MailboxPlan, target.name) else ""
            if answering.always:
                by_itself = [answering.always]
            elif answering.do_not_disturb:
                by_itself = [answering.busy or box]
            else:
                by_itself = [
                    each or box for each in (answering.busy, answering.no_answer, answering.unreachable)
                ]
        case "group":
            by_itself = [group.otherwise] if (group := values.get(Group, target.name)) else []
        case "queue":
            by_itself = [queue.otherwise] if (queue := values.get(Queue, target.name)) else []
        case "announcement":
            by_itself = [said.then] if (said := values.get(Announcement, target.name)) else []
        case "hours":
            hours = values.get(Hours, target.name)
            if hours is not None:
                state = standing(hours, plan.at).state
                by_itself = [
                    {"open": hours.open, "closed": hours.closed}.get(state, hours.holiday or hours.closed)
                ]
        case "menu":
            menu = values.get(Menu, target.name)
            if menu is not None:
                by_itself, by_keys = [menu.otherwise], list(menu.keys.values())
                if menu.dial_extensions:
                    by_keys += [f"extension:{number}" for number in values.all(Answering) if rings((number,))]
        case "outside":
            for trunk in plan.directory.trunks.values():
                for did, leads_to in trunk.dids.items():
                    if trunk.enabled and e164(target.name, plan.services.country) == did:
                        by_itself = [place(plan, leads_to)]
    parse = Target.parse
    return [t for t in map(parse, by_itself) if t], [t for t in map(parse, by_keys) if t]


def place(plan: DialPlan, leads_to: str) -> str:
    if ":" in leads_to or leads_to in {"busy", "hangup"}:
        return leads_to
    if plan.directory.extension(leads_to) is not None:
        return f"extension:{leads_to}"
    return str(plan.directory.plan.numbers.get(leads_to, ""))


def circles(plan: DialPlan, first: Target) -> set[frozenset[str]]:
    """The places that lead to each other by themselves, of all that can be reached: one set a knot."""
    reached, waiting = {first}, [first]
    while waiting:
        for target in chain.from_iterable(targets_of(plan, waiting.pop())):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    after = {target: onward(plan, target) for target in reached}
    return {
        frozenset(str(other) for other in after[target] if target in after[other])
        for target in reached
        if target in after[target]
    }


def onward(plan: DialPlan, first: Target) -> set[Target]:
    """Everywhere that a call comes by itself from a place."""
    seen: set[Target] = set()
    front = {first}
    while front:
        front = {target for each in front for target in targets_of(plan, each)[0]} - seen
        seen |= front
    return seen


def nodes(node: Node) -> Iterator[tuple[Node, Node | None]]:
    waiting: list[tuple[Node, Node | None]] = [(node, None)]
    while waiting:
        each, parent = waiting.pop()
        yield each, parent
        waiting += [(child, each) for child in each.children]


def explored(plan: DialPlan, caller: Asked) -> Explored:
    return explore(Snapshot(plan.directory, plan.services, plan.at), caller)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_no_circle_is_missed_and_none_is_made_up(seed: int) -> None:
    plan = dial_plan(seed)
    for caller in plan.callers:
        first = explored(plan, caller)
        assert not first.cut
        begins = first.root.step.path[:1] if first.root.step is not None else ()
        named = [set(why.partition(": ")[2].split(" → ")) - {"a number outside"} for why in first.loops]
        expected = circles(plan, begins[0]) if begins else set()
        for knot in expected:
            assert any(circle <= knot for circle in named), (caller, knot, first.loops)
        for circle in named:
            assert any(circle <= knot for knot in expected), (caller, circle, expected)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_every_node_is_what_the_router_decides_there(seed: int) -> None:
    plan = dial_plan(seed)
    router = Router(plan.directory, plan.services, plan.at)
    for caller in plan.callers:
        root = explored(plan, caller).root
        assert root.step == router.start(caller).step
        for node, parent in nodes(root):
            if parent is None or parent.step is None or node.target is None:
                continue
            name = node.came_by[0]
            if name.startswith(("key ", "dialled ")):
                assert isinstance(parent.step, Ask)
                decision = router.go(node.target, caller, (), Outcome.DONE)
            else:
                outcome = Outcome.DONE if name == "then" else Outcome(name)
                assert parent.step.onward[outcome] == node.target
                decision = router.go(node.target, caller, parent.step.path, outcome)
            assert node.seen or node.step == decision.step


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_a_call_ends(seed: int) -> None:
    """Outcomes alone, without keys, lead to an end in no more steps than there are places."""
    plan = dial_plan(seed)
    router = Router(plan.directory, plan.services, plan.at)
    for caller in plan.callers:
        for outcome in Outcome:
            decision = router.start(caller)
            for _ in range(60):
                target = decision.step.onward.get(outcome)
                if target is None:
                    break
                decision = router.go(target, caller, decision.step.path, outcome)
            else:
                raise AssertionError("it goes on for ever")
            assert not isinstance(decision.step, GoOut) or decision.step.ways
            assert not isinstance(decision.step, Refuse) or decision.step.why


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 50), st.text(max_size=70), st.text(max_size=70), st.booleans())
def test_whatever_is_dialled_by_whomever_gets_an_answer(
    seed: int, dialled: str, number: str, by_trunk: bool
) -> None:
    plan = dial_plan(seed)
    trunk = next(iter(plan.directory.trunks), "gone") if by_trunk else None
    caller = Asked(Private(dialled), Private(number), account=None if by_trunk else "1001", trunk=trunk)
    assert explored(plan, caller).root.step is not None
