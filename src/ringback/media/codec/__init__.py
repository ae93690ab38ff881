"""The codecs a leg may speak, and what RTP says of each (RFC 3551, RFC 7587)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringback.media.protocol import Codec

FRAME_MS = 20
MIX_RATE = 16000


@dataclass(frozen=True, slots=True)
class CodecInfo:
    """What RTP and the mixer need to know of a codec.

    `rtp_clock` is the clock of its RTP timestamps in Hz, `sample_rate` that of the audio it has here.
    They differ for G.722, whose RTP clock is 8000 by an old mistake (RFC 3551, 4.5.2), and for Opus, whose
    clock is always 48000 while we decode straight to the rate of the mix. `payload_type` is the static one,
    or our choice of a dynamic one. `rtp_name` is what SDP calls it.
    """

    name: Codec
    rtp_name: str
    rtp_clock: int
    sample_rate: int
    payload_type: int
    channels: int = 1

    @property
    def frame_rtp_ts(self) -> int:
        """RTP timestamp units in a frame of 20 ms."""
        return self.rtp_clock * FRAME_MS // 1000

    @property
    def frame_samples(self) -> int:
        """Audio samples in a frame of 20 ms."""
        return self.sample_rate * FRAME_MS // 1000


CODECS: Mapping[Codec, CodecInfo] = MappingProxyType(
    {
        "PCMU": CodecInfo("PCMU", "PCMU", 8000, 8000, 0),
        "PCMA": CodecInfo("PCMA", "PCMA", 8000, 8000, 8),
        "G722": CodecInfo("G722", "G722", 8000, 16000, 9),
        "OPUS": CodecInfo("OPUS", "opus", 48000, MIX_RATE, 111, channels=2),
    }
)
"""Every codec by the name the media protocol uses; Opus has two channels as its SDP must (RFC 7587, 7)."""
