"""The phone keys of somebody in a meeting: `*` and one more, or `*` alone for the menu."""

from __future__ import annotations

from enum import Enum
from typing import Final

STAR_PATIENCE_S: Final = 2.0
"""How long after `*` the next key still belongs to it; then the menu is spoken."""


class Act(Enum):
    """What a key sequence asks for."""

    MENU = "menu"
    TOGGLE_MUTE = "toggle mute"
    TOGGLE_HAND = "toggle hand"
    TOGGLE_LOCK = "toggle lock"
    UNKNOWN = "unknown"


ACTS: Final[dict[str, Act]] = {
    "5": Act.TOGGLE_LOCK,
    "6": Act.TOGGLE_MUTE,
    "9": Act.TOGGLE_HAND,
    "*": Act.MENU,
}


class StarKeys:
    """Turns keys into acts; sans-IO. Keys without a star before them mean nothing (`#` never hangs up)."""

    def __init__(self) -> None:
        self.deadline: float | None = None

    def receive(self, digit: str, now: float) -> Act | None:
        """Take one key; return the act it completes."""
        if self.deadline is not None:
            self.deadline = None
            return ACTS.get(digit, Act.UNKNOWN)
        if digit == "*":
            self.deadline = now + STAR_PATIENCE_S
        return None

    def expire(self, now: float) -> Act | None:
        """Return the menu when a star was left alone."""
        if self.deadline is None or now < self.deadline:
            return None
        self.deadline = None
        return Act.MENU
