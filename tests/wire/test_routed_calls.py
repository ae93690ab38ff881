"""Calls on their way by the plan: forwarded, to groups, by carriers in trouble; heard in both directions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringback.agent import Call, CallFailedError, Ringing, Station, UserAgent
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones, tone_levels
from ringback.store.plan.outbound import Route
from ringback.store.store import open_store
from tests.wire.baresip import Baresip
from tests.wire.kamailio import Kamailio
from tests.wire.linphone import Linphone
from tests.wire.office_plan import (
    answering,
    apply_plan,
    group,
    in_order,
    instead_of,
    site,
    standard_role,
    to,
)
from tests.wire.server import RingbackServer
from tests.wire.test_transfer import wait_for
from tests.wire.two_carriers import CODEC, PASSWORD, RESTING, SILENT, taken, two_carriers

pytestmark = [pytest.mark.wire, pytest.mark.slow]

OUTSIDE_HZ, LINPHONE_HZ = 1390.0, 2090.0
LINPHONE = "2199"
OUTSIDE = "15550100"
DEVICE_PASSWORD = "of the counter's phone"
FORWARDED = {"always": "2110", "busy": "2120", "no_answer": "2130", "unreachable": "2140"}
PLAN = (
    standard_role(forward_outside=True, caller_id="+15550177"),
    answering("2110", always=to("2112")),
    answering("2120", busy=to(LINPHONE)),
    answering("2130", no_answer=to("2132")),
    answering("2140", unreachable=f"outside:{OUTSIDE}"),
    answering("2150", do_not_disturb=True, busy=to("2152")),
    answering("2160", call_waiting=False, busy=to("2162")),
    group("all", "270", "2170", "2171", "2110"),
    in_order("order", "280", "2180", "2150", "2181"),
    Route(name="usual", patterns=("1555XXXX.", "9."), trunks=("alpha", "beta")),
    instead_of("1", "nameless", "2555XXXX.", "nameless", "beta"),
    site("here", "+15550190", "2190"),
)
CALLERS = ("2101", "2102", "2103", "2104", "2105", "2106", "2107", "2108", "2109")
CALLED = (
    "2112",
    "2120",
    "2130",
    "2132",
    "2150",
    "2152",
    "2160",
    "2162",
    "2170",
    "2171",
    "2180",
    "2181",
    "2190",
)
# Callers speak low, the called high; no two that meet sound alike.
TONES = dict.fromkeys(CALLERS, 600.0) | {number: 1090.0 + 40 * place for place, number in enumerate(CALLED)}
PATIENCE_S = 30.0


class Office(NamedTuple):
    """The server, its carriers, and two phones that others wrote."""

    server: RingbackServer
    alpha: Kamailio
    beta: Kamailio
    outside: Baresip
    linphone: Linphone
    device: str
    """What the device of 2109 logs in as."""


async def prepare(folder: Path, ports: tuple[int, int]) -> str:
    store = await open_store(load_settings(data_dir=folder, environ={}))
    for number in (*CALLERS, *CALLED, "2110", "2140", "2161", LINPHONE):
        await store.extensions.add(number, password=Private(f"secret-of-{number}"))
    await store.trunks.add("alpha", {"host": "127.0.0.1", "port": ports[0], "dids": {"+15550110": "2110"}})
    await store.trunks.add(
        "beta", {"host": "127.0.0.1", "port": ports[1], "username": "us"}, Private("wrong")
    )
    await store.trunks.add("nameless", {"host": "no-such-host.invalid"})
    await apply_plan(store, PLAN)
    device, _ = await store.devices.add("Counter", "2109", location="here", password=Private(DEVICE_PASSWORD))
    await store.close()
    return device.username


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("routed")
    outside = Baresip(folder, OUTSIDE, tone_hz=OUTSIDE_HZ, answer="auto").start()
    alpha, beta = two_carriers(folder, OUTSIDE, outside.sip_port)
    server = RingbackServer(folder / "server")
    device = asyncio.run(prepare(server.data, (alpha.port, beta.port)))
    alpha.start()
    beta.start()
    server.start()
    account = {"server": server, "password": f"secret-of-{LINPHONE}"}
    linphone = Linphone(folder / "linphone", LINPHONE, tone_hz=LINPHONE_HZ, **account)  # type: ignore[arg-type]
    linphone.start().register()
    yield Office(server, alpha, beta, outside, linphone, device)
    for thing in (linphone, outside, alpha, beta, server):
        thing.stop()


class Phone:
    """An agent whose calls all speak its own tone."""

    def __init__(self, agent: UserAgent, number: str) -> None:
        self.agent, self.number = agent, number

    async def call(self, number: str) -> Call:
        """Dial and wait for the answer."""
        call = await self.agent.call(number)
        await call.answered(timeout_s=PATIENCE_S)
        return await self.speak(call)

    async def rung(self) -> Call:
        """The next call, which rings."""
        return await self.agent.next_call(timeout_s=PATIENCE_S)

    async def answer(self) -> Call:
        """Take the next call."""
        call = await self.rung()
        await call.answer()
        return await self.speak(call)

    async def speak(self, call: Call) -> Call:
        """Let the other side hear the phone's tone."""
        await call.play(make_tones(16_000, 5, [TONES[self.number]]), loop=True, wait=False)
        return call


@asynccontextmanager
async def phones(server: RingbackServer, *numbers: str) -> AsyncIterator[list[Phone]]:
    """Registered phones of these extensions."""
    async with AsyncExitStack() as stack:
        station = await stack.enter_async_context(Station(bind="127.0.0.1", verify=False))
        made = []
        for number in numbers:
            account = {"password": f"secret-of-{number}", "codecs": ["PCMU"], "station": station}
            agent = UserAgent(server.uri(number), **account)  # type: ignore[arg-type]
            made.append(Phone(await stack.enter_async_context(agent), number))
        await asyncio.gather(*(phone.agent.register() for phone in made))
        yield made


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(100):
            await test

    asyncio.run(limited())


def hears(samples: object, rate: int, frequency: float) -> bool:
    return bool(tone_levels(samples, rate, [frequency])[0] > -25)  # type: ignore[arg-type]


async def check_heard(one: Call, one_hz: float, other: Call, other_hz: float) -> None:
    """Each hears the other and not itself, within a moment."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            at_one, at_other = await asyncio.gather(one.record(0.3), other.record(0.3))
            right = (
                hears(at_one.samples, 16_000, other_hz)
                and hears(at_other.samples, 16_000, one_hz)
                and not hears(at_one.samples, 16_000, one_hz)
                and not hears(at_other.samples, 16_000, other_hz)
            )
            if right:
                return


async def check_phones(caller: Phone, call: Call, called: Phone, other: Call) -> None:
    await check_heard(call, TONES[caller.number], other, TONES[called.number])


async def check_hears(call: Call, frequency: float) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not hears((await call.record(0.3)).samples, 16_000, frequency):
            pass


async def check_outside(call: Call, caller: Phone, outside: Baresip) -> None:
    """The caller and the phone beyond the carriers hear each other."""
    await check_hears(call, OUTSIDE_HZ)
    await asyncio.to_thread(
        wait_for, lambda: hears(outside.heard(0.3), outside.rate, TONES[caller.number]), PATIENCE_S
    )


def progress(call: Call) -> list[int]:
    return [event.status for event in call.history if isinstance(event, Ringing)]


async def always(caller: Phone, called: Phone) -> None:
    """All calls to 2110 go to 2112."""
    call, other = await asyncio.gather(caller.call("2110"), called.answer())
    await check_phones(caller, call, called, other)
    await call.hangup()
    await other.ended(5)


async def busy(caller: Phone, called: Phone, linphone: Linphone) -> None:
    """2120 refuses, and linphone, which is next, is heard."""
    call = await caller.agent.call("2120")
    refused = await called.rung()
    await refused.reject()
    await asyncio.to_thread(linphone.expect, r"is contacting you|Receiving new incoming call", 10)
    await asyncio.to_thread(linphone.answer)
    await call.answered(timeout_s=PATIENCE_S)
    await caller.speak(call)
    assert 181 in progress(call), "the caller is told"
    await check_hears(call, LINPHONE_HZ)
    await asyncio.sleep(1)
    # It writes what it has heard at the end.
    await asyncio.to_thread(linphone.hang_up)
    heard, rate = linphone.heard(0.8, trim_s=0.1)
    assert hears(heard, rate, TONES[caller.number])


async def no_answer(caller: Phone, called: Phone, next_: Phone) -> None:
    """2130 rings for a while; then 2132 has the call."""
    call = await caller.agent.call("2130")
    rung = await called.rung()
    assert (await call.ringing()).status == 180
    other, _ = await asyncio.gather(next_.answer(), call.answered(timeout_s=PATIENCE_S))
    assert rung.over
    await caller.speak(call)
    await check_phones(caller, call, next_, other)
    await call.hangup()


async def do_not_disturb(caller: Phone, sends: Phone, quiet: Phone, called: Phone) -> None:
    """Who is transferred to 2150 comes to 2152: that goes by the plan as well. 2150 is not rung."""
    call, before = await asyncio.gather(caller.call(sends.number), sends.answer())
    await check_phones(caller, call, sends, before)
    _, other = await asyncio.gather(before.transfer(quiet.number), called.answer())
    await check_phones(caller, call, called, other)
    assert quiet.agent.calls == []
    await call.hangup()


async def without_call_waiting(first: Phone, second: Phone, talks: Phone, next_: Phone) -> None:
    """2160 talks: the second call goes on to 2162, and the first is not disturbed."""
    call, other = await asyncio.gather(first.call("2160"), talks.answer())
    await check_phones(first, call, talks, other)
    also, at_next = await asyncio.gather(second.call("2160"), next_.answer())
    await check_phones(second, also, next_, at_next)
    await check_phones(first, call, talks, other)
    assert len(talks.agent.calls) == 1
    await asyncio.gather(call.hangup(), also.hangup())


async def group_rings_all(caller: Phone, one: Phone, other: Phone) -> None:
    """Both ring; who answers has the call, and the other stops."""
    call = await caller.agent.call("270")
    missed = await one.rung()
    taken_, _ = await asyncio.gather(other.answer(), call.answered(timeout_s=PATIENCE_S))
    await caller.speak(call)
    await check_phones(caller, call, other, taken_)
    await missed.ended(5)
    await call.hangup()


async def group_in_order(caller: Phone, first: Phone, second: Phone) -> None:
    """The first rings alone, then the second; who does not want to be disturbed is left out."""
    call = await caller.agent.call("280")
    rung = await first.rung()
    assert second.agent.calls == []
    other, _ = await asyncio.gather(second.answer(), call.answered(timeout_s=PATIENCE_S))
    await caller.speak(call)
    assert rung.over
    await check_phones(caller, call, second, other)
    await call.hangup()


async def unreachable(caller: Phone, office: Office) -> None:
    """2140 has no phone: the call goes to one beyond the carrier, which is told who sent it."""
    call = await caller.call("2140")
    await check_outside(call, caller, office.outside)
    assert taken(office.alpha)[-1].startswith(f"{OUTSIDE} from +15550177 diverted by <sip:2140@127.0.0.1>")
    await call.hangup()


def test_calls_go_on_as_the_plan_says_and_are_heard_both_ways(office: Office) -> None:
    async def test() -> None:
        callers = CALLERS[:8]
        async with phones(office.server, *callers, *CALLED) as made:
            of = {phone.number: phone for phone in made}
            await asyncio.gather(
                always(of["2101"], of["2112"]),
                busy(of["2102"], of["2120"], office.linphone),
                no_answer(of["2103"], of["2130"], of["2132"]),
                without_call_waiting(of["2105"], of["2106"], of["2160"], of["2162"]),
                group_rings_all(of["2107"], of["2170"], of["2171"]),
                group_in_order(of["2108"], of["2180"], of["2181"]),
            )
            await do_not_disturb(of["2104"], of["2112"], of["2150"], of["2152"])
            await unreachable(of["2101"], office)

    run(test())


def test_help_is_called_from_the_place_of_the_device_and_colleagues_are_told(office: Office) -> None:
    async def test() -> None:
        account = {"password": DEVICE_PASSWORD, "codecs": ["PCMU"]}
        agent = UserAgent(office.server.uri(office.device), **account)  # type: ignore[arg-type]
        async with phones(office.server, "2190") as (colleague,), agent:
            await agent.register()
            caller = Phone(agent, "2109")
            call, told = await asyncio.gather(caller.call("911"), colleague.rung())
            await check_outside(call, caller, office.outside)
            assert taken(office.alpha)[-1].startswith("911 from +15550190 ")
            assert (told.peer.reveal().display or "").startswith("EMERGENCY ")
            await told.answer()
            heard = await told.record(4)
            assert heard.level_dbfs > -40, "somebody speaks"
            await asyncio.gather(call.hangup(), told.hangup())

    run(test())


def test_carriers_in_trouble_give_way_to_the_next_and_are_back_afterwards(
    office: Office, measured: Callable[[str], None]
) -> None:
    async def test() -> None:
        async with phones(office.server, "2101") as (caller,):

            async def reaches(number: str, carrier: Kamailio) -> None:
                before, began = len(taken(carrier)), time.monotonic()
                call = await caller.call(number)
                took_s = time.monotonic() - began
                await check_outside(call, caller, office.outside)
                assert len(taken(carrier)) == before + 1, number
                await call.hangup()
                measured(f"{number} was answered by way of {carrier.folder.name} after {took_s:.1f} s")

            await reaches(OUTSIDE, office.alpha)
            await reaches(SILENT, office.beta)
            await reaches(CODEC, office.beta)
            await reaches(PASSWORD, office.beta)
            await reaches(f"2{OUTSIDE[1:]}", office.beta)
            # Gone, and back.
            await asyncio.to_thread(office.alpha.stop)
            await reaches(OUTSIDE, office.beta)
            await asyncio.to_thread(office.alpha.start)
            await asyncio.to_thread(office.server.run, "trunk", "test", "alpha")
            await reaches(OUTSIDE, office.alpha)
            # It wants to be left alone, and is.
            await reaches(RESTING, office.beta)
            await reaches(OUTSIDE, office.beta)
            assert office.alpha.log().count("alpha is full") == 1
            said = await asyncio.to_thread(office.server.ask, "trunk", "show", "alpha")
            assert said["reason"].startswith("wants no calls for ")
            with pytest.raises(CallFailedError) as failed:
                await caller.call("4555010000")
            assert failed.value.status == 404, "no route has this number"

    run(test())
