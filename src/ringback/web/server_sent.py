"""Server-sent events (WHATWG HTML §9.2): a stream of things as an answer that goes on until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from fastapi.responses import StreamingResponse

HEARTBEAT_S: Final = 15.0
LOOKS_EVERY_S: Final = 5.0
"""How often it is asked whether who listens still may."""

T = TypeVar("T")


def server_sent(
    stream: AsyncIterator[T], show: Callable[[T], bytes], may: Callable[[], bool]
) -> StreamingResponse:
    """The answer; `show` makes a message of each thing, nothing of what is not to be told.

    A comment comes when the stream is listened to, and every 15 s to keep the connection open. It ends within
    5 s once `may` says that who listens may not any more.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(stream, show, may), media_type="text/event-stream", headers=headers)


def message(kind: str, data: str) -> bytes:
    """One event; `data` has no line ends."""
    return f"event: {kind}\ndata: {data}\n\n".encode()


async def _messages(
    stream: AsyncIterator[T], show: Callable[[T], bytes], may: Callable[[], bool]
) -> AsyncIterator[bytes]:
    following = asyncio.ensure_future(anext(stream))
    clock = asyncio.get_running_loop().time
    looked = told = clock()
    try:
        # Its first step is made before anybody is told that it listens.
        await asyncio.sleep(0)
        yield b": connected\n\n"
        while True:
            done, _ = await asyncio.wait({following}, timeout=LOOKS_EVERY_S)
            now = clock()
            if not done or now - looked >= LOOKS_EVERY_S:
                looked = now
                if not may():
                    return
            if not done:
                if now - told >= HEARTBEAT_S:
                    told = now
                    yield b": still here\n\n"
                continue
            told = now
            try:
                thing = following.result()
            except StopAsyncIteration:
                return
            following = asyncio.ensure_future(anext(stream))
            if shown := show(thing):
                yield shown
    finally:
        following.cancel()
