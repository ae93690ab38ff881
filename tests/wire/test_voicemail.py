"""Voicemail at the real command: what was said is what the holder hears, and nobody else; kill -9."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import pytest

from ringback.agent import Call, Station, UserAgent
from ringback.quality.markers import find_markers, marker
from ringback.quality.tones import make_tones, tone_levels
from tests.server.smtp_server import SmtpServer
from tests.wire.baresip import Baresip
from tests.wire.in_clear import found_in, texts, voice_forms
from tests.wire.mailboxes import LampWatch, ask, give_mailbox
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.test_agent import agents, run
from tests.wire.test_transfer import wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakePhone = Callable[..., SipPhone]

BEEP_HZ = 1_000.0
PIN = "735162"
RATE = 16_000
CODES = (3, 7, 11, 5)


@pytest.fixture(scope="module")
def post() -> Iterator[SmtpServer]:
    """A mail server on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = SmtpServer()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(5)
    yield server
    asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, post: SmtpServer) -> Iterator[RingbackServer]:
    settings = {
        "RINGBACK_MAIL__HOST": "127.0.0.1",
        "RINGBACK_MAIL__PORT": str(post.port),
        "RINGBACK_MAIL__TLS": "none",
        "RINGBACK_MAIL__SENDER": "pbx@example.com",
    }
    server = RingbackServer(tmp_path_factory.mktemp("voicemail"), settings=settings).start()
    yield server
    server.stop()


def spoken(seconds: float = 3.0) -> np.ndarray:
    """Coded chirps, one each 600 ms, over a tone that keeps the talk gate open."""
    audio = make_tones(RATE, seconds, [440.0], -30)
    for index, code in enumerate(CODES):
        chirp = marker(code, RATE, -10)
        start = round((0.3 + 0.6 * index) * RATE)
        audio[start : start + len(chirp)] += chirp
    return audio


def codes_in(samples: np.ndarray, rate: int = RATE) -> list[int]:
    """The codes that are heard, in order."""
    found = [(float(at), code) for code in range(16) for at in find_markers(samples, rate, code)]
    return [code for _, code in sorted(found)]


@asynccontextmanager
async def known(server: RingbackServer, *numbers: str) -> AsyncIterator[list[UserAgent]]:
    """Registered agents of extensions that are there already."""
    async with AsyncExitStack() as stack:
        station = await stack.enter_async_context(Station(bind="127.0.0.1", verify=False))
        found = []
        for number in numbers:
            agent = UserAgent(server.uri(number), password=f"secret-of-{number}", station=station)
            found.append(await stack.enter_async_context(agent))
        await asyncio.gather(*(agent.register() for agent in found))
        yield found


async def until_tone(call: Call, frequency: float, patience_s: float = 15) -> None:
    """Listen until a tone is heard, and is over."""
    deadline = time.monotonic() + patience_s
    heard_it = False
    while True:
        assert time.monotonic() < deadline, "the tone never came"
        heard = await call.record(0.1)
        sounds = tone_levels(heard.samples, RATE, [frequency], 50)[0] > -25
        if heard_it and not sounds:
            return
        heard_it = heard_it or bool(sounds)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def leave_message(caller: UserAgent, number: str) -> None:
    call = await caller.call(number)
    await call.answered()
    await call.send_dtmf("#")
    await until_tone(call, BEEP_HZ)
    await call.play(spoken())
    await call.send_dtmf("#")
    await call.hangup()


async def hear_message(call: Call) -> list[int]:
    """The codes of the first message, whose beginning is asked for until it comes."""
    for _ in range(8):
        await call.send_dtmf("1")
        await asyncio.sleep(0.2)
        await call.send_dtmf("#")
        found = codes_in((await call.record(3.2)).samples)
        if found:
            return found
    raise AssertionError("the message was never heard")


def test_a_message_goes_to_the_holder_and_the_lamp_follows(
    office: RingbackServer, make_phone: MakePhone
) -> None:
    async def test() -> None:
        async with agents(office, "4801") as (alice,), agents(office, "4811") as (bob,):
            give_mailbox(office, "4811")
            lamp = LampWatch(make_phone(office, "4811", "secret-of-4811"))
            assert lamp.shows() == "0/0 (0/0)"
            await bob.unregister()
            await leave_message(alice, "4811")
            lamp.wait_for("1/0 (0/0)")
            await bob.register()
            call = await bob.call("*97")
            await call.answered()
            await call.send_dtmf(f"{PIN}#")
            await call.send_dtmf(f"{PIN}#")
            await until(lambda: ask(office, "GET", "/voicemail/4811")["has_pin"])
            assert await hear_message(call) == list(CODES)
            await call.send_dtmf("7")
            lamp.wait_for("0/1 (0/0)")
            await call.hangup()
            lamp.wait_for("0/0 (0/0)")
            await until(lambda: not list((office.data / "voices").rglob("*.rbv")))

    run(test())
    wanted = {**voice_forms(spoken()), **texts(PIN, "secret-of-4801", "secret-of-4811")}
    assert found_in([office.data], wanted) == []


def test_baresip_leaves_a_message_and_hears_it_and_the_next_holder_does_not(
    office: RingbackServer, post: SmtpServer, make_baresip: Callable[..., Baresip], make_phone: MakePhone
) -> None:
    office.add_extension("4812")
    give_mailbox(office, "4812", trust_own_phone=True, e_mail="ada@example.com")
    lamp = LampWatch(make_phone(office, "4812", "secret-of-4812"))
    account = {"server": office.udp, "codec": "g722"}
    caller = make_baresip("4804", password=office.add_extension("4804"), tone_hz=700.0, **account)
    caller.dial(office.uri("4812"))
    caller.press("#")
    wait_for(lambda: sounds(caller, BEEP_HZ), 15)
    wait_for(lambda: not sounds(caller, BEEP_HZ), 15)
    time.sleep(2.5)
    caller.press("#")
    caller.hang_up_and_wait()
    lamp.wait_for("1/0 (0/0)")
    wait_for(lambda: bool(post.mails), 15)
    assert post.mails[0]["To"] == "ada@example.com"
    assert [part.get_content_type() for part in post.mails[0].walk()] == ["text/plain"]
    assert "48" not in post.mails[0].get_content()
    holder = make_baresip("4812", password="secret-of-4812", tone_hz=300.0, **account)
    holder.dial(office.uri("*97"))
    wait_for(lambda: asked_again(holder), 30)
    lamp.wait_for("0/1 (0/0)")
    holder.hang_up_and_wait()
    for name, counts in (("Ada", "0/1 (0/0)"), ("Bob", "0/0 (0/0)")):
        person = ask(office, "POST", "/people", {"name": name})
        ask(office, "PATCH", "/extensions/4812", {"person_id": person["id"]})
        lamp.wait_for(counts)
    assert len(list((office.data / "voices").rglob("*.rbv"))) == 1


def sounds(phone: Baresip, frequency: float) -> bool:
    """Whether a phone hears a tone just now."""
    heard = phone.heard(0.2)
    return len(heard) >= 3_200 and bool(tone_levels(heard, RATE, [frequency], 50)[0] > -30)


def asked_again(phone: Baresip) -> bool:
    """Ask for the first message; whether its tone is heard."""
    phone.press("1#")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if sounds(phone, 700.0):
            return True
        time.sleep(0.1)
    return False


def test_kill_9_leaves_what_was_said_and_no_orphan(office: RingbackServer) -> None:
    server = office
    before = set((server.data / "voices").rglob("*.rbv"))
    server.add_extension("4821")
    give_mailbox(server, "4821", trust_own_phone=True)

    async def say() -> None:
        async with agents(server, "4802", "4803") as (alice, carol):
            call = await alice.call("4821")
            await call.answered()
            await call.send_dtmf("#")
            await until_tone(call, BEEP_HZ)
            await call.play(spoken(), wait=False)
            await asyncio.sleep(1.6)
            # Of hers there is not enough for a message.
            other = await carol.call("4821")
            await other.answered()
            await other.send_dtmf("#")
            await until_tone(other, BEEP_HZ)
            await asyncio.sleep(0.5)
            assert len(set((server.data / "voices").rglob("*.rbv")) - before) == 2
            server.kill_all()
            # Its phones find somebody to say goodbye to.
            await asyncio.to_thread(server.start)

    run(say())

    async def hear() -> None:
        async with known(server, "4821") as (bob,):
            call = await bob.call("*97")
            await call.answered()
            assert (await hear_message(call))[:2] == list(CODES[:2])
            await call.hangup()

    run(hear())
    counts = ask(server, "GET", "/voicemail/4821")
    assert counts["new"] + counts["old"] == 1
    assert len(set((server.data / "voices").rglob("*.rbv")) - before) == 1
