"""/sip: SIP over WebSocket for our own pages (RFC 7118), handed on message by message."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.types import Message

from ringback.governance.throttle import unmapped
from ringback.web.context import WebContext
from ringback.web.links import own_origins
from ringback.web.problems import problem_response
from ringback.web.visiting import SipDoor

router = APIRouter()

SUBPROTOCOL: Final = "sip"
MAX_MESSAGE_BYTES: Final = 65_536
MAX_UNSENT: Final = 256
"""Messages that may wait for a slow reader; one that takes no more is of no use."""

_GOING_AWAY: Final = 1001
_TOO_BIG: Final = 1009
_TRY_AGAIN_LATER: Final = 1013


@router.websocket("/sip")
async def sip_socket(socket: WebSocket) -> None:
    """Carry SIP messages of one page; others than our own pages get 403, other protocols 400."""
    context: WebContext = socket.app.state.context
    if not _from_our_page(socket, context):
        await _refuse(socket, 403, "this is for the pages of this server alone")
    elif SUBPROTOCOL not in socket.scope["subprotocols"]:
        await _refuse(socket, 400, "the subprotocol has to be sip (RFC 7118)")
    elif context.door is None or socket.client is None:
        await _refuse(socket, 503, "no calls can be taken here")
    else:
        await _Carrier(socket, context.door).run()


class _Carrier:
    """One connection: reads in this task, writes in another, so that sending never waits."""

    def __init__(self, socket: WebSocket, door: SipDoor) -> None:
        self._socket = socket
        self._door = door
        self._unsent: asyncio.Queue[bytes] = asyncio.Queue(MAX_UNSENT)
        self._over = asyncio.Event()
        self._close_code = _GOING_AWAY

    async def run(self) -> None:
        socket = self._socket
        await socket.accept(SUBPROTOCOL)
        client = socket.client
        assert client is not None
        secure = socket.scope["scheme"] == "wss"
        connection = self._door.connected(
            (unmapped(client.host), client.port), secure, self._send, self._over.set
        )
        if connection is None:
            await self._close(_TRY_AGAIN_LATER)
            return
        parts = [
            asyncio.ensure_future(part) for part in (self._read(connection), self._write(), self._over.wait())
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._door.closed(connection)
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await self._close(self._close_code)

    def _send(self, data: bytes) -> None:
        try:
            self._unsent.put_nowait(data)
        except asyncio.QueueFull:
            self._over.set()

    async def _read(self, connection: int) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                return
            data = _bytes_of(message)
            if len(data) > MAX_MESSAGE_BYTES:
                self._close_code = _TOO_BIG
                return
            self._door.received(connection, data)

    async def _write(self) -> None:
        while True:
            data = await self._unsent.get()
            try:
                text = data.decode()
            except UnicodeDecodeError:
                await self._socket.send_bytes(data)
            else:
                await self._socket.send_text(text)

    async def _close(self, code: int) -> None:
        # It may be closed already, from the other side or for a frame that was too large.
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
            await self._socket.close(code)


def _bytes_of(message: Message) -> bytes:
    data = message.get("bytes")
    return data if isinstance(data, bytes) else str(message.get("text") or "").encode("utf-8", "replace")


def _from_our_page(socket: WebSocket, context: WebContext) -> bool:
    """Whether a browser says that the page is ours: scripts of others cannot make it say so."""
    scheme = "https" if socket.scope["scheme"] == "wss" else "http"
    own = own_origins(scheme, socket.headers.get("host", ""), context.settings.web.public_url)
    return socket.headers.get("origin", "").lower() in own


async def _refuse(socket: WebSocket, status: int, detail: str) -> None:
    await socket.send_denial_response(problem_response(status, detail))
