"""Encoding for legs of G.722, Opus and L16: those who hear something of their own one by one, the others of a
room together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ringback.media.codec.opus import DTX_BYTES, OpusEncoder
from ringback.media.coders import Encoder, make_encoder
from ringback.media.columns import Bools, Column, Columns, Floats, Longs
from ringback.media.effort import Effort
from ringback.media.full_band import FullBandEncoder
from ringback.media.legs import Legs
from ringback.media.rooms import Rooms
from ringback.media.sending import Sending
from ringback.media.statistics import Meters
from ringback.media.voice_rows import WIDE, Voices

LOSS_TICKS = 50
LOSS_FORGOTTEN = np.float32(0.9)
MOST_LOSS = np.float32(25)
"""Opus is told of reported losses once a second, of this much at most; 10 % of what was told is forgotten."""
Key = tuple[int, int, int]
"""Row of a room, codec number, wishes: those who only listen with the same get one encoding."""


@dataclass(slots=True)
class _Frame:
    """What one encoder gets in a tick: samples float32[320], and a high band float32[960] or none."""

    samples: Floats
    high: Floats | None


@dataclass(slots=True)
class _HighBands:
    """Sums by room and what single legs add to them, float32[960] each."""

    sums: dict[int, Floats] = field(default_factory=dict)
    own: dict[int, Floats] = field(default_factory=dict)

    def add(self, room: int, leg: int, band: Floats) -> None:
        """A leg is heard in a room."""
        before = self.sums.get(room)
        self.sums[room] = band if before is None else before + band
        self.own[leg] = band

    def of(self, room: int, leg: int = -1) -> Floats | None:
        """What a leg hears in a room: all but itself."""
        whole, own = self.sums.get(room), self.own.get(leg)
        return whole if whole is None or own is None else whole - own


class _Losses(Columns):
    SPEC: ClassVar[dict[str, Column]] = {"loss": Column(np.float32)}
    loss: Floats


class WideEncoding:
    """Turns signals of 16 kHz, and their high bands, into payloads."""

    def __init__(
        self, legs: Legs, rooms: Rooms, sending: Sending, meters: Meters, failed: Callable[[int], None]
    ) -> None:
        """`failed(leg row)` is told when a leg's encoder raised; that leg is sent nothing this time."""
        self._legs = legs
        self._rooms = rooms
        self._sending = sending
        self._meters = meters
        self._failed = failed
        self._losses = _Losses(legs.capacity)
        self._effort = Effort()
        self._encodings = 0
        self._before: dict[int | Key, _Frame] = {}
        self._now: dict[int | Key, _Frame] = {}
        self.encoders: dict[int, Encoder] = {}
        """Encoder of a leg's own, by row."""

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        self._losses.grow(capacity)

    def forget(self, leg: int) -> None:
        """A leg closed or changed its codec."""
        self.encoders.pop(leg, None)
        self._losses.clear(leg)

    def send(
        self,
        positions: Longs,
        room: Longs,
        rows: Floats,
        row_of: Longs,
        own: Bools,
        high: Voices,
        tick: int,
    ) -> None:
        """Encode what rows float32[r, 320] say for the legs at int64[p] positions of what is sent.

        Of each leg: room int64[p] is where it hears, row_of int64[p] which row, -1 for silence, own bool[p]
        whether it hears that alone. `high` are voices float32[k, 960] above 8 kHz.
        """
        hearers = self._sending.order[positions]
        codec, rooms = self._legs.send_codec[hearers].tolist(), room.tolist()
        wishes = self._legs.opus_wishes[hearers].tolist()
        bands = self._bands(high)
        self._before, self._now = self._now, {}
        shared: dict[Key, list[int]] = {}
        for i, (leg, row) in enumerate(zip(hearers.tolist(), row_of.tolist(), strict=True)):
            key = rooms[i], codec[i], wishes[i]
            if own[i]:
                self._send_own(leg, key, int(positions[i]), _Frame(rows[row], bands.of(rooms[i], leg)), tick)
            else:
                shared.setdefault(key, []).append(i)
        for key, listeners in shared.items():
            row = int(row_of[listeners[0]])
            samples = rows[row] if row >= 0 else np.zeros(WIDE, np.float32)
            self._send_shared(key, positions[listeners], _Frame(samples, bands.of(key[0])), tick)
        self._effort.note(self._encodings)
        self._encodings = 0
        if tick % LOSS_TICKS == 0:
            self._expect_loss()

    def _bands(self, high: Voices) -> _HighBands:
        bands = _HighBands()
        for i in np.flatnonzero(high.heard).tolist():
            leg = int(high.legs[i])
            bands.add(int(self._legs.room[leg]), leg, high.samples[i])
        return bands

    def _expect_loss(self) -> None:
        """Let Opus encoders protect their streams as far as peers report losses (RTCP, fraction lost)."""
        reported = np.nan_to_num(self._meters.remote_lost) * 100
        loss, legs = self._losses.loss, self._legs
        # A report of no loss is no promise: protection goes slowly.
        loss[:] = np.minimum(np.maximum(reported, loss * LOSS_FORGOTTEN), MOST_LOSS)
        for leg, encoder in self.encoders.items():
            if isinstance(encoder, OpusEncoder):
                encoder.set_expected_loss(round(float(loss[leg])))
        for (room, codec, wishes), encoder in self._rooms.encoders.items():
            if isinstance(encoder, OpusEncoder):
                listeners = (legs.room == room) & (legs.send_codec == codec) & (legs.opus_wishes == wishes)
                encoder.set_expected_loss(round(float(loss[listeners].max(initial=0))))

    def _encode(self, encoder: Encoder, frame: _Frame, before: _Frame | None, tick: int) -> bytes:
        if not isinstance(encoder, OpusEncoder):
            return encoder.encode(frame.samples)
        encoder.set_effort(self._effort.complexity)
        self._encodings += 1
        if not encoder.follow(tick) and before is not None:
            # The decoder has heard what came before from another encoder: the first packet of one that has
            # not encoded that too is decoded wrong, by 20 dB at worst.
            _encode_opus(encoder, before)
        payload = _encode_opus(encoder, frame)
        # What ends a silence or begins one need not be sent (RFC 7587, 3.1.3).
        return b"" if encoder.dtx and len(payload) <= DTX_BYTES else payload

    def _send_own(self, leg: int, key: Key, position: int, frame: _Frame, tick: int) -> None:
        self._now[leg] = frame
        try:
            encoder = self.encoders.get(leg)
            if encoder is None:
                encoder = self.encoders[leg] = make_encoder(key[1], key[2], self._legs.full_band)
            payload = self._encode(encoder, frame, self._before.get(key), tick)
        except Exception:
            # A codec's failure costs this leg a frame and its state, not the others theirs.
            self.encoders.pop(leg, None)
            self._failed(leg)
            return
        self._sending.put_payload(position, payload)

    def _send_shared(self, key: Key, positions: Longs, frame: _Frame, tick: int) -> None:
        self._now[key] = frame
        listeners = self._sending.order[positions].tolist()
        try:
            encoder = self._rooms.encoders.get(key)
            if encoder is None:
                encoder = self._rooms.encoders[key] = make_encoder(key[1], key[2], self._legs.full_band)
            before = next((self._before[leg] for leg in listeners if leg in self._before), None)
            payload = self._encode(encoder, frame, before, tick)
        except Exception:
            self._rooms.encoders.pop(key, None)
            for leg in listeners:
                self._failed(leg)
            return
        self._sending.put_same(positions, payload)


def _encode_opus(encoder: OpusEncoder, frame: _Frame) -> bytes:
    if isinstance(encoder, FullBandEncoder):
        return encoder.encode_bands(frame.samples, frame.high)
    return encoder.encode(frame.samples)
