"""Server-sent events (WHATWG HTML §9.2): a stream of things as an answer that goes on until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from fastapi.responses import StreamingResponse

HEARTBEAT_S: Final = 15.0

T = TypeVar("T")


def server_sent(stream: AsyncIterator[T], show: Callable[[T], bytes]) -> StreamingResponse:
    """The answer; `show` makes a message of each thing, nothing of what is not to be told.

    A comment comes when the stream is listened to, and every 15 s to keep the connection open.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(stream, show), media_type="text/event-stream", headers=headers)


def message(kind: str, data: str) -> bytes:
    """One event; `data` has no line ends."""
    return f"event: {kind}\ndata: {data}\n\n".encode()


async def _messages(stream: AsyncIterator[T], show: Callable[[T], bytes]) -> AsyncIterator[bytes]:
    following = asyncio.ensure_future(anext(stream))
    try:
        # Its first step is made before anybody is told that it listens.
        await asyncio.sleep(0)
        yield b": connected\n\n"
        while True:
            done, _ = await asyncio.wait({following}, timeout=HEARTBEAT_S)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                thing = following.result()
            except StopAsyncIteration:
                return
            following = asyncio.ensure_future(anext(stream))
            if shown := show(thing):
                yield shown
    finally:
        following.cancel()
