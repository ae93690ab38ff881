"""The legs of a worker as columns: where each one's media goes and comes from, in which formats, and its
state."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ringback.media.columns import Bools, Bytes, Column, Columns, Floats, Ints, Longs, Shorts, Words
from ringback.media.protocol import Codec, OpusWishes, SetMedia

PCMU, PCMA, G722, OPUS, L16, TELEPHONE_EVENT, COMFORT_NOISE = range(7)
NO_FORMAT = 255
DEFAULT_EVENT_CLOCK = 8000
COMFORT_NOISE_PAYLOAD_TYPE = 13
CODEC_NUMBERS: dict[Codec, int] = {"PCMU": PCMU, "PCMA": PCMA, "G722": G722, "OPUS": OPUS, "L16": L16}
OPUS_KILOBITS, MOST_OPUS_KILOBITS, FULL_BAND_KILOBITS = 24, 32, 64
"""Thousand bits a second of the Opus that we send at 16 kHz, usually and at most, and at 48 kHz, where the
peer does not ask for fewer."""
FRAME_TIMESTAMPS = np.array([160, 160, 160, 960, 320, 160, 160], np.uint32)
"""RTP clock units in 20 ms, by codec number (G.722 counts at 8000 by RFC 3551 4.5.2, Opus at 48000 by RFC
7587)."""

WISHED_RATES = (48_000, 24_000, 16_000, 12_000, 8_000)
"""Playback rates in Hz of Opus peers that make a difference to what they are sent."""

RECEIVING = frozenset({"sendrecv", "recvonly"})
SENDING = frozenset({"sendrecv", "sendonly"})


def is_wideband(codec: Bytes) -> Bools:
    """Which codec numbers are heard and mixed at 16 kHz."""
    return codec >= G722


def pack_wishes(wishes: OpusWishes | None, full_band: bool = False) -> int:
    """What an Opus peer asks for as one number, 0 for nothing: those with the same number hear one encoding.

    Without `full_band`, which sends up to 48 kHz, all rates from 16 kHz on are one.
    """
    if wishes is None:
        return 0
    rates, most = _limits(full_band)
    wished = next((i for i, least in enumerate(rates) if wishes.max_playback_rate >= least), len(rates) - 1)
    kilobits = wishes.max_average_bitrate // 1000
    return wished | wishes.discontinuous << 3 | (kilobits if kilobits < most else 0) << 4


def unpack_wishes(packed: int, full_band: bool = False) -> OpusWishes:
    """What `pack_wishes` kept of them."""
    rates, most = _limits(full_band)
    return OpusWishes(
        max_playback_rate=rates[packed & 7],
        max_average_bitrate=(packed >> 4 or most) * 1000,
        discontinuous=bool(packed & 8),
    )


def _limits(full_band: bool) -> tuple[tuple[int, ...], int]:
    """Rates that make a difference in Hz, and the most thousand bits a second."""
    return (WISHED_RATES, FULL_BAND_KILOBITS) if full_band else (WISHED_RATES[2:], MOST_OPUS_KILOBITS)


class Legs(Columns):
    """One row a leg. Addresses are in host order, 0 while unknown.

    `signalled` is what SDP said, `remote` where media goes now: what was signalled until the source is
    locked. `formats[leg, payload type]` is a codec number or NO_FORMAT. `gain` is linear and of the leg's
    voice. `level_extension` is the header extension with the peer's audio level, 0 if there is none.
    """

    SPEC: ClassVar[dict[str, Column]] = {
        "used": Column(np.bool_),
        "identifier": Column(np.int64, empty=-1),
        "pair": Column(np.int32, empty=-1),
        "room": Column(np.int32, empty=-1),
        "ready": Column(np.bool_),
        "formats": Column(np.uint8, (128,), NO_FORMAT),
        "send_codec": Column(np.uint8),
        "send_payload_type": Column(np.uint8),
        "event_payload_type": Column(np.uint8, empty=NO_FORMAT),
        "opus_wishes": Column(np.int32),
        "signalled_ip": Column(np.uint32),
        "signalled_port": Column(np.uint16),
        "remote_ip": Column(np.uint32),
        "remote_port": Column(np.uint16),
        "locked": Column(np.bool_),
        "rtcp_ip": Column(np.uint32),
        "rtcp_port": Column(np.uint16),
        "rtcp_mux": Column(np.bool_),
        "rtcp_locked": Column(np.bool_),
        "sends": Column(np.bool_),
        "receives": Column(np.bool_),
        "muted": Column(np.bool_),
        "deaf": Column(np.bool_),
        "echo": Column(np.bool_),
        "recorded": Column(np.bool_, empty=True),
        "whispers": Column(np.bool_),
        "agc": Column(np.bool_),
        "denoise": Column(np.bool_),
        "in_band": Column(np.bool_),
        "gain": Column(np.float32, empty=1.0),
        "secure": Column(np.bool_),
        "webrtc": Column(np.bool_),
        "level_extension": Column(np.uint8),
        "reference_times": Column(np.bool_),
        "out_ssrc": Column(np.uint32),
        "out_sequence": Column(np.uint16),
        "out_timestamp": Column(np.uint32),
        "out_marker": Column(np.bool_, empty=True),
    }
    used: Bools
    identifier: Longs
    pair: Ints
    room: Ints
    ready: Bools
    formats: Bytes
    send_codec: Bytes
    send_payload_type: Bytes
    event_payload_type: Bytes
    opus_wishes: Ints
    signalled_ip: Words
    signalled_port: Shorts
    remote_ip: Words
    remote_port: Shorts
    locked: Bools
    rtcp_ip: Words
    rtcp_port: Shorts
    rtcp_mux: Bools
    rtcp_locked: Bools
    sends: Bools
    receives: Bools
    muted: Bools
    deaf: Bools
    echo: Bools
    recorded: Bools
    whispers: Bools
    agc: Bools
    denoise: Bools
    in_band: Bools
    gain: Floats
    secure: Bools
    webrtc: Bools
    level_extension: Bytes
    reference_times: Bools
    out_ssrc: Words
    out_sequence: Shorts
    out_timestamp: Words
    out_marker: Bools

    def __init__(self, capacity: int, random_bits: Callable[[int], int]) -> None:
        super().__init__(capacity)
        self._random_bits = random_bits
        self._free = list(range(capacity - 1, -1, -1))
        self.slots: dict[int, int] = {}
        """Row by the control process's identifier."""
        self.some_tell_levels = False
        """Whether the level extension of any leg is known."""
        self.some_whisper = False
        """Whether any leg is heard by one other alone."""
        self.event_clocks: dict[int, dict[int, int]] = {}
        """The clocks in Hz of a leg's telephone-event payload types, by row."""
        self.renewed: list[int] = []
        """Rows of legs whose source is new since this was last looked at."""
        self.full_band = False
        """Whether Opus legs send and are sent 48 kHz."""
        self.some_agc = False
        self.some_in_band = False
        """Whether the gain of any leg is controlled."""

    def open(self, identifier: int, pair: int, webrtc: bool = False) -> int:
        """Take a row for a new leg on a socket pair; the caller made sure that one is free (`full`)."""
        # Rows on the free list are clear.
        slot = self._free.pop()
        self.used[slot] = True
        self.identifier[slot] = identifier
        self.pair[slot] = pair
        self.webrtc[slot] = webrtc
        self.renew_source(slot)
        self.slots[identifier] = slot
        return slot

    def close(self, slot: int) -> None:
        """Give the row back."""
        del self.slots[int(self.identifier[slot])]
        self.event_clocks.pop(slot, None)
        self.clear(slot)
        self._free.append(slot)
        self._look_for_levels()

    @property
    def full(self) -> bool:
        """Whether every row is taken: grow before the next open."""
        return not self._free

    def grow(self, capacity: int) -> None:
        """Lengthen the columns and put the new rows on the free list."""
        before = self.capacity
        super().grow(capacity)
        if before:
            self._free = [*range(capacity - 1, before - 1, -1), *self._free]

    def set_media(self, slot: int, media: SetMedia, ip: int) -> bool:
        """Apply what was negotiated; returns whether the signalled address is a new one (the source is
        unlocked)."""
        codec = CODEC_NUMBERS[media.send.codec]
        if self.ready[slot] and FRAME_TIMESTAMPS[codec] != FRAME_TIMESTAMPS[self.send_codec[slot]]:
            # Another clock rate needs another source (RFC 7160 4.1).
            self.renew_source(slot)
        formats = np.full(128, NO_FORMAT, np.uint8)
        # Phones send comfort noise (RFC 3389) unasked.
        formats[COMFORT_NOISE_PAYLOAD_TYPE] = COMFORT_NOISE
        for audio in media.receive:
            formats[audio.payload_type & 127] = CODEC_NUMBERS[audio.codec]
        self.event_payload_type[slot] = NO_FORMAT
        if media.telephone_event is not None:
            self.event_payload_type[slot] = media.telephone_event & 127
        clocks = {number & 127: rate for number, rate in media.telephone_event_clocks.items() if rate > 0}
        if media.telephone_event is not None:
            clocks.setdefault(media.telephone_event & 127, DEFAULT_EVENT_CLOCK)
        for number in clocks:
            formats[number] = TELEPHONE_EVENT
        self.event_clocks[slot] = clocks
        # A peer that knows no telephone-events may press keys as tones; browsers know them all.
        self.in_band[slot] = not clocks and not self.webrtc[slot]
        self.some_in_band = self.some_in_band or bool(self.in_band[slot])
        self.formats[slot] = formats
        self.send_codec[slot] = codec
        self.send_payload_type[slot] = media.send.payload_type & 127
        self.opus_wishes[slot] = pack_wishes(media.opus, self.full_band) if codec == OPUS else 0
        self.sends[slot] = media.direction in SENDING
        self.receives[slot] = media.direction in RECEIVING
        webrtc = bool(self.webrtc[slot])
        self.secure[slot] = webrtc or media.srtp is not None
        self.rtcp_mux[slot] = webrtc or media.rtcp_mux
        self.level_extension[slot] = (
            media.audio_level_extension if 0 < media.audio_level_extension < 256 else 0
        )
        self.some_tell_levels = self.some_tell_levels or bool(self.level_extension[slot])
        self._look_for_levels()
        self.reference_times[slot] = media.reference_times
        if webrtc:
            # Where its media goes and comes from is for ICE to say.
            self.locked[slot] = self.ready[slot] = True
            return False
        moved = not self.ready[slot] or (int(self.signalled_ip[slot]), int(self.signalled_port[slot])) != (
            ip,
            media.remote_port,
        )
        self.ready[slot] = True
        self.signalled_ip[slot] = ip
        self.signalled_port[slot] = media.remote_port
        if moved:
            self.locked[slot] = False
            self.rtcp_locked[slot] = False
            self.remote_ip[slot] = ip
            self.remote_port[slot] = media.remote_port
            self.rtcp_ip[slot] = ip
            self.rtcp_port[slot] = media.remote_rtcp_port
        return moved

    def _look_for_levels(self) -> None:
        if self.some_tell_levels:
            self.some_tell_levels = bool(self.level_extension.any())

    def renew_source(self, slot: int) -> None:
        """Send from a new SSRC, beginning anew with its counts."""
        # Random starts (RFC 3550 5.1), low enough a sequence number that a short call does not wrap under
        # SRTP.
        self.out_ssrc[slot] = self._random_bits(32) or 1
        self.out_sequence[slot] = self._random_bits(15)
        self.out_timestamp[slot] = self._random_bits(32)
        self.out_marker[slot] = True
        self.renewed.append(slot)
