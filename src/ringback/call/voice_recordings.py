"""Recordings of media rooms under way: whoever began one hears how it goes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal

from ringback.governance.private import Private
from ringback.media.protocol import (
    Command,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    StartRecording,
    StopRecording,
)

RecordingEvent = RecordingStarted | RecordingFailed | RecordingEnded
Told = Callable[[RecordingEvent, float], None]


class VoiceRecordings:
    """Begins and ends recordings as the vault keeps them; sans-IO.

    The row of the voice is on the disk before (`store.voices`, `begin`): what a crash leaves can be read by
    its key, or is removed. Of each recording comes RecordingStarted or RecordingFailed, and after the former
    in the end RecordingEnded: then its files are closed, and `finish` makes it count.
    """

    def __init__(self, media: Callable[[Command], None]) -> None:
        self._media = media
        self.numbers = count(1)
        """Of all recordings, whoever begins them."""
        self._told: dict[int, Told] = {}

    def start(
        self,
        room: int,
        folder: Path,
        voice: str,
        data_key: Private[bytes],
        told: Told,
        *,
        tracks: bool = True,
        rate: Literal[8000, 16000] = 16000,
    ) -> int:
        """Record a media room into `folder` (the vault's, with the voice's name); returns its number.

        The part `mix` holds what all of the room say, with `tracks` each leg has its part `leg-N`, too.
        Nothing is recorded of legs after `Leg.record(False)`.
        """
        number = next(self.numbers)
        self._told[number] = told
        self._media(
            StartRecording(
                room=room,
                recording=number,
                folder=str(folder),
                rate=rate,
                tracks=tracks,
                voice=voice,
                key=data_key.reveal(),
            )
        )
        return number

    def stop(self, number: int) -> None:
        """End a recording; RecordingEnded follows."""
        if number in self._told:
            self._media(StopRecording(recording=number))

    def heard(self, event: RecordingEvent, now: float) -> None:
        """Tell who began it what the engine says."""
        begun = isinstance(event, RecordingStarted)
        told = self._told.get(event.recording) if begun else self._told.pop(event.recording, None)
        if told is not None:
            told(event, now)
