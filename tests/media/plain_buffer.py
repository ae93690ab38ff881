"""The jitter buffer and its delay, written for one leg with plain numbers: the columns must agree."""

from __future__ import annotations

from ringback.media.jitter_buffer import DRY, LOST, MAX_QUEUED, PLAY


class PlainDelay:
    """What `Delay` does, with a list of latenesses for each second."""

    def __init__(self) -> None:
        self.wanted: int | None = None
        self.windows: list[list[int]] = [[]]
        self.late_due: int | None = None

    def note(self, due: int, frame: int) -> None:
        lateness = due - frame
        if self.wanted is None:
            self.wanted = lateness
        late = lateness > self.wanted
        if late and due == self.late_due:
            return
        self.windows[0].append(max(min(lateness, self.wanted + 16), self.wanted - 16))
        if late:
            self.late_due = due
            self.wanted = self.needed()

    def needed(self) -> int:
        known = [lateness for window in self.windows for lateness in window]
        allowed = max(0.01 * len(known), 2)
        enough = (at for at in range(min(known), max(known) + 1) if sum(x > at for x in known) < allowed)
        return min(next(enough), min(known) + 10)

    def second(self) -> None:
        if len(self.windows[0]) >= 10:
            self.windows = [[], *self.windows][:5]
        if any(self.windows):
            assert self.wanted is not None
            self.wanted = min(self.wanted, self.needed())


class PlainBuffer:
    """What `JitterBuffer` does for a leg that nobody hears, its frames in a set."""

    def __init__(self) -> None:
        self.delay = PlainDelay()
        self.frames: set[int] = set()
        self.position: int | None = None
        self.newest = -1
        self.begun = False

    def place(self, frame: int, due: int) -> None:
        if self.position is None:
            self.position = frame
        if frame >= self.position:
            self.frames.add(frame)
            self.newest = max(self.newest, frame)
        self.delay.note(due, frame)

    def take(self, tick: int) -> tuple[int, int]:
        """What becomes of which frame."""
        if tick % 50 == 0:
            self.delay.second()
        assert self.position is not None
        assert self.delay.wanted is not None
        assert self.newest - self.position < MAX_QUEUED
        surplus = tick - self.position - self.delay.wanted
        if surplus > 0 and self.newest > self.position:
            self.position += min(surplus, self.newest - self.position)
        early = tick - self.position < self.delay.wanted
        there, later = self.position in self.frames, self.newest > self.position
        frame = self.position
        if early and (there or not self.begun):
            return DRY, frame
        if not there and not later:
            return DRY, frame
        self.begun = True
        self.position += 1
        return (PLAY if there else LOST), frame
