"""Codecs that keep a state for each stream: G.722 and Opus, one decoder a leg, encoders a leg or a room."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ringback.media.codec import opus
from ringback.media.codec.g722 import DELAY_SAMPLES, G722Decoder, G722Encoder
from ringback.media.codec.l16 import L16Encoder
from ringback.media.columns import Bytes, Floats
from ringback.media.full_band import FullBandEncoder
from ringback.media.jitter_buffer import RING
from ringback.media.legs import G722, OPUS, OPUS_KILOBITS, unpack_wishes

WIDE_FRAME = 320
"""Samples of 20 ms at 16 kHz."""
FULL_EIGHTHS = 160


class Encoder(Protocol):
    """Encodes frames float32[320] of one stream."""

    def encode(self, samples: Floats) -> bytes:
        """One frame's payload."""
        ...


def make_encoder(codec: int, wishes: int = 0, full_band: bool = False) -> Encoder:
    """A new encoder for G722, L16 or OPUS; `wishes` are those of an Opus peer, as `Legs.opus_wishes`."""
    if codec == OPUS:
        return make_opus_encoder(wishes, full_band)
    return G722Encoder() if codec == G722 else L16Encoder()


def make_opus_encoder(wishes: int, full_band: bool = False) -> opus.OpusEncoder:
    """An encoder that sends what its hearers asked for (RFC 7587, 6.1)."""
    asked = unpack_wishes(wishes, full_band)
    if full_band and asked.max_playback_rate > opus.RATE:
        encoder: opus.OpusEncoder = FullBandEncoder(asked.max_average_bitrate)
    else:
        encoder = opus.OpusEncoder(bitrate=min(asked.max_average_bitrate, OPUS_KILOBITS * 1000))
    encoder.most_bitrate = asked.max_average_bitrate
    encoder.set_max_rate(asked.max_playback_rate)
    encoder.set_dtx(asked.discontinuous)
    return encoder


class G722Stream:
    """The decoder of a leg that sends G.722."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = G722Decoder()

    def decode(self, payload: bytes) -> Floats:
        """One frame of 160 octets to float32[320]."""
        return self._decoder.decode(payload)

    def follow(self, sound: Floats) -> None:
        """Adapt as if the last frame of `sound`, made up in place of a lost one, had been received.

        Both ends of G.722 adapt to what is sent; a decoder that misses a frame starts from a wrong place, and
        is heard to. `sound` begins with some real frames and goes on by DELAY_SAMPLES beyond the frame: what
        a decoder puts out lags by that behind what it was given.
        """
        octets = G722Encoder().encode(sound[len(sound) % 2 + DELAY_SAMPLES :])
        self._decoder = G722Decoder()
        self._decoder.decode(octets)


class OpusStream:
    """The decoder of a leg that sends Opus, and those of its packets that are not 20 ms long or off the
    grid."""

    __slots__ = ("_decoded", "_frame", "_packets", "decoder")

    def __init__(self, rate: int = opus.RATE) -> None:
        self.decoder = opus.OpusDecoder(rate)
        self._frame = rate // 50
        self._packets: dict[int, list[tuple[int, bytes]]] = {}
        self._decoded: dict[int, Floats] = {}

    def put(self, frame: int, offset: int, payload: bytes) -> list[tuple[int, int]] | None:
        """Keep a packet that begins `offset` eighths of a millisecond into a frame.

        Returns which frames it fills, as (frame, eighths of a millisecond); None if it is not an Opus packet.
        """
        samples = opus.packet_samples(payload)
        if samples is None:
            return None
        if len(self._packets) >= 2 * RING or len(self._decoded) >= 2 * RING:
            # What is not played is not fetched either.
            self._forget(frame - RING)
        self._packets.setdefault(frame, []).append((offset, payload))
        filled = []
        rest = samples // 2
        while rest > 0:
            size = min(FULL_EIGHTHS - offset, rest)
            filled.append((frame, size))
            rest -= size
            offset = 0
            frame += 1
        return filled

    def has(self, frame: int) -> bool:
        """Whether a packet begins in that frame."""
        return frame in self._packets

    def decode(self, frame: int) -> Floats:
        """Frame of the leg's grid as float32[rate / 50]; concealment where its packet cannot be decoded."""
        self._forget(frame)
        parts = [] if (ahead := self._decoded.pop(frame, None)) is None else [ahead]
        for _, payload in sorted(self._packets.pop(frame, [])):
            samples = self.decoder.decode(payload)
            if samples is not None:
                parts.append(samples)
        joined = np.concatenate(parts) if parts else self.decoder.conceal(self._frame)
        size = self._frame
        for later in range(1, (len(joined) + size - 1) // size):
            self._decoded[frame + later] = joined[later * size : (later + 1) * size]
        return one_frame(joined, size)

    def conceal(self, frame: int, following: Bytes | None) -> Floats:
        """A frame that did not come: from the next packet's error correction if it has it, else continued.

        `following` is that packet where it is not kept here.
        """
        self._forget(frame)
        kept = self._packets.get(frame + 1)
        payload = following if following is not None else kept[0][1] if kept else None
        if payload is not None:
            restored = self.decoder.decode(payload, fec=True, missing_samples=self._frame)
            if restored is not None:
                return one_frame(restored, self._frame)
        return one_frame(self.decoder.conceal(self._frame), self._frame)

    def _forget(self, frame: int) -> None:
        """Drop what lies before a frame: its time has passed."""
        for kept in (self._packets, self._decoded):
            for old in [number for number in kept if number < frame]:
                del kept[old]


def one_frame(samples: Floats, size: int = WIDE_FRAME) -> Floats:
    """Samples as exactly one frame of 20 ms: cut, or filled up with silence."""
    if len(samples) >= size:
        return samples[:size]
    return np.concatenate((samples, np.zeros(size - len(samples), np.float32)))
