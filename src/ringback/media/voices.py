"""From jitter buffers to voices: who speaks, decoded, concealed, faded, at the rate of what the leg is
sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ringback.media.attention import (
    SOME_FALLING,
    SOME_GAIN,
    SOME_RESAMPLED,
    SOME_RISING,
    Attention,
    Heard,
    Places,
)
from ringback.media.codec import g711
from ringback.media.codec.g722 import DELAY_SAMPLES
from ringback.media.coders import G722Stream
from ringback.media.columns import Bools, Column, Columns, Floats, Longs
from ringback.media.comfort import ComfortNoise
from ringback.media.full_band import HighBands
from ringback.media.gain_control import GainControl
from ringback.media.hearing import LAWS
from ringback.media.in_band import InBandKeys
from ringback.media.jitter_buffer import HELD, NOTHING, PLAY, REST, RING, JitterBuffer, Taken
from ringback.media.legs import G722, L16, OPUS, PCMA, Legs
from ringback.media.level import SpeechGate, mean_square
from ringback.media.linear_streams import LinearStreams
from ringback.media.mix import fade_in, fade_out
from ringback.media.noise import NoiseSuppression
from ringback.media.opus_streams import OpusStreams
from ringback.media.playout import Frames, NarrowPlayout, Playout, WidePlayout
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2
from ringback.media.rooms import Rooms
from ringback.media.statistics import Meters
from ringback.media.voice_rows import FULL, NARROW, NO_HIGH_BANDS, WIDE, Voices

EVENT_NS = 60_000_000
"""So long after a telephone-event packet a leg's audio is silence: the tone is not for the others."""
WAITING_EVERY = 5
WAITING_SHARE = np.float32(0.1)
"""The depth shown is that of the last second, looked at every 100 ms."""
_NOBODY: Longs = np.zeros(0, np.int64)
_NONE: Bools = np.zeros(0, np.bool_)
_NO_WIDE: Floats = np.zeros((0, WIDE), np.float32)
_RISE = {size: fade_in(size, size // 4) for size in (NARROW, WIDE, FULL)}
_FALL = {size: fade_out(size) for size in (NARROW, WIDE, FULL)}


class _Tails(Columns):
    """The state of the filters of the few legs that send at one rate and receive at the other."""

    SPEC: ClassVar[dict[str, Column]] = {
        "up": Column(np.float32, (UP2_TAIL,)),
        "down": Column(np.float32, (DOWN2_TAIL,)),
    }
    up: Floats
    down: Floats


class VoiceDecoding:
    """Decodes only who is to be heard; G.722 streams are decoded always, so that their state follows, and
    those of Opus unless they tell to be quiet."""

    def __init__(
        self,
        legs: Legs,
        rooms: Rooms,
        buffer: JitterBuffer,
        meters: Meters,
        opus: OpusStreams,
        linear: LinearStreams,
        event_ns: dict[int, int],
        comfort: dict[int, ComfortNoise],
        failed: Callable[[int], None],
    ) -> None:
        """`event_ns` and `comfort` are the intake's; `failed(leg row)` is told when a decoder raised."""
        self._legs = legs
        self._buffer = buffer
        self._meters = meters
        self._opus = opus
        self._linear = linear
        self._event_ns = event_ns
        self._comfort = comfort
        self._failed = failed
        self._g722: dict[int, G722Stream] = {}
        self._tails = _Tails(legs.capacity)
        self._narrow, self._wide = NarrowPlayout(legs.capacity), WidePlayout(legs.capacity)
        self.gate = SpeechGate(legs.capacity)
        self.noise = NoiseSuppression()
        self.agc = GainControl(legs.capacity)
        self.in_band = InBandKeys(legs.capacity)
        self._attention = Attention(legs, rooms, meters, self.gate, self.in_band)
        self._bands = HighBands(legs.capacity) if legs.full_band else None
        self.high = NO_HIGH_BANDS
        """What Opus carried above 8 kHz of the voices of this tick, float32[k, 960]; nothing unless
        `legs.full_band`."""

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        for columns in (self._attention, self._tails, self._narrow, self._wide):
            columns.grow(capacity)
        self.gate.grow(capacity)
        self.agc.grow(capacity)
        self.in_band.grow(capacity)
        if self._bands is not None:
            self._bands.grow(capacity)

    def forget(self, leg: int) -> None:
        """A leg was closed or is to be heard anew."""
        for columns in (self._attention, self._tails, self._narrow, self._wide):
            columns.clear(leg)
        self.gate.reset(leg)
        self.agc.clear(leg)
        self.in_band.forget(leg)
        self.noise.end(leg)
        self._g722.pop(leg, None)
        if self._bands is not None:
            self._bands.clear(leg)

    def denoise(self, leg: int, wanted: bool) -> None:
        """Suppress a leg's noise, or leave it; raises NoNoiseSuppressionError."""
        if wanted:
            self.noise.begin(leg)
        else:
            self.noise.end(leg)
        self._legs.denoise[leg] = wanted

    def step(self, slots: Longs, tick: int, now_ns: int) -> tuple[Voices, Voices]:
        """Advance one tick for the legs in `slots`; returns the 8 kHz and the 16 kHz voices, each by room."""
        legs, attention = self._legs, self._attention
        taken = self._buffer.take(slots, attention.decoded, self.gate.talking, tick)
        places = attention.places(slots, taken)
        if self._event_ns:
            places.sounding &= ~self._in_event(slots, taken, now_ns)
        energy, rests = attention.levels(slots, taken, places.sounding, self._buffer.rows)
        for i in rests.tolist():
            noise = self._comfort.get(int(slots[i]))
            energy[i] = 0 if noise is None else noise.energy
        wide_at, wide = _NOBODY, (_NO_WIDE, _NO_WIDE, _NONE)
        if places.some_listening:
            if legs.some_tell_levels:
                places.listening &= ~self._spare(slots, taken, energy, places)
            wide_at = np.flatnonzero(places.listening)
            wide = self._decode_wide(wide_at, slots, taken, places.sounding, tick)
            energy[wide_at] = mean_square(wide[0])
            self._meters.note_clipped(slots[wide_at], energy[wide_at], wide[0])
        chosen = attention.decide(slots, taken, places, energy, bool(self.noise), tick)
        self._note_waiting(slots, tick)
        audible = chosen.heard | chosen.falling
        voiced = np.flatnonzero(chosen.decoded)
        voiced = voiced[np.argsort(places.room[voiced], kind="stable")]
        is_wide = taken.codec[voiced] >= G722
        narrow_at, wide_voiced = voiced[~is_wide], voiced[is_wide]
        narrow = self._narrow_voices(narrow_at, slots, taken)
        voices = self._wide_voices(wide_voiced, slots, taken, wide_at, wide)
        parts = [(narrow_at, narrow), (wide_voiced, voices)]
        self._treat(slots, parts, tick)
        if self._bands is not None:
            at, high = self._high_voices(self._bands, slots, taken, wide_voiced)
            self.high = Voices(slots[at], high, audible[at])
            parts.append((at, high))
        if chosen.some & (SOME_RISING | SOME_FALLING | SOME_GAIN):
            for at, samples in parts:
                self._shape(samples, at, slots, chosen)
        if legs.some_agc:
            self._level(slots, energy, chosen.talking, parts)
        if chosen.some & SOME_RESAMPLED:
            return self._by_sent_rate(slots, narrow_at, narrow, wide_voiced, voices, audible)
        return (
            Voices(slots[narrow_at], narrow, audible[narrow_at]),
            Voices(slots[wide_voiced], voices, audible[wide_voiced]),
        )

    def _narrow_voices(self, at: Longs, slots: Longs, taken: Taken) -> Floats:
        if self._bands is not None:
            return self._odd_narrow_voices(at, slots, taken)
        out, odd = self._narrow.play_simply(at, slots, taken, self._buffer.rows, self._buffer.carry)
        if len(odd) == len(at):
            return self._odd_narrow_voices(at, slots, taken)
        if len(odd):
            out[odd] = self._odd_narrow_voices(at[odd], slots, taken)
        return out

    def _odd_narrow_voices(self, at: Longs, slots: Longs, taken: Taken) -> Floats:
        first, second = self._decode_narrow(at, slots, taken)
        action = taken.action[at]
        real = (action == PLAY) | (action == REST)
        return self._play(self._narrow, at, slots, taken, first, second, real)

    def _wide_voices(
        self,
        at: Longs,
        slots: Longs,
        taken: Taken,
        decoded_at: Longs,
        decoded: tuple[Floats, Floats, Bools],
    ) -> Floats:
        """The voices of some of the legs that were decoded; decoders follow what is concealed."""
        if not len(at):
            return _NO_WIDE
        first, second, came = decoded
        place = np.zeros(len(slots), np.int64)
        place[decoded_at] = np.arange(len(decoded_at))
        where = place[at]
        out = self._play(self._wide, at, slots, taken, first[where], second[where], came[where])
        self._follow(slots[at[~came[where] & (taken.action[at] != HELD)]])
        return out

    def _high_voices(self, bands: HighBands, slots: Longs, taken: Taken, at: Longs) -> tuple[Longs, Floats]:
        """The high bands of those of these places that send Opus and are sent it."""
        opus = (taken.codec[at] == OPUS) & (self._legs.send_codec[slots[at]] == OPUS)
        at = at[opus & ~self._legs.denoise[slots[at]]]
        legs = slots[at]
        return at, bands.take(legs)

    def _note_waiting(self, slots: Longs, tick: int) -> None:
        if tick % WAITING_EVERY:
            return
        waiting = self._meters.waiting[slots]
        self._meters.waiting[slots] += (self._buffer.waiting(slots) - waiting) * WAITING_SHARE

    def _play(
        self,
        playout: Playout,
        at: Longs,
        slots: Longs,
        taken: Taken,
        first: Floats,
        second: Floats,
        real: Bools,
    ) -> Floats:
        """Sound without seams of the legs at these places, from their decoded frames."""
        legs, action = slots[at], taken.action[at]
        # An Opus decoder conceals by itself, and joins what follows.
        itself = taken.codec[at] == OPUS
        frames = Frames(
            legs,
            first,
            second,
            real,
            taken.second[at],
            action == HELD,
            taken.joined[at] & ~itself,
            np.where(itself & (taken.joined[at] | (action != PLAY)), 0, taken.piece[at]),
            self._buffer.carry[legs],
            ~taken.continued[at],
            np.zeros(len(at), np.bool_),
        )
        if self._bands is not None:
            self._bands.carry[legs] = np.where(frames.fresh, 0, frames.carry)
        out = playout.play(frames)
        if self._bands is not None:
            self._bands.stretched[legs] = frames.stretched
        self._buffer.carries(legs, frames.carry, frames.stretched)
        return out

    def _treat(self, slots: Longs, voices: list[tuple[Longs, Floats]], tick: int) -> None:
        """Take out of voices, in place, what is not for others: noise, and keys that are pressed as tones."""
        if self.noise:
            self._clean(slots, voices)
        if self._legs.some_in_band:
            self._hear_keys(slots, voices, tick)

    def _clean(self, slots: Longs, voices: list[tuple[Longs, Floats]]) -> None:
        """Suppress the noise of legs that want it, in place, and keep how loud what is left is."""
        for at, samples in voices:
            mine = np.flatnonzero(self._legs.denoise[slots[at]])
            if len(mine):
                legs, rows = slots[at[mine]], samples[mine]
                self.noise.clean(legs.tolist(), rows)
                samples[mine] = rows
                self._attention.clean[legs] = mean_square(rows)

    def _hear_keys(self, slots: Longs, voices: list[tuple[Longs, Floats]], tick: int) -> None:
        """Look for keys in the voices of legs that may press them as tones, and silence these in place."""
        legs = self._legs
        legs.some_in_band = bool(legs.in_band.any())
        for at, samples in voices:
            mine = np.flatnonzero(legs.in_band[slots[at]])
            if len(mine) and len(mine) == len(at):
                self.in_band.hear(slots[at], samples, tick)
            elif len(mine):
                rows = samples[mine]
                self.in_band.hear(slots[at[mine]], rows, tick)
                samples[mine] = rows

    def _level(
        self, slots: Longs, energy: Floats, talking: Bools, voices: list[tuple[Longs, Floats]]
    ) -> None:
        """Bring the voices of legs that want it to one loudness, in place."""
        wants = self._legs.agc[slots]
        wanting = np.flatnonzero(wants)
        self._legs.some_agc = bool(len(wanting)) or bool(self._legs.agc.any())
        self.agc.step(slots[wanting], energy[wanting], talking[wanting])
        for at, samples in voices:
            mine = np.flatnonzero(wants[at])
            if len(mine):
                rows = samples[mine]
                self.agc.apply(slots[at[mine]], rows)
                samples[mine] = rows

    def _in_event(self, slots: Longs, taken: Taken, now_ns: int) -> Bools:
        """Legs on which a key is being pressed: what is missing of their audio then is no loss."""
        recent = [leg for leg, at in self._event_ns.items() if now_ns - at <= EVENT_NS]
        if not recent:
            return np.zeros(len(slots), np.bool_)
        pressed = np.isin(slots, recent)
        missing = pressed & (taken.action != PLAY) & (taken.action != NOTHING)
        self._buffer.forgive(slots[missing])
        return pressed

    def _decode_narrow(self, at: Longs, slots: Longs, taken: Taken) -> tuple[Floats, Floats]:
        """Frames float32[k, 160] of G.711 legs, and those that follow on where they are played too."""
        first = np.zeros((len(at), NARROW), np.float32)
        playing, two = taken.action[at] == PLAY, taken.second[at]
        second = np.zeros_like(first) if two.any() else first
        codec, row = taken.codec[at], taken.row[at]
        for number, law in LAWS:
            mine = np.flatnonzero(playing & (codec == number))
            if len(mine):
                g711.decode_rows(self._buffer.rows, row[mine], law, first, mine)
            if second is not first:
                mine = np.flatnonzero(two & (codec == number))
                g711.decode_rows(self._buffer.rows, _next_row(row[mine]), law, second, mine)
        for i in np.flatnonzero(taken.action[at] == REST).tolist():
            self._rest(first[i], int(slots[at[i]]), 8000)
        return first, second

    def _decode_wide(
        self, at: Longs, slots: Longs, taken: Taken, sounding: Bools, tick: int
    ) -> tuple[Floats, Floats, Bools]:
        """Frames float32[k, 320] of G.722 and Opus legs, whether they are heard or not; those that follow on;
        which there are."""
        if not len(at):
            return _NO_WIDE, _NO_WIDE, np.zeros(0, np.bool_)
        first = np.zeros((len(at), WIDE), np.float32)
        second = np.zeros_like(first) if taken.second[at].any() else first
        real = np.zeros(len(at), np.bool_)
        if self._bands is None:
            opus = first, second
        else:
            opus = np.zeros((len(at), FULL), np.float32), np.zeros((len(at), FULL), np.float32)
        for i, j in enumerate(at.tolist()):
            leg = int(slots[j])
            try:
                if taken.codec[j] == OPUS:
                    real[i] = self._opus_frame(opus[0][i], opus[1][i], leg, j, taken, bool(sounding[j]))
                elif taken.action[j] == PLAY and taken.codec[j] == L16:
                    self._linear_frame(first[i], second[i], leg, j, taken)
                    real[i] = True
                elif taken.action[j] == PLAY:
                    self._g722_frame(first[i], second[i], leg, j, taken)
                    real[i] = True
                elif taken.action[j] == REST:
                    self._rest(first[i], leg, 16000)
                    real[i] = True
            except Exception:
                # A codec's failure costs this leg its frame and its state, not the others theirs.
                self._opus.forget(leg)
                self._g722.pop(leg, None)
                self._failed(leg)
        if self._bands is not None:
            mine = np.flatnonzero(taken.codec[at] == OPUS)
            self._bands.follow(slots[at[mine]], tick)
            came = mine[real[mine]]
            first[came] = self._bands.split(slots[at[came]], opus[0][came])
            two = came[taken.second[at[came]]]
            second[two] = self._bands.split(slots[at[two]], opus[1][two])
        first[~sounding[at]] = 0
        return first, second, real

    def _follow(self, legs: Longs) -> None:
        """Let the decoders of G.722 legs follow what was concealed, lest they are lost when frames return."""
        if not len(legs):
            return
        for leg, sound in zip(legs.tolist(), self._wide.concealment(legs, DELAY_SAMPLES), strict=True):
            stream = self._g722.get(leg)
            if stream is not None:
                stream.follow(sound)

    def _rest(self, first: Floats, leg: int, rate: int) -> None:
        noise = self._comfort.get(leg)
        if noise is not None:
            first[:] = noise.next(rate)

    def _g722_frame(self, first: Floats, second: Floats, leg: int, j: int, taken: Taken) -> None:
        stream = self._g722.get(leg)
        if stream is None:
            stream = self._g722[leg] = G722Stream()
        rows = self._buffer.rows
        first[:] = stream.decode(rows[taken.row[j]].tobytes())
        if taken.second[j]:
            second[:] = stream.decode(rows[_next_row(taken.row[j : j + 1])[0]].tobytes())

    def _linear_frame(self, first: Floats, second: Floats, leg: int, j: int, taken: Taken) -> None:
        frame = int(taken.frame[j])
        first[:] = self._linear.decode(leg, frame)
        if taken.second[j]:
            second[:] = self._linear.decode(leg, frame + 1)

    def _opus_frame(
        self, first: Floats, second: Floats, leg: int, j: int, taken: Taken, sounding: bool
    ) -> bool:
        if taken.action[j] == HELD:
            return False
        frame = int(taken.frame[j])
        if taken.action[j] == PLAY:
            first[:] = self._opus.decode(leg, frame)
            if taken.second[j]:
                second[:] = self._opus.decode(leg, frame + 1)
        elif taken.action[j] == REST:
            first[:] = self._opus.rest(leg)
        elif sounding:
            first[:] = self._opus.conceal(leg, frame)
        return True

    def _spare(self, slots: Longs, taken: Taken, energy: Floats, places: Places) -> Bools:
        """Which legs need no decoding because they tell to be quiet; puts in the energy that they tell."""
        legs, in_room = self._legs, places.room >= 0
        open_to_room = in_room & ~legs.muted[slots]
        must = places.echo | legs.denoise[slots] | self._attention.heard[slots]
        must |= open_to_room & (self._attention.plain(places.room) | self.gate.talking[slots])
        quiet, told = self._opus.quiet(slots, taken, must, open_to_room, self.gate.threshold(slots))
        energy[quiet] = told[quiet]
        return quiet

    def _shape(self, samples: Floats, at: Longs, slots: Longs, chosen: Heard) -> None:
        """Fades at the beginning and end of speech, and the legs' gain, in place."""
        size = samples.shape[1]
        if chosen.some & SOME_RISING:
            samples[chosen.rising[at]] *= _RISE[size]
        if chosen.some & SOME_FALLING:
            samples[chosen.falling[at]] *= _FALL[size]
        if chosen.some & SOME_GAIN:
            samples *= self._legs.gain[slots[at]][:, None]

    def _by_sent_rate(
        self, slots: Longs, narrow_at: Longs, narrow: Floats, wide_at: Longs, wide: Floats, audible: Bools
    ) -> tuple[Voices, Voices]:
        """Bring the few legs that send at one rate and receive at the other to the rate of what they are
        sent."""
        legs = self._legs
        narrow_legs, wide_legs = slots[narrow_at], slots[wide_at]
        up = legs.send_codec[narrow_legs] > PCMA
        down = legs.send_codec[wide_legs] <= PCMA
        tails = self._tails
        raised, tails.up[narrow_legs[up]] = up2(narrow[up], tails.up[narrow_legs[up]])
        lowered, tails.down[wide_legs[down]] = down2(wide[down], tails.down[wide_legs[down]])
        return (
            self._join(narrow_at[~up], narrow[~up], wide_at[down], lowered, slots, audible),
            self._join(wide_at[~down], wide[~down], narrow_at[up], raised, slots, audible),
        )

    def _join(
        self, at: Longs, samples: Floats, more_at: Longs, more: Floats, slots: Longs, audible: Bools
    ) -> Voices:
        joined = np.concatenate((at, more_at))
        order = np.argsort(self._legs.room[slots[joined]], kind="stable")
        joined = joined[order]
        return Voices(slots[joined], np.concatenate((samples, more))[order], audible[joined])


def _next_row(row: Longs) -> Longs:
    """The row after in each leg's ring."""
    return (row & ~(RING - 1)) | ((row + 1) & (RING - 1))
