"""Who is heard: of all legs that are listened to, whose audio sounds in which room, who talks, and so whose
voice is decoded at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ringback.media.codec import g711
from ringback.media.columns import Bools, Bytes, Column, Columns, Floats, Longs
from ringback.media.hearing import LAWS
from ringback.media.in_band import LISTEN_TICKS, LOUD, InBandKeys
from ringback.media.jitter_buffer import NOTHING, PLAY, REST, Taken
from ringback.media.legs import G722, Legs
from ringback.media.level import SpeechGate
from ringback.media.rooms import Rooms
from ringback.media.statistics import Meters
from ringback.native import at, ffi, kernels

CONCEALED_TICKS = np.array([3, 3, 3, 6, 3, 0, 0], np.int32)
"""A voice that is lost fades within 60 ms, and by libopus within 120 ms; by codec number."""
MISSED_TICKS = 15
"""A voice that comes back within 300 ms is played whole, however late."""
ALWAYS_OPEN_MEMBERS = 2
"""In a room of two, which is a plain call, nothing is gated."""
SOME_RISING, SOME_FALLING, SOME_GAIN, SOME_RESAMPLED = 1, 2, 4, 8
"""Somebody begins to be heard, ends, has a gain, is sent another rate than it sends."""


@dataclass(slots=True)
class Places:
    """Of n legs: sounding bool[n], whose audio is there or may be concealed; room int64[n] in which each is
    heard, -1 for none; echo bool[n], who is heard though in none: echoes, whispers; listening bool[n], whose
    codec has to be decoded to know how loud it is."""

    sounding: Bools
    room: Longs
    echo: Bools
    listening: Bools
    some_listening: bool


@dataclass(slots=True)
class Heard:
    """Of n legs, bool[n] each: who talks, who is heard in a room, who begins to be and who ends with this
    frame, and whose voice is wanted for whatever reason. `some` is what there is among the latter, of
    SOME_RISING and the like."""

    talking: Bools
    heard: Bools
    rising: Bools
    falling: Bools
    decoded: Bools
    some: int


class Attention(Columns):
    """What is remembered of each leg from the tick before: whether it was `heard` and `decoded`, its mean
    square `energy`, and that after noise suppression, `clean`."""

    SPEC: ClassVar[dict[str, Column]] = {
        "heard": Column(np.bool_),
        "decoded": Column(np.bool_),
        "energy": Column(np.float32),
        "clean": Column(np.float32),
    }
    heard: Bools
    decoded: Bools
    energy: Floats
    clean: Floats

    def __init__(
        self, legs: Legs, rooms: Rooms, meters: Meters, gate: SpeechGate, in_band: InBandKeys
    ) -> None:
        self._legs = legs
        self._rooms = rooms
        self._meters = meters
        self._gate = gate
        self._in_band = in_band
        self._known: tuple[int, ...] = ()
        self._held: Any = None
        super().__init__(legs.capacity)

    def places(self, slots: Longs, taken: Taken) -> Places:
        """Where each of the legs in `slots` is heard, by what was taken of it."""
        legs = self._legs
        if kernels is not None:
            n = len(slots)
            sounding, echo, listening = np.empty((3, n), np.bool_)
            room = np.empty(n, np.int64)
            columns = at(slots), n, *map(at, (taken.action, taken.codec, taken.run))
            results = map(at, (sounding, room, echo, listening))
            some = kernels.rb_places(self._compiled(), *columns, *results)
            return Places(sounding, room, echo, listening, bool(some))
        sounding = taken.action == PLAY
        sounding |= (taken.action != NOTHING) & (taken.run <= CONCEALED_TICKS[taken.codec])
        room, echo = legs.room[slots].astype(np.int64), legs.echo[slots]
        if legs.some_whisper:
            # Heard by one alone, as if in no room.
            whispers = legs.whispers[slots]
            room[whispers] = -1
            echo |= whispers & ~legs.muted[slots]
        listening = (taken.codec >= G722) & (taken.action != NOTHING)
        return Places(sounding, room, echo, listening, bool(listening.any()))

    def plain(self, room: Longs) -> Bools:
        """Who is in a room of two: bool[n]."""
        plain: Bools = (room >= 0) & (self._rooms.members[room] <= ALWAYS_OPEN_MEMBERS)
        return plain

    def levels(self, slots: Longs, taken: Taken, sounding: Bools, rows: Bytes) -> tuple[Floats, Longs]:
        """Mean squares float32[n] of the G.711 frames in `rows` uint8[r, 160] that sound, 0 for all others;
        and the positions of who has comfort noise in place of G.711."""
        if kernels is not None:
            energy = np.empty(len(slots), np.float32)
            columns = map(at, (taken.row, taken.action, taken.codec, sounding, energy))
            frames = at(rows), rows.shape[1]
            some = kernels.rb_levels(self._compiled(), at(slots), len(slots), *frames, *columns)
            return energy, _resting(taken) if some else _NOBODY
        energy = np.zeros(len(slots), np.float32)
        which = (taken.action == PLAY) & sounding
        for number, law in LAWS:
            mine = np.flatnonzero(which & (taken.codec == number))
            if len(mine):
                energy[mine], clipped = g711.energy_and_clipped(rows, taken.row[mine], law)
                if clipped is not None:
                    self._meters.clipped[slots[mine]] += clipped * np.float32(1 / rows.shape[1])
        return energy, _resting(taken)

    def decide(
        self, slots: Longs, taken: Taken, places: Places, energy: Floats, suppresses: bool, tick: int
    ) -> Heard:
        """Who is heard, by the mean squares `energy` float32[n] of this tick: afterwards those by which
        voices are levelled. `suppresses` says that some legs' noise is suppressed."""
        if kernels is not None:
            found = self._compiled()
            found.tick, found.some_denoise = tick, suppresses or self._legs.some_in_band
            result = np.empty((5, len(slots)), np.bool_)
            some = kernels.rb_decide(
                found,
                at(slots),
                len(slots),
                *map(at, (taken.action, taken.codec, taken.run)),
                *map(at, (places.sounding, places.room, places.echo, places.listening)),
                at(energy),
                at(self.clean) if suppresses else ffi.NULL,
                *map(at, result),
            )
            talking, heard, rising, falling, decoded = result
            return Heard(talking, heard, rising, falling, decoded, some)
        return self._decide(slots, taken, places, energy, suppresses, tick)

    def _decide(
        self, slots: Longs, taken: Taken, places: Places, energy: Floats, suppresses: bool, tick: int
    ) -> Heard:
        legs, sounding = self._legs, places.sounding
        before, continued = self.heard[slots], self.decoded[slots]
        self._meters.energy[slots] += energy
        if suppresses:
            # Who talks is found in what is left of the frame before: this one's noise is not suppressed yet.
            energy[:] = np.where(legs.denoise[slots], self.clean[slots], energy)
        in_room = places.room >= 0
        ready = sounding & (places.listening | (taken.codec < G722))
        talking = self._talking(slots, energy, sounding & (taken.action != PLAY) & (taken.action != REST))
        heard = (talking | self.plain(places.room) | places.echo) & in_room & ~legs.muted[slots] & ready
        falling = before & ~heard & in_room & sounding
        decoded = heard | falling | (places.echo & sounding)
        if suppresses or legs.some_in_band:
            decoded |= self._treated(slots, energy, tick) & ready
        # Who is only lost for a moment is not trimmed as one whom nobody hears.
        lost = continued & ~sounding & (taken.run > 0) & (taken.run <= MISSED_TICKS)
        self.heard[slots], self.decoded[slots] = heard, decoded | lost
        rising = heard & ~before
        resampled = (legs.send_codec[slots] >= G722) != (taken.codec >= G722)
        some = SOME_RISING * bool(rising.any()) | SOME_FALLING * bool((falling & decoded).any())
        some |= SOME_GAIN * bool((legs.gain[slots[decoded]] != 1).any())
        some |= SOME_RESAMPLED * bool((resampled & decoded).any())
        return Heard(talking, heard, rising, falling, decoded, some)

    def _talking(self, slots: Longs, energy: Floats, absent: Bools) -> Bools:
        """Who talks; of whom nothing came for a moment is taken to go on as loud as before."""
        if absent.any():
            energy = np.where(absent, self.energy[slots], energy)
        self.energy[slots] = energy
        return self._gate.update(slots, energy)

    def _treated(self, slots: Longs, energy: Floats, tick: int) -> Bools:
        """Whose voice is looked at though nobody hears it: to learn its noise, or for keys pressed as
        tones."""
        wanted = self._legs.denoise[slots]
        if self._legs.some_in_band:
            wanted |= self._legs.in_band[slots] & self._in_band.listens(slots, energy, tick)
        return wanted

    def _compiled(self) -> Any:
        """What compiled loops know the columns by. When columns grow they are new arrays."""
        legs, meters, rooms = self._legs, self._meters, self._rooms
        known = self.capacity, legs.capacity, rooms.capacity, meters.capacity, self._in_band.capacity
        if known != self._known or self._held.gate != self._gate.compiled:
            columns = {
                "room": legs.room,
                "members": rooms.members,
                "echo": legs.echo,
                "muted": legs.muted,
                "denoise": legs.denoise,
                "in_band": legs.in_band,
                "heard": self.heard,
                "decoded": self.decoded,
                "energy": self.energy,
                "sum": meters.energy,
                "clipped": meters.clipped,
                "gain": legs.gain,
                "send_codec": legs.send_codec,
                "concealed_ticks": CONCEALED_TICKS,
            }
            held = {name: at(column) for name, column in columns.items()}
            self._held = ffi.new("struct deciding *", held | _NUMBERS | {"gate": self._gate.compiled})
            self._known = known
        held = self._held
        held.whispers = at(legs.whispers) if legs.some_whisper else ffi.NULL
        held.loud_at = at(self._in_band.loud_at) if legs.some_in_band else ffi.NULL
        return held


def _resting(taken: Taken) -> Longs:
    return np.flatnonzero((taken.action == REST) & (taken.codec < G722))


_NOBODY: Longs = np.zeros(0, np.int64)
_NUMBERS = {
    "listen_ticks": LISTEN_TICKS,
    "always_open": ALWAYS_OPEN_MEMBERS,
    "missed_ticks": MISSED_TICKS,
    "loud": LOUD,
}
