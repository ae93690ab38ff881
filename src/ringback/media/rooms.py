"""The rooms of a worker as columns, and what belongs to a room: its members and its shared encoders."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.coders import Encoder
from ringback.media.columns import Bools, Column, Columns, Floats, Ints, Longs
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL


class Rooms(Columns):
    """One row a room. The tails are the state of its two filters between 8 and 16 kHz."""

    SPEC: ClassVar[dict[str, Column]] = {
        "used": Column(np.bool_),
        "identifier": Column(np.int64, empty=-1),
        "members": Column(np.int32),
        "up_tail": Column(np.float32, (UP2_TAIL,)),
        "down_tail": Column(np.float32, (DOWN2_TAIL,)),
        "up_sounding": Column(np.bool_),
        "down_sounding": Column(np.bool_),
    }
    used: Bools
    identifier: Longs
    members: Ints
    up_tail: Floats
    down_tail: Floats
    up_sounding: Bools
    down_sounding: Bools

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._free = list(range(capacity - 1, -1, -1))
        self.slots: dict[int, int] = {}
        """Row by the control process's identifier."""
        self.encoders: dict[tuple[int, int, int], Encoder] = {}
        """Encoder for those who only listen, by row, codec number and wishes (see `Legs.opus_wishes`)."""
        self.talkers: dict[int, list[int]] = {}
        """Identifiers of the legs that were last said to talk, by row."""

    def enter(self, identifier: int) -> int:
        """Add a member to a room, which is made if it is new; returns its row."""
        slot = self.slots.get(identifier)
        if slot is None:
            if not self._free:
                before = self.capacity
                self.grow(2 * before)
                self._free = list(range(2 * before - 1, before - 1, -1))
            slot = self._free.pop()
            self.clear(slot)
            self.used[slot] = True
            self.identifier[slot] = identifier
            self.slots[identifier] = slot
        self.members[slot] += 1
        return slot

    def leave(self, slot: int) -> None:
        """Take a member out; the room goes with its last."""
        self.members[slot] -= 1
        if self.members[slot] > 0:
            return
        del self.slots[int(self.identifier[slot])]
        self.talkers.pop(slot, None)
        for key in [key for key in self.encoders if key[0] == slot]:
            del self.encoders[key]
        self.clear(slot)
        self._free.append(slot)
