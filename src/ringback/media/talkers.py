"""Who talks in each room, told when it changes (RFC 4575 has no word for it; RFC 6465 the nearest)."""

from __future__ import annotations

import numpy as np

from ringback.media.legs import Legs
from ringback.media.level import SpeechGate
from ringback.media.protocol import Event, Talking
from ringback.media.rooms import Rooms

TELLING_TICKS = 5
"""Talkers are told at most every 100 ms."""


class Talkers:
    """Compares who talks now with who was last said to; what has changed goes to `events`."""

    def __init__(self, legs: Legs, rooms: Rooms, gate: SpeechGate, events: list[Event]) -> None:
        self._legs = legs
        self._rooms = rooms
        self._gate = gate
        self._events = events
        self._was_talking = np.zeros(legs.capacity, np.bool_)
        self._stale = False

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        grown = np.zeros(capacity, np.bool_)
        grown[: len(self._was_talking)] = self._was_talking
        self._was_talking = grown

    def forget(self, slot: int) -> None:
        """A leg was closed or is in no room any more."""
        self._was_talking[slot] = False

    def left(self, slot: int, room: int) -> None:
        """A leg leaves a room: who talks there is told anew, at the next time that is due."""
        self.forget(slot)
        self._stale = self._stale or bool(self._rooms.talkers.get(room))

    def tell(self, tick: int) -> None:
        """Say in which rooms others talk than were last said to."""
        if tick % TELLING_TICKS:
            return
        gate, legs = self._gate, self._legs
        talking = gate.talking & legs.used & ~legs.muted & ~legs.whispers & (legs.room >= 0)
        if np.array_equal(talking, self._was_talking) and not self._stale:
            return
        self._stale = False
        changed = np.flatnonzero(talking != self._was_talking)
        self._was_talking = talking
        rooms = set(legs.room[changed].tolist()) | {
            room for room in self._rooms.talkers if self._rooms.talkers[room]
        }
        slots = np.flatnonzero(talking)
        level = gate.level_dbfs(slots)
        for room in rooms - {-1}:
            here = np.flatnonzero(legs.room[slots] == room)
            here = here[np.argsort(-level[here], kind="stable")]
            talkers = [(int(legs.identifier[slots[i]]), round(float(level[i]), 1)) for i in here.tolist()]
            names = sorted(name for name, _ in talkers)
            if names != self._rooms.talkers.get(room, []):
                self._rooms.talkers[room] = names
                self._events.append(Talking(room=int(self._rooms.identifier[room]), talkers=talkers))
