"""Key sequences in a call: which keys are held back, which ask for something, which are for the other."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

WAIT_S: Final = 1.5
"""How long a key that may begin a sequence waits for the next one, unless set otherwise."""


class Act(Enum):
    """What a sequence of keys asks for."""

    BLIND_TRANSFER = "blind transfer"
    ATTENDED_TRANSFER = "attended transfer"
    BACK = "back to the first"
    THREE_WAY = "three-way"
    HOLD = "hold"
    MEETING = "meeting"
    PARK = "park"


SEQUENCES: Final[Mapping[str, Act]] = {
    "##": Act.BLIND_TRANSFER,
    "*2": Act.ATTENDED_TRANSFER,
    "*0": Act.BACK,
    "*3": Act.THREE_WAY,
    "*4": Act.HOLD,
    "*5": Act.MEETING,
    "*7": Act.PARK,
}


class Keyed(NamedTuple):
    """What came of a key: the act that it completed, and the keys that the other side gets now."""

    act: Act | None
    passed_on: str = ""


class SequenceKeys:
    """The keys of one leg; sans-IO. What could become a sequence is held back until `deadline`."""

    def __init__(self, sequences: Mapping[str, Act], wait_s: float = WAIT_S) -> None:
        self.held = ""
        self.deadline = 0.0
        self._sequences = sequences
        self._wait_s = wait_s

    def receive(self, digit: str, now: float) -> Keyed:
        """Take one key."""
        passed_on = ""
        self.held += digit
        while self.held:
            longer = any(one.startswith(self.held) and one != self.held for one in self._sequences)
            act = self._sequences.get(self.held)
            if longer:
                self.deadline = now + self._wait_s
                break
            if act is not None:
                self.held = ""
                return Keyed(act, passed_on)
            passed_on, self.held = passed_on + self.held[0], self.held[1:]
        return Keyed(None, passed_on)

    def expire(self, now: float) -> Keyed:
        """Nothing more came in time: what is complete counts, what is not was meant for the other side."""
        if not self.held or now < self.deadline:
            return Keyed(None)
        held, self.held = self.held, ""
        act = self._sequences.get(held)
        return Keyed(act, "" if act is not None else held)
