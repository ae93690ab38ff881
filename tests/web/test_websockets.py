"""WebSockets on the web's own port, with real clients on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct

import pytest
import websockets
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from ringback.web import serving


@pytest.fixture
def talk(web):
    """A route that sends back what it gets, as one more of the application."""

    async def answer(socket: WebSocket) -> None:
        await socket.accept(subprotocol="sip" if "sip" in socket.scope["subprotocols"] else None)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await socket.send_text(await socket.receive_text())

    web.app.add_api_websocket_route("/talk", answer)
    return f"ws://127.0.0.1:{web.server.address[1]}/talk"


async def test_messages_go_both_ways_after_the_upgrade(talk):
    async with websockets.connect(talk, subprotocols=["sip"]) as socket:
        assert socket.subprotocol == "sip"
        for text in ("OPTIONS", "é" * 1000, "\r\n\r\n"):
            await socket.send(text)
            assert await socket.recv() == text


async def test_a_connection_may_be_silent_for_longer_than_a_header_may_take(talk, web, monkeypatch):
    monkeypatch.setattr(serving, "HEADER_PATIENCE_S", 0.2)
    async with websockets.connect(talk) as socket:
        await asyncio.sleep(0.5)
        await socket.send("still here")
        assert await socket.recv() == "still here"
    reader, writer = await asyncio.open_connection(*web.server.address)
    writer.write(b"GET /talk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


async def test_a_message_over_64_kib_ends_the_connection(talk):
    async with websockets.connect(talk, compression=None) as socket:
        await socket.send("a" * 65_536)
        assert len(await socket.recv()) == 65_536
        await socket.send("a" * 65_537)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1009


async def test_a_message_in_very_many_pieces_ends_the_connection(talk):
    async with websockets.connect(talk, compression=None) as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.send("" for _ in range(10_000))
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()


async def test_an_unknown_path_is_refused(web):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{web.server.address[1]}/nowhere")
    assert refused.value.response.status_code == 403


async def test_one_source_has_as_many_places_as_with_http_and_gets_them_back(talk, web):
    def connect():
        return websockets.connect(talk, local_addr=("127.0.0.66", 0))

    opened = [await connect() for _ in range(serving.CONNECTIONS_PER_SOURCE)]
    with pytest.raises((OSError, websockets.InvalidHandshake)):
        await connect()
    assert (await web.stranger.get("/healthz")).status_code == 200
    for socket in opened:
        await socket.close()
    await asyncio.sleep(0.1)
    async with connect() as socket:
        await socket.send("again")
        assert await socket.recv() == "again"


def frame(opcode: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload)) + mask + masked


async def test_a_flood_of_pings_by_who_reads_nothing_is_held_back(talk, web):
    reader, writer = await asyncio.open_connection(*web.server.address, limit=1024)
    writer.write(
        b"GET /talk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    pings = frame(9, b"p" * 125) * 2_000
    sent = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3):
            while sent < 200 * len(pings):
                writer.write(pings)
                await writer.drain()
                sent += len(pings)
    # Were they all read, they would all be answered, and the answers kept in our memory.
    assert sent < 100 * len(pings)
    assert (await web.stranger.get("/healthz")).status_code == 200
    writer.transport.abort()


async def test_stopping_says_goodbye_at_once(talk, web):
    async with websockets.connect(talk) as socket:
        async with asyncio.timeout(1.5):
            await web.server.stop()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd.code == 1012
