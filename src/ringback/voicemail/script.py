"""What is said to a leg, one after the other: sounds of the engine, and voices of the vault."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.call.leg import Leg
from ringback.voicemail.desk import Desk
from ringback.voicemail.mailbox import Voice

Item = str | Voice


class Script:
    """Plays items in order; the leg's `play_ended` is passed on to it."""

    def __init__(self, leg: Leg, desk: Desk) -> None:
        self._leg = leg
        self._desk = desk
        self.heard: Voice | None = None
        """The voice that has just been heard to its end."""
        self._items: list[Item] = []
        self._play: int | None = None
        self._voice: Voice | None = None
        self._began = 0.0
        self._from_ms = 0

    @property
    def speaking(self) -> bool:
        """Whether something is being said."""
        return self._play is not None

    def say(self, items: Sequence[Item], now: float, from_ms: int = 0) -> None:
        """Say this in place of what is being said; a voice that comes first begins at `from_ms`."""
        self._items = list(items)
        self._from_ms = from_ms
        self._next(now)

    def stop(self) -> None:
        """Say no more."""
        self._items = []
        self._play = self._voice = None
        self._leg.stop_play()

    def ended(self, play: int, now: float) -> bool:
        """A play is over; True where that was the last of what was to be said."""
        if play != self._play:
            return False
        self.heard = self._voice
        self._next(now)
        return self._play is None

    def position_ms(self, now: float) -> int | None:
        """How far the voice that is being heard has come, about; None while none is."""
        return None if self._voice is None else self._from_ms + round((now - self._began) * 1000)

    def _next(self, now: float) -> None:
        self._play = self._voice = None
        if not self._items:
            return
        self._began = now
        first = self._items.pop(0)
        if isinstance(first, Voice):
            self._voice = first
            self._play = self._desk.play(self._leg, first, self._from_ms)
            return
        sounds = [first]
        while self._items and isinstance(self._items[0], str):
            sounds.append(self._items.pop(0))  # type: ignore[arg-type]
        self._from_ms = 0
        self._play = self._leg.play(sounds)
