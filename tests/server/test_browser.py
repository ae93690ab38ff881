"""Browsers on the whole server: real uvicorn, real WebSocket, real media worker; only the browser is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets

from ringback.media.protocol import MediaConnected
from ringback.sip.message import Response
from tests.sdp import bodies

from .page import House, house, seen


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as built:
        yield built


def connect_media(home: House) -> None:
    """What the worker says once DTLS is up, which takes a browser."""
    home.server.exchange.on_media_event(MediaConnected(leg=max(home.server.switchboard.legs)))


async def test_a_link_is_enough_to_be_in_the_meeting(home: House) -> None:
    meeting = await home.store.meetings.add("Weekly")
    visit = await home.visit(meeting)
    async with home.page(visit) as page, home.states(visit) as states:
        assert (await seen(states, lambda _: True))["you"]["state"] == "outside"
        answer = await page.invite()
        assert answer.status == 200
        assert ";transport=ws" in str(answer.contacts[0])
        lines = answer.body.decode().splitlines()
        for start in (
            "a=ice-lite",
            "a=setup:passive",
            "a=rtcp-mux",
            "a=fingerprint:sha-256 ",
            "a=group:BUNDLE 0",
        ):
            assert any(line.startswith(start) for line in lines), start
        (port,) = [line.split()[1] for line in lines if line.startswith("m=audio")]
        assert f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host" in lines
        connect_media(home)
        state = await seen(states, lambda state: state["you"]["state"] == "in")
        (me,) = state["participants"]
        assert (me["id"], me["name"], me["via"]) == (state["you"]["id"], "Ada", "browser")
        assert me["number"] is None
        assert (await page.bye()).status == 200
        await seen(states, lambda state: state["you"]["state"] == "outside")


async def test_without_proof_a_page_reaches_nothing(home: House) -> None:
    meeting = await home.store.meetings.add("Weekly")
    other = await home.store.meetings.add("Board")
    visit = await home.visit(meeting)
    async with home.page(visit) as page:
        assert (await page.invite(f"sip:{other.number}@127.0.0.1")).status == 403
    async with home.page(visit) as page:
        assert (await page.invite(visit["sip"]["echo_target"])).status == 200
    async with home.page({**visit, "sip": {**visit["sip"], "password": "guessed"}}) as page:
        assert (await page.invite()).status == 401


async def test_a_page_that_lost_its_socket_goes_on_over_a_new_one(home: House) -> None:
    meeting = await home.store.meetings.add("Weekly")
    visit = await home.visit(meeting)
    async with home.page(visit) as page:
        await page.invite()
        connect_media(home)
    await asyncio.sleep(0.1)
    assert len(home.server.sip_sockets) == 0
    assert len(home.server.switchboard.legs) == 1
    async with home.page(visit) as again:
        page.socket = again.socket
        answer = await page.reinvite(bodies.CHROMIUM.replace(b"Xq3C", b"Yr4D"))
        assert answer.status == 200
        assert b"a=ice-lite" in answer.body
        # And what we ask for goes the new way too.
        home.server.exchange.hang_up_all("test")
        while isinstance(message := await page.receive(), Response):
            pass
        assert message.method == "BYE"


async def test_who_comes_back_finds_mute_and_hand_as_they_were(home: House) -> None:
    meeting = await home.store.meetings.add("Weekly", "lobby")
    host = await home.visit(meeting, token=meeting.host_link_token.reveal(), name="Host")
    guest = await home.visit(meeting)
    async with home.page(host) as chair, home.page(guest) as page, home.states(host) as states:
        await chair.invite()
        connect_media(home)
        await page.invite()
        connect_media(home)
        state = await seen(states, lambda state: state["waiting"])
        assert state["participants"] != []
        assert await home.act(guest, "admit", state["waiting"][0]["id"]) == 403
        assert await home.act(host, "admit", state["waiting"][0]["id"]) == 204
        await seen(states, lambda state: len(state["participants"]) == 2)
        assert await home.act(guest, "mute") == 204
        assert await home.act(guest, "hand") == 204
        await seen(states, lambda state: any(p["muted"] and p["hand"] for p in state["participants"]))
        back = await home.visit(meeting, name="", seat=guest["secret"])
        assert back["name"] == "Ada"
        await seen(states, lambda state: len(state["participants"]) == 1)
        async with home.page(back) as again:
            await again.invite()
            connect_media(home)
            state = await seen(states, lambda state: len(state["participants"]) == 2)
            (me,) = [p for p in state["participants"] if p["role"] == "guest"]
            assert me["muted"]
            assert me["hand"]
            assert await home.act(host, "remove", me["id"]) == 204
            await seen(states, lambda state: len(state["participants"]) == 1)
    async with home.states(back) as own:
        assert (await seen(own, lambda state: state["you"]["state"] == "outside"))["you"]["why"] == "removed"


async def test_who_waits_in_the_lobby_sees_nobody(home: House) -> None:
    meeting = await home.store.meetings.add("Weekly", "lobby")
    host = await home.visit(meeting, token=meeting.host_link_token.reveal(), name="Host")
    guest = await home.visit(meeting)
    async with home.page(host) as chair, home.page(guest) as page, home.states(guest) as states:
        await chair.invite()
        connect_media(home)
        await page.invite()
        connect_media(home)
        state = await seen(states, lambda state: state["you"]["state"] == "lobby")
        assert (state["participants"], state["waiting"]) == ([], [])


async def test_other_sites_and_other_protocols_are_turned_away(home: House) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(
            home.socket, origin=home.url, subprotocols=["sip"], additional_headers={"Host": "[::1"}
        )
    assert refused.value.response.status_code in (400, 403)
    for origin, protocols, status in (
        ("https://example.com", ["sip"], 403),
        (None, ["sip"], 403),
        ("null", ["sip"], 403),
        (home.url, ["chat"], 400),
        (home.url, None, 400),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(home.socket, origin=origin, subprotocols=protocols)
        assert refused.value.response.status_code == status, (origin, protocols)


async def test_garbage_costs_nothing_but_itself(home: House) -> None:
    meeting = await home.store.meetings.add("Weekly")
    visit = await home.visit(meeting)
    async with home.page(visit) as page:
        await page.socket.send("\r\n\r\n")
        assert await asyncio.wait_for(page.socket.recv(), 2) == "\r\n"
        for frame in (
            "",
            "\r\n",
            "hello",
            b"\xff\xfe\x00" * 50,
            "INVITE sip:x SIP/2.0\r\n\r\n",
            "a" * 65_000,
        ):
            await page.socket.send(frame)
        await page.socket.send(
            "OPTIONS nonsense SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n\r\n"
        )
        assert str(await asyncio.wait_for(page.socket.recv(), 5)).startswith("SIP/2.0 400 ")
        assert (await page.invite()).status == 200
        await page.socket.send("a" * 65_537)
        await asyncio.wait_for(page.socket.wait_closed(), 5)
        assert page.socket.close_code == 1009


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")])
async def test_where_the_web_is_of_both_families_a_page_is_told_the_address_of_its_own(
    tmp_path: Path, host: str, expected: str
) -> None:
    async with house(
        tmp_path,
        RINGBACK_WEB__BIND="::",
        RINGBACK_SIP__BIND="127.0.0.1,::1",
        RINGBACK_SIP__DOMAIN="localhost",
    ) as home:
        home.url, home.socket = f"http://{host}:{home.port}", f"ws://{host}:{home.port}/sip"
        visit = await home.visit(await home.store.meetings.add("Weekly"))
        async with home.page(visit) as page:
            lines = (await page.invite()).body.decode().splitlines()
            (candidate,) = [line for line in lines if line.startswith("a=candidate")]
            assert candidate.split()[4] == expected
            assert f"c=IN IP{6 if ':' in expected else 4} {expected}" in lines
            ((source, _),) = {one.flow.remote for one in home.server.sip_sockets._sockets.values()}
            assert source == expected
