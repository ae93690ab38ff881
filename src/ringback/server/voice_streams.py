"""Plays voices of the vault to legs: read and decrypted piece by piece, as the engine asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ringback.call.leg import Leg
from ringback.governance.vault import VaultError, VaultReader
from ringback.media.protocol import Command, PlayEnded
from ringback.media.stream_messages import StreamSamples, StreamWanted
from ringback.voicemail.mailbox import Voice

PIECE_S: Final = 1
_SAMPLE_BYTES: Final = 2

Open = Callable[[Voice], Coroutine[Any, Any, VaultReader]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Stream:
    leg: int
    voice: Voice
    opening: asyncio.Task[VaultReader]
    over: bool = False


class VoiceStreams:
    """What is being played now, by the number of its play. Nothing of it is kept after it was sent."""

    def __init__(
        self, open_voice: Open, to_media: Callable[[Command], None], lives: Callable[[int], bool]
    ) -> None:
        """`open_voice` may raise for what nobody may hear: then the play ends at once. `lives` says whether a
        leg is still there."""
        self._open = open_voice
        self._lives = lives
        self._to_media = to_media
        self._streams: dict[int, _Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def play(self, leg: Leg, voice: Voice, from_ms: int = 0) -> int:
        """Play a voice to a leg, as `Leg.play`."""
        for gone in [number for number, stream in self._streams.items() if not self._lives(stream.leg)]:
            self._forget(gone)
        play = leg.play_stream(voice.rate, from_ms)
        if not leg.over:
            self._streams[play] = _Stream(leg.id, voice, asyncio.ensure_future(self._open(voice)))
        return play

    def wanted(self, event: StreamWanted) -> None:
        """The engine asks for samples."""
        stream = self._streams.get(event.play)
        if stream is None:
            self._to_media(StreamSamples(leg=event.leg, play=event.play, at=event.at, samples=b"", last=True))
            return
        task = asyncio.ensure_future(self._answer(stream, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, event: PlayEnded) -> None:
        """A play is over."""
        self._forget(event.play)

    async def close(self) -> None:
        """Everything is over."""
        for play in list(self._streams):
            self._forget(play)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, stream: _Stream, event: StreamWanted) -> None:
        rate = stream.voice.rate
        end = stream.voice.length_ms * (rate // 1000)
        count = max(0, min(PIECE_S * rate, end - event.at))
        samples = b""
        try:
            reader = await asyncio.shield(stream.opening)
            if count and not stream.over:
                samples = await asyncio.to_thread(
                    reader.read, _SAMPLE_BYTES * event.at, _SAMPLE_BYTES * count
                )
        except VaultError as error:
            log.error("a stored voice cannot be played", reason=str(error))
        except Exception:
            log.exception("a stored voice cannot be played")
        last = len(samples) < _SAMPLE_BYTES * count or event.at + count >= end
        self._to_media(StreamSamples(leg=event.leg, play=event.play, at=event.at, samples=samples, last=last))

    def _forget(self, play: int) -> None:
        stream = self._streams.pop(play, None)
        if stream is not None:
            stream.over = True
            stream.opening.add_done_callback(_close)


def _close(opening: asyncio.Task[VaultReader]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
