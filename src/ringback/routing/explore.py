"""What can become of a call: the router asked again for every outcome and key, with circles and dead ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringback.routing.router import Router
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import Ask, Asked, Decision, Outcome, Refuse, Rule, Step
from ringback.routing.trail import named
from ringback.store.plan.answering import Answering
from ringback.store.plan.target import Target

MOST_NODES: Final = 2000
"""A tree is cut there: nobody reads more."""

_ORDER: Final = {outcome: place for place, outcome in enumerate(Outcome)}


@dataclass(slots=True)
class Node:
    """A step, and how the call comes to it: `came_by` is an outcome or a key in words, empty at the root.

    `seen` is True for a place that is in the tree already: what follows is there.
    """

    came_by: tuple[str, ...]
    target: Target | None
    step: Step | None = None
    rules: tuple[Rule, ...] = ()
    seen: bool = False
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explored:
    """The tree, and what is wrong in it, each once; `cut` if it was too large to go through."""

    root: Node
    loops: tuple[str, ...]
    dead_ends: tuple[str, ...]
    cut: bool


class _Way(NamedTuple):
    """From a node to the next, not gone yet."""

    parent: Node
    came_by: tuple[str, ...]
    target: Target
    path: tuple[Target, ...]
    why: Outcome


class _Explorer:
    """Goes through outcomes depth first, so that each circle closes on the way that it is passed on; places
    that callers choose by keys, which begin a way of their own, come after."""

    def __init__(self, snapshot: Snapshot, asked: Asked) -> None:
        self._snapshot = snapshot
        self._asked = asked
        self._router = Router(snapshot.directory, snapshot.services, snapshot.at, snapshot.turns)
        self._known: set[tuple[Target, Target | None]] = set()
        # A stack of our own: plans have no greatest depth.
        self._next: list[_Way] = []
        self._chosen: deque[_Way] = deque()
        self._nodes = 1
        self._loops: dict[str, None] = {}
        self._dead_ends: dict[str, None] = {}

    def explore(self) -> Explored:
        root = Node((), None)
        decision = self._router.start(self._asked)
        self._known.update((target, None) for target in decision.step.path if target.kind != "outside")
        self._fill(root, decision)
        while self._next or self._chosen:
            if self._nodes >= MOST_NODES:
                break
            self._go(self._next.pop() if self._next else self._chosen.popleft())
        cut = bool(self._next or self._chosen)
        return Explored(root, tuple(self._loops), tuple(self._dead_ends), cut)

    def _go(self, way: _Way) -> None:
        self._nodes += 1
        node = Node(way.came_by, way.target)
        way.parent.children.append(node)
        # Who forwards a call outside decides whether it may.
        key = (way.target, way.path[-1] if way.target.kind == "outside" and way.path else None)
        if way.target not in way.path:
            if key in self._known:
                node.seen = True
                return
            self._known.add(key)
        self._fill(node, self._router.go(way.target, self._asked, way.path, way.why), way.parent)

    def _fill(self, node: Node, decision: Decision, parent: Node | None = None) -> None:
        step = node.step = decision.step
        node.rules = decision.rules
        if isinstance(step, Refuse):
            self._note(step, parent)
        if isinstance(step, Ask):
            self._chosen.extend(
                _Way(node, (key,), target, (), Outcome.DONE) for key, target in self._keys(step)
            )
        ways = [_Way(node, came_by, target, step.path, why) for came_by, target, why in _ways(step)]
        self._next += reversed(ways)

    def _keys(self, step: Ask) -> Iterator[tuple[str, Target]]:
        for key, text in step.menu.keys.items():
            target = Target.parse(text)
            if target is not None:
                yield f"key {key}", target
        if step.menu.dial_extensions:
            for number in self._snapshot.plan.all(Answering):
                if self._snapshot.extension(number) is not None:
                    yield f"dialled {number}", Target("extension", number)

    def _note(self, step: Refuse, parent: Node | None) -> None:
        if step.loop:
            self._loops[step.why] = None
        elif step.dead_end:
            passed = parent.step.path if parent is not None and parent.step is not None else ()
            places = (*passed[-1:], *step.path[-2:])[-2:]
            # The reason names each place but those outside.
            outside = bool(places) and places[-1].kind == "outside"
            where = f"{' → '.join(map(named, places))}: " if outside else ""
            self._dead_ends[f"{where}{step.why}"] = None


def _ways(step: Step) -> Iterator[tuple[tuple[str, ...], Target, Outcome]]:
    """Where the outcomes lead; those with one target are one way. Only the greeting of a mailbox differs."""
    if len(step.onward) == len(Outcome) and len(set(step.onward.values())) == 1:
        yield ("then",), step.onward[Outcome.DONE], Outcome.DONE
        return
    together: dict[Target, list[Outcome]] = {}
    for outcome, target in sorted(step.onward.items(), key=lambda item: _ORDER[item[0]]):
        together.setdefault(target, []).append(outcome)
    for target, outcomes in together.items():
        yield tuple(outcome.value for outcome in outcomes), target, outcomes[0]


def explore(snapshot: Snapshot, asked: Asked) -> Explored:
    """Every way that a call can take from here, at the moment of the snapshot."""
    return _Explorer(snapshot, asked).explore()
