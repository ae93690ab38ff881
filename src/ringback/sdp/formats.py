"""Audio formats of a media section: payload types, rtpmap, fmtp (RFC 3551, RFC 7587, RFC 4733)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ringback.media.protocol import AudioFormat, Codec, OpusWishes
from ringback.sdp.description import Attribute, MediaDescription


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a codec is written in rtpmap; `clock_rate` is in Hz and that of RTP (8000 for G.722, RFC 3551)."""

    name: str
    clock_rate: int
    channels: int
    payload_type: int
    parameters: str | None = None

    @property
    def rtpmap(self) -> str:
        """The value of an rtpmap attribute after the payload type."""
        suffix = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.name}/{self.clock_rate}{suffix}"


ENCODINGS: Final[Mapping[Codec, Encoding]] = {
    "OPUS": Encoding("opus", 48_000, 2, 107, "minptime=10;useinbandfec=1"),
    "G722": Encoding("G722", 8_000, 1, 9),
    "PCMU": Encoding("PCMU", 8_000, 1, 0),
    "PCMA": Encoding("PCMA", 8_000, 1, 8),
    "L16": Encoding("L16", 16_000, 1, 109),
}
"""What we speak, with the payload types and format parameters of our own offers."""

TELEPHONE_EVENT_TYPES: Final[Mapping[int, int]] = {8_000: 101, 48_000: 102, 16_000: 103}
"""Payload types of telephone-event in our own offers, by clock rate in Hz."""

TELEPHONE_EVENTS: Final = "0-15"
"""The events we receive: digits, *, # and A to D."""

_STATIC: Final[Mapping[int, tuple[str, int, int]]] = {
    0: ("pcmu", 8_000, 1),
    8: ("pcma", 8_000, 1),
    9: ("g722", 8_000, 1),
    13: ("cn", 8_000, 1),
}
_CODECS: Final[Mapping[tuple[str, int, int], Codec]] = {
    (encoding.name.lower(), encoding.clock_rate, encoding.channels): codec
    for codec, encoding in ENCODINGS.items()
}
_RTPMAP = re.compile(r"([0-9]{1,3}) +([^ /]+)/([0-9]{1,6})(?:/([0-9]{1,2}))? *")
_FMTP = re.compile(r"([0-9]{1,3}) +(.*)")
_REMEMBERED_CHARACTERS: Final = 2_000
_HIGHEST_DTMF: Final = 11
_DTMF: Final = frozenset(range(_HIGHEST_DTMF + 1))


@dataclass(frozen=True, slots=True)
class OpusParameters:
    """What a peer asks of the Opus it receives (RFC 7587 §6.1); bitrate in bit/s, rates in Hz."""

    in_band_fec: bool = False
    discontinuous: bool = False
    stereo: bool = False
    constant_bitrate: bool = False
    max_average_bitrate: int | None = None
    max_playback_rate: int = 48_000

    def wishes(self) -> OpusWishes:
        """Those that an encoder follows."""
        bitrate = self.max_average_bitrate or 510_000
        return OpusWishes(
            max_playback_rate=self.max_playback_rate,
            max_average_bitrate=bitrate,
            discontinuous=self.discontinuous,
        )


@dataclass(frozen=True, slots=True)
class AudioFormats:
    """What of a section we can use: formats in its order, and telephone-event types by clock rate in Hz."""

    audio: tuple[AudioFormat, ...]
    telephone_events: Mapping[int, int]
    opus: OpusParameters | None = None

    @property
    def telephone_event_clocks(self) -> dict[int, int]:
        """Clock rate in Hz of each telephone-event type."""
        return {payload_type: rate for rate, payload_type in self.telephone_events.items()}

    def telephone_event_for(self, codec: Codec) -> int | None:
        """The type whose clock is the codec's (RFC 4733 §2.1), or else the one at 8000 Hz, which many use."""
        clock_rate = ENCODINGS[codec].clock_rate
        return self.telephone_events.get(clock_rate, self.telephone_events.get(8_000))


def read_formats(media: MediaDescription, *, rtcp_mux: bool) -> AudioFormats:
    """The formats of a section that we know, each codec once, by the first payload type it has.

    A payload type that is declared twice with different meanings, is no number, or with rtcp-mux would be
    taken for RTCP (RFC 5761 §4), is passed over.
    """
    maps: list[str] = []
    parameters: list[str] = []
    size = sum(map(len, media.formats))
    for attribute in media.attributes:
        name, value = attribute.name, attribute.value
        if value is not None and name in ("rtpmap", "fmtp"):
            (maps if name == "rtpmap" else parameters).append(value)
            size += len(value)
    # Phones of one kind say the same in every call; longer ones are not worth the memory.
    read = _read if size <= _REMEMBERED_CHARACTERS else _read.__wrapped__
    return read(media.formats, tuple(maps), tuple(parameters), rtcp_mux)


@lru_cache(maxsize=1_024)
def _read(
    types: tuple[str, ...], rtpmaps: tuple[str, ...], fmtps: tuple[str, ...], rtcp_mux: bool
) -> AudioFormats:
    maps = _read_rtpmaps(rtpmaps)
    parameters = _read_fmtp(fmtps)
    audio: dict[Codec, AudioFormat] = {}
    events: dict[int, int] = {}
    opus: OpusParameters | None = None
    for text in dict.fromkeys(types):
        payload_type = _payload_type(text)
        if payload_type is None or (rtcp_mux and 64 <= payload_type <= 95):
            continue
        encoding = maps.get(payload_type, _STATIC.get(payload_type))
        if encoding is None:
            continue
        fmtp = parameters.get(payload_type)
        codec = _CODECS.get(encoding)
        if codec is not None and codec not in audio:
            audio[codec] = AudioFormat(codec=codec, payload_type=payload_type)
            if codec == "OPUS":
                opus = read_opus_parameters(fmtp or "")
        elif encoding[0] == "telephone-event" and _carries_dtmf(fmtp):
            events.setdefault(encoding[1], payload_type)
    return AudioFormats(tuple(audio.values()), MappingProxyType(events), opus)


def write_formats(
    formats: tuple[AudioFormat, ...], telephone_events: Mapping[int, int], playback_rate: int = 16_000
) -> tuple[tuple[str, ...], tuple[Attribute, ...]]:
    """The format list of an m= line and its rtpmap and fmtp attributes; events by clock rate in Hz.

    `playback_rate` in Hz is what we can make use of in Opus (RFC 7587 6.1).
    """
    return _written(formats, tuple(telephone_events.items()), playback_rate)


@lru_cache(maxsize=1_024)
def _written(
    formats: tuple[AudioFormat, ...], telephone_events: tuple[tuple[int, int], ...], playback_rate: int
) -> tuple[tuple[str, ...], tuple[Attribute, ...]]:
    types: list[str] = []
    attributes: list[Attribute] = []
    for audio in formats:
        encoding = ENCODINGS[audio.codec]
        types.append(str(audio.payload_type))
        attributes.append(Attribute("rtpmap", f"{audio.payload_type} {encoding.rtpmap}"))
        if audio.codec == "OPUS":
            parameters = f"maxplaybackrate={playback_rate};{encoding.parameters}"
            attributes.append(Attribute("fmtp", f"{audio.payload_type} {parameters}"))
    for clock_rate, payload_type in telephone_events:
        types.append(str(payload_type))
        attributes.append(Attribute("rtpmap", f"{payload_type} telephone-event/{clock_rate}"))
        attributes.append(Attribute("fmtp", f"{payload_type} {TELEPHONE_EVENTS}"))
    return tuple(types), tuple(attributes)


def read_opus_parameters(text: str) -> OpusParameters:
    """The parameters of an Opus fmtp attribute; what is unknown or out of its range is passed over."""
    given: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        given.setdefault(name.strip().lower(), value.strip())
    bitrate = _number(given.get("maxaveragebitrate"))
    rate = _number(given.get("maxplaybackrate"))
    return OpusParameters(
        in_band_fec=given.get("useinbandfec") == "1",
        discontinuous=given.get("usedtx") == "1",
        stereo=given.get("stereo") == "1",
        constant_bitrate=given.get("cbr") == "1",
        max_average_bitrate=bitrate if bitrate is not None and 6_000 <= bitrate <= 510_000 else None,
        max_playback_rate=rate if rate is not None and 8_000 <= rate <= 48_000 else 48_000,
    )


def _read_rtpmaps(values: tuple[str, ...]) -> dict[int, tuple[str, int, int] | None]:
    maps: dict[int, tuple[str, int, int] | None] = {}
    for value in values:
        match = _RTPMAP.fullmatch(value)
        if match is None:
            continue
        payload_type = int(match[1])
        encoding = (match[2].lower(), int(match[3]), int(match[4] or 1))
        # Two meanings for one number: whichever we chose, the peer may mean the other.
        maps[payload_type] = encoding if maps.get(payload_type, encoding) == encoding else None
    return maps


def _read_fmtp(values: tuple[str, ...]) -> dict[int, str]:
    parameters: dict[int, str] = {}
    for value in values:
        match = _FMTP.fullmatch(value)
        if match is not None:
            parameters.setdefault(int(match[1]), match[2])
    return parameters


def _payload_type(text: str) -> int | None:
    number = _number(text)
    return number if number is not None and number <= 127 else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else None


def _carries_dtmf(fmtp: str | None) -> bool:
    """Whether 0-9, * and # are among the events; a list that is missing means 0-15 (RFC 4733 §2.4.1)."""
    if fmtp is None:
        return True
    events: set[int] = set()
    for part in fmtp.removeprefix("events=").split(","):
        match = re.fullmatch(r" *([0-9]{1,3})(?:-([0-9]{1,3}))? *", part)
        if match is not None:
            # No further than what is asked for: a body has room for ten thousand ranges up to 999.
            events.update(range(int(match[1]), min(int(match[2] or match[1]), _HIGHEST_DTMF) + 1))
    return events >= _DTMF
