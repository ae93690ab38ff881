"""How long it takes to decide where a call goes and what can become of it, by 10,000 rules."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ringback.governance.private import Private
from ringback.routing.explore import MOST_NODES, explore
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.router import Router
from ringback.routing.snapshot import PlanIndex, Snapshot
from ringback.routing.steps import Asked
from ringback.store.directory import Directory, Extension, Trunk
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group
from ringback.store.plan.hours import Holiday, Hours, Span
from ringback.store.plan.menu import Menu
from ringback.store.plan.outbound import Blocked, Route
from ringback.store.plan.plan import Plan
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan

ROUTES, BLOCKED, ANSWERING, HOURS, GROUPS = 4500, 3000, 1200, 400, 100
ROUNDS = 1000
AT = datetime(2026, 12, 24, 18, 0, tzinfo=UTC)
_DAYS = ("mon", "tue", "wed", "thu", "fri")


def measure() -> Iterator[str]:
    """Decide and simulate some calls over and over."""
    rng = random.Random(1)
    directory = town(rng)
    services = ServiceNumbers("600", frozenset({"700"}), country="US")
    began = time.perf_counter()
    PlanIndex(directory.plan)
    rules = sum(len(values) for values in directory.plan.values.values())
    yield f"{rules} rules: index made in {1000 * (time.perf_counter() - began):.0f} ms, once a change"
    snapshot = Snapshot(directory, services, AT)
    calls = {
        "to a number outside": lambda: Asked(Private(_outside(rng)), Private("20001"), account="20001"),
        "to an extension": lambda: Asked(
            Private(str(20_000 + rng.randrange(ANSWERING))), Private("20001"), "20001"
        ),
        "in by a trunk": lambda: Asked(Private("+14155550100"), Private(_outside(rng)), trunk="carrier"),
    }
    for name, ask in calls.items():
        decided = _times(ask, lambda asked: Router(directory, services, AT).start(asked))
        explored = _times(ask, lambda asked: explore(snapshot, asked))
        yield f"{name}: decided in {decided} (aim: under 1 ms), simulated in {explored} (aim: under 5 ms)"
    tangle = Snapshot(web_of(10_000), services, AT)
    asked = Asked(Private("2000"), Private("20000"), account="20000")
    explored = _times(lambda: asked, lambda asked: explore(tangle, asked), 20)
    yield f"10000 menus that all lead to each other, cut at {MOST_NODES} places: simulated in {explored}"


def town(rng: random.Random) -> Directory:
    """A directory with a plan of 10,000 rules."""
    nothing = Private("")
    extensions = [
        Extension(f"e{number}", str(number), "", nothing, nothing, None, True, AT)
        for number in range(20_000, 20_000 + ANSWERING)
    ]
    dids = {"+14155550100": "menu:main"}
    trunk = Trunk("carrier", "carrier", "192.0.2.1", AT, prefixes=("+",), dids=dids)
    return Directory.of(extensions, (), [trunk], Plan.of(_values(rng)))


def _values(rng: random.Random) -> Iterator[Value]:
    yield Role(name="standard", classes=("national", "international"), forward_outside=True)
    keys = {str(key): f"hours:h{key}" for key in range(10)}
    yield Menu(name="main", words="Press a key.", keys=keys, otherwise="group:g1")
    for each in range(ROUTES):
        pattern = f"+1{rng.randint(200, 999)}{rng.choice(['NXXXXXX', '.', f'{rng.randint(200, 999)}XXXX'])}"
        hours = f"h{rng.randrange(HOURS)}"
        yield Route(name=f"r{each}", patterns=(pattern,), trunks=("carrier",), hours=hours)
    yield Route(name="all", patterns=("+.",), trunks=("carrier",), priority=999)
    for each in range(BLOCKED):
        yield Blocked(name=f"b{each}", patterns=(f"+1900{rng.randint(200, 999)}{rng.randint(0, 999):03}X",))
    for each in range(ANSWERING):
        # Ten to a department, who stand in for each other; most have a mailbox.
        colleague = f"extension:{20_000 + each // 10 * 10 + rng.randrange(10)}"
        yield Answering(
            name=str(20_000 + each),
            busy=colleague,
            no_answer=f"group:g{each // 10 % GROUPS}" if each % 5 == 0 else "",
        )
        if each % 4:
            yield MailboxPlan(name=str(20_000 + each))
    for each in range(HOURS):
        yield Hours(
            name=f"h{each}",
            time_zone=rng.choice(["Europe/Berlin", "America/New_York", "Asia/Tokyo"]),
            spans=(Span(days=_DAYS, from_="08:00", to="18:00"),),
            holidays=tuple(Holiday(date=f"12-{day:02}") for day in range(24, 32)),
            open=f"group:g{rng.randrange(GROUPS)}",
            closed=f"mailbox:{20_000 + rng.randrange(ANSWERING)}",
        )
    for each in range(GROUPS):
        members = tuple(str(20_000 + each * 10 + member) for member in range(8))
        yield Group(name=f"g{each}", members=members, otherwise=f"hours:h{rng.randrange(HOURS)}")


def web_of(size: int) -> Directory:
    """A plan where every menu leads to others: the largest tree that is gone through."""
    rng = random.Random(2)
    nothing = Private("")
    extensions = [Extension("e", "20000", "", nothing, nothing, None, True, AT)]
    menus = (
        Menu(
            name=f"m{each}",
            number="2000" if each == 0 else "",
            words="Press a key.",
            keys={key: f"menu:m{rng.randrange(size)}" for key in "123"},
            otherwise=f"menu:m{rng.randrange(size)}",
        )
        for each in range(size)
    )
    return Directory.of(extensions, (), (), Plan.of(menus))


def _outside(rng: random.Random) -> str:
    return f"+1{rng.randint(200, 999)}{rng.randint(200, 999)}{rng.randint(0, 9999):04}"


def _times(ask: Callable[[], Asked], act: Callable[[Asked], object], rounds: int = ROUNDS) -> str:
    """The middle and the 99th percentile."""
    took = []
    for _ in range(rounds):
        asked = ask()
        began = time.perf_counter()
        act(asked)
        took.append(time.perf_counter() - began)
    took.sort()
    return f"{1000 * took[rounds // 2]:.2f} ms, p99 {1000 * took[rounds * 99 // 100]:.2f} ms"
