"""Opus, one coder and one decoder a stream, mono at the rate of the mix, by libopus (RFC 6716, RFC 7587)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ringback.media.codec.libopus import (
    APPLICATION_AUDIO,
    APPLICATION_VOIP,
    BANDWIDTH_FULL,
    BANDWIDTH_MEDIUM,
    BANDWIDTH_NARROW,
    BANDWIDTH_SUPERWIDE,
    BANDWIDTH_WIDE,
    MAX_FRAMES,
    MAX_PACKET_MS,
    MODE_AUTO,
    MODE_TRANSFORM,
    RESET_STATE,
    SET_BITRATE,
    SET_COMPLEXITY,
    SET_DTX,
    SET_FORCE_MODE,
    SET_INBAND_FEC,
    SET_MAX_BANDWIDTH,
    SET_PACKET_LOSS_PERC,
    SET_SIGNAL,
    SIGNAL_VOICE,
    ffi,
    library,
)

Samples = NDArray[np.float32]
Packet = bytes | bytearray | memoryview | NDArray[np.uint8]
"""The octets of one payload: anything contiguous, so that a view into a received packet needs no copy."""

RATE: Final = 16000
MAX_PACKET_BYTES: Final = 1275
"""The longest packet of one frame (RFC 6716, 3.2.1)."""
SIZES_MS: Final = (2.5, 5, 10, 20, 40, 60)
"""Lengths that one call of the encoder can take."""
FADE_FROM_MS: Final = 60
FADE_TO_MS: Final = 120
"""Where concealment begins to fade and is silent: libopus by itself would hum on for a second and more."""
PROTECTION: Final = 8000
"""Bits a second for error correction: with 24 kbit/s in all libopus corrects nothing of 2 to 5 % lost."""
LIGHT: Final = 8000
"""Bits a second that transform coding takes more, to sound as well as speech coding."""
LIGHT_COMPLEXITY: Final = 1
DTX_BYTES: Final = 2
"""A packet this short says that nothing follows for a while: the peer is silent (RFC 6716, 2.1.9)."""


_BANDWIDTHS: Final = (
    (12000, BANDWIDTH_NARROW),
    (16000, BANDWIDTH_MEDIUM),
    (24000, BANDWIDTH_WIDE),
    (48000, BANDWIDTH_SUPERWIDE),
)
"""What to send at most to who plays at less than so many Hz."""


class OpusUnavailableError(RuntimeError):
    """libopus is not installed: ask `available()` before offering Opus."""


def available() -> bool:
    """Whether libopus is installed."""
    return library() is not None


def version() -> str | None:
    """What the library calls itself, for example "libopus 1.3.1"; None where it is not installed."""
    lib = library()
    return None if lib is None else ffi.string(lib.opus_get_version_string()).decode()


def packet_samples(payload: Packet, rate: int = RATE) -> int | None:
    """How many samples at `rate` a packet says it holds; None if it is not a whole Opus packet.

    The structure of all frames is checked (RFC 6716, 3.4), and that they last no more than 120 ms.
    """
    lib = _library()
    if not len(payload):
        return None
    data = ffi.from_buffer(payload)
    toc, frames = ffi.new("unsigned char *"), ffi.new("const unsigned char *[]", MAX_FRAMES)
    sizes, offset = ffi.new("int16_t[]", MAX_FRAMES), ffi.new("int *")
    if lib.opus_packet_parse(data, len(payload), toc, frames, sizes, offset) < 1:
        return None
    samples = int(lib.opus_packet_get_nb_samples(data, len(payload), rate))
    return samples if 0 < samples <= rate * MAX_PACKET_MS // 1000 else None


def same_mode(packet: Packet, other: Packet) -> bool:
    """Whether two packets of one frame each may be joined: mode, bandwidth and length are the same."""
    return not (packet[0] ^ other[0]) & 0xFC


def join_packets(packets: Sequence[bytes]) -> bytes:
    """Join packets of the same mode, of 120 ms in all at most, to one (RFC 6716, 3.2); ValueError if they are
    not."""
    lib = _library()
    repacketizer = ffi.gc(lib.opus_repacketizer_create(), lib.opus_repacketizer_destroy)
    for packet in packets:
        # The library refers to what it is given until the packet is put out.
        _check(lib.opus_repacketizer_cat(repacketizer, ffi.from_buffer(packet), len(packet)), "join")
    size = sum(map(len, packets)) + 2 * len(packets) + 2
    out = ffi.new("unsigned char[]", size)
    length = lib.opus_repacketizer_out(repacketizer, out, size)
    _check(length, "join")
    return bytes(ffi.buffer(out, length))


class OpusDecoder:
    """Decodes one stream to mono at `rate` (8000, 12000, 16000, 24000 or 48000 Hz)."""

    __slots__ = ("_concealed", "_decode", "_max_samples", "_state", "rate")

    def __init__(self, rate: int = RATE) -> None:
        lib = _library()
        error = ffi.new("int *")
        state = lib.opus_decoder_create(rate, 1, error)
        _check(error[0], "decoder")
        self._state = ffi.gc(state, lib.opus_decoder_destroy, lib.opus_decoder_get_size(1))
        self._decode = lib.opus_decode_float
        self._max_samples = rate * MAX_PACKET_MS // 1000
        self._concealed = 0
        self.rate = rate

    def decode(
        self, payload: Packet, fec: bool = False, missing_samples: int | None = None
    ) -> Samples | None:
        """Decode a packet to float32[samples], full scale ±1; None if it is not a whole Opus packet.

        With `fec` this is the packet *after* a lost one, and the result is what it carries of the lost one
        (`missing_samples` long, rounded as in `conceal`); where it carries nothing, that is concealment.
        Decode the packet itself without `fec` afterwards.
        """
        if not len(payload):
            return None
        samples = self._max_samples
        if fec:
            samples = self._whole_frames(missing_samples)
        decoded = self._run(ffi.from_buffer(payload), len(payload), samples, fec)
        if decoded is not None:
            self._concealed = 0
        return decoded

    def reset(self) -> None:
        """Forget what came before, as a new decoder would."""
        self._concealed = 0
        _check(_library().opus_decoder_ctl(self._state, RESET_STATE), "decoder")

    def conceal(self, samples: int | None = None) -> Samples:
        """Continue the stream over a lost packet: by default 20 ms, in steps of 2.5 ms to 120 ms.

        Fades when packet after packet is lost, and then costs nothing.
        """
        count = self._whole_frames(samples)
        begin, self._concealed = self._concealed, self._concealed + count
        if begin >= self.rate * FADE_TO_MS // 1000:
            return np.zeros(count, dtype=np.float32)
        concealed = self._run(ffi.NULL, 0, count, False)
        if concealed is None:
            return np.zeros(count, dtype=np.float32)
        if self._concealed > self.rate * FADE_FROM_MS // 1000:
            milliseconds = (begin + np.arange(count, dtype=np.float32)) * np.float32(1000 / self.rate)
            concealed *= np.clip((FADE_TO_MS - milliseconds) / (FADE_TO_MS - FADE_FROM_MS), 0, 1)
        return concealed

    def rest(self) -> Samples:
        """20 ms of the noise of a pause in which the peer sends nothing (discontinuous transmission)."""
        count = self._whole_frames(None)
        noise = self._run(ffi.NULL, 0, count, False)
        return np.zeros(count, dtype=np.float32) if noise is None else noise

    def _whole_frames(self, samples: int | None) -> int:
        step = self.rate // 400
        wanted = self.rate // 50 if samples is None else samples
        return min(max(round(wanted / step), 1) * step, self._max_samples)

    def _run(self, data: Any, length: int, samples: int, fec: bool) -> Samples | None:
        out = np.empty(samples, dtype=np.float32)
        decoded = self._decode(self._state, data, length, ffi.from_buffer("float[]", out), samples, fec)
        return out[:decoded] if decoded > 0 else None


class OpusEncoder:
    """Encodes one mono stream at `rate`: speech, in the VOIP mode of libopus, or `music` too.

    `bitrate` is in bit/s; `complexity` is 0 (least work) to 10. In-band FEC costs bits, PROTECTION more of
    them, only once `set_expected_loss` says that packets are lost. With `set_dtx` the
    packets of a silence are of DTX_BYTES or less, and need not be sent.
    """

    __slots__ = (
        "_bitrate",
        "_ctl",
        "_encode",
        "_light",
        "_next_frame",
        "_packet",
        "_sizes",
        "_state",
        "complexity",
        "dtx",
        "expected_loss",
        "most_bitrate",
        "music",
        "rate",
    )

    def __init__(
        self,
        rate: int = RATE,
        bitrate: int = 24000,
        complexity: int = 5,
        fec: bool = True,
        music: bool = False,
    ) -> None:
        lib = _library()
        error = ffi.new("int *")
        state = lib.opus_encoder_create(rate, 1, APPLICATION_AUDIO if music else APPLICATION_VOIP, error)
        _check(error[0], "encoder")
        self._state = ffi.gc(state, lib.opus_encoder_destroy, lib.opus_encoder_get_size(1))
        self._encode = lib.opus_encode_float
        self._ctl = lib.opus_encoder_ctl
        self._packet = ffi.new("unsigned char[]", MAX_PACKET_BYTES)
        self._sizes = frozenset(int(rate * ms / 1000) for ms in SIZES_MS)
        self.rate = rate
        if not music:
            self._set(SET_SIGNAL, SIGNAL_VOICE)
        self._next_frame = -1
        self._light = False
        self.music = music
        self.most_bitrate = 510_000
        """What a peer that asks for less may get at most, in bit/s, all included."""
        self.complexity = -1
        self.expected_loss = 0
        self.dtx = False
        self.set_complexity(complexity)
        self._set(SET_INBAND_FEC, int(fec))
        self.set_bitrate(bitrate)

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at `bitrate` bit/s (6000 to 510000) from the next frame on."""
        self._bitrate = bitrate
        more = LIGHT if self._light else PROTECTION if self.expected_loss else 0
        self._set(SET_BITRATE, min(bitrate + more, self.most_bitrate))

    def set_complexity(self, complexity: int) -> None:
        """Take less (0) or more (10) work for the same bitrate from the next frame on."""
        if complexity != self.complexity:
            self._set(SET_COMPLEXITY, complexity)
            self.complexity = complexity

    def set_effort(self, effort: int) -> None:
        """Code speech at a complexity of 0 to 10, or below 0 by transform, for a third of the least work.

        Transform coding corrects no losses: while some are expected speech coding stays.
        """
        light = effort < 0 and not self.expected_loss and not self.music
        if light != self._light:
            self._light = light
            self._set(SET_FORCE_MODE, MODE_TRANSFORM if light else MODE_AUTO)
            self.set_bitrate(self._bitrate)
        self.set_complexity(LIGHT_COMPLEXITY if light else max(effort, 0))

    def set_max_rate(self, rate: int) -> None:
        """Send nothing that a peer which plays at `rate` Hz cannot hear (maxplaybackrate, RFC 7587 6.1)."""
        bandwidth = next((bandwidth for most, bandwidth in _BANDWIDTHS if rate < most), BANDWIDTH_FULL)
        self._set(SET_MAX_BANDWIDTH, bandwidth)

    def set_expected_loss(self, percent: int) -> None:
        """Protect the stream against `percent` (0 to 100) of packets lost, as the peer's reports say."""
        if percent != self.expected_loss:
            self._set(SET_PACKET_LOSS_PERC, percent)
            self.expected_loss = percent
            self.set_bitrate(self._bitrate)

    def set_dtx(self, dtx: bool) -> None:
        """Send nothing in silence, where the peer asked for it (usedtx, RFC 7587 6.1)."""
        if dtx != self.dtx:
            self._set(SET_DTX, int(dtx))
            self.dtx = dtx

    def follow(self, frame: int) -> bool:
        """Say the number of the frame that is encoded next; whether it follows the one before."""
        follows, self._next_frame = frame == self._next_frame, frame + 1
        return follows

    def encode(self, samples: Samples) -> bytes:
        """Encode one frame float32[rate * 2.5, 5, 10, 20, 40 or 60 ms], full scale ±1, to a packet.

        Any other length is a ValueError.
        """
        if len(samples) not in self._sizes:
            raise ValueError(f"Opus has no frame of {len(samples)} samples at {self.rate} Hz")
        pcm = np.ascontiguousarray(samples, dtype=np.float32)
        data = ffi.from_buffer("float[]", pcm)
        length = self._encode(self._state, data, len(pcm), self._packet, MAX_PACKET_BYTES)
        _check(length, "encode")
        return bytes(ffi.buffer(self._packet, length))

    def _set(self, request: int, value: int) -> None:
        # The control call is variadic: its argument must be an explicit C int.
        _check(self._ctl(self._state, request, ffi.cast("int", value)), f"setting {request} to {value}")


def _library() -> Any:
    lib = library()
    if lib is None:
        raise OpusUnavailableError("libopus is not installed")
    return lib


def _check(result: int, what: str) -> None:
    if result < 0:
        reason = ffi.string(_library().opus_strerror(result)).decode()
        raise ValueError(f"Opus {what}: {reason}")
