"""From jitter buffers to voices: who speaks, decoded, concealed, faded, at the rate of what the leg is
sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ringback.media import concealment
from ringback.media.codec import g711
from ringback.media.coders import G722Stream
from ringback.media.columns import Bools, Column, Columns, Floats, Longs
from ringback.media.gain_control import GainControl
from ringback.media.hearing import LAWS, NARROW, WIDE, Voices
from ringback.media.jitter_buffer import NOTHING, PLAY, RING, JitterBuffer, Taken
from ringback.media.legs import G722, OPUS, PCMA, Legs
from ringback.media.level import SpeechGate, mean_square
from ringback.media.mix import cross_fade, fade_in, fade_out
from ringback.media.noise import NoiseSuppression
from ringback.media.opus_streams import OpusStreams
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2
from ringback.media.rooms import Rooms
from ringback.media.statistics import Meters

_NOBODY: Longs = np.zeros(0, np.int64)
CONCEALED_TICKS = 3
"""A voice that is lost fades within 60 ms."""
EVENT_NS = 60_000_000
"""So long after a telephone-event packet a leg's audio is silence: the tone is not for the others."""
ALWAYS_OPEN_MEMBERS = 2
"""In a room of two, which is a plain call, nothing is gated."""
RATE = {NARROW: 8000, WIDE: 16000}
HISTORY = {size: concealment.history_samples(rate) + size for size, rate in RATE.items()}
_RISE = {NARROW: fade_in(NARROW, 40), WIDE: fade_in(WIDE, 80)}
_FALL = {NARROW: fade_out(NARROW), WIDE: fade_out(WIDE)}


class _Past(Columns):
    SPEC: ClassVar[dict[str, Column]] = {
        "heard": Column(np.bool_),
        "decoded": Column(np.bool_),
        "narrow": Column(np.float32, (HISTORY[NARROW],)),
        "wide": Column(np.float32, (HISTORY[WIDE],)),
        "up_tail": Column(np.float32, (UP2_TAIL,)),
        "down_tail": Column(np.float32, (DOWN2_TAIL,)),
        "concealed": Column(np.int64),
    }
    heard: Bools
    decoded: Bools
    narrow: Floats
    wide: Floats
    up_tail: Floats
    down_tail: Floats
    concealed: Longs


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
        event_ns: dict[int, int],
        failed: Callable[[int], None],
    ) -> None:
        """`event_ns` is the intake's; `failed(leg row)` is told when a leg's decoder raised."""
        self._legs = legs
        self._rooms = rooms
        self._buffer = buffer
        self._meters = meters
        self._opus = opus
        self._event_ns = event_ns
        self._failed = failed
        self._g722: dict[int, G722Stream] = {}
        self._past = _Past(legs.capacity)
        self.gate = SpeechGate(legs.capacity)
        self.noise = NoiseSuppression()
        self.agc = GainControl(legs.capacity)

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        self._past.grow(capacity)
        self.gate.grow(capacity)
        self.agc.grow(capacity)

    def forget(self, leg: int) -> None:
        """A leg was closed or is to be heard anew."""
        self._past.clear(leg)
        self.gate.reset(leg)
        self.agc.clear(leg)
        self.noise.end(leg)
        self._g722.pop(leg, None)

    def _whisper(self, slots: Longs, room: Longs, always: Bools) -> None:
        """Those heard by one alone are decoded as if they heard themselves and were in no room; in place."""
        whispers = self._legs.whispers[slots]
        room[whispers] = -1
        always |= whispers & ~self._legs.muted[slots]

    def denoise(self, leg: int, wanted: bool) -> None:
        """Suppress a leg's noise, or leave it; raises NoNoiseSuppressionError."""
        if wanted:
            self.noise.begin(leg)
        else:
            self.noise.end(leg)
        self._legs.denoise[leg] = wanted

    def step(self, slots: Longs, tick: int, now_ns: int) -> tuple[Voices, Voices]:
        """Advance one tick for the legs in `slots`; returns the 8 kHz and the 16 kHz voices, each by room."""
        legs, past = self._legs, self._past
        taken = self._buffer.take(slots, ~self.gate.talking[slots], tick)
        sounding = (taken.action == PLAY) | ((taken.action != NOTHING) & (taken.run <= CONCEALED_TICKS))
        if self._event_ns:
            sounding &= ~self._in_event(slots, taken, now_ns)
        is_wide = taken.codec >= G722
        energy = np.zeros(len(slots), np.float32)
        self._narrow_energy(slots, taken, energy, (taken.action == PLAY) & sounding & ~is_wide)
        room = legs.room[slots].astype(np.int64)
        echo = legs.echo[slots]
        if legs.some_whisper:
            self._whisper(slots, room, echo)
        in_room = room >= 0
        plain = in_room & (self._rooms.members[room] <= ALWAYS_OPEN_MEMBERS)
        listening = is_wide & (taken.action != NOTHING)
        if legs.some_tell_levels:
            always = echo | legs.denoise[slots]
            listening &= ~self._spare(slots, taken, energy, always, plain & in_room, in_room)
        wide_at = np.flatnonzero(listening)
        wide_samples = self._decode_wide(wide_at, slots, taken, sounding)
        energy[wide_at] = mean_square(wide_samples)
        self._meters.heard(slots, energy, wide_at, wide_samples)
        clean_at, clean = self._clean(slots, taken, energy, sounding & ~is_wide, wide_at, wide_samples)
        talking = self.gate.update(slots, energy)
        self._meters.waiting[slots] += (
            self._buffer.queued(slots) - self._meters.waiting[slots]
        ) * np.float32(0.02)

        heard = (talking | plain | echo) & in_room & ~legs.muted[slots] & sounding & (listening | ~is_wide)
        before, continued = past.heard[slots], past.decoded[slots]
        falling = before & ~heard & in_room & sounding
        rising = heard & ~before
        decoded = heard | falling | (echo & sounding)
        decoded[clean_at] = True
        past.heard[slots], past.decoded[slots] = heard, decoded
        voiced = np.flatnonzero(decoded)
        voiced = voiced[np.argsort(room[voiced], kind="stable")]
        gain = self._gains(slots, decoded)

        narrow_at = voiced[~is_wide[voiced]]
        narrow = self._decode_others(narrow_at, slots, taken, continued, clean_at, clean)
        place = np.zeros(len(slots), np.int64)
        place[wide_at] = np.arange(len(wide_at))
        wide_voiced = voiced[is_wide[voiced]]
        wide = wide_samples[place[wide_voiced]]
        for at, samples in ((narrow_at, narrow), (wide_voiced, wide)):
            self._shape(samples, at, rising, falling, gain)
        if legs.some_agc:
            self._level(slots, energy, talking, ((narrow_at, narrow), (wide_voiced, wide)))
        audible = heard | falling
        return self._by_sent_rate(slots, narrow_at, narrow, wide_voiced, wide, audible)

    def _clean(
        self,
        slots: Longs,
        taken: Taken,
        energy: Floats,
        narrow: Bools,
        wide_at: Longs,
        wide_samples: Floats,
    ) -> tuple[Longs, Floats]:
        """Suppress noise before anybody is found to talk: of 16 kHz legs in place; puts in the new energies.

        Legs of 8 kHz are decoded for that; returns which, and their frames.
        """
        if not self.noise:
            return _NOBODY, wide_samples
        wanted = self._legs.denoise[slots]
        rows = np.flatnonzero(wanted[wide_at])
        samples = wide_samples[rows]
        self.noise.clean(slots[wide_at[rows]].tolist(), samples)
        wide_samples[rows] = samples
        energy[wide_at[rows]] = mean_square(samples)
        at = np.flatnonzero(narrow & wanted)
        frames = self._decode_narrow(at, slots, taken, self._past.decoded[slots])
        self.noise.clean(slots[at].tolist(), frames)
        energy[at] = mean_square(frames)
        return at, frames

    def _decode_others(
        self,
        at: Longs,
        slots: Longs,
        taken: Taken,
        continued: Bools,
        clean_at: Longs,
        clean: Floats,
    ) -> Floats:
        """As `_decode_narrow`, but for those legs at rising `clean_at` whose frames are there already."""
        if not len(clean_at):
            return self._decode_narrow(at, slots, taken, continued)
        done = np.isin(at, clean_at)
        out = np.empty((len(at), NARROW), np.float32)
        out[done] = clean[np.searchsorted(clean_at, at[done])]
        out[~done] = self._decode_narrow(at[~done], slots, taken, continued)
        return out

    def _level(
        self, slots: Longs, energy: Floats, talking: Bools, voices: tuple[tuple[Longs, Floats], ...]
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

    def _narrow_energy(self, slots: Longs, taken: Taken, energy: Floats, which: Bools) -> None:
        rows = self._buffer.rows
        for number, law in LAWS:
            mine = np.flatnonzero(which & (taken.codec == number))
            if len(mine):
                energy[mine], clipped = g711.energy_and_clipped(rows, taken.row[mine], law)
                if clipped is not None:
                    self._meters.clipped[slots[mine]] += clipped * np.float32(1 / NARROW)

    def _decode_narrow(self, at: Longs, slots: Longs, taken: Taken, continued: Bools) -> Floats:
        """Frames float32[k, 160] of G.711 legs: played, merged, concealed or recovered."""
        out = np.zeros((len(at), NARROW), np.float32)
        if not len(at):
            return out
        legs, history = slots[at], self._past.narrow
        fresh = ~continued[at]
        if fresh.any():
            # What was decoded when this leg last spoke is not what came just before now.
            history[legs[fresh]] = 0
        codec, row = taken.codec[at], taken.row[at]
        playing = taken.action[at] == PLAY
        for number, law in LAWS:
            mine = np.flatnonzero(playing & (codec == number))
            if len(mine):
                out[mine] = g711.decode_rows(self._buffer.rows, row[mine], law)
                merged = mine[taken.merged[at[mine]]]
                if len(merged):
                    following = g711.decode(self._buffer.rows[_next_row(row[merged])], law)
                    out[merged] = cross_fade(out[merged], following)
        self._bridge(out, at, legs, taken, playing, history, 8000)
        return out

    def _decode_wide(self, at: Longs, slots: Longs, taken: Taken, sounding: Bools) -> Floats:
        """Frames float32[k, 320] of G.722 and Opus legs, whether they are heard or not."""
        out = np.zeros((len(at), WIDE), np.float32)
        if not len(at):
            return out
        for i, j in enumerate(at.tolist()):
            leg = int(slots[j])
            try:
                if taken.codec[j] == OPUS:
                    self._opus_frame(out[i], leg, j, taken, bool(sounding[j]))
                elif taken.action[j] == PLAY:
                    self._g722_frame(out[i], leg, j, taken)
            except Exception:
                # A codec's failure costs this leg its frame and its state, not the others theirs.
                self._opus.forget(leg)
                self._g722.pop(leg, None)
                self._failed(leg)
        plain = np.flatnonzero(taken.codec[at] == G722)
        if len(plain):
            samples = out[plain]
            playing = taken.action[at[plain]] == PLAY
            self._bridge(samples, at[plain], slots[at[plain]], taken, playing, self._past.wide, 16000)
            out[plain] = samples
        out[~sounding[at]] = 0
        return out

    def _g722_frame(self, out: Floats, leg: int, i: int, taken: Taken) -> None:
        stream = self._g722.get(leg)
        if stream is None:
            stream = self._g722[leg] = G722Stream()
        rows = self._buffer.rows
        out[:] = stream.decode(rows[taken.row[i]].tobytes())
        if taken.merged[i]:
            following = stream.decode(rows[_next_row(taken.row[i : i + 1])[0]].tobytes())
            out[:] = cross_fade(out[None, :], following[None, :])[0]

    def _opus_frame(self, out: Floats, leg: int, i: int, taken: Taken, sounding: bool) -> None:
        frame = int(taken.frame[i])
        if taken.action[i] == PLAY:
            out[:] = self._opus.decode(leg, frame)
            if taken.merged[i]:
                out[:] = cross_fade(out[None, :], self._opus.decode(leg, frame + 1)[None, :])[0]
        elif sounding:
            out[:] = self._opus.conceal(leg, frame)

    def _spare(
        self, slots: Longs, taken: Taken, energy: Floats, echo: Bools, plain: Bools, in_room: Bools
    ) -> Bools:
        """Which legs need no decoding because they tell to be quiet; puts in the energy that they tell."""
        open_to_room = in_room & ~self._legs.muted[slots]
        must = echo | self._past.heard[slots] | (open_to_room & (plain | self.gate.talking[slots]))
        quiet, told = self._opus.quiet(slots, taken, must, open_to_room, self.gate.threshold(slots))
        energy[quiet] = told[quiet]
        return quiet

    def _bridge(
        self,
        frames: Floats,
        at: Longs,
        legs: Longs,
        taken: Taken,
        playing: Bools,
        history: Floats,
        rate: int,
    ) -> None:
        """Conceal what is missing, join what returns, and keep what is real for the next loss; in place."""
        size = frames.shape[1]
        missing = np.flatnonzero(~playing)
        if len(missing):
            run = taken.run[at[missing]]
            frames[missing] = concealment.conceal(history[legs[missing]], run, rate)
            self._past.concealed[legs[missing]] = run
        returned = np.flatnonzero(playing & taken.recovered[at] & (self._past.concealed[legs] > 0))
        if len(returned):
            before = self._past.concealed[legs[returned]]
            frames[returned] = concealment.recover(frames[returned], history[legs[returned]], before, rate)
        real = legs[playing]
        self._past.concealed[real] = 0
        history[real, :-size] = history[real, size:]
        history[real, -size:] = frames[playing]

    def _gains(self, slots: Longs, which: Bools) -> Floats | None:
        gain = self._legs.gain[slots]
        return gain if bool((gain[which] != 1).any()) else None

    @staticmethod
    def _shape(samples: Floats, at: Longs, rising: Bools, falling: Bools, gain: Floats | None) -> None:
        """Fades at the beginning and end of speech, and the legs' gain, in place."""
        size = samples.shape[1]
        if rising[at].any():
            samples[rising[at]] *= _RISE[size]
        if falling[at].any():
            samples[falling[at]] *= _FALL[size]
        if gain is not None:
            samples *= gain[at][:, None]

    def _by_sent_rate(
        self, slots: Longs, narrow_at: Longs, narrow: Floats, wide_at: Longs, wide: Floats, audible: Bools
    ) -> tuple[Voices, Voices]:
        """Bring the few legs that send at one rate and receive at the other to the rate of what they are
        sent."""
        legs = self._legs
        narrow_legs, wide_legs = slots[narrow_at], slots[wide_at]
        up = legs.send_codec[narrow_legs] > PCMA
        down = legs.send_codec[wide_legs] <= PCMA
        if not up.any() and not down.any():
            return (
                Voices(narrow_legs, narrow, audible[narrow_at]),
                Voices(wide_legs, wide, audible[wide_at]),
            )
        past = self._past
        raised, past.up_tail[narrow_legs[up]] = up2(narrow[up], past.up_tail[narrow_legs[up]])
        lowered, past.down_tail[wide_legs[down]] = down2(wide[down], past.down_tail[wide_legs[down]])
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
