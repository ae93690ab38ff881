"""Who is sent or connected to help by a transfer is in an emergency call, as if it had dialled itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from tests.wire.help_office import (
    BESIDE,
    CAPPED,
    FEW,
    HELP,
    NOWHERE,
    OUTSIDE,
    OUTSIDE_HZ,
    PATIENCE_S,
    PLAIN,
    RESTRICTED,
    Office,
    State,
    Street,
    made_office,
    refused,
    street,
)
from tests.wire.test_routed_calls import check_heard
from tests.wire.test_transfer import wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("help")) as made:
        yield made


async def uses_up(made: Street, state: State) -> None:
    """Nothing that costs may be called by it any more today."""
    agent = await made.of(state)
    while await refused(agent, OUTSIDE) == 200:
        for call in agent.calls:
            await call.hangup()


@pytest.mark.parametrize("number", [HELP, "112"])
@pytest.mark.parametrize("in_need", [PLAIN, RESTRICTED], ids=["plain", "may call nothing"])
@pytest.mark.parametrize("calls", [True, False], ids=["caller", "called"])
def test_sent_by_refer(office: Office, number: str, in_need: State, calls: bool) -> None:
    """Whoever of the two has called; the colleague has no call left that costs."""

    async def test() -> None:
        async with street(office) as made:
            await uses_up(made, CAPPED)
            before = made.times_told(in_need)
            if calls:
                call, there, _ = await made.talk(in_need, CAPPED)
            else:
                there, call, _ = await made.talk(CAPPED, in_need)
            transfer = asyncio.create_task(there.transfer(number))
            await made.is_helped(in_need, call, in_need.callback)
            await made.is_told_of(in_need, before)
            await transfer
            assert there.over
            await call.hangup()
            await made.is_recorded(in_need)

    asyncio.run(test())


@pytest.mark.parametrize("number", [HELP, "112"])
def test_sent_by_keys(office: Office, number: str) -> None:
    async def test() -> None:
        async with street(office) as made:
            await uses_up(made, CAPPED)
            before = made.times_told(PLAIN)
            call, there, _ = await made.talk(PLAIN, CAPPED)
            await there.send_dtmf(f"##{number}#")
            await made.is_helped(PLAIN, call, PLAIN.callback)
            await made.is_told_of(PLAIN, before)
            await there.ended(PATIENCE_S)
            await call.hangup()
            await made.is_recorded(PLAIN)

    asyncio.run(test())


@pytest.mark.parametrize("stops", [False, True], ids=["", "while the server stops"])
def test_connected_by_refer(office: Office, stops: bool) -> None:
    """A colleague calls help from its own place, is told of there, and connects the two."""

    async def test() -> None:
        async with street(office) as made:
            await uses_up(made, CAPPED)
            before = made.times_told(CAPPED)
            call, there, colleague = await made.talk(PLAIN, CAPPED)
            await there.hold()
            consultation = await made.calls_help(CAPPED, agent=colleague)
            await made.is_told_of(CAPPED, before)
            await there.transfer_to(consultation)
            await made.is_helped(PLAIN, call, CAPPED.callback)
            if not stops:
                await call.hangup()
                await made.is_recorded(CAPPED)
                return
            process = office.server.process
            assert process is not None
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(
                    wait_for, lambda: "an emergency call goes on" in office.server.output(), PATIENCE_S
                )
                helped = made.helped[CAPPED.callback]
                await check_heard(call, PLAIN.hz, helped, OUTSIDE_HZ[CAPPED.callback])
                assert not call.over
                await call.hangup()
                assert await asyncio.to_thread(process.wait, 15) == 0
            finally:
                await asyncio.to_thread(office.server.start)

    asyncio.run(test())


def test_connected_by_keys(office: Office) -> None:
    """`*2` and the number; the colleague hangs up."""

    async def test() -> None:
        async with street(office) as made:
            await uses_up(made, CAPPED)
            before = made.times_told(CAPPED)
            call, there, _ = await made.talk(PLAIN, CAPPED)
            await there.send_dtmf(f"*2{HELP}#")
            await made.is_helped(CAPPED, there, CAPPED.callback)
            await made.is_told_of(CAPPED, before)
            await there.hangup()
            await made.is_helped(PLAIN, call, CAPPED.callback)
            await call.hangup()
            await made.is_recorded(PLAIN)

    asyncio.run(test())


def test_sent_where_the_carrier_has_no_line_left(office: Office) -> None:
    """The newest of the others' calls gives its line up, also to who is sent to help."""

    async def test() -> None:
        async with street(office) as made:
            others = []
            for state in (PLAIN, BESIDE):
                others.append(await made.speaks(await (await made.of(state)).call("25550100"), state.hz))
            call, there, _ = await made.talk(FEW, NOWHERE)
            transfer = asyncio.create_task(there.transfer(HELP))
            await made.is_helped(FEW, call, FEW.callback)
            await transfer
            assert [other.over for other in others] == [False, True]
            await call.hangup()
            await others[0].hangup()

    asyncio.run(test())
