"""From decoded frames to sound without seams: what is missing is concealed, what lags is made shorter.

Of a leg that is stretched some sound is always left from the frames before: its carry. It is the end of the
leg's history, so that carrying costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ringback.media import concealment, stretch
from ringback.media.codec import g711
from ringback.media.columns import Bools, Bytes, Column, Columns, Floats, Ints, Longs
from ringback.media.jitter_buffer import Taken
from ringback.media.passages import passages
from ringback.native import at, kernels

FRAME_MS = 20
EIGHTHS = 160
"""Eighths of a millisecond in a frame."""
_FRAMES = 4
"""80 ms: what concealment looks at, what may be carried, and the longest piece."""
MOST_CONCEALED, MOST_JOINED, MOST_STRETCHED = 512, 192, 192
"""Legs of one rate that this is done for in a tick, about a millisecond and a half each. Trouble that comes
to all at once must not make the work that makes more of it: who has to wait is faded out, begins anew without
a transition, and is stretched in a later tick."""


@dataclass(slots=True)
class Frames:
    """What k legs, int64[k] rows, have to play in this tick, as Taken says, all at one rate.

    first float32[k, m]: the frame, if `real` bool[k] says that there is one; second float32[k, m] the one
    after, where `two` bool[k] are taken. `held` legs need none. `joined` frames do not follow what was played
    before. piece int32[k] and carry int32[k] are in eighths of a millisecond; `fresh` legs were not heard
    before. `stretched` bool[k] says afterwards who was made shorter or longer.
    """

    legs: Longs
    first: Floats
    second: Floats
    real: Bools
    two: Bools
    held: Bools
    joined: Bools
    piece: Ints
    carry: Ints
    fresh: Bools
    stretched: Bools


def _columns(rate: int) -> dict[str, Column]:
    return {
        "frames": Column(np.float32, (_FRAMES, rate * FRAME_MS // 1000)),
        "oldest": Column(np.int64),
        "concealed": Column(np.int64),
    }


class Playout(Columns):
    """The last sound of every leg at one rate, and how many samples were concealed since.

    `frames` float32[n, 4, m] are a ring of which `oldest` int64[n] is the first.
    """

    rate: ClassVar[int]
    frames: Floats
    oldest: Longs
    concealed: Longs

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._frame = self.rate * FRAME_MS // 1000
        self._samples = _FRAMES * self._frame
        self._turn = 0

    def play(self, frames: Frames) -> Floats:
        """The sound of this tick, float32[k, m]; afterwards `frames` says what is left to play, and who was
        stretched."""
        legs = frames.legs
        if frames.fresh.any():
            # What was decoded when this leg was last heard is not what came just before now.
            self.frames[legs[frames.fresh]] = 0
            self.concealed[legs[frames.fresh]] = 0
            frames.carry[frames.fresh] = 0
        out = frames.first
        missing = ~frames.real & ~frames.held
        odd = frames.joined | (frames.carry > 0) | (frames.piece != 0) | frames.two | missing | frames.held
        if not odd.any():
            self._keep(legs, out)
            return out
        joined = frames.joined & frames.real
        odd &= ~missing & ~joined
        # One frame came and one is to be played: what is carried stays as much.
        carrying = odd & (frames.piece == 0) & ~frames.two & ~frames.held
        odd &= ~carrying
        _, waiting = self._first(np.flatnonzero(odd & (frames.piece != 0)), MOST_STRETCHED)
        if len(waiting):
            frames.piece[waiting] = 0
            later = waiting[~(frames.two[waiting] | frames.held[waiting])]
            odd[later], carrying[later] = False, True
        plain = ~missing & ~joined & ~odd & ~carrying
        self._keep(legs[plain], out[plain])
        if carrying.any():
            self._carry(out, frames, np.flatnonzero(carrying))
        if missing.any():
            self._conceal(out, frames, np.flatnonzero(missing))
        if joined.any():
            self._join(out, frames, np.flatnonzero(joined))
        if odd.any():
            self._stretch(out, frames, np.flatnonzero(odd))
        return out

    def concealment(self, legs: Longs, more: int) -> list[Floats]:
        """The past of each leg, what was concealed since, and how that goes on for `more` samples."""
        past, concealed = self._past(legs), self.concealed[legs]
        return [
            np.concatenate(
                (row, concealment.conceal(row[None], np.zeros(1, np.int64), self.rate, int(count) + more)[0])
            )
            for row, count in zip(past, concealed, strict=True)
        ]

    def _first(self, rows: Longs, most: int) -> tuple[Longs, Longs]:
        """As many of `rows` as one tick bears, and the others: those that waited come first another time."""
        if len(rows) <= most:
            return rows, rows[:0]
        self._turn += most
        turned = np.roll(rows, -(self._turn % len(rows)))
        return np.sort(turned[:most]), np.sort(turned[most:])

    def _keep(self, legs: Longs, frame: Floats) -> None:
        """Remember a frame of each leg, in place of its oldest."""
        if kernels is not None and frame.flags.c_contiguous:
            columns = at(self.frames), at(self.oldest)
            kernels.rb_keep(at(legs), at(frame), len(legs), self._frame, _FRAMES, *columns)
            return
        oldest = self.oldest[legs]
        self.frames.reshape(-1, self._frame)[legs * _FRAMES + oldest] = frame
        self.oldest[legs] = (oldest + 1) & (_FRAMES - 1)

    def _past(self, legs: Longs) -> Floats:
        """float32[n, 4m], the latest last."""
        at = (self.oldest[legs][:, None] + np.arange(_FRAMES)) & (_FRAMES - 1)
        past: Floats = self.frames[legs[:, None], at].reshape(len(legs), self._samples)
        return past

    def _latest(self, legs: Longs) -> Floats:
        """The frame of each leg that was played last, float32[n, m]."""
        latest: Floats = self.frames.reshape(-1, self._frame)[
            legs * _FRAMES + ((self.oldest[legs] - 1) & (_FRAMES - 1))
        ]
        return latest

    def _set_past(self, legs: Longs, past: Floats) -> None:
        self.frames[legs] = past.reshape(len(legs), _FRAMES, self._frame)
        self.oldest[legs] = 0

    def _carry(self, out: Floats, frames: Frames, carrying: Longs) -> None:
        legs, size = frames.legs[carrying], self._frame
        carried = frames.carry[carrying].astype(np.int64) * size // EIGHTHS
        if kernels is not None and out.flags.c_contiguous:
            columns = at(self.frames), at(self.oldest), at(out)
            kernels.rb_carry(at(legs), at(carrying), at(carried), len(legs), size, _FRAMES, *columns)
            return
        both = np.concatenate((self._latest(legs), out[carrying]), axis=1)
        self._keep(legs, out[carrying])
        out[carrying] = passages(both, size - carried, size)

    def _conceal(self, out: Floats, frames: Frames, missing: Longs) -> None:
        legs = frames.legs[missing]
        position = self.concealed[legs]
        # What is carried is played first; the concealment then lags by as much, or leaves it out.
        carried = frames.carry[missing].astype(np.int64) * self._frame // EIGHTHS
        position = np.where(position == 0, -carried, position)
        frames.carry[missing[frames.piece[missing] < 0]] = 0
        self.concealed[legs] = position + self._frame
        heard = np.flatnonzero(position < self.rate * concealment.FADE_TO_MS // 1000)
        first, others = self._first(heard, MOST_CONCEALED)
        out[missing] = 0
        out[missing[first]] = concealment.conceal(self._past(legs[first]), position[first], self.rate)
        if len(others):
            fade = np.linspace(1, 0, self._frame, dtype=np.float32)
            out[missing[others]] = self._latest(legs[others]) * fade * (position[others] <= 0)[:, None]

    def _join(self, out: Floats, frames: Frames, joined: Longs) -> None:
        """Let a frame follow what was concealed, or what came before frames that were left out."""
        joined, others = self._first(joined, MOST_JOINED)
        if len(others):
            self.concealed[frames.legs[others]] = frames.carry[others] = 0
            self._keep(frames.legs[others], out[others])
        legs, size, unit = frames.legs[joined], self._frame, self._frame // EIGHTHS
        past = self._past(legs)
        position = self.concealed[legs]
        carried = frames.carry[joined].astype(np.int64) * unit
        owed = np.where(position > 0, carried, 0)
        most = np.minimum(np.maximum(frames.piece[joined], 0) * unit, size - carried)
        sound, wait = concealment.join(out[joined], past, position, owed, owed + most, self.rate)
        self.concealed[legs] = 0
        self._keep(legs, passages(sound, wait, size))
        # First what is carried, then what goes on until the frame fits, then the frame as far as it goes.
        line = np.concatenate((past[:, -size:], sound), axis=1)
        out[joined] = passages(line, size - carried + owed, size)
        frames.carry[joined] = (carried - owed + wait) // unit

    def _stretch(self, out: Floats, frames: Frames, odd: Longs) -> None:
        """Play from what is carried, and take a piece out or put one in."""
        legs, size, unit = frames.legs[odd], self._frame, self._frame // EIGHTHS
        carried = frames.carry[odd].astype(np.int64) * unit
        count = frames.real[odd].astype(np.int64) + frames.two[odd]
        line = np.concatenate((self._past(legs), out[odd], frames.second[odd]), axis=1)
        # Every leg's sound from where it is to be played at column `samples`, its past before.
        line = passages(line, -carried, self._samples + 4 * size)
        left = carried + count * size
        piece = frames.piece[odd].astype(np.int64) * unit
        period = np.zeros(len(odd), np.int64)
        asked = np.flatnonzero(piece)
        if len(asked):
            back = piece[asked] > 0
            most = np.where(back, piece[asked], np.minimum(-piece[asked], left[asked] - size))
            found = stretch.find_periods(line[asked], self._samples, most, back, self.rate)
            period[asked] = np.where(back, -found, found)
        frames.stretched[odd] = period != 0
        sound = stretch.leave(line, self._samples, period)
        left -= period
        out[odd] = sound[:, :size]
        frames.carry[odd] = (left - size) // unit
        line[:, self._samples :] = sound
        self._set_past(legs, passages(line, left, self._samples))


class NarrowPlayout(Playout):
    """Sound at 8 kHz."""

    rate = 8000
    SPEC: ClassVar[dict[str, Column]] = _columns(rate)

    def play_simply(
        self, places: Longs, slots: Longs, taken: Taken, rows: Bytes, carry: Ints
    ) -> tuple[Floats, Longs]:
        """The sound float32[k, 160] of those of the legs at `places` int64[k] of `slots` that go on with a
        whole G.711 frame out of `rows` uint8[r, 160], for which nothing is to be decided and no carry
        changes; and which of the k are others, for `play`: all, where nothing is compiled."""
        k = len(places)
        if kernels is None:
            return np.zeros((k, self._frame), np.float32), np.arange(k)
        out, odd = np.empty((k, self._frame), np.float32), np.empty(k, np.int64)
        what = taken.action, taken.row, taken.codec, taken.second, taken.joined, taken.piece, taken.continued
        others = kernels.rb_voices(
            at(places),
            k,
            at(slots),
            *map(at, what),
            at(rows),
            self._frame,
            at(g711.TABLES),
            at(carry),
            _FRAMES,
            *map(at, (self.frames, self.oldest, out, odd)),
        )
        return out, odd[:others]


class WidePlayout(Playout):
    """Sound at 16 kHz."""

    rate = 16000
    SPEC: ClassVar[dict[str, Column]] = _columns(rate)
