"""Emergency calls from every device in every state: heard both ways, whom to call back; people are told."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from ringback.agent import Call, CallEndedError, CallFailedError, Station, UserAgent
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones
from ringback.store.store import open_store
from tests.wire.baresip import Baresip
from tests.wire.browser import Browser
from tests.wire.console import log_in, make_somebody
from tests.wire.disks import disk_full, own_disk
from tests.wire.kamailio import Kamailio
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.ports import free_ports
from tests.wire.server import RingbackServer
from tests.wire.test_call_records import database_away
from tests.wire.test_routed_calls import check_heard, check_hears, hears
from tests.wire.test_transfer import wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]

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

PLAN = f"""
[role.standard]
classes = ["national"]
[role.nobody]
classes = []
[answering.{QUIET.extension}]
do_not_disturb = true
call_waiting = false
[blocked.all]
patterns = ["911.", "9"]
[route.few]
patterns = ["2555XXXX."]
trunks = ["few"]
[route.usual]
patterns = ["1."]
trunks = ["alpha", "beta"]
[emergency-test.drill]
extensions = ["{TESTING.extension}"]
target = "{DRILL}"
""" + "".join(
    f"""
[location.floor{state.floor}]
title = "Floor {state.floor}"
address = "1 Main Street, Springfield"
callback = "{state.callback}"
tell = ["{COLLEAGUE}"]
trunks = {json.dumps(["few"] if state is FEW else [])}
"""
    for state in STATES
    if state.floor
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
    await store.objects.apply(PLAN, "test")
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


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("help")) as made:
        yield made


class Street:
    """The phones of one test: of the office, of who helps, and of a colleague who is told."""

    def __init__(self, office: Office, station: Station, stack: AsyncExitStack) -> None:
        self.office, self.station, self._stack = office, station, stack
        self.helped: dict[str, Call] = {}
        self.told: list[Call] = []
        self._arrived = asyncio.Condition()

    async def open(self) -> None:
        """Let help answer whoever calls, and the colleague hear what is told."""
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
        before = len([name for name in self.names_told() if f"Floor {state.floor}" in name])
        call = await (agent or await self.of(state)).call(HELP)
        await call.answered(timeout_s=PATIENCE_S)
        await call.play(make_tones(16_000, 5, [state.hz]), loop=True, wait=False)
        shown = shown or state.callback
        await self.until(
            lambda: shown in self.helped and not self.helped[shown].over, f"{state} is not shown"
        )
        await check_heard(call, state.hz, self.helped[shown], OUTSIDE_HZ.get(shown, _OF_STRANGERS_HZ))
        if state.floor:

            def is_told() -> bool:
                names = [name for name in self.names_told() if f"Floor {state.floor}" in name]
                return len(names) > before and names[-1].startswith("EMERGENCY ")

            await self.until(is_told, f"nobody is told of {state}")
        return call

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


async def in_restriction(street: Street) -> None:
    """A role that may call nothing, of somebody whose place is the site."""
    agent = await street.of(RESTRICTED)
    assert await refused(agent, OUTSIDE) == 403
    await street.calls_help(RESTRICTED, agent=agent)


async def with_caps_used_up(street: Street) -> None:
    """As many calls as a day may have."""
    agent = await street.of(CAPPED)
    for _ in range(3):
        call = await agent.call(OUTSIDE)
        await call.answered(timeout_s=PATIENCE_S)
        await call.hangup()
    assert await refused(agent, OUTSIDE) == 403
    await street.calls_help(CAPPED, agent=agent)


async def in_another_call(street: Street) -> None:
    """Not to be disturbed, without call waiting, and in a call: that one stays, too."""
    agent, other = await street.of(QUIET), await street.of(BESIDE)
    first = await agent.call(BESIDE.extension)
    there = await other.next_call()
    await there.answer()
    await there.play(make_tones(16_000, 5, [BESIDE.hz]), loop=True, wait=False)
    await street.speaks(first, QUIET.hz)
    await street.calls_help(QUIET, agent=agent)
    await check_heard(first, QUIET.hz, there, BESIDE.hz)


async def out_of_a_disabled_extension(street: Street) -> None:
    """It may not even register."""
    agent = await street.of(DISABLED)
    assert await refused(agent, COLLEAGUE) == 401
    await street.calls_help(DISABLED, agent=agent)


async def from_nowhere(street: Street) -> None:
    """Without a place the caller's own number is shown, and nobody is told."""
    await street.calls_help(NOWHERE, shown=NOWHERE.extension)


async def as_a_test(street: Street) -> None:
    """No carrier is called; both hear that it is a test."""
    agent, colleague = await street.of(TESTING), await street.phone(DRILL)
    call = await agent.call(HELP)
    rung = await colleague.next_call(timeout_s=PATIENCE_S)
    await rung.answer()
    await call.answered(timeout_s=PATIENCE_S)
    assert (await call.record(2)).level_dbfs > -40, "somebody speaks"
    await call.play(make_tones(16_000, 5, [TESTING.hz]), loop=True, wait=False)
    await rung.play(make_tones(16_000, 5, [2300.0]), loop=True, wait=False)
    await asyncio.gather(check_hears(call, 2300.0), check_hears(rung, TESTING.hz))
    await street.until(
        lambda: any(name.startswith("TEST EMERGENCY") for name in street.names_told()), "nobody is told"
    )
    assert TESTING.callback not in street.helped


def test_help_is_called_by_whoever_may_call_nothing_else(office: Office) -> None:
    async def test() -> None:
        async with street(office) as made:
            await asyncio.gather(
                in_restriction(made),
                with_caps_used_up(made),
                in_another_call(made),
                out_of_a_disabled_extension(made),
                from_nowhere(made),
                as_a_test(made),
            )

    asyncio.run(test())


def test_another_call_ends_where_the_carrier_has_no_line_left(office: Office) -> None:
    async def test() -> None:
        async with street(office) as made:
            others = []
            for state in (PLAIN, BESIDE):
                others.append(await made.speaks(await (await made.of(state)).call("25550100"), state.hz))
            in_need = await made.calls_help(FEW)
            assert [call.over for call in others] == [False, True], "the newest goes"
            await in_need.hangup()
            await others[0].hangup()

    asyncio.run(test())


@pytest.mark.parametrize("away_s", [0.0, pytest.param(60.0, marks=pytest.mark.long)])
def test_help_is_called_while_the_database_is_away_though_the_first_trunk_is_dead(
    office: Office, away_s: float
) -> None:
    async def test() -> None:
        # Phones register while it is away, and hear each other.
        with database_away(office.server):
            began = time.monotonic()
            async with street(office) as made:
                await (await made.calls_help(PLAIN)).hangup()
                await asyncio.sleep(max(0.0, away_s - (time.monotonic() - began)))
                await asyncio.to_thread(office.alpha.stop)
                try:
                    await (await made.calls_help(BESIDE)).hangup()
                finally:
                    await asyncio.to_thread(office.alpha.start)
        await asyncio.to_thread(office.server.api, "POST", "/trunks/alpha/test")

    asyncio.run(test())


@pytest.mark.long
def test_help_is_called_while_the_disk_is_full(tmp_path: Path) -> None:
    skip_without_namespaces()

    async def test(office: Office) -> None:
        with disk_full(office.server.data):
            async with street(office) as made:
                await (await made.calls_help(PLAIN)).hangup()
                await (await made.calls_help(FEW)).hangup()

    with made_office(tmp_path, small_disk=True) as made:
        asyncio.run(test(made))


@pytest.mark.long
def test_a_server_that_stops_waits_for_help_and_takes_no_other_calls(tmp_path: Path) -> None:
    async def test(office: Office) -> None:
        async with street(office) as made:
            usual = await made.of(CAPPED)
            late = await made.of(BESIDE)
            talking = await made.speaks(await usual.call(OUTSIDE), CAPPED.hz)
            in_need = await made.calls_help(PLAIN)
            process = office.server.process
            assert process is not None
            process.send_signal(signal.SIGTERM)
            await talking.ended(10)
            assert await refused(usual, OUTSIDE) == 503
            also = await made.calls_help(BESIDE, agent=late)
            await check_heard(in_need, PLAIN.hz, made.helped[PLAIN.callback], OUTSIDE_HZ[PLAIN.callback])
            await asyncio.gather(in_need.hangup(), also.hangup())
            assert await asyncio.to_thread(process.wait, 15) == 0

    with made_office(tmp_path) as made:
        asyncio.run(test(made))


@pytest.mark.long
def test_a_second_signal_ends_emergency_calls_too(tmp_path: Path) -> None:
    async def test(office: Office) -> None:
        async with street(office) as made:
            in_need = await made.calls_help(PLAIN)
            process = office.server.process
            assert process is not None
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(
                wait_for, lambda: "an emergency call goes on" in office.server.output(), PATIENCE_S
            )
            assert not in_need.over
            process.send_signal(signal.SIGTERM)
            await in_need.ended(10)
            assert await asyncio.to_thread(process.wait, 15) == 0

    with made_office(tmp_path) as made:
        asyncio.run(test(made))


@pytest.mark.long
def test_a_page_calls_help_from_the_site_of_who_has_logged_in(
    tmp_path: Path, make_browser: Callable[..., Browser], make_baresip: Callable[..., Baresip]
) -> None:
    outside = make_baresip("outside", tone_hz=1390.0, answer="auto")
    carrier = Kamailio(tmp_path / "carrier", CARRIER, lines=9, phone=outside.sip_port).start()
    server = RingbackServer(tmp_path / "server").start()
    try:
        server.ask("trunk", "add", "carrier", "127.0.0.1", "--port", str(carrier.port), "--prefix", "")
        somebody = make_somebody(server, "Ada", "5201")
        server.api("PUT", "/plan/location/hall", {"address": "1 Main Street", "callback": "+15550111"})
        server.api("PATCH", f"/people/{somebody.person_id}", {"site": "hall"})
        browser = make_browser("Ada", tone_hz=440.0)
        log_in(browser, server, somebody)
        browser.page.get_by_text("Ready", exact=True).wait_for()
        browser.page.get_by_label("Name or number").fill(HELP)
        browser.page.get_by_label("Name or number").press("Enter")
        browser.page.get_by_role("button", name="Hang up").wait_for()

        def both_hear() -> bool:
            sound = browser.heard(time.time() - 0.6)
            at_page = len(sound.audio) > 0.4 * sound.rate and hears(sound.audio, sound.rate, 1390.0)
            return at_page and hears(outside.heard(0.3), outside.rate, 440.0)

        wait_for(both_hear, PATIENCE_S)
        assert f"takes {HELP} from +15550111" in carrier.log()
        browser.press("Hang up")
    finally:
        carrier.stop()
        server.kill_all()
