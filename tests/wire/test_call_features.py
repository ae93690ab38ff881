"""What people do in a call and by dialling, at the real command: who hears whom before and after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringback.agent import Call, CallFailedError, Station, UserAgent
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones, tone_levels
from ringback.store.store import open_store
from tests.wire.baresip import Baresip
from tests.wire.linphone import Linphone
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sound_files import write_wav
from tests.wire.test_lamps import lamp
from tests.wire.test_transfer import wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]

ALICE, BOB, CAROL, DAVE, ERIN = "1001", "1002", "1003", "1004", "1005"
TONES = {
    ALICE: 600.0,
    BOB: 1090.0,
    CAROL: 1500.0,
    DAVE: 1870.0,
    ERIN: 3100.0,
    "music": 2300.0,
    "baresip": 2700.0,
}
DIAL_HZ = 350.0
PLAN = """
[group.office]
members = ["1002", "1003"]

[announcement.closed]
number = "801"
words = "We are closed."
then = "extension:1004"

[menu.main]
number = "800"
words = "For Bob press 2. For Carol press 3, or dial the extension."
keys = { "2" = "extension:1002", "3" = "extension:1003" }
dial_extensions = true

[hours.office]
number = "802"
spans = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", to = "24:00" }]
open = "extension:1002"
closed = "extension:1003"

[queue.support]
number = "803"
title = "Support"
agents = ["1003", "1004"]
strategy = "in-order"
ring_s = 5
wrap_up_s = 0
leave_by = "0"
otherwise = "extension:1002"
"""


async def prepare(folder: Path) -> None:
    settings = load_settings(data_dir=folder, environ={})
    store = await open_store(settings)
    for number in (ALICE, BOB, CAROL, DAVE, ERIN, "1006"):
        await store.extensions.add(number, password=Private(f"secret-of-{number}"))
    await store.objects.apply(PLAN, "test")
    await store.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server with six extensions and a plan; its music is a tone."""
    folder = tmp_path_factory.mktemp("features")
    music = write_wav(folder / "music.wav", make_tones(16_000, 5, [TONES["music"]], -15), 16_000)
    settings = {"RINGBACK_CALLING__MUSIC": str(music), "RINGBACK_CALLING__PARK_RETURN_S": "10"}
    server = RingbackServer(folder / "server", settings=settings)
    asyncio.run(prepare(server.data))
    server.start()
    yield server
    server.stop()


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(limited())


class Phone:
    """An agent whose calls all speak its own tone."""

    def __init__(self, agent: UserAgent, number: str) -> None:
        self.agent, self.number = agent, number

    async def call(self, number: str) -> Call:
        """Dial and wait for the answer."""
        call = await self.agent.call(number)
        await call.answered(timeout_s=10)
        return await self.speak(call)

    async def answer(self) -> Call:
        """Take the next call."""
        call = await self.agent.next_call(timeout_s=10)
        await call.answer()
        return await self.speak(call)

    async def speak(self, call: Call) -> Call:
        """Let the peer hear the phone's tone."""
        await call.play(make_tones(16_000, 5, [TONES[self.number]]), loop=True, wait=False)
        return call


@asynccontextmanager
async def phones(server: RingbackServer, *numbers: str) -> AsyncIterator[list[Phone]]:
    async with AsyncExitStack() as stack:
        station = await stack.enter_async_context(Station(bind="127.0.0.1", verify=False))
        made = []
        for number in numbers:
            agent = UserAgent(
                server.uri(number), password=f"secret-of-{number}", station=station, codecs=["PCMU"]
            )
            made.append(Phone(await stack.enter_async_context(agent), number))
        await asyncio.gather(*(phone.agent.register() for phone in made))
        yield made


async def hears(call: Call, *who: str | float) -> None:
    """Within some seconds the call hears all of these, and none of the others."""
    wanted = [TONES[one] if isinstance(one, str) else one for one in who]
    others = [tone for tone in TONES.values() if tone not in wanted]
    levels: dict[float, float] = {}
    for _ in range(16):
        heard = await call.record(0.4)
        levels = dict(
            zip((*wanted, *others), tone_levels(heard.samples, 16_000, [*wanted, *others]), strict=True)
        )
        if all(levels[tone] > -26 for tone in wanted) and all(levels[tone] < -36 for tone in others):
            return
    raise AssertionError(f"{who} are to be heard, but it is {levels}")


async def connect(caller: Phone, called: Phone) -> tuple[Call, Call]:
    call, other = await asyncio.gather(caller.call(called.number), called.answer())
    await asyncio.gather(hears(call, called.number), hears(other, caller.number))
    return call, other


def test_a_blind_transfer_by_keys_and_one_that_fails(office: RingbackServer) -> None:
    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL) as (alice, bob, carol):
            at_alice, at_bob = await connect(alice, bob)
            await at_bob.send_dtmf("##")
            await asyncio.gather(hears(at_alice, "music"), hears(at_bob, DIAL_HZ))
            await at_bob.send_dtmf("9999#")
            await asyncio.gather(hears(at_alice, BOB), hears(at_bob, ALICE))
            await at_bob.send_dtmf("##1003#")
            at_carol = await carol.answer()
            await asyncio.gather(hears(at_alice, CAROL), hears(at_carol, ALICE))
            assert (await at_bob.ended(5)).by == "peer"
            # Keys that are for nobody here reach the other side.
            await at_alice.send_dtmf("*91")
            assert await at_carol.read_digits(3) == "*91"
            await at_alice.hangup()
            await at_carol.ended(5)

    run(test())


def test_a_colleague_is_asked_three_talk_and_it_becomes_a_meeting(office: RingbackServer) -> None:
    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL, DAVE) as (alice, bob, carol, dave):
            at_alice, at_bob = await connect(alice, bob)
            await at_alice.send_dtmf("*21003#")
            at_carol = await carol.answer()
            await asyncio.gather(hears(at_bob, "music"), hears(at_alice, CAROL), hears(at_carol, ALICE))
            await at_alice.send_dtmf("*0")
            await at_carol.ended(5)
            await asyncio.gather(hears(at_alice, BOB), hears(at_bob, ALICE))
            await at_alice.send_dtmf("*21003#")
            at_carol = await carol.answer()
            await hears(at_alice, CAROL)
            await at_alice.send_dtmf("*3")
            await asyncio.gather(
                hears(at_alice, BOB, CAROL), hears(at_bob, ALICE, CAROL), hears(at_carol, ALICE, BOB)
            )
            await at_alice.send_dtmf("*5")
            meeting = await asyncio.to_thread(made_meeting, office)
            # A fourth comes in by the meeting's number and PIN.
            at_dave = await dave.call(f"{meeting['number']}*{meeting['guest_pin']}")
            await hears(at_dave, ALICE, BOB, CAROL)
            await hears(at_bob, ALICE, CAROL, DAVE)
            for call in (at_alice, at_bob, at_carol, at_dave):
                await call.hangup()
            await asyncio.to_thread(wait_for, lambda: not made_of_calls(office))

    run(test())


def made_of_calls(server: RingbackServer) -> list[dict[str, Any]]:
    return [one for one in fetch(server, "meetings") if one["name"] == "Meeting made of a call"]


def made_meeting(server: RingbackServer) -> dict[str, Any]:
    wait_for(lambda: bool(made_of_calls(server)))
    (meeting,) = made_of_calls(server)
    wait_for(lambda: len(fetch(server, f"meetings/{meeting['number']}/participants")) == 3)
    return meeting


def fetch(server: RingbackServer, what: str) -> Any:
    return json.loads(server.fetch(f"/api/v1/{what}"))


def test_consult_and_hang_up_is_an_attended_transfer(office: RingbackServer) -> None:
    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL) as (alice, bob, carol):
            at_alice, at_bob = await connect(alice, bob)
            await at_bob.send_dtmf("*21003#")
            at_carol = await carol.answer()
            await hears(at_carol, BOB)
            await at_bob.hangup()
            await asyncio.gather(hears(at_alice, CAROL), hears(at_carol, ALICE))
            await at_carol.hangup()
            await at_alice.ended(5)

    run(test())


def test_park_lamp_pick_up_and_back_to_who_parked(
    office: RingbackServer, make_phone: Callable[..., SipPhone]
) -> None:
    watcher = make_phone(office, ERIN, f"secret-of-{ERIN}")
    watch = watcher.subscribe("701")
    wait_for(lambda: lamp(watch) == [])

    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL, DAVE, ERIN) as (alice, bob, carol, dave, erin):
            # A phone parks by its own transfer key, and nobody comes.
            at_dave, at_erin = await connect(dave, erin)
            await at_dave.transfer("702")
            await hears(at_erin, "music")
            at_alice, at_bob = await connect(alice, bob)
            await at_bob.send_dtmf("*7")
            assert (await at_bob.record(1.5)).level_dbfs > -40, "the slot is spoken"
            await hears(at_alice, "music")
            await at_bob.ended(8)
            await asyncio.to_thread(wait_for, lambda: lamp(watch) == ["confirmed"])
            at_carol = await carol.call("701")
            await asyncio.gather(hears(at_alice, CAROL), hears(at_carol, ALICE))
            await asyncio.to_thread(wait_for, lambda: lamp(watch) in ([], ["terminated"]))
            await at_alice.hangup()
            back = await dave.agent.next_call(timeout_s=15)
            assert "Park 702" in str(back.peer.reveal())
            await back.answer()
            await dave.speak(back)
            await asyncio.gather(hears(at_erin, DAVE), hears(back, ERIN))
            await back.hangup()
            await at_erin.ended(5)

    run(test())


def test_pickup_of_a_colleagues_call(office: RingbackServer) -> None:
    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL, DAVE) as (alice, bob, carol, dave):
            for code in ("*8", "**1002"):
                call = await alice.agent.call(BOB)
                await call.ringing()
                await bob.agent.next_call(timeout_s=5)
                with pytest.raises(CallFailedError) as refused:
                    await dave.call("**1002")
                assert refused.value.status == 404, "nobody of Dave's groups rings"
                at_carol = await carol.call(code)
                await alice.speak(call)
                await asyncio.gather(hears(call, CAROL), hears(at_carol, ALICE))
                await call.hangup()
                await at_carol.ended(5)

    run(test())


def test_do_not_disturb_forwarding_and_the_night_switch(office: RingbackServer) -> None:
    async def dialled(phone: Phone, code: str) -> None:
        """A code is confirmed by a voice."""
        call = await phone.call(code)
        assert (await call.record(1)).level_dbfs > -45
        await call.hangup()

    async def reaches(caller: Phone, number: str, called: Phone) -> None:
        call, other = await asyncio.gather(caller.call(number), called.answer())
        await asyncio.gather(hears(call, called.number), hears(other, caller.number))
        await call.hangup()
        await other.ended(5)

    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL) as (alice, bob, carol):
            await asyncio.gather(dialled(bob, "*78"), dialled(carol, "*28802"))
            with pytest.raises(CallFailedError) as refused:
                await alice.call(BOB)
            assert refused.value.status == 486
            await reaches(alice, "802", carol)
            await asyncio.gather(dialled(bob, "*79"), dialled(carol, "*28802"))
            await reaches(alice, "802", bob)
            await dialled(bob, "*721003")
            await reaches(alice, BOB, carol)
            await dialled(bob, "*73")
            await reaches(alice, BOB, bob)

    run(test())


def test_a_menu_and_an_announcement_lead_on(office: RingbackServer) -> None:
    async def test() -> None:
        async with phones(office, ALICE, BOB, DAVE) as (alice, bob, dave):
            call = await alice.call("800")
            assert (await call.record(1)).level_dbfs > -45, "the words are spoken"
            await call.send_dtmf("*")
            assert (await call.record(1)).level_dbfs > -45, "and after a wrong key again"
            await call.send_dtmf("1002")
            at_bob = await bob.answer()
            await asyncio.gather(hears(call, BOB), hears(at_bob, ALICE))
            await call.hangup()
            call = await alice.call("801")
            assert (await call.record(0.5)).level_dbfs > -45
            at_dave = await dave.answer()
            await asyncio.gather(hears(call, DAVE), hears(at_dave, ALICE))
            await call.hangup()

    run(test())


def test_a_queue_with_agents_who_come_and_go(office: RingbackServer) -> None:
    async def test() -> None:
        async with phones(office, ALICE, BOB, CAROL, DAVE) as (alice, bob, carol, dave):
            first = await alice.call("803")
            at_carol = await carol.answer()
            assert "Support" in str(at_carol.peer.reveal())
            await asyncio.gather(hears(first, CAROL), hears(at_carol, ALICE))
            # Dave logs out, and it is kept.
            out = await dave.call("*23")
            assert (await out.ended(8)).by == "peer", "it is said, and that is all"
            second = await bob.call("803")
            await hears(second, "music")
            (queue,) = await asyncio.to_thread(fetch, office, "queues")
            assert [agent["state"] for agent in queue["agents"]] == ["busy", "logged out"]
            assert (len(queue["waiting"]), queue["answered"]) == (1, 1)
            await first.hangup()
            at_carol = await carol.answer()
            await asyncio.gather(hears(second, CAROL), hears(at_carol, BOB))
            third = await alice.call("803")
            await hears(third, "music")
            # By the key to Bob, who is in a call, and takes a second one.
            await third.send_dtmf("0")
            at_bob = await bob.answer()
            await asyncio.gather(hears(third, BOB), hears(at_bob, ALICE))

    run(test())


def test_real_phones_hold_with_music_and_transfer_by_keys(
    office: RingbackServer, make_baresip: Callable[..., Baresip], make_linphone: Callable[..., Linphone]
) -> None:
    phone = make_baresip("1006", server=office.udp, password="secret-of-1006", tone_hz=TONES["baresip"])
    phone.register()

    async def test() -> None:
        async with phones(office, ALICE, CAROL) as (alice, carol):
            phone.dial(office.uri(ALICE), wait=False)
            at_alice = await alice.answer()
            await hears(at_alice, "baresip")
            await asyncio.to_thread(phone.hold)
            await hears(at_alice, "music")
            await asyncio.to_thread(phone.resume)
            await hears(at_alice, "baresip")
            await asyncio.to_thread(phone.press, "##1003#")
            at_carol = await carol.answer()
            await asyncio.gather(hears(at_alice, CAROL), hears(at_carol, ALICE))
            await at_alice.hangup()

    run(test())
