"""What waits of the legs that send Opus, and its decoding, which a leg that tells to be quiet is spared (RFC
7587, RFC 6464).

A packet of 20 ms on the grid, which nearly all are, lies in the jitter buffer's own row. A leg sleeps while
its packets say that nobody would hear it: nothing is decoded, and its level is what it says. When it is to be
heard again, its decoder begins anew with the packets just before, so that it has settled when it counts. The
level is a hint and no more: who lies low is not heard, and who lies high is decoded and measured.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.codec import opus
from ringback.media.coders import OpusStream, one_frame
from ringback.media.columns import Bools, Bytes, Column, Columns, Floats, Ints, Longs
from ringback.media.jitter_buffer import FRAME_BYTES, FULL, NOTHING, PLAY, RING, JitterBuffer, Taken
from ringback.media.legs import OPUS
from ringback.rtp.header_extension import UNKNOWN_LEVEL

SETTLING_FRAMES = 2
"""Packets decoded unheard when a leg wakes: 40 ms, after which a decoder that began anew has settled."""
HEADROOM = np.float32(0.5)
"""A leg that tells to be within 3 dB of where its gate would open is decoded: the two measure differently."""


def _twenty_ms() -> Bools:
    """Which first octets are of a packet of one frame of 20 ms (RFC 6716, 3.1)."""
    first = np.arange(256)
    config, code = first >> 3, first & 3
    narrow = (config < 12) & (config % 4 == 1)
    hybrid = (config >= 12) & (config < 16) & (config % 2 == 1)
    return np.asarray((code == 0) & (narrow | hybrid | ((config >= 16) & (config % 4 == 3))), np.bool_)


TWENTY_MS = _twenty_ms()
SPEECH = np.arange(256) >> 3 < 16
"""First octets of packets that have a SILK part (RFC 6716, 3.1)."""
CORRECTS = 0x40
"""Bit of the second octet, in a packet of 20 ms with a SILK part: it corrects the frame before (4.2.4)."""


class OpusStreams(Columns):
    """Rows are the legs'; of each frame in a leg's ring `number` is which it is, `size` its packet's octets
    in the jitter buffer (0: an odd packet, kept in the stream), `level` what the peer told of it. `sequence`
    is the last packet's number, -1 before."""

    SPEC: ClassVar[dict[str, Column]] = {
        "number": Column(np.int32, (RING,), -1),
        "size": Column(np.uint8, (RING,)),
        "level": Column(np.uint8, (RING,), UNKNOWN_LEVEL),
        "asleep": Column(np.bool_),
        "sequence": Column(np.int64, empty=-1),
    }
    number: Ints
    size: Bytes
    level: Bytes
    asleep: Bools
    sequence: Longs

    def __init__(self, buffer: JitterBuffer, rate: int = opus.RATE) -> None:
        """`buffer` is that of all legs, `rate` the one to decode to, in Hz."""
        super().__init__(buffer.capacity)
        self.rate = rate
        self._buffer = buffer
        self._streams: dict[int, OpusStream] = {}

    def forget(self, leg: int) -> None:
        """A leg was closed, or what it sends begins anew."""
        self._streams.pop(leg, None)
        self.clear(leg)

    # Packets

    def put(self, legs: Longs, frame: Longs, payload: Bytes, size: Ints, level: Bytes) -> None:
        """Keep packets of 20 ms that begin their frames: payload uint8[k, 160], of which size[k] octets
        count."""
        slot = frame & (RING - 1)
        self.number[legs, slot] = frame
        self.size[legs, slot] = size
        self.level[legs, slot] = level
        self._buffer.store(legs, frame, payload)
        for i in np.flatnonzero(size <= opus.DTX_BYTES).tolist():
            self._buffer.rest(int(legs[i]), int(frame[i]) + 1)

    def note_corrected(
        self, legs: Longs, frame: Longs, payload: Bytes, size: Ints, sequence: Longs, due: Longs
    ) -> None:
        """Let the delay know of lost frames that packets of 20 ms correct, as if each had come with its
        packet: that is when it can be heard, if it is waited for."""
        last = self.sequence[legs]
        gap = (sequence - last) & 0xFFFF
        newer = (last < 0) | ((gap > 0) & (gap < 0x8000))
        self.sequence[legs[newer]] = sequence[newer]
        lost = (last >= 0) & (gap > 1) & (gap < RING)
        if not lost.any():
            return
        lost &= SPEECH[payload[:, 0]] & (payload[:, 1] & CORRECTS > 0) & (size > opus.DTX_BYTES)
        lost &= self._buffer.begun[legs]
        self._buffer.delay.note(legs[lost], due[lost], frame[lost] - 1)

    def put_odd(self, leg: int, frame: int, offset: int, payload: bytes, level: int) -> bool:
        """Keep a packet of another length, or that begins `offset` eighths of a millisecond into a frame.

        False when it is no Opus packet.
        """
        filled = self._stream(leg).put(frame, offset, payload)
        if filled is None:
            return False
        for number, size in filled:
            slot = number & (RING - 1)
            if int(self.number[leg, slot]) == number and self.size[leg, slot] == 0:
                # The loudest of the packets that share a frame.
                self.level[leg, slot] = min(int(self.level[leg, slot]), level)
            else:
                self.level[leg, slot] = level
            self.number[leg, slot] = number
            self.size[leg, slot] = 0
            self._buffer.mark_part(leg, number, size)
        return True

    # Sleep

    def quiet(
        self, slots: Longs, taken: Taken, must: Bools, heeded: Bools, threshold: Floats
    ) -> tuple[Bools, Floats]:
        """Which legs need not be decoded in this tick, and the energy that they tell: bool[n], float32[n].

        `must` are to be decoded whatever they tell; of those in `heeded` what comes near the `threshold` of
        their gate is, and of the others nothing.
        """
        slot = taken.frame & (RING - 1)
        level = self.level[slots, slot]
        known = (self.number[slots, slot] == taken.frame) & (level != UNKNOWN_LEVEL)
        playing = taken.action == PLAY
        energy = np.where(known & playing, _ENERGY[level], np.float32(0))
        quiet = (known & playing) | (self.asleep[slots] & ~playing & (taken.action != NOTHING))
        quiet &= (taken.codec == OPUS) & ~must & ~(heeded & (energy > threshold * HEADROOM))
        self.asleep[slots[quiet]] = True
        return quiet, energy

    # Decoding

    def decode(self, leg: int, frame: int) -> Floats:
        """A frame of the leg's grid as float32[rate / 50]; concealment where its packet cannot be decoded."""
        if self.asleep[leg]:
            self._wake(leg, frame)
        return self._decode(leg, frame)

    def conceal(self, leg: int, frame: int) -> Floats:
        """A frame that did not come: from the next packet's error correction if it has it, else continued."""
        stream = self._streams.get(leg)
        if stream is None or self.asleep[leg]:
            return np.zeros(self.rate // 50, np.float32)
        following = None
        if self._buffer.have[leg, (frame + 1) & (RING - 1)] == FULL:
            following = self._payload(leg, frame + 1)
        return stream.conceal(frame, following)

    def rest(self, leg: int) -> Floats:
        """The noise of a frame that the peer did not send because it is silent."""
        stream = self._streams.get(leg)
        if stream is None or self.asleep[leg]:
            return np.zeros(self.rate // 50, np.float32)
        return stream.decoder.rest()

    def _decode(self, leg: int, frame: int) -> Floats:
        stream = self._stream(leg)
        payload = self._payload(leg, frame)
        if payload is None:
            return stream.decode(frame)
        samples = stream.decoder.decode(payload)
        return one_frame(stream.decoder.conceal() if samples is None else samples, self.rate // 50)

    def _wake(self, leg: int, frame: int) -> None:
        self.asleep[leg] = False
        stream = self._stream(leg)
        stream.decoder.reset()
        for before in range(frame - SETTLING_FRAMES, frame):
            if stream.has(before) or self._payload(leg, before) is not None:
                self._decode(leg, before)

    def _payload(self, leg: int, frame: int) -> Bytes | None:
        """The packet of a frame, if it lies in the jitter buffer's row."""
        slot = frame & (RING - 1)
        size = int(self.size[leg, slot])
        if not size or int(self.number[leg, slot]) != frame:
            return None
        payload: Bytes = self._buffer.frames[leg, slot, :size]
        return payload

    def _stream(self, leg: int) -> OpusStream:
        stream = self._streams.get(leg)
        if stream is None:
            stream = self._streams[leg] = OpusStream(self.rate)
        return stream


def ordinary(first: Bytes, size: Ints) -> Bools:
    """Which packets, by their first octet and length, fit a row of the jitter buffer and last 20 ms."""
    fit: Bools = TWENTY_MS[first] & (size > 0) & (size <= FRAME_BYTES)
    return fit


_ENERGY = (np.float64(10) ** (-np.arange(256) / 10)).astype(np.float32)
_ENERGY[127:] = 0
"""Mean squares by what is told: 127 is digital silence."""
