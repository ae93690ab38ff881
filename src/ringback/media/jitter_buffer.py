"""The jitter buffer of all legs: frames of 20 ms on each leg's own RTP timestamp grid, and which of them is
played when.

Frame f is to be played at the tick f + `wanted` (see `delay`). A leg that lags behind that has a surplus and
is made shorter, one that is ahead of it is made longer: by stretching where it is heard, by whole frames
where it is not. A frame that is missing at its tick, with nothing after it, is waited for: the tick is
concealed, and the leg lags by one frame. One that is missing while a later one is there is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ringback.media.columns import Bools, Bytes, Column, Columns, Floats, Ints, Longs, Words
from ringback.media.delay import MOST_TICKS, WINDOW_TICKS, Delay
from ringback.media.legs import FRAME_TIMESTAMPS
from ringback.native import at, ffi, kernels

RING = 32
"""Frames a leg holds: 640 ms."""
_MASK = RING - 1
MAX_AHEAD = RING - 4
"""A packet further ahead than this comes after a pause, or starts the grid anew."""
MAX_BEHIND = 50
"""A packet this many frames too late is another stream (a restarted sender), not a late one."""
MAX_QUEUED = MOST_TICKS
"""Frames that wait at most (200 ms): those before are passed over at once."""
FRAME_BYTES = 160
FULL = 160
"""`have` of a whole frame, in eighths of a millisecond (bytes, for codecs of one byte a clock)."""
HALF = 80
RESTART_AFTER_LATE = 10
"""So many packets in a row that all come too late mean that the grid is wrong."""
GRID_TICKS = 20_000
"""How often (400 s) the grids are written anew, far from a wrap of the timestamps."""
STRETCH_EVERY = 3
"""A voice is made shorter or longer by a piece in every third frame at most."""
REST_EVERY = 16
"""How often a carried rest that is shorter than a piece is looked for: only a pause can swallow it."""
LEAST_PIECE = 20
MOST_PIECE = 120
"""Eighths of a millisecond: a piece is a period of a voice of 400 to 67 Hz."""
SILENCE = np.array([0xFF, 0xD5, 0, 0, 0, 0, 0], np.uint8)
"""What the missing part of a frame is filled with, by codec number."""

NOTHING, PLAY, LOST, DRY, HELD, REST = range(6)


@dataclass(slots=True)
class Taken:
    """What each asked leg has for this tick.

    action uint8[n]: NOTHING (no stream, or it begins later), PLAY, LOST (conceal; later frames are there),
    DRY (conceal; waiting), HELD (no frame is needed: enough sound is carried), REST (comfort noise). row
    int64[n]: index into `frames` (seen as rows of 160 bytes) of the frame to play, where action is PLAY.
    frame int64[n]: its number on the leg's grid. codec uint8[n]. continued bool[n]: it was heard at the tick
    before. second bool[n]: the next frame is played
    too. joined bool[n]: what comes does not follow what was played last. run int32[n]: ticks concealed in a
    row, this one included.

    piece int32[n], in eighths of a millisecond: at most so much is left out of the sound (negative) or added
    to it (positive), 0 for nothing; a joined frame may come later by that; of what is concealed, a negative
    one leaves out what is carried.
    """

    action: Bytes
    row: Longs
    frame: Longs
    codec: Bytes
    continued: Bools
    second: Bools
    piece: Ints
    joined: Bools
    run: Ints


def _taken(action: Bytes, row: Longs, frame: Longs, codec: Bytes, continued: Bools) -> Taken:
    n = len(action)
    second, joined = np.zeros((2, n), np.bool_)
    piece, run = np.zeros((2, n), np.int32)
    return Taken(action, row, frame, codec, continued, second, piece, joined, run)


class JitterBuffer(Columns):
    """Columns of all legs' buffers; `legs` arguments are arrays of rows, each row at most once.

    `settled` legs have begun, carry less than a piece and were not concealed: only their next frame matters.
    `carry` int32 is how much decoded sound of frames taken before is still to be played, in eighths of a
    millisecond; who plays the frames keeps it.
    """

    SPEC: ClassVar[dict[str, Column]] = {
        "anchored": Column(np.bool_),
        "begun": Column(np.bool_),
        "settled": Column(np.bool_),
        "codec": Column(np.uint8),
        "have": Column(np.uint8, (RING,)),
        "frames": Column(np.uint8, (RING, FRAME_BYTES)),
        "next_frame": Column(np.int64, empty=RING),
        "grid_frame": Column(np.int64, empty=RING),
        "grid_timestamp": Column(np.uint32),
        "newest": Column(np.int64, empty=RING - 1),
        "carry": Column(np.int32),
        "run": Column(np.int32),
        "dry": Column(np.int32),
        "skipped": Column(np.bool_),
        "rest_from": Column(np.int64, empty=-1),
        "excused": Column(np.int64),
        "late": Column(np.int64),
        "late_streak": Column(np.int32),
        "concealed": Column(np.int64),
        "restarts": Column(np.int64),
        "discarded": Column(np.int64),
        "stretched": Column(np.int64),
    }
    anchored: Bools
    begun: Bools
    settled: Bools
    codec: Bytes
    have: Bytes
    frames: Bytes
    next_frame: Longs
    grid_frame: Longs
    grid_timestamp: Words
    newest: Longs
    carry: Ints
    run: Ints
    dry: Ints
    skipped: Bools
    rest_from: Longs
    excused: Longs
    late: Longs
    late_streak: Ints
    concealed: Longs
    restarts: Longs
    discarded: Longs
    stretched: Longs

    def __init__(self, capacity: int) -> None:
        self.delay = Delay(capacity)
        super().__init__(capacity)

    def grow(self, capacity: int) -> None:
        """Lengthen the columns."""
        super().grow(capacity)
        self.delay.grow(capacity)

    def clear(self, slot: int) -> None:
        """Make one row what it was at first."""
        super().clear(slot)
        self.delay.clear(slot)

    @property
    def rows(self) -> Bytes:
        """`frames` as uint8[capacity * RING, 160]."""
        return self.frames.reshape(-1, FRAME_BYTES)

    def restart(self, legs: Longs) -> None:
        """Forget the grid of these legs: their next packet begins a new one (a new SSRC, a new source)."""
        self.anchored[legs] = False
        self.settled[legs] = False
        self._discard(legs)
        self.rest_from[legs] = -1

    # What arrives

    def place(self, legs: Longs, timestamp: Words, codec: Bytes, due: Longs) -> tuple[Longs, Longs, Bools]:
        """Where packets belong: frame number and offset in RTP units of each packet's first sample, and if
        it fits.

        `due` int64[n] is the tick at which each is there. A leg without a grid gets one here, one that runs
        dry is re-aligned, one whose timestamps jumped starts anew.
        """
        step = FRAME_TIMESTAMPS[codec].astype(np.int64)
        changed = ~self.anchored[legs] | (self.codec[legs] != codec)
        if changed.any():
            self._anchor(legs[changed], timestamp[changed], codec[changed], due[changed])
        distance = (timestamp - self.grid_timestamp[legs]).view(np.int32).astype(np.int64)
        count = distance // step
        frame = self.grid_frame[legs] + count
        ahead = frame - self.next_frame[legs]
        if len(legs) and (int(ahead.min()) < 0 or int(ahead.max()) > MAX_AHEAD):
            odd = np.flatnonzero((ahead < 0) | (ahead > MAX_AHEAD))
            self._settle(legs[odd], timestamp[odd], codec[odd], due[odd], frame[odd])
            distance = (timestamp - self.grid_timestamp[legs]).view(np.int32).astype(np.int64)
            count = distance // step
            frame = self.grid_frame[legs] + count
            ahead = frame - self.next_frame[legs]
        offset = distance - count * step
        if offset.any():
            # Nothing is queued: moving the grid to this packet costs nothing and makes its frames whole.
            odd = np.flatnonzero((offset != 0) & (self.newest[legs] < self.next_frame[legs]) & (ahead >= 0))
            self.grid_timestamp[legs[odd]] += offset[odd].astype(np.uint32)
            offset[odd] = 0
        self.delay.note(legs, due, frame)
        return frame, offset, (ahead >= 0) & (ahead <= MAX_AHEAD)

    def store(self, legs: Longs, frame: Longs, payload: Bytes) -> None:
        """Put whole frames uint8[n, 160] of byte-a-clock codecs into place."""
        row = legs * RING + (frame & _MASK)
        self.rows[row] = payload
        self._stored(legs, frame, row)

    def store_from(self, legs: Longs, frame: Longs, data: Bytes, rows: Longs, start: Ints) -> None:
        """Put whole frames into place: the 160 octets from start int32[n] on of rows int64[n] of datagrams
        uint8[r, m]."""
        row = legs * RING + (frame & _MASK)
        if kernels is None or not data.flags.c_contiguous:
            self.rows[row] = data[rows[:, None], start[:, None] + np.arange(FRAME_BYTES)]
        else:
            places = at(data), data.shape[1], at(rows), at(start), at(row)
            kernels.rb_store(*places, len(row), at(self.frames), FRAME_BYTES)
        self._stored(legs, frame, row)

    def _stored(self, legs: Longs, frame: Longs, row: Longs) -> None:
        self.have.reshape(-1)[row] = FULL
        self.newest[legs] = np.maximum(self.newest[legs], frame)
        self.late_streak[legs] = 0

    def store_half(self, legs: Longs, half: Longs, payload: Bytes) -> None:
        """Put halves of frames uint8[n, 80] into place; `half` counts them on the grid."""
        fits = (half >> 1) - self.next_frame[legs]
        fits = np.flatnonzero((fits >= 0) & (fits <= MAX_AHEAD))
        legs, half = legs[fits], half[fits]
        row = legs * RING + ((half >> 1) & _MASK)
        have = self.have.reshape(-1)
        empty = have[row] == 0
        self.rows[row[empty]] = SILENCE[self.codec[legs[empty]]][:, None]
        self.frames.reshape(-1, HALF)[2 * row + (half & 1)] = payload[fits]
        have[row] = np.minimum(have[row].astype(np.int32) + HALF, FULL)
        self.newest[legs] = np.maximum(self.newest[legs], half >> 1)
        self.late_streak[legs] = 0

    def store_part(self, leg: int, frame: int, offset: int, payload: Bytes, codec: int) -> None:
        """Put a packet of another length than 20 ms, or off the grid, into the frames that it touches."""
        position = 0
        while position < len(payload):
            size = min(FRAME_BYTES - offset, len(payload) - position)
            if 0 <= frame - int(self.next_frame[leg]) <= MAX_AHEAD:
                slot = frame & _MASK
                if not self.have[leg, slot]:
                    self.frames[leg, slot] = SILENCE[codec]
                self.frames[leg, slot, offset : offset + size] = payload[position : position + size]
                self.mark_part(leg, frame, size)
            position += size
            offset = 0
            frame += 1

    def mark_part(self, leg: int, frame: int, size: int) -> None:
        """Note that `size` eighths of a millisecond of a frame have arrived."""
        slot = frame & _MASK
        self.have[leg, slot] = min(FULL, int(self.have[leg, slot]) + size)
        self.newest[leg] = max(int(self.newest[leg]), frame)
        self.late_streak[leg] = 0

    def rest_at(self, leg: int, timestamp: int) -> None:
        """A pause begins here: what is missing from there on is filled with comfort noise (RFC 3389)."""
        if not self.anchored[leg]:
            return
        distance = (timestamp - int(self.grid_timestamp[leg]) + 0x80000000) % 0x100000000 - 0x80000000
        self.rest(leg, int(self.grid_frame[leg]) + distance // int(FRAME_TIMESTAMPS[self.codec[leg]]))

    def rest(self, leg: int, frame: int) -> None:
        """A pause begins with this frame, unless it is over already."""
        first = int(self.rest_from[leg])
        if frame > self.newest[leg] and (first < 0 or frame < first):
            self.rest_from[leg] = frame
            self.settled[leg] = False

    # What is played

    def take(self, legs: Longs, heard: Bools, talking: Bools, tick: int) -> Taken:
        """Advance one tick: what each leg plays now.

        `heard` and `talking` bool[capacity]: of all legs, who was heard at the tick before, and who talked.
        Who is not heard loses and gains whole frames, since nobody hears it; of who does not talk what is
        less than a piece may go, too.
        """
        if tick % WINDOW_TICKS == 0:
            self._look(tick)
        if kernels is not None:
            taken, odd = self._take_compiled(kernels, legs, heard, talking, tick)
        else:
            taken, odd = self._take_plain(legs, heard, talking, tick)
        if len(odd):
            of = legs[odd]
            self._take_odd(taken, odd, of, ~heard[of], ~talking[of], tick)
        return taken

    def _take_plain(self, legs: Longs, heard: Bools, talking: Bools, tick: int) -> tuple[Taken, Longs]:
        """Take the next frame of those that simply play it; which are the others that have a stream."""
        now = self.next_frame[legs]
        row = legs * RING + (now & _MASK)
        plain = (self.have.reshape(-1)[row] == FULL) & self.settled[legs]
        plain &= tick - now == self.delay.wanted[legs]
        if tick % REST_EVERY == 0:
            plain &= (self.carry[legs] == 0) | talking[legs]
        self.have.reshape(-1)[row[plain]] = 0
        self.next_frame[legs[plain]] += 1
        taken = _taken(plain.astype(np.uint8), row, now, self.codec[legs], heard[legs])
        return taken, np.flatnonzero(~plain & self.anchored[legs])

    def _take_compiled(
        self, library: Any, legs: Longs, heard: Bools, talking: Bools, tick: int
    ) -> tuple[Taken, Longs]:
        n = len(legs)
        action, codec = np.empty((2, n), np.uint8)
        row, frame, odd = np.empty((3, n), np.int64)
        continued = np.empty(n, np.bool_)
        columns = self.have, self.settled, self.anchored, self.delay.wanted, self.carry, self.codec
        others = library.rb_take(
            at(legs),
            n,
            tick,
            RING,
            FULL,
            at(heard),
            ffi.NULL if tick % REST_EVERY else at(talking),
            *map(at, columns),
            at(self.next_frame),
            *map(at, (action, row, frame, codec, continued, odd)),
        )
        return _taken(action, row, frame, codec, continued), odd[:others]

    def forgive(self, legs: Longs) -> None:
        """What these legs lack at this tick is no loss: a key is pressed, and its events stand in for
        audio."""
        run = self.run[legs]
        self.concealed[legs] -= run <= MAX_QUEUED

    def skip(self, legs: Longs, ticks: int) -> None:
        """The worker itself lost so many ticks: what would have been played in them is gone."""
        playing = legs[self.begun[legs] & (self.run[legs] == 0) & (self.dry[legs] == 0)]
        self._pass(playing, np.full(len(playing), ticks))
        self.excused[playing] = self.next_frame[playing]

    def queued(self, legs: Longs) -> Longs:
        """Frames that wait beyond the one to be played next, at least 0."""
        waiting: Longs = np.maximum(self.newest[legs] - self.next_frame[legs] + 1, 0)
        return waiting * self.anchored[legs]

    def waiting(self, legs: Longs) -> Floats:
        """Sound that waits beyond the frame to be played next, in frames: float32[n]."""
        waiting: Floats = (self.queued(legs) + self.carry[legs] / FULL).astype(np.float32)
        return waiting

    def carries(self, legs: Longs, eighths: Ints, stretched: Bools) -> None:
        """Say how much sound of taken frames each leg has left to play, and whether it was stretched."""
        self.stretched[legs] += stretched
        self.carry[legs] = eighths
        self.settled[legs] &= eighths < LEAST_PIECE

    def _take_odd(
        self, taken: Taken, at: Longs, legs: Longs, unheard: Bools, quiet: Bools, tick: int
    ) -> None:
        """Decide for legs that are not simply to play their next frame."""
        self.carry[legs[unheard]] = 0
        self._pass_over(legs, unheard, tick)
        now = self.next_frame[legs]
        row = legs * RING + (now & _MASK)
        have = self.have.reshape(-1)
        there, later = have[row] == FULL, self.newest[legs] > now
        carry, begun = self.carry[legs], self.begun[legs]
        surplus = FULL * (tick - now - self.delay.wanted[legs]) + carry
        held = carry >= FULL
        # Before its first frame a stream waits in silence, and so does one that nobody hears.
        early = surplus <= -FULL
        waits = ~held & np.where(begun, unheard & there & early, early | ~(there | later))
        play = there & ~held & ~waits
        missing = ~there & ~held & ~waits
        rest = (missing | waits) & (self.rest_from[legs] >= 0) & (self.rest_from[legs] <= now)
        lost, dry = missing & later & ~rest, missing & ~later & ~rest
        before = self.run[legs]
        joined = play & ((before > 0) | self.skipped[legs])
        ready = play & begun & ~unheard & ~joined
        second, piece = self._pieces(legs, now, ready, quiet, surplus, carry, tick)
        # A loss is a chance to catch up, and a return that is late anyhow need not keep to the sample.
        piece[(lost | dry) & (surplus >= carry)] = -MOST_PIECE
        piece[joined & ((surplus >= FULL) | self.skipped[legs])] = MOST_PIECE

        action = np.select((play, lost, dry | waits, held), (PLAY, LOST, DRY, HELD), NOTHING)
        action[rest] = REST
        taken.action[at], taken.row[at], taken.frame[at] = action, row, now
        taken.second[at], taken.piece[at] = second, piece
        taken.joined[at] = joined
        run = np.where(play | rest, 0, before + (missing | waits))
        taken.run[at] = self.run[legs] = run
        self.dry[legs] = np.where(missing & ~later, self.dry[legs] + 1, np.where(waits, self.dry[legs], 0))
        self.concealed[legs] += (lost | dry) & (run <= MAX_QUEUED)
        self.stretched[legs] += (play & (before > 0) & (surplus >= FULL)) | (waits & begun)
        self.skipped[legs] &= ~play
        self.begun[legs] = begun | play | lost
        self.rest_from[legs[play & (self.rest_from[legs] <= now)]] = -1
        self.settled[legs] = play & ~second & (piece == 0) & (self.rest_from[legs] < 0)
        self.settled[legs] &= carry < LEAST_PIECE
        self._pass(legs, play.astype(np.int64) + second + (missing & later))

    def _pieces(
        self, legs: Longs, now: Longs, heard: Bools, quiet: Bools, surplus: Longs, carry: Ints, tick: int
    ) -> tuple[Bools, Ints]:
        """By how much to make whom shorter or longer, and for whom that needs a second frame."""
        second = np.zeros(len(legs), np.bool_)
        piece = np.zeros(len(legs), np.int32)
        turn = heard & ((legs + tick) % STRETCH_EVERY == 0)
        longer = turn & (surplus < 0)
        piece[longer] = MOST_PIECE
        rest = heard & quiet & (surplus > 0)
        shorter = np.flatnonzero((turn & (surplus >= LEAST_PIECE)) | rest)
        if len(shorter):
            most = np.minimum(surplus[shorter], MOST_PIECE)
            following = legs[shorter] * RING + ((now[shorter] + 1) & _MASK)
            second[shorter] = (carry[shorter] < most) & (self.have.reshape(-1)[following] == FULL)
            # Of one frame alone no more can go than is carried beside it.
            most = np.where(second[shorter], most, np.minimum(most, carry[shorter]))
            piece[shorter] = -most
        return second, piece

    def _pass_over(self, legs: Longs, unheard: Bools, tick: int) -> None:
        """Leave out frames of legs that lag: those that never came, and those that nobody would hear."""
        now, newest = self.next_frame[legs], self.newest[legs]
        surplus = tick - now - self.delay.wanted[legs]
        lags = (surplus > 0) & (newest > now)
        if lags.any():
            quiet = lags & unheard
            self.stretched[legs[quiet]] += 1
            self._pass(legs[quiet], np.minimum(surplus, newest - now)[quiet])
            gone = lags & ~unheard & (self.have.reshape(-1)[legs * RING + (now & _MASK)] < FULL)
            if gone.any():
                self._pass_gone(legs[gone], surplus[gone])
        over = newest - self.next_frame[legs] + 1 - MAX_QUEUED
        if int(over.max()) > 0:
            much = over > 0
            legs, over = legs[much], over[much]
            self.delay.aim(legs)
            self.discarded[legs] += self._pass(legs, over)
            self.skipped[legs] = True

    def _pass_gone(self, legs: Longs, most: Longs) -> None:
        """Pass over frames that are not there, at most so many of each leg, up to one that is."""
        now = self.next_frame[legs]
        most = np.minimum(most, self.newest[legs] - now)
        turn = np.arange(int(most.max()) + 1)
        there = self.have[legs[:, None], (now[:, None] + turn) & _MASK] == FULL
        self._pass(legs, (there | (turn >= most[:, None])).argmax(axis=1))
        self.skipped[legs] |= self.run[legs] == 0

    def _pass(self, legs: Longs, frames: Longs) -> Longs:
        """Leave so many frames of each leg behind; how many of them were there, int64[n]."""
        have, now = self.have.reshape(-1), self.next_frame[legs]
        there = np.zeros(len(legs), np.int64)
        for turn in range(min(int(frames.max()), RING) if len(legs) else 0):
            passed = np.flatnonzero(frames > turn)
            row = legs[passed] * RING + ((now[passed] + turn) & _MASK)
            there[passed] += have[row] == FULL
            have[row] = 0
        self.next_frame[legs] = now + frames
        return there

    # What is out of the ordinary

    def _anchor(self, legs: Longs, timestamp: Words, codec: Bytes, due: Longs) -> None:
        now = self.next_frame[legs]
        self._discard(legs)
        self.restarts[legs] += self.anchored[legs]
        self.anchored[legs] = True
        self.codec[legs] = codec
        self.grid_timestamp[legs] = timestamp
        self.grid_frame[legs] = now
        self.late_streak[legs] = 0
        self.carry[legs] = 0
        self._begin(legs, now)
        self.delay.begin(legs, due, now)

    def _begin(self, legs: Longs, frame: Longs) -> None:
        """What is played next is the first of a stream, or of what follows a pause."""
        self.next_frame[legs] = frame
        self.newest[legs] = frame - 1
        self.have[legs] = 0
        self.dry[legs] = 0
        self.begun[legs] = False
        self.settled[legs] = False

    def _settle(self, legs: Longs, timestamp: Words, codec: Bytes, due: Longs, frame: Longs) -> None:
        """Packets far ahead or behind: pauses that ended, restarts, or simply late."""
        now, newest = self.next_frame[legs], self.newest[legs]
        lateness, wanted = due - frame, self.delay.wanted[legs]
        behind = (now - MAX_BEHIND <= frame) & (frame < now)
        behind &= self.late_streak[legs] < RESTART_AFTER_LATE
        # Those that came in time, but whose tick was left out, are nothing to note.
        counted = behind & ~((frame < self.excused[legs]) & (lateness <= wanted))
        # Nothing newer is there: time stood still for these legs.
        stood = counted & (frame > newest) & (now - frame <= MOST_TICKS)
        self.next_frame[legs[stood]] = frame[stood]
        late = legs[counted & ~stood]
        self.late[late] += 1
        self.late_streak[late] += 1
        begins = ~behind & (frame > now) & (newest < now)
        self._begin(legs[begins], frame[begins])
        anew = begins & (np.abs(lateness - wanted) > MOST_TICKS)
        if anew.any():
            self.delay.begin(legs[anew], due[anew], frame[anew])
        restarts = ~behind & ~begins
        if restarts.any():
            self._anchor(legs[restarts], timestamp[restarts], codec[restarts], due[restarts])

    def _discard(self, legs: Longs) -> None:
        """Throw away what these legs hold, and count it."""
        self.discarded[legs] += (self.have[legs] == FULL).sum(axis=1)
        self.have[legs] = 0

    def _look(self, tick: int) -> None:
        """What is done for all legs now and then."""
        self.delay.rotate()
        legs = np.flatnonzero(self.anchored)
        self.delay.aim(legs, only_down=True)
        if tick % GRID_TICKS == 0:
            frames = self.next_frame[legs] - self.grid_frame[legs]
            step = FRAME_TIMESTAMPS[self.codec[legs]].astype(np.int64)
            self.grid_timestamp[legs] += (frames * step & 0xFFFFFFFF).astype(np.uint32)
            self.grid_frame[legs] += frames
