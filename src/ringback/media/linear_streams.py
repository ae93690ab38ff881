"""What waits of the legs that send L16: their frames are too long for the jitter buffer's own rows."""

from __future__ import annotations

import numpy as np

from ringback.media.codec import l16
from ringback.media.columns import Bytes, Floats
from ringback.media.jitter_buffer import MAX_AHEAD, RING, JitterBuffer

FRAME_SAMPLES = l16.RATE // 50
FRAME_BYTES = FRAME_SAMPLES * l16.SAMPLE_BYTES
EIGHTH_SAMPLES = FRAME_SAMPLES // 160
"""Samples in an eighth of a millisecond, which is what the jitter buffer counts in."""


class LinearStreams:
    """A ring of frames for each leg that has sent L16, uint8[RING, 640], beside that of the jitter buffer."""

    def __init__(self, buffer: JitterBuffer) -> None:
        """`buffer` is that of all legs."""
        self._buffer = buffer
        self._rings: dict[int, Bytes] = {}

    def forget(self, leg: int) -> None:
        """A leg was closed, or what it sends begins anew."""
        self._rings.pop(leg, None)

    def put(self, leg: int, frame: int, offset: int, payload: Bytes) -> bool:
        """Keep a packet uint8[n] of any length that begins `offset` samples into a frame.

        False when it is no whole number of samples, or lasts no whole eighths of a millisecond.
        """
        if len(payload) % (EIGHTH_SAMPLES * l16.SAMPLE_BYTES) or offset % EIGHTH_SAMPLES:
            return False
        ring = self._rings.get(leg)
        if ring is None:
            ring = self._rings[leg] = np.zeros((RING, FRAME_BYTES), np.uint8)
        begin, position = offset * l16.SAMPLE_BYTES, 0
        while position < len(payload):
            size = min(FRAME_BYTES - begin, len(payload) - position)
            if 0 <= frame - int(self._buffer.next_frame[leg]) <= MAX_AHEAD:
                slot = frame % RING
                if not self._buffer.have[leg, slot]:
                    ring[slot] = 0
                ring[slot, begin : begin + size] = payload[position : position + size]
                self._buffer.mark_part(leg, frame, size // (EIGHTH_SAMPLES * l16.SAMPLE_BYTES))
            position += size
            begin = 0
            frame += 1
        return True

    def decode(self, leg: int, frame: int) -> Floats:
        """A frame of the leg's grid as float32[320]."""
        ring = self._rings.get(leg)
        return np.zeros(FRAME_SAMPLES, np.float32) if ring is None else l16.decode(ring[frame % RING])
