"""What each leg hears: the room's one mix for those who only listen, mix minus self for those who speak.

One encoding serves all listeners of a room with the same codec. A leg has an encoding of its own while it is
heard itself, hears an echo or is played something; with G.722 and Opus it keeps its own encoder for a while
after, because a change of encoder is a change of the state that the peer's decoder has followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ringback.media.codec import g711
from ringback.media.coders import Encoder
from ringback.media.columns import Bools, Column, Columns, Floats, Ints, Longs
from ringback.media.legs import G722, PCMA, PCMU, Legs
from ringback.media.level import mean_square
from ringback.media.mix import limit, mix_own, sum_by_room
from ringback.media.playing import Playback
from ringback.media.resample import down2, up2
from ringback.media.room_sounds import RoomSounds
from ringback.media.rooms import Rooms
from ringback.media.sending import Sending
from ringback.media.statistics import Meters
from ringback.media.streamed import StreamedPlayback
from ringback.media.voice_rows import NARROW, NO_HIGH_BANDS, WIDE, Voices
from ringback.media.wide_encoding import WideEncoding
from ringback.native import at, ffi, kernels

if TYPE_CHECKING:
    from ringback.media.feeds import Feeds

OWN_ENCODER_TICKS = 75
"""A leg that stopped speaking keeps its own G.722 or Opus encoder for 1.5 s."""
LEVEL_TICKS = 5
"""The level of what is sent is measured in every fifth frame: ten times a second."""
LAWS: tuple[tuple[int, g711.Law], ...] = ((PCMU, "PCMU"), (PCMA, "PCMA"))


@dataclass(slots=True)
class _Signals:
    """What is to be encoded at one rate: rows float32[r, m], those of rooms first, private ones from
    `first_own`.

    row_of int64[p] says which row each position hears, -1 for silence; `private` bool[p] has a signal of
    its own.
    """

    rows: Floats
    row_of: Longs
    first_own: int
    private: Bools


class _Ears(Columns):
    SPEC: ClassVar[dict[str, Column]] = {
        "voice": Column(np.int32, empty=-1),
        "own_until": Column(np.int64, empty=-1),
    }
    voice: Ints
    own_until: Longs


class Hearing:
    """Turns voices and sounds into one payload for every leg that is sent to."""

    def __init__(
        self,
        legs: Legs,
        rooms: Rooms,
        sending: Sending,
        meters: Meters,
        sounds: RoomSounds,
        feeds: Feeds,
        failed: Callable[[int], None],
    ) -> None:
        """`failed(leg row)` is told when a leg's encoder raised; that leg is sent nothing this time."""
        self._legs = legs
        self._rooms = rooms
        self._sending = sending
        self._meters = meters
        self._sounds = sounds
        self._feeds = feeds
        self._ears = _Ears(legs.capacity)
        self._wide = WideEncoding(legs, rooms, sending, meters, failed)
        self.playbacks: dict[int, Playback | StreamedPlayback] = {}
        """What is being played to a leg, by row."""
        self.room_sounds: dict[int, tuple[Floats, Floats]] = {}
        """What was played to each room in this tick, at 8 and at 16 kHz."""

    @property
    def encoders(self) -> dict[int, Encoder]:
        """G.722, L16 or Opus encoder of a leg's own, by row."""
        return self._wide.encoders

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        self._ears.grow(capacity)
        self._wide.grow(capacity)

    def forget(self, leg: int) -> None:
        """A leg closed or changed its codec."""
        self._wide.forget(leg)
        self._ears.clear(leg)

    def step(self, narrow: Voices, wide: Voices, tick: int, high: Voices = NO_HIGH_BANDS) -> list[int]:
        """Write every sending leg's payload; returns the legs whose playback ended with this frame.

        `high` are the high bands of some of the wide voices, float32[k, 960].
        """
        order = self._sending.order
        room, is_wide, counts = self._listeners(order)
        played, ended = self._play(order)
        any_wide = bool(counts[2]) or bool(len(wide.legs))
        measuring = tick % LEVEL_TICKS == 0
        if self._feeds.active:
            self._feeds.begin(played)
        self.room_sounds = {}
        if self._sounds.active:
            self.room_sounds = self._sounds.step()
            self._sounds.duck(narrow.legs, narrow.samples)
            self._sounds.duck(wide.legs, wide.samples)
            self._sounds.duck(high.legs, high.samples)
        narrow_sums = self._sums(narrow, NARROW)
        wide_sums = self._sums(wide, WIDE) if any_wide else None
        narrow_mix, narrow_live = self._room_mix(narrow_sums, wide_sums, room, ~is_wide, NARROW)
        positions = np.flatnonzero(~is_wide) if any_wide else np.arange(len(order))
        nobody = np.zeros(len(order), np.bool_)
        signals = self._rows(positions, order, room, narrow, narrow_mix, narrow_live, played, nobody)
        self._send_narrow(positions, order, signals, counts)
        self._note(order[positions], signals, narrow, measuring)
        if wide_sums is not None:
            wide_mix, wide_live = self._room_mix(wide_sums, narrow_sums, room, is_wide, WIDE)
            positions = np.flatnonzero(is_wide)
            keep = (self._ears.own_until[order] >= tick) | (room < 0)
            signals = self._rows(positions, order, room, wide, wide_mix, wide_live, played, keep)
            own = signals.row_of >= signals.first_own
            self._ears.own_until[order[positions[signals.private]]] = tick + OWN_ENCODER_TICKS
            self._wide.send(positions, room[positions], signals.rows, signals.row_of, own, high, tick)
            self._note(order[positions], signals, wide, measuring)
        return ended

    def _listeners(self, order: Longs) -> tuple[Longs, Bools, list[int]]:
        """In which room each listens, -1 for none, who is sent 16 kHz, and how many are sent PCMU, PCMA and
        16 kHz."""
        legs, n = self._legs, len(order)
        if kernels is not None:
            where, wide, counts = np.empty(n, np.int64), np.empty(n, np.bool_), np.empty(3, np.int64)
            columns = map(at, (legs.room, legs.deaf, legs.send_codec, where, wide, counts))
            kernels.rb_listeners(at(order), n, *columns)
            return where, wide, counts.tolist()
        codec = legs.send_codec[order]
        where = np.where(legs.deaf[order], -1, legs.room[order]).astype(np.int64)
        of_law = [int(np.count_nonzero(codec == number)) for number, _ in LAWS]
        return where, codec >= G722, [*of_law, n - sum(of_law)]

    def _note(self, hearers: Longs, signals: _Signals, voices: Voices, measuring: bool) -> None:
        """Let those listen who listen to single legs, and add the energy of what each leg is sent."""
        if self._feeds.active:
            self._feeds.hear(hearers, signals.rows, signals.row_of, voices)
        if not measuring:
            return
        # Silence is the last row.
        energy = np.zeros(len(signals.rows) + 1, np.float32)
        energy[:-1] = mean_square(signals.rows)
        self._meters.sent_energy[hearers] += energy[signals.row_of]

    def _play(self, order: Longs) -> tuple[dict[int, Floats], list[int]]:
        """Next frame of each leg's playback at the leg's rate, and whose have ended."""
        played: dict[int, Floats] = {}
        ended: list[int] = []
        codec = self._legs.send_codec
        for leg, playback in self.playbacks.items():
            played[leg] = playback.next_frame(bool(codec[leg] >= G722))
            if playback.finished:
                ended.append(leg)
        return played, ended

    def _sums(self, voices: Voices, samples: int) -> tuple[Floats, Bools]:
        """Sum of the voices heard in each room, and in which there is any."""
        legs, spoken = voices.legs, voices.samples
        if not voices.heard.all():
            legs, spoken = legs[voices.heard], spoken[voices.heard]
        rooms = self._legs.room[legs].astype(np.int64)
        sums = sum_by_room(spoken.reshape(-1, samples), rooms, self._rooms.capacity)
        sounding = np.zeros(self._rooms.capacity, np.bool_)
        sounding[rooms] = True
        return sums, sounding

    def _room_mix(
        self,
        own: tuple[Floats, Bools],
        other: tuple[Floats, Bools] | None,
        room: Longs,
        wanted: Bools,
        samples: int,
    ) -> tuple[Floats, Bools]:
        """Everything that is heard in a room at one rate, and in which rooms there is anything: `own` itself
        where nothing comes to it, and not to be written to."""
        mix, live = own
        if other is None and not self.room_sounds:
            return mix, live
        mix, live = mix.copy(), live.copy()
        if other is not None:
            needed = np.zeros(self._rooms.capacity, np.bool_)
            needed[room[wanted & (room >= 0)]] = True
            rooms = self._rooms
            sounding = rooms.up_sounding if samples == WIDE else rooms.down_sounding
            convert = np.flatnonzero(needed & (other[1] | sounding))
            if len(convert):
                if samples == WIDE:
                    converted, rooms.up_tail[convert] = up2(other[0][convert], rooms.up_tail[convert])
                else:
                    converted, rooms.down_tail[convert] = down2(other[0][convert], rooms.down_tail[convert])
                mix[convert] += converted
                live[convert] = True
            # One more frame after the last voice: the filter still rings.
            sounding[:] = other[1] & needed
        for slot, (narrow, wide) in self.room_sounds.items():
            mix[slot] += wide if samples == WIDE else narrow
            live[slot] = True
        return mix, live

    def _rows(
        self,
        positions: Longs,
        order: Longs,
        room: Longs,
        voices: Voices,
        mix: Floats,
        live: Bools,
        played: dict[int, Floats],
        keep: Bools,
    ) -> _Signals:
        """Distinct signals float32[r, m] at one rate, and which each position hears (-1: silence).

        First the live rooms' mixes, then those of legs with their own. `keep` are those that keep an own row.
        """
        ears, capacity = self._ears, self._rooms.capacity
        live_rooms = np.flatnonzero(live)
        shared = len(live_rooms)
        # The last is for who is in no room.
        row_of_room = np.full(capacity + 1, -1, np.int64)
        row_of_room[live_rooms] = np.arange(shared)
        ears.voice[voices.legs] = np.arange(len(voices.legs), dtype=np.int32)
        plays = np.isin(order[positions], np.fromiter(played, np.int64, len(played))) if played else None
        row_of, private, (where, less, more) = self._find(
            positions, order, room, voices.heard, keep, plays, row_of_room, shared
        )
        ears.voice[voices.legs] = -1
        rows = np.empty((shared + len(where), mix.shape[1]), np.float32)
        rows[:shared] = mix[live_rooms]
        mixed = rows[shared:]
        mix_own(mix, where, voices.samples, less, more, mixed)
        if played:
            mine = order[positions[row_of >= shared]]
            row_of_leg = dict(zip(mine.tolist(), range(len(mine)), strict=True))
            for leg, frame in played.items():
                if leg in row_of_leg:
                    mixed[row_of_leg[leg]] += frame
        return _Signals(limit(rows), row_of, shared, private)

    def _find(
        self,
        positions: Longs,
        order: Longs,
        room: Longs,
        heard: Bools,
        keep: Bools,
        plays: Bools | None,
        row_of_room: Longs,
        shared: int,
    ) -> tuple[Longs, Bools, tuple[Longs, Longs, Longs]]:
        """The row of each position, who has a signal of its own, and of those with an own row the room, the
        voice that is taken out and the one that is put in, -1 for none."""
        if kernels is not None:
            k = len(positions)
            row_of, where, less, more = np.empty((4, k), np.int64)
            private = np.empty(k, np.bool_)
            voice, echo = self._ears.voice, self._legs.echo
            columns = map(at, (order, room, voice, np.ascontiguousarray(heard), echo, keep))
            played = ffi.NULL if plays is None else at(plays)
            rooms = at(row_of_room), len(row_of_room) - 1
            results = map(at, (row_of, private, where, less, more))
            own = kernels.rb_hearers(at(positions), k, *columns, played, *rooms, shared, *results)
            return row_of, private, (where[:own], less[:own], more[:own])
        hearers, where = order[positions], room[positions]
        voice = self._ears.voice[hearers]
        speaks = voice >= 0
        minus = np.zeros(len(positions), np.bool_)
        minus[speaks] = heard[voice[speaks]] & (where[speaks] >= 0)
        plus = speaks & self._legs.echo[hearers]
        private = minus | plus if plays is None else minus | plus | plays
        mine = np.flatnonzero(private | keep[positions])
        row_of = row_of_room[where]
        row_of[mine] = shared + np.arange(len(mine))
        spoken = voice[mine].astype(np.int64)
        less, more = np.where(minus[mine], spoken, -1), np.where(plus[mine], spoken, -1)
        return row_of, private, (where[mine], less, more)

    def _send_narrow(self, positions: Longs, order: Longs, signals: _Signals, counts: list[int]) -> None:
        """Encode what is heard at 8 kHz; `counts` are those of `_listeners`."""
        rows, row_of = signals.rows, signals.row_of
        for (number, law), count in zip(LAWS, counts, strict=False):
            if not count:
                continue
            encoded = np.empty((len(rows) + 1, NARROW), np.uint8)
            g711.encode(rows, law, encoded[:-1])
            encoded[-1] = g711.SILENCE[law]
            if count == len(order):
                self._sending.put_all_frames(encoded, row_of)
            else:
                mine = self._legs.send_codec[order[positions]] == number
                self._sending.put_frames(positions[mine], encoded[row_of[mine]])
