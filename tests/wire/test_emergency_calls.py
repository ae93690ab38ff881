"""Emergency calls from every device in every state: heard both ways, whom to call back; people are told."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringback.quality.tones import make_tones
from tests.wire.baresip import Baresip
from tests.wire.browser import Browser
from tests.wire.console import log_in, make_somebody
from tests.wire.disks import disk_full
from tests.wire.help_office import (
    BESIDE,
    CAPPED,
    CARRIER,
    COLLEAGUE,
    DISABLED,
    DRILL,
    FEW,
    HELP,
    NOWHERE,
    OUTSIDE,
    OUTSIDE_HZ,
    PATIENCE_S,
    PLAIN,
    QUIET,
    RESTRICTED,
    TESTING,
    Office,
    Street,
    made_office,
    refused,
    street,
)
from tests.wire.kamailio import Kamailio
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.server import RingbackServer
from tests.wire.test_call_records import database_away
from tests.wire.test_routed_calls import check_heard, check_hears, hears
from tests.wire.test_transfer import wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("help")) as made:
        yield made


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


def test_who_is_sent_to_help_by_a_colleague_calls_from_where_it_is(office: Office) -> None:
    async def test() -> None:
        async with street(office) as made:
            before = made.times_told(PLAIN)
            call, there, _ = await made.talk(PLAIN, NOWHERE)
            transfer = asyncio.create_task(there.transfer(HELP))
            await made.is_helped(PLAIN, call, PLAIN.callback)
            await made.is_told_of(PLAIN, before)
            await transfer
            assert there.over
            await call.hangup()
            await made.is_recorded(PLAIN)

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
