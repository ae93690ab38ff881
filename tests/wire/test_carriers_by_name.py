"""Trunks named by a domain: no server of names answers, addresses die and are back; heard both ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.store.store import open_store
from tests.net.name_server import NameServer
from tests.wire.baresip import Baresip
from tests.wire.kamailio import Kamailio
from tests.wire.named_carriers import located, names
from tests.wire.office_plan import (
    apply_plan,
    instead_of,
    route,
)
from tests.wire.server import RingbackServer
from tests.wire.test_routed_calls import OUTSIDE, OUTSIDE_HZ, PATIENCE_S, Phone, check_outside, phones, run
from tests.wire.test_transfer import wait_for
from tests.wire.two_carriers import RESTING, taken, two_carriers

pytestmark = [pytest.mark.wire, pytest.mark.slow]

CALLER = "2101"
TTL_S, REST_S = 1, 20
PLAN = (
    route("usual", "1.", "one", "other"),
    instead_of("1", "late", "3.", "late", "other"),
    instead_of("1", "both", "4.", "both"),
)


class Office(NamedTuple):
    """The server, where names are asked for, two carriers, and the phone beyond them."""

    server: RingbackServer
    names: NameServer
    alpha: Kamailio
    beta: Kamailio
    outside: Baresip


async def prepare(folder: Path) -> None:
    store = await open_store(load_settings(data_dir=folder, environ={}))
    await store.extensions.add(CALLER, password=Private(f"secret-of-{CALLER}"))
    for name in ("one", "other", "both"):
        await store.trunks.add(name, {"host": f"{name}.example"})
    # Trunks of routes have to be there; its name is not asked for yet.
    await store.trunks.add("late", {"host": "late.example", "enabled": False})
    await apply_plan(store, PLAN)
    await store.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("named")
    outside = Baresip(folder, OUTSIDE, tone_hz=OUTSIDE_HZ, answer="auto").start()
    alpha, beta = two_carriers(folder, OUTSIDE, outside.sip_port, REST_S)
    zone = {
        **located("one.example", alpha.port),
        **located("other.example", beta.port),
        **located("both.example", alpha.port, beta.port),
    }
    with names(zone, TTL_S) as name_server:
        asked = {"RINGBACK_SIP__DNS_SERVERS": f"127.0.0.1:{name_server.address[1]}"}
        server = RingbackServer(folder / "server", settings=asked)
        asyncio.run(prepare(server.data))
        try:
            for thing in (alpha, beta, server):
                thing.start()
            yield Office(server, name_server, alpha, beta, outside)
        finally:
            for thing in (outside, alpha, beta):
                thing.stop()
            server.kill_all()


Reaches = Callable[[str, Kamailio], Awaitable[float]]


def reaching(office: Office, caller: Phone) -> Reaches:
    """Calls of a number that have to go by one carrier and be heard both ways; how long the answer took."""

    async def reaches(number: str, carrier: Kamailio) -> float:
        before, began = len(taken(carrier)), time.monotonic()
        call = await caller.call(number)
        took_s = time.monotonic() - began
        await check_outside(call, caller, office.outside)
        assert len(taken(carrier)) == before + 1, number
        await call.hangup()
        return took_s

    return reaches


async def asked_again(office: Office, trunk: str) -> dict[str, Any]:
    """Ask for a trunk until its name is asked for, too, its answer out of date; what is said then."""
    question = f"_sip._udp.{trunk}.example", "SRV"
    before, said = office.names.asked.count(question), dict[str, Any]()

    def asked() -> bool:
        said.update(office.server.api("POST", f"/trunks/{trunk}/test"))
        return office.names.asked.count(question) > before

    await asyncio.to_thread(wait_for, asked, PATIENCE_S)
    return said


async def api(office: Office, method: str, path: str, body: object = None) -> dict[str, Any]:
    """What the API answers about a trunk."""
    said: dict[str, Any] = await asyncio.to_thread(office.server.api, method, f"/trunks/{path}", body)
    return said


async def tells(office: Office, trunk: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    """Ask about a trunk until that is so."""
    await asyncio.to_thread(
        wait_for, lambda: condition(office.server.api("GET", f"/trunks/{trunk}")), 2 * PATIENCE_S
    )


@pytest.mark.parametrize(
    ("manner", "comes_back"),
    [
        ("silent", False),
        pytest.param("silent", True, marks=pytest.mark.long),
        pytest.param("broken", True, marks=pytest.mark.long),
    ],
)
def test_calls_go_on_while_no_server_of_names_answers(office: Office, manner: str, comes_back: bool) -> None:
    late = f"{manner}-{comes_back:d}.example"

    async def test() -> None:
        async with phones(office.server, CALLER) as (caller,):
            reaches = reaching(office, caller)
            assert (await asked_again(office, "one"))["up"] is True
            await reaches(OUTSIDE, office.alpha)
            setattr(office.names, manner, True)
            try:
                assert (await asked_again(office, "one"))["up"] is True
                await reaches(OUTSIDE, office.alpha)
                # A trunk whose name nobody has ever told.
                await api(office, "PATCH", "late", {"enabled": True, "host": late})
                assert await reaches(f"3{OUTSIDE[1:]}", office.beta) < 4
                await tells(office, "late", lambda trunk: "DNS" in trunk["reason"])
                if comes_back:
                    office.names.zone.update(located(late, office.alpha.port))
                    await asyncio.to_thread(office.alpha.stop)
                    assert await reaches(OUTSIDE, office.beta) < 8
                    await asyncio.to_thread(office.alpha.start)
            finally:
                setattr(office.names, manner, False)
                await api(office, "PATCH", "late", {"enabled": comes_back})
            if comes_back:
                # It is asked for again by itself.
                await tells(office, "late", lambda trunk: bool(trunk["up"]))
                await reaches(f"3{OUTSIDE[1:]}", office.alpha)
                await api(office, "PATCH", "late", {"enabled": False})

    run(test())


def test_the_first_address_of_a_carrier_is_used_again_when_it_is_back(office: Office) -> None:
    async def test() -> None:
        async with phones(office.server, CALLER) as (caller,):
            reaches = reaching(office, caller)
            number = f"4{OUTSIDE[1:]}"
            await reaches(number, office.alpha)
            await asyncio.to_thread(office.alpha.stop)
            assert await reaches(number, office.beta) < 6
            # The second call does not wait for the dead one again.
            await api(office, "POST", "both/test")
            assert await reaches(number, office.beta) < 3
            await asyncio.to_thread(office.alpha.start)
            await api(office, "POST", "both/test")
            await reaches(number, office.alpha)

    run(test())


@pytest.mark.long
def test_an_address_that_asked_for_a_rest_is_used_again_after_it(office: Office) -> None:
    async def test() -> None:
        async with phones(office.server, CALLER) as (caller,):
            reaches = reaching(office, caller)
            number = f"4{OUTSIDE[1:]}"
            await reaches(number, office.alpha)
            before = office.alpha.log().count("alpha is full")
            await reaches(f"4{RESTING[1:]}", office.beta)
            refused = time.monotonic()
            assert office.alpha.log().count("alpha is full") == before + 1
            await reaches(number, office.beta)
            await asyncio.sleep(max(0.0, refused + REST_S + 1 - time.monotonic()))
            await reaches(number, office.alpha)

    run(test())
