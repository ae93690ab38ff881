"""The jitter buffer of all legs: frames of 20 ms on each leg's own RTP timestamp grid, with a delay that
adapts.

The delay is not a number that is set: a frame that is missing at its tick, with nothing after it, is waited
for (the tick is concealed and the delay is one frame longer from then on), and a surplus that lasted
through a whole window is dropped again, one frame at a time. A frame that is missing while a later one is
there is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ringback.media.columns import Bools, Bytes, Column, Columns, Ints, Longs, Words
from ringback.media.legs import FRAME_TIMESTAMPS

RING = 32
"""Frames a leg holds: 640 ms."""
MAX_AHEAD = RING - 4
"""A packet further ahead than this starts the grid anew."""
MAX_BEHIND = 50
"""A packet this many frames too late is another stream (a restarted sender), not a late one."""
MAX_QUEUED = 10
"""Frames of delay at most (200 ms): what exceeds it is dropped at once."""
FRAME_BYTES = 160
FULL = 160
"""`have` of a whole frame, in eighths of a millisecond (bytes, for codecs of one byte a clock)."""
RESTART_AFTER_LATE = 10
"""So many packets in a row that all come too late mean that the grid is wrong."""
GROWTH_WINDOW_TICKS = 100
"""Two frames late without the buffer running dry (reordering) within this time: wait one frame longer."""
SHRINK_AFTER_TICKS = 100
MAX_SHRINK_AFTER_TICKS = 1500
TRIAL_TICKS = 500
"""A surplus is kept for 2 s; if frames are late within 10 s after it was dropped, then twice as long."""
LONG_AGO = -(10**9)
SILENCE = np.array([0xFF, 0xD5, 0, 0, 0, 0], np.uint8)
"""What the missing part of a frame is filled with, by codec number."""

NOTHING, PLAY, LOST, DRY = range(4)


@dataclass(slots=True)
class Taken:
    """What each asked leg has for this tick.

    action uint8[n]: NOTHING (no stream yet), PLAY, LOST (conceal; later frames are there), DRY (conceal;
    waiting). row int64[n]: index into `frames` (seen as rows of 160 bytes) of the frame to play, where
    action is PLAY. frame int64[n]: its number on the leg's grid. codec uint8[n]. merged bool[n]: the next
    frame is to be cross-faded into this one, because the delay shrinks. recovered bool[n]: the tick before
    was concealed. run int32[n]: ticks concealed in a row, this one included.
    """

    action: Bytes
    row: Longs
    frame: Longs
    codec: Bytes
    merged: Bools
    recovered: Bools
    run: Ints


class JitterBuffer(Columns):
    """Columns of all legs' buffers; `legs` arguments are arrays of rows, each row at most once."""

    SPEC: ClassVar[dict[str, Column]] = {
        "anchored": Column(np.bool_),
        "codec": Column(np.uint8),
        "have": Column(np.uint8, (RING,)),
        "frames": Column(np.uint8, (RING, FRAME_BYTES)),
        "next_frame": Column(np.int64, empty=RING),
        "next_timestamp": Column(np.uint32),
        "newest": Column(np.int64, empty=RING - 1),
        "held": Column(np.int32),
        "run": Column(np.int32),
        "late": Column(np.int64),
        "late_streak": Column(np.int32),
        "late_tick": Column(np.int64, empty=LONG_AGO),
        "wait_once": Column(np.bool_),
        "surplus": Column(np.int32),
        "least_spare": Column(np.int32, empty=RING),
        "calm_since": Column(np.int64),
        "shrunk_tick": Column(np.int64, empty=LONG_AGO),
        "shrink_after": Column(np.int32, empty=SHRINK_AFTER_TICKS),
        "concealed": Column(np.int64),
        "restarts": Column(np.int64),
        "discarded": Column(np.int64),
        "stretched": Column(np.int64),
    }
    anchored: Bools
    codec: Bytes
    have: Bytes
    frames: Bytes
    next_frame: Longs
    next_timestamp: Words
    newest: Longs
    held: Ints
    run: Ints
    late: Longs
    late_streak: Ints
    late_tick: Longs
    wait_once: Bools
    surplus: Ints
    least_spare: Ints
    calm_since: Longs
    shrunk_tick: Longs
    shrink_after: Ints
    concealed: Longs
    restarts: Longs
    discarded: Longs
    stretched: Longs

    @property
    def rows(self) -> Bytes:
        """`frames` as uint8[capacity * RING, 160]."""
        return self.frames.reshape(-1, FRAME_BYTES)

    def restart(self, legs: Longs) -> None:
        """Forget the grid of these legs: their next packet begins a new one (a new SSRC, a new source)."""
        self.anchored[legs] = False
        self._discard(legs)

    def _discard(self, legs: Longs) -> None:
        """Throw away what these legs hold, and count it."""
        self.discarded[legs] += (self.have[legs] == FULL).sum(axis=1)
        self.have[legs] = 0

    def place(self, legs: Longs, timestamp: Words, codec: Bytes, tick: int) -> tuple[Longs, Longs, Bools]:
        """Where packets belong: frame number and offset in RTP units of each packet's first sample, and if
        it fits.

        A leg without a grid gets one here, one that runs dry is re-aligned, one whose timestamps jumped
        starts anew.
        """
        step = FRAME_TIMESTAMPS[codec].astype(np.int64)
        changed = ~self.anchored[legs] | (self.codec[legs] != codec)
        if changed.any():
            self._anchor(legs[changed], timestamp[changed], codec[changed], tick)
        distance = (timestamp - self.next_timestamp[legs]).view(np.int32).astype(np.int64)
        ahead = distance // step
        strange = (ahead > MAX_AHEAD) | (ahead < 0)
        if strange.any():
            self._settle(np.flatnonzero(strange), legs, timestamp, codec, distance, tick)
            ahead = distance // step
        offset = distance - ahead * step
        if offset.any():
            # Nothing is queued: moving the grid to this packet costs nothing and makes its frames whole.
            odd = np.flatnonzero((offset != 0) & (self.newest[legs] < self.next_frame[legs]) & (ahead >= 0))
            self.next_timestamp[legs[odd]] += offset[odd].astype(np.uint32)
            offset[odd] = 0
        return self.next_frame[legs] + ahead, offset, (ahead >= 0) & (ahead <= MAX_AHEAD)

    def store(self, legs: Longs, frame: Longs, payload: Bytes) -> None:
        """Put whole frames uint8[n, 160] of byte-a-clock codecs into place."""
        slot = frame & (RING - 1)
        self.rows[legs * RING + slot] = payload
        self.mark(legs, frame)

    def mark(self, legs: Longs, frame: Longs) -> None:
        """Note that whole frames have arrived."""
        self.have[legs, frame & (RING - 1)] = FULL
        self.newest[legs] = np.maximum(self.newest[legs], frame)
        # Ticks that it came before its time; those that were waited through are no surplus.
        spare = np.maximum(frame - self.next_frame[legs] - self.held[legs], 0)
        self.least_spare[legs] = np.minimum(self.least_spare[legs], spare)
        self.late_streak[legs] = 0

    def store_part(self, leg: int, frame: int, offset: int, payload: Bytes, codec: int) -> None:
        """Put a packet of another length than 20 ms, or off the grid, into the frames that it touches."""
        position = 0
        while position < len(payload):
            size = min(FRAME_BYTES - offset, len(payload) - position)
            if 0 <= frame - int(self.next_frame[leg]) <= MAX_AHEAD:
                slot = frame & (RING - 1)
                if not self.have[leg, slot]:
                    self.frames[leg, slot] = SILENCE[codec]
                self.frames[leg, slot, offset : offset + size] = payload[position : position + size]
                self.mark_part(leg, frame, size)
            position += size
            offset = 0
            frame += 1

    def mark_part(self, leg: int, frame: int, size: int) -> None:
        """Note that `size` eighths of a millisecond of a frame have arrived."""
        slot = frame & (RING - 1)
        self.have[leg, slot] = min(FULL, int(self.have[leg, slot]) + size)
        self.newest[leg] = max(int(self.newest[leg]), frame)
        spare = max(frame - int(self.next_frame[leg]) - int(self.held[leg]), 0)
        self.least_spare[leg] = min(int(self.least_spare[leg]), spare)
        self.late_streak[leg] = 0

    def take(self, legs: Longs, quiet: Bools, tick: int) -> Taken:
        """Advance one tick: what each leg plays now. `quiet` legs lose surplus frames without a
        cross-fade."""
        n = len(legs)
        action = np.zeros(n, np.uint8)
        merged = np.zeros(n, np.bool_)
        self._catch_up(legs)
        now = self.next_frame[legs]
        newest = self.newest[legs]
        slot = now & (RING - 1)
        whole = (self.have[legs, slot] == FULL) & self.anchored[legs]
        growing = whole & self.wait_once[legs]
        if growing.any():
            # Reordering made frames late although the buffer never ran dry: wait once, on purpose.
            self.wait_once[legs[growing]] = False
            whole &= ~growing
        action[whole] = PLAY
        missing = self.anchored[legs] & ~whole
        lost = missing & (newest > now)
        lost &= ~growing
        action[lost] = LOST
        dry = missing & ~lost
        action[dry] = DRY
        run = self.run[legs]
        recovered = whole & (run > 0)
        came_late = recovered & (self.held[legs] > 0) & (self.held[legs] <= MAX_QUEUED)
        if came_late.any():
            self._note_growth(legs[came_late], tick)
        run = np.where(whole, 0, run + missing)
        self.run[legs] = run
        self.held[legs] = np.where(dry, self.held[legs] + 1, 0)
        self.concealed[legs] += missing & (run <= MAX_QUEUED)
        advance = whole | lost
        codec = self.codec[legs]
        self._step(legs, advance, slot)
        if whole.any():
            merged = self._shrink(legs, whole, quiet, tick)
        return Taken(action, legs * RING + slot, now, codec, merged, recovered, run)

    def forgive(self, legs: Longs) -> None:
        """What these legs lack at this tick is no loss: a key is pressed, and its events stand in for
        audio."""
        run = self.run[legs]
        self.concealed[legs] -= run <= MAX_QUEUED

    def skip(self, legs: Longs, ticks: int) -> None:
        """The worker itself lost so many ticks: what would have been played in them is gone."""
        for _ in range(ticks):
            waiting = self.anchored[legs] & (self.newest[legs] >= self.next_frame[legs])
            self._step(legs, waiting, self.next_frame[legs] & (RING - 1))

    def queued(self, legs: Longs) -> Longs:
        """Frames that wait beyond the one to be played next, at least 0."""
        waiting: Longs = np.maximum(self.newest[legs] - self.next_frame[legs] + 1, 0)
        return waiting * self.anchored[legs]

    def _step(self, legs: Longs, advance: Bools, slot: Longs) -> None:
        moving = legs[advance]
        self.have[moving, slot[advance]] = 0
        self.next_frame[moving] += 1
        self.next_timestamp[moving] += FRAME_TIMESTAMPS[self.codec[moving]]

    def _anchor(self, legs: Longs, timestamp: Words, codec: Bytes, tick: int) -> None:
        self._discard(legs)
        self.restarts[legs] += self.anchored[legs]
        self.anchored[legs] = True
        self.codec[legs] = codec
        self.next_timestamp[legs] = timestamp
        self.newest[legs] = self.next_frame[legs] - 1
        self.held[legs] = 0
        self.late_streak[legs] = 0
        self.surplus[legs] = 0
        self.least_spare[legs] = RING
        self.calm_since[legs] = tick

    def _settle(
        self, which: Longs, legs: Longs, timestamp: Words, codec: Bytes, distance: Longs, tick: int
    ) -> None:
        """Packets far ahead or behind, few at a time: a pause that ended, a restart, or simply late."""
        for i in which.tolist():
            leg = int(legs[i])
            step = int(FRAME_TIMESTAMPS[codec[i]])
            ahead = int(distance[i]) // step
            if ahead > MAX_AHEAD:
                if self.newest[leg] < self.next_frame[leg]:
                    # The ticks that were waited through are part of the pause.
                    waited = min(int(self.held[leg]), ahead)
                    self._move(leg, waited, step)
                    self.held[leg] -= waited
                    ahead -= waited
                if ahead > MAX_AHEAD:
                    self._anchor(legs[i : i + 1], timestamp[i : i + 1], codec[i : i + 1], tick)
            elif ahead < -MAX_BEHIND or self.late_streak[leg] >= RESTART_AFTER_LATE:
                self._anchor(legs[i : i + 1], timestamp[i : i + 1], codec[i : i + 1], tick)
            else:
                self._note_late(leg, tick)
            behind = (int(self.next_timestamp[leg]) - int(timestamp[i]) + 0x80000000) % 0x100000000
            distance[i] = 0x80000000 - behind

    def _note_late(self, leg: int, tick: int) -> None:
        self.late[leg] += 1
        self.late_streak[leg] += 1
        if tick - int(self.late_tick[leg]) <= GROWTH_WINDOW_TICKS:
            self.wait_once[leg] = True
            self.late_tick[leg] = LONG_AGO
        else:
            self.late_tick[leg] = tick

    def _move(self, leg: int, frames: int, step: int) -> None:
        self.next_frame[leg] += frames
        self.next_timestamp[leg] += np.uint32(frames * step & 0xFFFFFFFF)
        self.newest[leg] = max(int(self.newest[leg]), int(self.next_frame[leg]) - 1)

    def _catch_up(self, legs: Longs) -> None:
        """Frames that never came, but whose time was already filled while waiting, are passed over."""
        held = self.held[legs]
        slot = self.next_frame[legs] & (RING - 1)
        behind = (held > 0) & (self.newest[legs] > self.next_frame[legs]) & (self.have[legs, slot] < FULL)
        for i in np.flatnonzero(behind).tolist():
            leg = int(legs[i])
            step = int(FRAME_TIMESTAMPS[self.codec[leg]])
            for _ in range(int(held[i])):
                at = int(self.next_frame[leg]) & (RING - 1)
                if self.have[leg, at] == FULL or self.newest[leg] <= self.next_frame[leg]:
                    break
                self.have[leg, at] = 0
                self._move(leg, 1, step)
                self.held[leg] -= 1

    def _note_growth(self, legs: Longs, tick: int) -> None:
        self.stretched[legs] += 1
        # If the delay had just been made shorter, that was too early: wait longer before the next try.
        early = legs[tick - self.shrunk_tick[legs] <= TRIAL_TICKS]
        self.shrink_after[early] = np.minimum(self.shrink_after[early] * 2, MAX_SHRINK_AFTER_TICKS)
        self.shrunk_tick[early] = LONG_AGO
        self.calm_since[legs] = tick
        self.least_spare[legs] = RING
        self.surplus[legs] = 0

    def _shrink(self, legs: Longs, whole: Bools, quiet: Bools, tick: int) -> Bools:
        """Drop a frame where too many wait; returns where the dropped one is cross-faded into the one
        played."""
        queued = (self.newest[legs] - self.next_frame[legs] + 1).astype(np.int32)
        due = whole & (tick - self.calm_since[legs] >= self.shrink_after[legs])
        if due.any():
            ended = legs[due]
            least = self.least_spare[ended]
            self.surplus[ended] = np.where(least < RING, least, 0)
            self.least_spare[ended] = RING
            self.calm_since[ended] = tick
            # Calm windows make it ready to shrink sooner next time.
            calm = self.surplus[ended] == 0
            self.shrink_after[ended[calm]] = np.maximum(
                self.shrink_after[ended[calm]] // 2, SHRINK_AFTER_TICKS
            )
        excess = queued > MAX_QUEUED
        merged = np.zeros(len(legs), np.bool_)
        dropping = whole & ((self.surplus[legs] > 0) | excess) & (queued >= 1)
        if not dropping.any():
            return merged
        for i in np.flatnonzero(dropping).tolist():
            leg = int(legs[i])
            at = int(self.next_frame[leg]) & (RING - 1)
            merged[i] = not quiet[i] and self.have[leg, at] == FULL
            if excess[i]:
                self.discarded[leg] += self.have[leg, at] == FULL
            else:
                self.stretched[leg] += 1
            self.have[leg, at] = 0
            self._move(leg, 1, int(FRAME_TIMESTAMPS[self.codec[leg]]))
            self.surplus[leg] = max(int(self.surplus[leg]) - 1, 0)
            self.shrunk_tick[leg] = tick
        return merged
