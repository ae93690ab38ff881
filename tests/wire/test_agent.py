"""Agents of `ringback.agent` against the real command: what a program does with them, sound measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.agent import (
    Answered,
    Call,
    CallFailedError,
    DigitReceived,
    Ended,
    Heard,
    Held,
    PatienceError,
    RegistrationFailedError,
    Ringing,
    SoundError,
    Station,
    TransferFailedError,
    UserAgent,
)
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow]
ECHO = "600"
LOW, HIGH = 600.0, 1_090.0


def tone(frequency: float, seconds: float = 3.0) -> np.ndarray:
    return make_tones(16_000, seconds, [frequency])


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(limited())


@asynccontextmanager
async def agents(server: RingbackServer, *numbers: str, **options: Any) -> AsyncIterator[list[UserAgent]]:
    """Registered agents of new extensions on one station."""
    passwords = [server.add_extension(number) for number in numbers]
    async with AsyncExitStack() as stack:
        station = await stack.enter_async_context(Station(bind="127.0.0.1", verify=False))
        found = []
        for number, password in zip(numbers, passwords, strict=True):
            uri = server.uri(number, options.get("transport", "udp"))
            agent = UserAgent(uri, password=password, station=station, **options)
            found.append(await stack.enter_async_context(agent))
        await asyncio.gather(*(agent.register() for agent in found))
        yield found


async def connect(caller: UserAgent, called: UserAgent) -> tuple[Call, Call]:
    call = await caller.call(called.account.username)
    other = await called.next_call(timeout_s=10)
    await asyncio.gather(other.answer(), call.answered())
    return call, other


def hears(heard: Heard, frequency: float) -> bool:
    return bool(tone_levels(heard.samples, 16_000, [frequency])[0] > -20)


async def check_both_hear(one: Call, other: Call) -> None:
    """Each hears the other's tone and not its own, after a moment for the change to take hold."""
    await one.play(tone(LOW, 6), wait=False)
    await other.play(tone(HIGH, 6), wait=False)
    await asyncio.sleep(1)
    at_one, at_other = await asyncio.gather(one.record(1), other.record(1))
    assert hears(at_one, HIGH)
    assert hears(at_other, LOW)
    assert not hears(at_one, LOW)
    assert not hears(at_other, HIGH)
    await asyncio.gather(one.stop_playing(), other.stop_playing())


def test_two_agents_call_each_other(server: RingbackServer) -> None:
    async def test() -> None:
        async with agents(server, "4101", "4102") as (alice, bob):
            call = await alice.call("4102")
            ringing = await call.ringing()
            assert ringing.status == 180
            other = await bob.next_call(timeout_s=5)
            assert other.incoming
            assert "4101" in str(other.peer.reveal())
            assert "4101" not in repr(other)
            await asyncio.gather(other.answer(), call.answered())
            await check_both_hear(call, other)
            await call.send_dtmf("1234#")
            assert await other.read_digits(5) == "1234#"
            await other.send_dtmf("*9")
            assert await call.read_digits(2) == "*9"
            await call.hangup()
            assert (await other.ended(5)).by == "peer"
            assert call.end == Ended("us", 0, "hung up")
            kinds = [type(event) async for event in other.events()]
            assert kinds == [Answered, *5 * [DigitReceived], Ended]
            assert [type(event) async for event in call.events()][:2] == [Ringing, Answered]
            assert call.totals is not None
            assert call.totals.received_packets > 100

    run(test())


def test_hold_and_another_codec(server: RingbackServer) -> None:
    async def test() -> None:
        async with agents(server, "4111", "4112") as (alice, bob):
            call, other = await connect(alice, bob)
            assert call.codec == "OPUS"
            await other.play(tone(HIGH, 20), loop=True)
            await call.hold()
            await asyncio.sleep(0.5)
            assert not hears(await call.record(1), HIGH), "who holds is sent nothing"
            await call.resume()
            await asyncio.sleep(0.5)
            assert hears(await call.record(1), HIGH)
            await other.stop_playing()
            await call.reinvite(codecs=["PCMA"])
            assert call.codec == "PCMA"
            await check_both_hear(call, other)
            # Time for a second to be counted and told.
            assert call.quality.lost_percent == pytest.approx(0, abs=5)
            await other.hangup()

    run(test())


def test_blind_transfer(server: RingbackServer) -> None:
    async def test() -> None:
        async with agents(server, "4121", "4122", "4123") as (alice, bob, carol):
            call, other = await connect(alice, bob)
            with pytest.raises(TransferFailedError) as failed:
                await other.transfer("9999999")
            assert failed.value.status == 404
            assert other.talking
            transfer = asyncio.create_task(other.transfer("4123"))
            third = await carol.next_call(timeout_s=10)
            await third.answer()
            await transfer
            assert other.over
            await check_both_hear(call, third)
            await call.hangup()
            await third.ended(5)

    run(test())


def test_attended_transfer(server: RingbackServer) -> None:
    async def test() -> None:
        async with agents(server, "4131", "4132", "4133") as (alice, bob, carol):
            with_bob, at_bob = await connect(alice, bob)
            await with_bob.hold()
            with_carol, at_carol = await connect(alice, carol)
            await with_bob.transfer_to(with_carol)
            assert with_bob.over
            assert with_carol.over
            await check_both_hear(at_bob, at_carol)
            await at_bob.hangup()
            await at_carol.ended(5)

    run(test())


def test_over_tls_media_is_encrypted(server: RingbackServer) -> None:
    async def test() -> None:
        async with agents(server, "4141", "4142", transport="tls") as (alice, bob):
            call, other = await connect(alice, bob)
            assert call.encrypted
            assert other.encrypted
            await check_both_hear(call, other)
            await call.hangup()
            await other.ended(5)

    run(test())


def test_over_tcp_with_g711(server: RingbackServer) -> None:
    async def test() -> None:
        async with agents(server, "4151", "4152", transport="tcp", codecs=["PCMU"]) as (alice, bob):
            call, other = await connect(alice, bob)
            assert call.codec == other.codec == "PCMU"
            await check_both_hear(call, other)
            await other.hangup()
            await call.ended(5)

    run(test())


def test_what_goes_wrong_is_said(server: RingbackServer, tmp_path: Path) -> None:
    password = server.add_extension("4161")

    async def test() -> None:
        async with Station(bind="127.0.0.1") as station:
            async with UserAgent(server.uri("4161"), password="wrong", station=station) as phone:
                with pytest.raises(
                    RegistrationFailedError, match="does not take this user name and password"
                ):
                    await phone.register()
                call = await phone.call(ECHO)
                with pytest.raises(CallFailedError, match="does not take this user name and password"):
                    await call.answered()
            async with UserAgent(server.uri("4161"), password=password, station=station) as phone:
                call = await phone.call("9999999")
                with pytest.raises(CallFailedError, match="knows nobody") as nobody:
                    await call.answered()
                assert "9999999" not in str(nobody.value)
                call = await phone.call(ECHO)
                await call.answered()
                with pytest.raises(SoundError, match="no such sound"):
                    await call.play(tmp_path / "nothing.wav")
                with pytest.raises(SoundError, match="from -1 to 1"):
                    await call.play(np.full(100, 2.0))
                await call.hangup()
                with pytest.raises(PatienceError, match="nobody called"):
                    await phone.next_call(timeout_s=0.1)
            # Nobody trusts the server's own authority, unless told.
            secure = UserAgent(server.uri("4161", "tls"), password=password, transport="tls", station=station)
            async with secure as phone:
                with pytest.raises(RegistrationFailedError, match="certificate"):
                    await phone.register()

    run(test())


def test_a_server_found_by_name_proves_it(server: RingbackServer) -> None:
    password = server.add_extension("4181")

    async def test() -> None:
        authority = server.data / "tls" / "ca.pem"
        uri = server.uri("4181", "tls").replace("127.0.0.1", "localhost")
        async with UserAgent(uri, password=password, bind="127.0.0.1", ca=authority) as phone:
            await phone.register()
            call = await phone.call(ECHO)
            await call.answered()
            assert call.encrypted
            await call.play(tone(LOW, 1), loop=True)
            heard = await call.record(0.5)
            assert heard.level_dbfs > -60, "the announcement"
            await call.hangup()

    run(test())


@pytest.mark.long
@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_an_agent_on_ipv6_and_one_on_ipv4_call_each_other(
    make_server: Callable[..., RingbackServer], transport: str
) -> None:
    allowed = {
        "RINGBACK_SIP__BIND": "127.0.0.1,::1",
        "RINGBACK_SECURITY__ALLOW_SOURCES": "127.0.0.0/8,::1/128",
    }
    server = make_server(settings=allowed)
    passwords = [server.add_extension(number) for number in ("4191", "4192")]
    here = server.uri("4191", transport).replace("127.0.0.1", "[::1]")

    async def test() -> None:
        async with (
            Station(bind="::1", verify=False) as six,
            Station(bind="127.0.0.1") as four,
            UserAgent(here, password=passwords[0], station=six, transport=transport) as alice,
            UserAgent(server.uri("4192"), password=passwords[1], station=four) as bob,
        ):
            await asyncio.gather(alice.register(), bob.register())
            for caller, called in ((alice, bob), (bob, alice)):
                call, other = await connect(caller, called)
                await check_both_hear(call, other)
                await call.hangup()
                await other.ended(5)

    run(test())


def test_without_a_server_agents_call_each_other(tmp_path: Path) -> None:
    """Two stations, as two programs: hold is told, a file is played, calls are sent on."""

    async def test() -> None:
        async with Station(bind="127.0.0.1") as here, Station(bind="127.0.0.1") as there:
            uris = [
                f"sip:{name}@127.0.0.1:{at.port}" for name, at in (("a", here), ("b", there), ("c", here))
            ]
            async with (
                UserAgent(uris[0], station=here) as alice,
                UserAgent(uris[1], station=there) as bob,
                UserAgent(uris[2], station=here) as carol,
            ):
                call = await alice.call(uris[1])
                other = await bob.next_call(5)
                await asyncio.gather(other.answer(), call.answered())
                Heard(tone(LOW), 0.0).save(tmp_path / "low.wav")
                heard, _ = await asyncio.gather(other.record(1.5), call.play(tmp_path / "low.wav"))
                assert hears(heard, LOW)
                assert len(heard.times) == len(heard.samples) == 24_000
                await call.hold()
                assert other.held
                assert Held(held=True) in other.history
                await call.resume()
                assert not other.held
                transfer = asyncio.create_task(call.transfer(uris[2]))
                third = await carol.next_call(5)
                await third.answer()
                moved = await other.transferred()
                await transfer
                await moved.answered()
                await check_both_hear(moved, third)
                busy = await alice.call(uris[1])
                refused = await bob.next_call(5)
                await refused.reject(486)
                with pytest.raises(CallFailedError, match="busy"):
                    await busy.answered()
                nobody = await alice.call(f"sip:nobody@127.0.0.1:{there.port}")
                with pytest.raises(CallFailedError) as failed:
                    await nobody.answered()
                assert failed.value.status == 404

    run(test())


def test_a_hundred_agents_hear_the_echo_test(server: RingbackServer) -> None:
    password = server.add_extension("4171")

    async def one(station: Station, i: int) -> float:
        """The level at which an agent hears its own tone come back, at best."""
        frequency, best = 500.0 + 10 * i, -120.0
        agent = UserAgent(server.uri("4171"), password=password, codecs=["PCMU"], station=station)
        async with agent as phone:
            call = await phone.call(ECHO)
            await call.answered()
            await call.play(tone(frequency, 1), loop=True)
            for _ in range(20):
                # A key ends the announcement, once that has begun.
                await call.send_dtmf("#")
                heard = await call.record(0.6)
                best = max(best, float(tone_levels(heard.samples, 16_000, [frequency])[0]))
                if best > -20:
                    break
            await call.hangup()
        return best

    async def test() -> None:
        async with Station(bind="127.0.0.1") as station:
            levels = await asyncio.gather(*(one(station, i) for i in range(100)))
            assert min(levels) > -20, sorted(levels)

    run(test())
