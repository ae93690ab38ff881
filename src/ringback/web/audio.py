"""A stored voice as WAV in answers: decrypted piece by piece as it is sent, ranges too (RFC 9110 §14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from ringback.governance.vault import VaultError, VaultReader
from ringback.governance.wav import header
from ringback.web.problems import ProblemError
from ringback.web.ranges import UnsatisfiableRangeError, byte_range

PIECE_BYTES: Final = 65_536
NEVER_KEPT: Final = {"Cache-Control": "no-store", "Accept-Ranges": "bytes"}


def wav_answer(request: Request, reader: VaultReader, rate: int) -> Response:
    """The whole file, or the range that is asked for; the reader is closed with the answer.

    Raises ProblemError (416) for a range that is outside.
    """
    head = header(rate, reader.size)
    size = len(head) + reader.size
    try:
        part = byte_range(request.headers.get("Range"), size)
    except UnsatisfiableRangeError:
        reader.close()
        raise ProblemError(416, "the recording is shorter", {"Content-Range": f"bytes */{size}"}) from None
    start, end = part or (0, size)
    headers = {**NEVER_KEPT, "Content-Length": str(end - start)}
    partial = end - start < size
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(_pieces(head, reader, start, end), 206 if partial else 200, headers, "audio/wav")


async def _pieces(head: bytes, reader: VaultReader, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        if start < len(head):
            yield head[start:end]
            start = len(head)
        while start < end:
            piece = await asyncio.to_thread(reader.read, start - len(head), min(PIECE_BYTES, end - start))
            start += len(piece)
            yield piece
    except VaultError as error:
        # The answer ends too early, which its length tells: what was changed is not heard.
        raise RuntimeError(str(error)) from None
    finally:
        reader.close()
