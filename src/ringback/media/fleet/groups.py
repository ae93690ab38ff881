"""Groups: legs that are mixed together, and therefore live on one worker and go to another together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringback.media.protocol import PlayToRoom

if TYPE_CHECKING:
    from ringback.media.fleet.journal import LegRecord

DEADLY_DEATHS = 3
DEADLY_S = 30.0
"""Legs on which so many workers died within so many seconds may be why: they are not given to another one."""
MAX_LATER = 16


@dataclass(slots=True, repr=False, eq=False)
class Group:
    """Legs, and the rooms they are in or going to be in. `home` is the worker that has or is to have them, or
    None while none runs; `moving` are those that it has not got yet."""

    id: int
    home: int | None
    legs: dict[int, LegRecord] = field(default_factory=dict)
    rooms: set[int] = field(default_factory=set)
    moving: set[int] = field(default_factory=set)
    later: list[PlayToRoom] = field(default_factory=list)
    """For its rooms, once all legs have arrived."""
    recordings: set[int] = field(default_factory=set)
    """Of its rooms. They end with the worker, and keep the group where it is."""
    deaths: list[float] = field(default_factory=list)
    """When workers died on it, lately."""
    moved_at: float = float("-inf")

    @property
    def weight(self) -> int:
        """What it costs a worker, in legs of G.711."""
        return sum(record.weight for record in self.legs.values())

    @property
    def movable(self) -> bool:
        """Whether all its legs can go on elsewhere now."""
        return (
            not self.moving
            and not self.recordings
            and not any(record.shaking_hands for record in self.legs.values())
        )

    def struck(self, now: float) -> bool:
        """A worker died on it; whether that has happened too often."""
        self.deaths = [at for at in self.deaths if now - at < DEADLY_S] + [now]
        return len(self.deaths) >= DEADLY_DEATHS

    def play_later(self, command: PlayToRoom) -> None:
        """Keep a sound until all legs are there; many at once are none worth waiting for."""
        if len(self.later) < MAX_LATER:
            self.later.append(command)

    def clear(self) -> None:
        """Its last leg is over."""
        for kept in (self.rooms, self.later, self.recordings, self.deaths):
            kept.clear()

    def absorb(self, other: Group) -> None:
        """Take over all that another group has; the caller looks after where its legs are."""
        for record in other.legs.values():
            record.group = self
        self.legs.update(other.legs)
        self.rooms |= other.rooms
        self.moving |= other.moving
        self.later += other.later
        self.recordings |= other.recordings
        self.deaths = sorted({*self.deaths, *other.deaths})[-DEADLY_DEATHS:]
        self.moved_at = max(self.moved_at, other.moved_at)
