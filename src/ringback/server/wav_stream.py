"""A voice of the vault as WAV, whole or a part of it, for who may have it as a file: never on a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from ringback.governance.wav import HEADER_BYTES, header
from ringback.store.store import Store

_SAMPLE_BYTES: Final = 2
_PIECE_BYTES: Final = 65_536


def wav_bytes(rate: int, length_ms: int) -> int:
    """How long the WAV is."""
    return HEADER_BYTES + _SAMPLE_BYTES * (rate // 1000) * length_ms


async def wav_pieces(
    store: Store, voice: str, rate: int, length_ms: int, part: str, start: int, end: int
) -> AsyncIterator[bytes]:
    """The octets from `start` up to `end` of the WAV; raises NotFoundError, VaultError."""
    reader = await store.voices.open(voice, part)
    try:
        head = header(rate, wav_bytes(rate, length_ms) - HEADER_BYTES)
        if start < HEADER_BYTES:
            yield head[start:end]
            start = HEADER_BYTES
        while start < end:
            size = min(_PIECE_BYTES, end - start)
            piece = await asyncio.to_thread(reader.read, start - HEADER_BYTES, size)
            if len(piece) < size:
                # What a crash ended early is silent from there on.
                piece += bytes(size - len(piece))
            yield piece
            start += size
    finally:
        reader.close()


async def read_wav(store: Store, voice: str, rate: int, length_ms: int, part: str) -> bytes:
    """The whole WAV, in memory."""
    pieces = wav_pieces(store, voice, rate, length_ms, part, 0, wav_bytes(rate, length_ms))
    return b"".join([piece async for piece in pieces])
