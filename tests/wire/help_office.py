"""An office that calls for help: phones in every state, carriers, who helps, and a colleague who is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ringback.agent import Call, CallEndedError, CallFailedError, Station, UserAgent
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones
from ringback.store.plan.answering import Role
from ringback.store.plan.outbound import Blocked
from ringback.store.plan.safety import EmergencyTest
from ringback.store.plan.value import Value
from ringback.store.store import open_store
from tests.wire.disks import own_disk
from tests.wire.kamailio import Kamailio
from tests.wire.office_plan import (
    answering,
    apply_plan,
    route,
    site,
    standard_role,
)
from tests.wire.ports import free_ports
from tests.wire.server import RingbackServer
from tests.wire.test_routed_calls import check_heard
from tests.wire.test_transfer import wait_for

HELP = "911"
OUTSIDE = "15550100"
COLLEAGUE, DRILL = "2190", "2191"
PATIENCE_S = 30.0
LINES = 2
"""How many calls the carrier of the trunk `few` takes at once."""

# A carrier that takes so many calls at once, and lets all of them ring at one place.
CARRIER = """
modparam("pv", "shvset", "lines=i:0")
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (is_method("BYE")) $shv(lines) = $shv(lines) - 1;
        loose_route();
        t_relay();
        exit;
    }}
    if ($shv(lines) >= {lines}) {{ sl_send_reply("503", "No Line"); exit; }}
    $shv(lines) = $shv(lines) + 1;
    record_route();
    xlog("takes $rU from $fU\\n");
    $rU = "outside";
    $du = "sip:127.0.0.1:{phone}";
    t_relay();
}}
"""


class State(NamedTuple):
    """A phone that nobody would let call anything; `hz` is what it speaks, `floor` where it is."""

    extension: str
    hz: float
    floor: int
    device: bool = True

    @property
    def callback(self) -> str:
        return f"+155501{self.floor:02}"


RESTRICTED = State("2101", 500.0, 1, device=False)
CAPPED = State("2102", 560.0, 2)
QUIET = State("2103", 620.0, 3)
DISABLED = State("2104", 680.0, 4)
PLAIN = State("2105", 740.0, 5)
BESIDE = State("2106", 800.0, 6)
TESTING = State("2107", 860.0, 7)
NOWHERE = State("2108", 920.0, 0, device=False)
FEW = State("2109", 980.0, 9)
STATES = (RESTRICTED, CAPPED, QUIET, DISABLED, PLAIN, BESIDE, TESTING, NOWHERE, FEW)
OUTSIDE_HZ = {state.callback: 1100.0 + 60 * state.floor for state in STATES}
"""What who helps speaks, by the number that is shown: everybody has somebody else to talk to."""
_OF_STRANGERS_HZ = 2900.0

PLAN: tuple[Value, ...] = (
    standard_role(),
    Role(name="nobody", classes=()),
    answering(QUIET.extension, do_not_disturb=True, call_waiting=False),
    Blocked(name="all", patterns=("911.", "9")),
    route("few", "2555XXXX.", "few"),
    route("usual", "1.", "alpha", "beta"),
    EmergencyTest(name="drill", extensions=(TESTING.extension,), target=DRILL),
    *(
        site(
            f"floor{state.floor}",
            state.callback,
            COLLEAGUE,
            title=f"Floor {state.floor}",
            trunks=("few",) if state is FEW else (),
        )
        for state in STATES
        if state.floor
    ),
)
CAPS = {
    "national": {"prefixes": [""], "concurrent": 5, "calls_a_day": 3},
    "international": {"prefixes": ["+", "00", "011"], "calls_a_day": 0},
}


class Office(NamedTuple):
    """The server and its carriers; `users` is what phones log in as, by their extension."""

    server: RingbackServer
    alpha: Kamailio
    beta: Kamailio
    few: Kamailio
    users: dict[str, str]
    phone: int
    """Where the carriers let calls ring."""


async def prepare(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    store = await open_store(load_settings(data_dir=folder, environ={}))
    restricted = await store.people.add("Nobody", site="floor1")
    for number in (*(state.extension for state in STATES), COLLEAGUE, DRILL):
        person = restricted.id if number == RESTRICTED.extension else None
        await store.extensions.add(number, password=Private(f"secret-of-{number}"), person_id=person)
    for place, (name, port) in enumerate(ports.items()):
        limit = {"max_calls": LINES if name == "few" else 30, "priority": place}
        await store.trunks.add(name, {"host": "127.0.0.1", "port": port, **limit})
    await apply_plan(store, PLAN)
    await store.people.change(restricted.id, role="nobody")
    users = {}
    for state in STATES:
        users[state.extension] = state.extension
        if state.device:
            password = Private(f"secret-of-{state.extension}")
            name = f"Phone of floor {state.floor}"
            location = f"floor{state.floor}"
            device, _ = await store.devices.add(name, state.extension, location=location, password=password)
            users[state.extension] = device.username
    await store.extensions.change(DISABLED.extension, enabled=False)
    await store.close()
    return users


@contextmanager
def made_office(folder: Path, *, small_disk: bool = False) -> Iterator[Office]:
    phone = free_ports()
    carriers = {
        name: Kamailio(folder / name, CARRIER, lines=lines, phone=phone)
        for name, lines in (("alpha", 30), ("beta", 30), ("few", LINES))
    }
    caps = {"RINGBACK_ROUTING__CLASSES": json.dumps(CAPS)}
    server = RingbackServer(folder / "server", settings=caps)
    with own_disk(server, small=small_disk):
        users = asyncio.run(prepare(server.data, {name: one.port for name, one in carriers.items()}))
        try:
            for carrier in carriers.values():
                carrier.start()
            server.start()
            yield Office(server, *carriers.values(), users, phone)
        finally:
            for thing in carriers.values():
                thing.stop()
            server.kill_all()


class Street:
    """The phones of one test: of the office, of who helps, and of a colleague who is told."""

    def __init__(self, office: Office, station: Station, stack: AsyncExitStack) -> None:
        self.office, self.station, self._stack = office, station, stack
        self.helped: dict[str, Call] = {}
        self.told: list[Call] = []
        self._arrived = asyncio.Condition()

    async def open(self) -> None:
        """Let help answer whoever calls, and the colleague hear what is told."""
        self._recorded = await asyncio.to_thread(self._records)
        outside = Station(bind="127.0.0.1", port=self.office.phone)
        await self._stack.enter_async_context(outside)
        world = UserAgent(f"sip:outside@127.0.0.1:{self.office.phone}", codecs=["PCMU"], station=outside)
        await self._stack.enter_async_context(world)
        colleague = await self.phone(COLLEAGUE)
        for work in (self._help(world), self._listen(colleague)):
            task = asyncio.create_task(work)
            self._stack.callback(task.cancel)

    async def phone(self, number: str, user: str = "", *, register: bool = True) -> UserAgent:
        """A phone of an extension, that logs in as `user`."""
        account = {"password": f"secret-of-{number}", "codecs": ["PCMU"], "station": self.station}
        made = UserAgent(self.office.server.uri(user or number), **account)  # type: ignore[arg-type]
        agent = await self._stack.enter_async_context(made)
        if register:
            await agent.register()
        return agent

    async def of(self, state: State) -> UserAgent:
        """The phone in that state."""
        register = state is not DISABLED
        return await self.phone(state.extension, self.office.users[state.extension], register=register)

    async def _help(self, world: UserAgent) -> None:
        while True:
            call = await world.next_call()
            caller = call.peer.reveal().uri
            shown = getattr(caller, "user", "") or ""
            with suppress(CallEndedError):
                # Who is in a hurry hangs up at once.
                await call.answer()
                hz = OUTSIDE_HZ.get(shown, _OF_STRANGERS_HZ)
                await call.play(make_tones(16_000, 5, [hz]), loop=True, wait=False)
            async with self._arrived:
                self.helped[shown] = call
                self._arrived.notify_all()

    async def _listen(self, colleague: UserAgent) -> None:
        while True:
            call = await colleague.next_call()
            async with self._arrived:
                self.told.append(call)
                self._arrived.notify_all()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what somebody else does."""
        async with asyncio.timeout(PATIENCE_S), self._arrived:
            while not condition():
                await self._arrived.wait()
        assert condition(), what

    def names_told(self) -> list[str]:
        """What the colleague's phone has shown."""
        return [call.peer.reveal().display or "" for call in self.told]

    async def calls_help(self, state: State, shown: str = "", agent: UserAgent | None = None) -> Call:
        """Help is called, is shown whom to call back, both hear each other, and the colleague is told."""
        before = self.times_told(state)
        call = await (agent or await self.of(state)).call(HELP)
        await self.speaks(call, state.hz)
        await self.is_helped(state, call, shown or state.callback)
        await self.is_told_of(state, before)
        return call

    async def is_helped(self, state: State, call: Call, shown: str) -> None:
        """Who helps is shown that number, and the two hear each other."""
        await self.until(
            lambda: shown in self.helped and not self.helped[shown].over, f"{state} is not shown"
        )
        await check_heard(call, state.hz, self.helped[shown], OUTSIDE_HZ.get(shown, _OF_STRANGERS_HZ))

    def times_told(self, state: State) -> int:
        """How often the colleague was told of who is in that state."""
        return sum(f"Floor {state.floor}" in name for name in self.names_told())

    async def is_told_of(self, state: State, before: int) -> None:
        """The colleague is told once more, of who has a place."""
        if not state.floor:
            return

        def is_told() -> bool:
            names = [name for name in self.names_told() if f"Floor {state.floor}" in name]
            return len(names) > before and names[-1].startswith("EMERGENCY ")

        await self.until(is_told, f"nobody is told of {state}")

    async def talk(self, caller: State, called: State) -> tuple[Call, Call, UserAgent]:
        """Two of the office hear each other; the call of each, and the phone of who was called."""
        one, other = await self.of(caller), await self.of(called)
        call = await one.call(called.extension)
        there = await other.next_call(timeout_s=PATIENCE_S)
        await there.answer()
        await self.speaks(there, called.hz)
        await self.speaks(call, caller.hz)
        await check_heard(call, caller.hz, there, called.hz)
        return call, there, other

    def _records(self) -> dict[str, set[str]]:
        """Emergency calls so far, and who was in each."""
        found = self.office.server.api("GET", "/call-records?limit=500")["items"]
        emergencies = (one for one in found if one["emergency"])
        return {one["id"]: {one["caller"], one["called"].removeprefix("extension:")} for one in emergencies}

    async def is_recorded(self, state: State) -> None:
        """A new record says that who is in that state was in an emergency call."""

        def is_there() -> bool:
            found = self._records()
            return any(state.extension in found[one] for one in found.keys() - self._recorded.keys())

        await asyncio.to_thread(wait_for, is_there, PATIENCE_S)

    async def speaks(self, call: Call, hz: float) -> Call:
        """Let a call that is made be answered, and speak."""
        await call.answered(timeout_s=PATIENCE_S)
        await call.play(make_tones(16_000, 5, [hz]), loop=True, wait=False)
        return call


@asynccontextmanager
async def street(office: Office) -> AsyncIterator[Street]:
    async with asyncio.timeout(150), AsyncExitStack() as stack:
        station = await stack.enter_async_context(Station(bind="127.0.0.1", verify=False))
        made = Street(office, station, stack)
        await made.open()
        yield made


async def refused(agent: UserAgent, number: str) -> int:
    """What a call is refused with."""
    try:
        call = await agent.call(number)
        await call.answered(timeout_s=PATIENCE_S)
    except CallFailedError as failed:
        return failed.status
    return 200
