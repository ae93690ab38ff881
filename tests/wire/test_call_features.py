"""What people do in a call and by dialling, at the real command: who hears whom before and after.

Most of it is waiting: all scenarios happen at once, each with extensions of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringback.agent import Call, CallFailedError, Station, UserAgent
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones, tone_levels
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.store import open_store
from tests.wire.baresip import Baresip
from tests.wire.linphone import Linphone
from tests.wire.office_plan import (
    all_week,
    apply_plan,
    to,
)
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sound_files import write_wav
from tests.wire.test_lamps import lamp

pytestmark = [pytest.mark.wire, pytest.mark.slow]

TONES = {
    "alice": 600.0,
    "bob": 1090.0,
    "carol": 1500.0,
    "dave": 1870.0,
    "erin": 3100.0,
    "music": 2300.0,
    "baresip": 2700.0,
    "linphone": 850.0,
}
NAMES = ("alice", "bob", "carol", "dave", "erin")
DIAL_HZ = 350.0
PATIENCE_S = 90.0
EXTENSIONS = [f"{10 + scenario}0{person}" for scenario in range(1, 11) for person in range(1, 6)]
PLAN = (
    Group(name="office", members=("1502", "1503")),
    Announcement(name="closed", number="801", words="We are closed.", then=to("1703")),
    Menu(
        name="main",
        number="800",
        words="For Bob press 2. For Carol press 3, or dial the extension.",
        keys={"2": to("1702"), "3": to("1703")},
        dial_extensions=True,
    ),
    all_week("office", "802", open=to("1602"), closed=to("1603")),
    Queue(
        name="support",
        number="803",
        title="Support",
        agents=("1803", "1804"),
        strategy="in-order",
        ring_s=5,
        wrap_up_s=0,
        leave_by="0",
        otherwise=to("1802"),
    ),
)


async def prepare(folder: Path) -> None:
    settings = load_settings(data_dir=folder, environ={})
    store = await open_store(settings)
    for number in EXTENSIONS:
        await store.extensions.add(number, password=Private(f"secret-of-{number}"))
    await apply_plan(store, PLAN)
    await store.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server with extensions and a plan; its music is a tone."""
    folder = tmp_path_factory.mktemp("features")
    music = write_wav(folder / "music.wav", make_tones(16_000, 5, [TONES["music"]], -15), 16_000)
    settings = {"RINGBACK_CALLING__MUSIC": str(music), "RINGBACK_CALLING__PARK_RETURN_S": "20"}
    server = RingbackServer(folder / "server", settings=settings)
    asyncio.run(prepare(server.data))
    server.start()
    yield server
    server.stop()


class Phone:
    """An agent whose calls all speak its own tone."""

    def __init__(self, agent: UserAgent, name: str, number: str) -> None:
        self.agent, self.name, self.number = agent, name, number

    async def call(self, number: str) -> Call:
        """Dial and wait for the answer."""
        call = await self.agent.call(number)
        await call.answered(timeout_s=PATIENCE_S)
        return await self.speak(call)

    async def answer(self) -> Call:
        """Take the next call."""
        call = await self.agent.next_call(timeout_s=PATIENCE_S)
        await call.answer()
        return await self.speak(call)

    async def speak(self, call: Call) -> Call:
        """Let the peer hear the phone's tone."""
        await call.play(make_tones(16_000, 5, [TONES[self.name]]), loop=True, wait=False)
        return call


class Stage:
    """Where a scenario happens: the server, and phones of the scenario's own."""

    def __init__(self, server: RingbackServer, station: Station, number: int) -> None:
        self.server, self.station, self.number = server, station, number

    @asynccontextmanager
    async def phones(self, count: int) -> AsyncIterator[list[Phone]]:
        """Alice, Bob and so on, registered."""
        async with AsyncExitStack() as stack:
            made = []
            for person, name in enumerate(NAMES[:count], 1):
                number = f"{10 + self.number}0{person}"
                agent = UserAgent(
                    self.server.uri(number),
                    password=f"secret-of-{number}",
                    station=self.station,
                    codecs=["PCMU"],
                )
                made.append(Phone(await stack.enter_async_context(agent), name, number))
            await asyncio.gather(*(phone.agent.register() for phone in made))
            yield made

    async def fetch(self, what: str) -> Any:
        """A picture that the API gives."""
        return json.loads(await asyncio.to_thread(self.server.fetch, f"/api/v1/{what}"))


async def hears(call: Call, *who: str | float) -> None:
    """Within some seconds the call hears all of these, and none of the others."""
    wanted = [TONES[one] if isinstance(one, str) else one for one in who]
    others = [tone for tone in TONES.values() if tone not in wanted]
    levels: dict[float, float] = {}
    for _ in range(30):
        heard = await call.record(0.4)
        measured = tone_levels(heard.samples, 16_000, [*wanted, *others])
        levels = dict(zip((*wanted, *others), measured, strict=True))
        if all(levels[tone] > -26 for tone in wanted) and all(levels[tone] < -36 for tone in others):
            return
    raise AssertionError(f"{who} are to be heard, but it is {levels}")


async def speaks(call: Call) -> None:
    """A voice is heard within some seconds."""
    for _ in range(20):
        if (await call.record(0.4)).level_dbfs > -45:
            return
    raise AssertionError("nobody speaks")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    for _ in range(200):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came to be")


async def connect(caller: Phone, called: Phone) -> tuple[Call, Call]:
    call, other = await asyncio.gather(caller.call(called.number), called.answer())
    await asyncio.gather(hears(call, called.name), hears(other, caller.name))
    return call, other


async def blind_transfer(stage: Stage) -> None:
    """By keys, and one that fails: the caller is back."""
    async with stage.phones(3) as (alice, bob, carol):
        at_alice, at_bob = await connect(alice, bob)
        await at_bob.send_dtmf("##")
        await asyncio.gather(hears(at_alice, "music"), hears(at_bob, DIAL_HZ))
        await at_bob.send_dtmf("9999#")
        await asyncio.gather(hears(at_alice, "bob"), hears(at_bob, "alice"))
        await at_bob.send_dtmf(f"##{carol.number}#")
        at_carol = await carol.answer()
        await asyncio.gather(hears(at_alice, "carol"), hears(at_carol, "alice"))
        assert (await at_bob.ended(PATIENCE_S)).by == "peer"
        # Keys that are for nobody here reach the other side.
        await at_alice.send_dtmf("*91")
        assert await at_carol.read_digits(3) == "*91"
        await at_alice.hangup()
        await at_carol.ended(PATIENCE_S)


async def three_way_and_meeting(stage: Stage) -> None:
    """A colleague is asked, left, asked again; three talk; it becomes a meeting, and a fourth comes in."""

    async def meetings() -> list[dict[str, Any]]:
        return [one for one in await stage.fetch("meetings") if one["name"] == "Meeting made of a call"]

    async def is_made() -> bool:
        made = await meetings()
        return bool(made) and len(await stage.fetch(f"meetings/{made[0]['number']}/participants")) == 3

    async def is_gone() -> bool:
        return not await meetings()

    async with stage.phones(4) as (alice, bob, carol, dave):
        at_alice, at_bob = await connect(alice, bob)
        await at_alice.send_dtmf(f"*2{carol.number}#")
        at_carol = await carol.answer()
        await asyncio.gather(hears(at_bob, "music"), hears(at_alice, "carol"), hears(at_carol, "alice"))
        await at_alice.send_dtmf("*0")
        await at_carol.ended(PATIENCE_S)
        await asyncio.gather(hears(at_alice, "bob"), hears(at_bob, "alice"))
        await at_alice.send_dtmf(f"*2{carol.number}#")
        at_carol = await carol.answer()
        await hears(at_alice, "carol")
        await at_alice.send_dtmf("*3")
        await asyncio.gather(
            hears(at_alice, "bob", "carol"), hears(at_bob, "alice", "carol"), hears(at_carol, "alice", "bob")
        )
        await at_alice.send_dtmf("*5")
        await until(is_made)
        (meeting,) = await meetings()
        at_dave = await dave.call(f"{meeting['number']}*{meeting['guest_pin']}")
        await asyncio.gather(hears(at_dave, "alice", "bob", "carol"), hears(at_bob, "alice", "carol", "dave"))
        for call in (at_alice, at_bob, at_carol, at_dave):
            await call.hangup()
        await until(is_gone)


async def attended_transfer(stage: Stage) -> None:
    """Ask, then hang up."""
    async with stage.phones(3) as (alice, bob, carol):
        at_alice, at_bob = await connect(alice, bob)
        await at_bob.send_dtmf(f"*2{carol.number}#")
        at_carol = await carol.answer()
        await hears(at_carol, "bob")
        await at_bob.hangup()
        await asyncio.gather(hears(at_alice, "carol"), hears(at_carol, "alice"))
        await at_carol.hangup()
        await at_alice.ended(PATIENCE_S)


async def park(stage: Stage) -> None:
    """By keys and by the phone's own transfer; the lamp of the slot; taken, and back to who parked."""
    watcher = SipPhone(stage.server.udp, "1904", "secret-of-1904")
    watch = await asyncio.to_thread(watcher.subscribe, "701")

    async def lit() -> bool:
        return lamp(watch) == ["confirmed"]

    async def out() -> bool:
        return lamp(watch) in ([], ["terminated"])

    try:
        async with stage.phones(5) as (alice, bob, carol, dave, erin):
            await until(out)
            at_alice, at_bob = await connect(alice, bob)
            await at_bob.send_dtmf("*7")
            await speaks(at_bob)
            at_dave, at_erin = await connect(dave, erin)
            await at_dave.transfer("702")
            await asyncio.gather(hears(at_alice, "music"), hears(at_erin, "music"), until(lit))
            at_carol = await carol.call("701")
            await asyncio.gather(hears(at_alice, "carol"), hears(at_carol, "alice"), until(out))
            await at_alice.hangup()
            await at_bob.ended(PATIENCE_S)
            back = await dave.agent.next_call(timeout_s=PATIENCE_S)
            assert "Park 702" in str(back.peer.reveal())
            await back.answer()
            await dave.speak(back)
            await asyncio.gather(hears(at_erin, "dave"), hears(back, "erin"))
            await back.hangup()
            await at_erin.ended(PATIENCE_S)
    finally:
        watcher.close()


async def pickup(stage: Stage) -> None:
    """Of one's group, and of one phone in it; not by others."""
    async with stage.phones(4) as (alice, bob, carol, dave):
        for code in ("*8", f"**{bob.number}"):
            call = await alice.agent.call(bob.number)
            await call.ringing()
            await bob.agent.next_call(timeout_s=PATIENCE_S)
            with pytest.raises(CallFailedError) as refused:
                await dave.call(f"**{bob.number}")
            assert refused.value.status == 404, "nobody of Dave's groups rings"
            at_carol = await carol.call(code)
            await call.answered(timeout_s=PATIENCE_S)
            await alice.speak(call)
            await asyncio.gather(hears(call, "carol"), hears(at_carol, "alice"))
            await call.hangup()
            await at_carol.ended(PATIENCE_S)


async def codes(stage: Stage) -> None:
    """Do not disturb, forwarding, the night switch: each is confirmed, and counts for the next call."""

    async def dial(phone: Phone, code: str) -> None:
        call = await phone.call(code)
        await speaks(call)
        await call.hangup()

    async def reaches(caller: Phone, number: str, called: Phone) -> None:
        call, other = await asyncio.gather(caller.call(number), called.answer())
        await asyncio.gather(hears(call, called.name), hears(other, caller.name))
        await call.hangup()
        await other.ended(PATIENCE_S)

    async with stage.phones(3) as (alice, bob, carol):
        await asyncio.gather(dial(bob, "*78"), dial(carol, "*28802"))
        with pytest.raises(CallFailedError) as refused:
            await alice.call(bob.number)
        assert refused.value.status == 486
        await reaches(alice, "802", carol)
        await asyncio.gather(dial(bob, "*79"), dial(carol, "*28802"))
        await reaches(alice, "802", bob)
        await dial(bob, f"*72{carol.number}")
        await reaches(alice, bob.number, carol)
        await dial(bob, "*73")
        await reaches(alice, bob.number, bob)


async def menu_and_announcement(stage: Stage) -> None:
    """Words, a wrong key, an extension that is dialled; words, and what follows them."""
    async with stage.phones(3) as (alice, bob, carol):
        call = await alice.call("800")
        await speaks(call)
        await call.send_dtmf("*")
        await speaks(call)
        await call.send_dtmf(bob.number)
        at_bob = await bob.answer()
        await asyncio.gather(hears(call, "bob"), hears(at_bob, "alice"))
        await call.hangup()
        call = await alice.call("801")
        await speaks(call)
        at_carol = await carol.answer()
        await asyncio.gather(hears(call, "carol"), hears(at_carol, "alice"))
        await call.hangup()


async def queue(stage: Stage) -> None:
    """Agents who come and go, music and place, the way out by a key; what the API shows."""
    async with stage.phones(4) as (alice, bob, carol, dave):
        first = await alice.call("803")
        at_carol = await carol.answer()
        assert "Support" in str(at_carol.peer.reveal())
        await asyncio.gather(hears(first, "carol"), hears(at_carol, "alice"))
        # It may be over before there is anything to say.
        out = await dave.agent.call("*23")
        assert (await out.ended(PATIENCE_S)).by == "peer", "it is said, and that is all"
        second = await bob.call("803")
        await hears(second, "music")
        (shown,) = await stage.fetch("queues")
        assert [agent["state"] for agent in shown["agents"]] == ["busy", "logged out"]
        assert (len(shown["waiting"]), shown["answered"]) == (1, 1)
        await first.hangup()
        at_carol = await carol.answer()
        await asyncio.gather(hears(second, "carol"), hears(at_carol, "bob"))
        third = await alice.call("803")
        await hears(third, "music")
        # By the key to Bob, who is in a call, and takes a second one.
        await third.send_dtmf("0")
        at_bob = await bob.answer()
        await asyncio.gather(hears(third, "bob"), hears(at_bob, "alice"))


async def baresip(stage: Stage) -> None:
    """Holds with music, and transfers by keys."""
    settings = {"server": stage.server.udp, "password": "secret-of-1905", "tone_hz": TONES["baresip"]}
    phone = Baresip(stage.server.folder, "1905", **settings)  # type: ignore[arg-type]
    try:
        await asyncio.to_thread(phone.start)
        await asyncio.to_thread(phone.register)
        async with stage.phones(3) as (alice, _, carol):
            phone.dial(stage.server.uri(alice.number), wait=False)
            at_alice = await alice.answer()
            await hears(at_alice, "baresip")
            await asyncio.to_thread(phone.hold)
            await hears(at_alice, "music")
            await asyncio.to_thread(phone.resume)
            await hears(at_alice, "baresip")
            await asyncio.to_thread(phone.press, f"##{carol.number}#")
            at_carol = await carol.answer()
            await asyncio.gather(hears(at_alice, "carol"), hears(at_carol, "alice"))
            await at_alice.hangup()
    finally:
        await asyncio.to_thread(phone.stop)


async def linphone(stage: Stage) -> None:
    """Holds, and is not heard though it goes on sending; parks by keys, in the slot that is asked for."""
    settings = {"server": stage.server, "password": "secret-of-2005", "tone_hz": TONES["linphone"]}
    phone = Linphone(stage.server.folder / "linphone", "2005", **settings)  # type: ignore[arg-type]
    try:
        await asyncio.to_thread(phone.start)
        await asyncio.to_thread(phone.register)
        async with stage.phones(3) as (alice, _, carol):
            dialling = asyncio.to_thread(phone.dial, alice.number)
            _, at_alice = await asyncio.gather(dialling, alice.answer())
            await hears(at_alice, "linphone")
            await asyncio.to_thread(phone.hold)
            await hears(at_alice, "music")
            await asyncio.to_thread(phone.resume)
            await hears(at_alice, "linphone")
            after = phone.said
            await asyncio.to_thread(phone.press, "##710#")
            await asyncio.to_thread(phone.expect, "ended", PATIENCE_S, after=after)
            await hears(at_alice, "music")
            at_carol = await carol.call("710")
            await asyncio.gather(hears(at_alice, "carol"), hears(at_carol, "alice"))
            await at_alice.hangup()
    finally:
        await asyncio.to_thread(phone.stop)


Scenario = Callable[[Stage], Coroutine[Any, Any, None]]
SCENARIOS: tuple[Scenario, ...] = (
    blind_transfer, three_way_and_meeting, attended_transfer, park, pickup, codes, menu_and_announcement,
    queue, baresip, linphone,
)  # fmt: skip


@pytest.mark.timeout(200)
def test_every_feature(office: RingbackServer) -> None:
    async def all_of_them() -> list[BaseException | None]:
        async with asyncio.timeout(110), Station(bind="127.0.0.1", verify=False) as station:
            stages = [Stage(office, station, number) for number in range(1, len(SCENARIOS) + 1)]
            begun = [play(stage) for play, stage in zip(SCENARIOS, stages, strict=True)]
            return await asyncio.gather(*begun, return_exceptions=True)

    ended = asyncio.run(all_of_them())
    failed = {play.__name__: outcome for play, outcome in zip(SCENARIOS, ended, strict=True) if outcome}
    for name, outcome in failed.items():
        outcome.add_note(f"in the scenario {name}")
        raise outcome
