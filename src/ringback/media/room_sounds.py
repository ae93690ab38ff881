"""What is played to whole rooms, each sound with its loudness, and voices that are softer meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ringback.media.columns import Floats, Longs
from ringback.media.legs import Legs
from ringback.media.playing import Playback
from ringback.media.protocol import Event, RoomPlayEnded
from ringback.media.rooms import Rooms

MAX_ROOM_SOUNDS = 8
RELEASE = 0.08
"""How much louder voices become again in a frame, of their full loudness."""
Reason = Literal["finished", "stopped", "room_ended"]


@dataclass(slots=True)
class _Sound:
    playback: Playback
    gain: float
    duck: float


@dataclass(slots=True)
class _Room:
    identifier: int
    sounds: list[_Sound] = field(default_factory=list)
    before: float = 1.0
    duck: float = 1.0


class RoomSounds:
    """The sounds of all rooms, by row; `active` is whether there are any."""

    def __init__(self, legs: Legs, rooms: Rooms, events: list[Event]) -> None:
        self._legs = legs
        self._rooms = rooms
        self._events = events
        self._playing: dict[int, _Room] = {}

    @property
    def active(self) -> bool:
        """Whether anything is played to any room."""
        return bool(self._playing)

    def play(self, room: int, playback: Playback, gain_db: float = 0.0, duck_db: float = 0.0) -> bool:
        """Play something to everybody in a room; False when it plays too much already."""
        here = self._room(room)
        if len(here.sounds) >= MAX_ROOM_SOUNDS:
            return False
        here.sounds.append(_Sound(playback, _linear(gain_db), _linear(min(duck_db, 0.0))))
        return True

    def stop(self, room: int, play: int) -> None:
        """End what is played under a number."""
        here = self._playing.get(room)
        for sound in list(here.sounds) if here is not None else []:
            if sound.playback.play == play and here is not None:
                here.sounds.remove(sound)
                self._ended(here, sound, "stopped")

    def closed(self, room: int) -> None:
        """The room is gone, and with it what was played there."""
        here = self._playing.pop(room, None)
        if here is not None:
            for sound in here.sounds:
                self._ended(here, sound, "room_ended")

    def step(self) -> dict[int, tuple[Floats, Floats]]:
        """The next frames of every room, summed, at 8 and at 16 kHz."""
        result: dict[int, tuple[Floats, Floats]] = {}
        for room, here in list(self._playing.items()):
            if here.sounds:
                result[room] = self._frames(here)
            here.before = here.duck
            wanted = min((sound.duck for sound in here.sounds), default=1.0)
            # Softer at once, louder again within a quarter of a second.
            here.duck = min(wanted, here.before + RELEASE)
            if not here.sounds and here.before == here.duck == 1:
                del self._playing[room]
        return result

    def duck(self, legs: Longs, samples: Floats) -> None:
        """Make voices float32[k, m] of legs int64[k] softer, in place, in rooms whose sounds ask for it."""
        for room, here in self._playing.items():
            if here.before != 1 or here.duck != 1:
                ramp = np.linspace(here.before, here.duck, samples.shape[1], dtype=np.float32)
                samples[self._legs.room[legs] == room] *= ramp

    def _frames(self, here: _Room) -> tuple[Floats, Floats]:
        narrow, wide = np.zeros(160, np.float32), np.zeros(320, np.float32)
        for sound in list(here.sounds):
            high, low = sound.playback.next_frames()
            narrow += low * np.float32(sound.gain)
            wide += high * np.float32(sound.gain)
            if sound.playback.finished:
                here.sounds.remove(sound)
                self._ended(here, sound, "finished")
        return narrow, wide

    def _room(self, room: int) -> _Room:
        identifier = int(self._rooms.identifier[room])
        return self._playing.setdefault(room, _Room(identifier))

    def _ended(self, here: _Room, sound: _Sound, reason: Reason) -> None:
        if sound.playback.play:
            told = RoomPlayEnded(room=here.identifier, play=sound.playback.play, reason=reason)
            self._events.append(told)


def _linear(decibels: float) -> float:
    return float(10 ** (decibels / 20))
