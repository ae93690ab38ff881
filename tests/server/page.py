"""A page without a browser: the link's visit by HTTP, SIP over a real WebSocket, an offer of Chromium's."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import websockets

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.server.app import Server
from ringback.sip.digest import authorize, parse_challenge
from ringback.sip.message import Headers, Message, Request, Response, encode
from ringback.sip.parse import parse_message
from ringback.sip.uri import SipUri
from ringback.store.directory import Meeting
from ringback.store.store import Store, open_store
from ringback.web.app import announce, create_app
from ringback.web.serving import WebServer
from tests.sdp import bodies

PATIENCE_S = 5.0


class House:
    """The whole server in this process, with its real media worker."""

    def __init__(self, server: Server, store: Store, web: WebServer) -> None:
        self.server, self.store = server, store
        self.port = web.address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket = f"ws://127.0.0.1:{self.port}/sip"

    async def visit(self, meeting: Meeting, **changes: Any) -> dict[str, Any]:
        body = {"meeting": meeting.number, "token": meeting.link_token.reveal(), "name": "Ada", **changes}
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            answer = await client.post("/api/v1/visits", json=body)
        assert answer.status_code == 201, answer.text
        visit: dict[str, Any] = answer.json()
        return visit

    async def act(self, visit: dict[str, Any], act: str, participant: str | None = None) -> int:
        body = {"act": act} | ({"participant": participant} if participant else {})
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            path = f"/api/v1/visits/{visit['visit']}/actions"
            answer = await client.post(path, json=body, headers=bearer(visit))
        return answer.status_code

    @asynccontextmanager
    async def states(self, visit: dict[str, Any]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        path = f"/api/v1/visits/{visit['visit']}/events"
        async with (
            httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20) as client,
            client.stream("GET", path, headers=bearer(visit)) as stream,
        ):
            assert stream.headers["content-type"].startswith("text/event-stream")
            yield _states(stream)

    @asynccontextmanager
    async def page(self, visit: dict[str, Any]) -> AsyncIterator[Page]:
        async with websockets.connect(self.socket, origin=self.url, subprotocols=["sip"]) as socket:
            yield Page(socket, visit)


async def _states(stream: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def bearer(visit: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {visit['secret']}"}


async def seen(states: AsyncIterator[dict[str, Any]], wanted: Any) -> dict[str, Any]:
    """The first state that fulfils a condition."""
    async with asyncio.timeout(PATIENCE_S):
        async for state in states:
            if wanted(state):
                return state
    raise AssertionError("the stream ended")


@asynccontextmanager
async def house(folder: Path, **settings: str) -> AsyncIterator[House]:
    environ = {
        "RINGBACK_WEB__PORT": "0",
        "RINGBACK_SIP__UDP_PORT": "0",
        "RINGBACK_SIP__TCP_PORT": "0",
        "RINGBACK_SIP__TLS_PORT": "0",
        "RINGBACK_MEDIA__PORT_RANGE": "29000-29400",
        **settings,
    }
    configured = load_settings(environ=environ, data_dir=folder / "data")
    store = await open_store(configured)
    server = Server(configured, store)
    app = create_app(store, server.operations, configured, door=server.sip_sockets, visiting=server.visiting)
    web = WebServer(app, configured)
    await web.start()
    try:
        await server.start()
        server.open_for_calls()
        server.web_address = web.address
        announce(app, web_port=web.address[1], sip_port=server.transports.addresses["udp"][1])
        yield House(server, store, web)
    finally:
        await server.stop()
        await web.stop()
        await store.close()


class Page:
    """What JsSIP does, message by message."""

    def __init__(self, socket: websockets.ClientConnection, visit: dict[str, Any]) -> None:
        self.socket = socket
        self.visit = visit
        self.call_id = secrets.token_hex(8)
        self.tag = secrets.token_hex(4)
        self.sequence = 0
        self.to = ""
        self.target = ""

    def request(self, method: str, uri: str, body: bytes = b"", **more: str) -> Request:
        user = self.visit["sip"]["username"]
        if method != "ACK":
            self.sequence += 1
        headers = Headers(
            ("Via", f"SIP/2.0/WS t5f0c.invalid;branch=z9hG4bK{secrets.token_hex(6)}"),
            ("Max-Forwards", "69"),
            ("To", self.to or f"<{uri}>"),
            ("From", f'"Ada" <{self.visit["sip"]["uri"]}>;tag={self.tag}'),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.sequence} {method}"),
            ("Contact", f"<sip:{user}@t5f0c.invalid;transport=ws;ob>"),
            ("Allow", "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY"),
            ("Supported", "timer,ice,replaces,outbound"),
            ("Session-Expires", "90"),
            ("User-Agent", "JsSIP 3.10.1"),
        )
        for name, value in more.items():
            headers.add(name, value)
        if body:
            headers.add("Content-Type", "application/sdp")
        return Request(method, SipUri.parse(uri), headers, body)

    async def send(self, message: Message) -> None:
        await self.socket.send(encode(message).decode())

    async def receive(self) -> Message:
        data = await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
        message = parse_message(data.encode() if isinstance(data, str) else data)
        assert isinstance(message, Request | Response), message
        return message

    async def answer(self) -> Response:
        """The final answer to what was sent last."""
        while True:
            message = await self.receive()
            if isinstance(message, Response) and message.status >= 200:
                return message

    async def invite(self, target: str | None = None, sdp: bytes = bodies.CHROMIUM) -> Response:
        """Call, answer the challenge, acknowledge."""
        target = target or self.visit["sip"]["target"]
        await self.send(self.request("INVITE", target, sdp))
        refused = await self.answer()
        assert refused.status == 401, refused.status
        await self.acknowledge(refused, target)
        challenge = parse_challenge(refused.headers.get("WWW-Authenticate") or "")
        assert challenge is not None
        assert challenge.algorithm == "MD5"
        account = self.visit["sip"]
        value = authorize(challenge, "INVITE", target, account["username"], Private(account["password"]))
        assert value is not None
        await self.send(self.request("INVITE", target, sdp, Authorization=value))
        answer = await self.answer()
        if answer.status == 200:
            self.to = str(answer.to)
            self.target = str(answer.contacts[0].uri)
        await self.acknowledge(answer, self.target or target)
        return answer

    async def acknowledge(self, answer: Response, target: str) -> None:
        ack = self.request("ACK", target)
        ack.headers.set("To", str(answer.to))
        if answer.status >= 300:
            ack.headers.set("Via", str(answer.top_via))
        await self.send(ack)

    async def reinvite(self, sdp: bytes) -> Response:
        await self.send(self.request("INVITE", self.target, sdp))
        answer = await self.answer()
        await self.acknowledge(answer, self.target)
        return answer

    async def bye(self) -> Response:
        await self.send(self.request("BYE", self.target))
        return await self.answer()
